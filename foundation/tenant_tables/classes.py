"""The class of every table: tenant, global (read by all, small) or local (this database's own business).

A model names it in `table_class`; third-party tables are listed by the app that installs them, in
`third_party_tables` of its AppConfig. Whoever has no class fails the catalogue test.
"""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.db import connections, models

from foundation.tenant_tables.operations import ALL_GRANTS, APP_ROLE, SWEEP_ROLE, is_tenant_model

SQL_TABLES_ATTRIBUTE = "sql_tables"  # tenant tables that SQL alone writes, listed by their app


def class_of(model: type[models.Model]) -> str | None:
    """`tenant`, `global` or `local`; None for a table nobody classified."""
    if is_tenant_model(model):
        return "tenant"
    declared: str | None = getattr(model, "table_class", None)
    return declared or third_party_tables().get(model._meta.db_table)


def third_party_tables() -> dict[str, str]:
    return _collected("third_party_tables")


def sql_tables() -> dict[str, str]:
    """Tables without a model; their apps say what each is for. All are tenant tables."""
    return dict.fromkeys(_collected(SQL_TABLES_ATTRIBUTE), "tenant")


def _collected(attribute: str) -> dict[str, str]:
    collected: dict[str, str] = {}
    for app in apps.get_app_configs():
        collected.update(getattr(app, attribute, {}))
    return collected


def grant_on_plain_tables(using: str) -> None:
    """As owner, after migrations: the app role works on every global and local table, the sweep role reads tenants."""
    tables = dict(third_party_tables())
    for model in apps.get_models(include_auto_created=True):
        table_class = class_of(model)
        if table_class in ("global", "local"):
            tables[model._meta.db_table] = table_class
    connection = connections[using]
    present = set(connection.introspection.table_names())
    with connection.cursor() as cursor:
        for table in sorted(present & tables.keys()):
            grants = "SELECT" if table == "django_migrations" else ALL_GRANTS
            cursor.execute(f'GRANT {grants} ON "{table}" TO {APP_ROLE}')
        cursor.execute(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {APP_ROLE}")
        if "tenancy_tenant" in present:
            cursor.execute(f'GRANT SELECT ON "tenancy_tenant" TO {SWEEP_ROLE}')


def after_migrations(sender: Any, using: str, **kwargs: Any) -> None:
    """Once, after the last app's tables are there."""
    last = [app for app in apps.get_app_configs() if app.models_module is not None][-1]
    if using == "owner" and sender is last:
        grant_on_plain_tables(using)
