"""Migration operations that give a tenant table its keys, policy and grants (docs/tenancy.md)."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.migrations.operations import CreateModel
from django.db.migrations.operations.base import Operation

from foundation.tenant_tables.fields import TenantField, TenantForeignKey

POLICY = "tenant_id = ANY (nullif(current_setting('app.tenants', true), '')::uuid[])"
APP_ROLE = "greenroom_app"
SWEEP_ROLE = "greenroom_sweep"
ALL_GRANTS = "SELECT, INSERT, UPDATE, DELETE"
MAX_NAME = 50  # shards append their number


def wall_statements(table: str, *, grants: str = ALL_GRANTS, sweep: tuple[str, ...] = ()) -> list[str]:
    """Policy, force and grants of one tenant table, also of one that SQL alone writes.

    `sweep`: the columns the sweep role may read over all tenants.
    """
    statements = [
        f'ALTER TABLE "{table}" ENABLE ROW LEVEL SECURITY',
        f'ALTER TABLE "{table}" FORCE ROW LEVEL SECURITY',
        f'CREATE POLICY tenant_rows ON "{table}" USING ({POLICY}) WITH CHECK ({POLICY})',
        f'GRANT {grants} ON "{table}" TO {APP_ROLE}',
    ]
    if sweep:
        columns = ", ".join(f'"{column}"' for column in sweep)
        statements += [
            f'CREATE POLICY sweep_rows ON "{table}" FOR SELECT TO {SWEEP_ROLE} USING (true)',
            f'GRANT SELECT ({columns}) ON "{table}" TO {SWEEP_ROLE}',
        ]
    return statements


def key_name(table: str, column: str) -> str:
    return f"{table}_{column}_key"[-MAX_NAME:].lstrip("_")


def key_statement(model: type[models.Model], field: models.ForeignKey[Any, Any]) -> str:
    """The database key of one field: composite between tenant tables, plain to a global one."""
    table, far = model._meta.db_table, field.remote_field.model._meta.db_table
    name = key_name(table, field.column)
    if isinstance(field, TenantForeignKey):
        cascade = " ON DELETE CASCADE" if field.remote_field.on_delete is models.CASCADE else ""
        return (
            f'ALTER TABLE "{table}" ADD CONSTRAINT "{name}" FOREIGN KEY (tenant_id, "{field.column}") '
            f'REFERENCES "{far}" (tenant_id, id){cascade} NOT DEFERRABLE'
        )
    return (
        f'ALTER TABLE "{table}" ADD CONSTRAINT "{name}" FOREIGN KEY ("{field.column}") '
        f'REFERENCES "{far}" ("{field.target_field.column}") NOT DEFERRABLE'
    )


class TenantTable(Operation):
    """Last after CreateModel: key (tenant_id, id), composite immediate keys, forced policy, grants.

    `later`: fields whose far table does not exist yet; TenantKey adds them.
    """

    reduces_to_sql = True
    reversible = True

    def __init__(
        self,
        model: str,
        *,
        grants: str = ALL_GRANTS,
        sweep: tuple[str, ...] = (),
        later: tuple[str, ...] = (),
    ) -> None:
        self.model, self.grants, self.sweep, self.later = model, grants, tuple(sweep), tuple(later)

    def deconstruct(self) -> Any:
        given = {"grants": self.grants, "sweep": self.sweep, "later": self.later}
        plain = {"grants": ALL_GRANTS, "sweep": (), "later": ()}
        return type(self).__name__, [self.model], {k: v for k, v in given.items() if v != plain[k]}

    def state_forwards(self, app_label: str, state: Any) -> None:
        """The model's state is Django's; this changes what only the database knows."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        model = to_state.apps.get_model(app_label, self.model)
        if not self.allow_migrate_model(schema_editor.connection.alias, model):
            return
        table = model._meta.db_table
        run = schema_editor.execute
        if not _is_partitioned(schema_editor, table):
            run(f'ALTER TABLE "{table}" DROP CONSTRAINT "{table}_pkey"')
        run(f'ALTER TABLE "{table}" ADD CONSTRAINT "{table}_pkey" PRIMARY KEY (tenant_id, id)')
        for field in model._meta.local_fields:
            if isinstance(field, models.ForeignKey) and field.name not in self.later:
                run(key_statement(model, field))
        for statement in wall_statements(table, grants=self.grants, sweep=self.sweep):
            run(statement)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """The table goes with CreateModel, and its keys, policy and grants with it."""

    def describe(self) -> str:
        return f"Make {self.model} a tenant table"


class TenantKey(Operation):
    """The database key of a field that comes later than its table."""

    reduces_to_sql = True
    reversible = True

    def __init__(self, model: str, field: str) -> None:
        self.model, self.field = model, field

    def deconstruct(self) -> Any:
        return type(self).__name__, [self.model, self.field], {}

    def state_forwards(self, app_label: str, state: Any) -> None:
        """Only the database changes."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        model = to_state.apps.get_model(app_label, self.model)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            schema_editor.execute(key_statement(model, model._meta.get_field(self.field)))

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        model = from_state.apps.get_model(app_label, self.model)
        table, column = model._meta.db_table, model._meta.get_field(self.field).column
        schema_editor.execute(f'ALTER TABLE "{table}" DROP CONSTRAINT "{key_name(table, column)}"')

    def describe(self) -> str:
        return f"Key of {self.model}.{self.field}"


class CreatePartitionedModel(CreateModel):
    """CreateModel for a table partitioned by day of its UUIDv7 id. TenantTable adds the key."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        model = to_state.apps.get_model(app_label, self.name)
        if not self.allow_migrate_model(schema_editor.connection.alias, model):
            return
        statement, parameters = schema_editor.table_sql(model)
        plain = statement.replace('"id" uuid NOT NULL PRIMARY KEY', '"id" uuid NOT NULL')
        if plain == statement:
            raise ValueError(f"{self.name} has no uuid key to partition by")
        schema_editor.execute(f'{plain} PARTITION BY RANGE ("id")', parameters or None)
        schema_editor.deferred_sql.extend(schema_editor._model_indexes_sql(model))
        table = model._meta.db_table
        schema_editor.execute(f'CREATE TABLE "{table}_default" PARTITION OF "{table}" DEFAULT')


def _is_partitioned(schema_editor: Any, table: str) -> bool:
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT relkind FROM pg_class WHERE oid = %s::regclass", [table])
        return bool(cursor.fetchone()[0] == "p")


def is_tenant_model(model: type[models.Model]) -> bool:
    return any(isinstance(field, TenantField) for field in model._meta.local_fields)
