"""The database as it is, table by table, against the rules of docs/tenancy.md. A new table without a class fails here."""

from __future__ import annotations

import re

import pytest
from django.apps import apps
from django.db import connection

from foundation.tenant_tables.classes import class_of, sql_tables, third_party_tables
from foundation.tenant_tables.operations import MAX_NAME, POLICY

APPEND_ONLY = {"tenancy_auditevent", "tenancy_auditseal", "incidents_incidententry"}
# Tables outside class tenant that name a tenant all the same, and why.
NAMES_A_TENANT = {
    "tenancy_membership": "which tenants a user may enter is read before any is entered",
}
KNOWN_TRIGGERS = {"tenancy_audit_guard", "tenancy_audit_guard_truncate"}


def rows(statement: str, *parameters: object) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall()


def model_tables() -> dict[str, str | None]:
    models = apps.get_models(include_auto_created=True)
    return {model._meta.db_table: class_of(model) for model in models if model._meta.managed}


def tables() -> dict[str, str | None]:
    return {**third_party_tables(), **sql_tables(), **model_tables()}


def tenant_tables() -> list[str]:
    return sorted(table for table, kind in tables().items() if kind == "tenant")


def in_database() -> set[str]:
    found = rows(
        "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relispartition"
    )
    return {name for (name,) in found}


@pytest.mark.django_db
def test_every_table_has_a_class():
    known = {table for table, kind in tables().items() if kind}
    assert in_database() - known == {"foundation_partitioned"}, "a table nobody classified"
    assert known - in_database() == set(), "a class for a table that is not there"


@pytest.mark.django_db
def test_tenant_tables_begin_their_keys_with_the_tenant():
    found = rows(
        "SELECT c.relname, i.indisprimary, a.attname, i.indexrelid::regclass::text FROM pg_index i "
        "JOIN pg_class c ON c.oid = i.indrelid "
        "JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0] "
        "WHERE c.relname = ANY(%s) AND i.indisunique",
        tenant_tables(),
    )
    assert {table for table, primary, _, _ in found if primary} == set(tenant_tables())
    assert [row for row in found if row[2] != "tenant_id"] == []


@pytest.mark.django_db
def test_keys_between_tenant_tables_are_composite_and_immediate():
    found = rows(
        "SELECT c.relname, f.relname, k.conname, k.condeferrable, k.confdeltype, "
        "array(SELECT a.attname FROM unnest(k.conkey) WITH ORDINALITY u(n, o) "
        "JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.n ORDER BY u.o) "
        "FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_class f ON f.oid = k.confrelid "
        "WHERE k.contype = 'f' AND k.conparentid = 0"
    )
    ours = set(tenant_tables())
    for table, far, name, deferrable, on_delete, columns in found:
        if table in ours:
            assert not deferrable, name
            assert on_delete in ("a", "c"), f"{name}: never SET NULL"
        if table in ours and far in ours:
            assert columns[0] == "tenant_id" and len(columns) == 2, name
        assert table in ours or far not in ours, f"{name}: a {tables()[table]} table points into a tenant's"
    keyed = {(table, columns[-1]) for table, _, _, _, _, columns in found}
    for model in apps.get_models():
        for field in model._meta.local_fields:
            if class_of(model) == "tenant" and field.is_relation:
                assert (model._meta.db_table, field.column) in keyed, f"{field} has no key in the database"


@pytest.mark.django_db
def test_row_level_security_is_forced_with_the_one_policy():
    found = rows(
        "SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class WHERE relname = ANY(%s) AND relnamespace = "
        "'public'::regnamespace",
        tenant_tables(),
    )
    assert {row[0] for row in found if row[1] and row[2]} == set(tenant_tables())
    policies = rows(
        "SELECT tablename, policyname, cmd, roles::text[], qual, with_check FROM pg_policies WHERE tablename = ANY(%s)",
        tenant_tables(),
    )
    wanted = plain(POLICY)
    tenant_rows = {row[0]: row for row in policies if row[1] == "tenant_rows"}
    assert set(tenant_rows) == set(tenant_tables())
    for table, _, command, _, using, check in tenant_rows.values():
        assert (command, plain(using), plain(check)) == ("ALL", wanted, wanted), table
    for table, name, command, roles, using, _ in policies:
        if name != "tenant_rows":
            assert (name, command, roles, using) == ("sweep_rows", "SELECT", ["greenroom_sweep"], "true"), (
                table
            )


def plain(policy: str) -> str:
    """A policy as PostgreSQL prints it back, without its casts and brackets."""
    return re.sub(r"::text|[()\s]", "", policy).lower()


@pytest.mark.django_db
def test_grants_are_what_the_class_allows():
    granted = rows(
        "SELECT table_name, grantee, privilege_type FROM information_schema.role_table_grants "
        "WHERE table_schema = 'public' AND grantee IN ('greenroom_app', 'greenroom_sweep', 'PUBLIC')"
    )
    by_role: dict[tuple[str, str], set[str]] = {}
    for table, role, privilege in granted:
        by_role.setdefault((role, table), set()).add(privilege)
    for (role, table), privileges in by_role.items():
        assert role != "PUBLIC", table
        assert not privileges & {"TRUNCATE", "TRIGGER", "REFERENCES"}, table
        if role == "greenroom_sweep":
            assert table == "tenancy_tenant" and privileges == {"SELECT"}, (
                "the sweep role reads named columns only"
            )
    for table in APPEND_ONLY:
        assert by_role["greenroom_app", table] == {"SELECT", "INSERT"}


@pytest.mark.django_db
def test_partitions_carry_no_grants_of_their_own():
    found = rows(
        "SELECT c.relname FROM pg_class c WHERE c.relispartition AND c.relacl IS NOT NULL "
        "AND array_to_string(c.relacl, ',') LIKE '%%greenroom_app%%' AND c.relkind = 'r'"
    )
    assert found == []


@pytest.mark.django_db
def test_only_listed_tables_outside_a_tenant_name_one():
    found = rows(
        "SELECT c.relname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE a.attname = 'tenant_id' "
        "AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relnamespace = 'public'::regnamespace"
    )
    assert {table for (table,) in found} - set(tenant_tables()) == set(NAMES_A_TENANT)


@pytest.mark.django_db
def test_names_are_short_enough_for_a_shards_suffix():
    found = rows(
        "SELECT conname FROM pg_constraint WHERE contype IN ('p', 'u', 'f') AND length(conname) > %s "
        "AND conrelid IN (SELECT oid FROM pg_class WHERE relname = ANY(%s))",
        MAX_NAME,
        tenant_tables(),
    )
    assert found == []


@pytest.mark.django_db
def test_no_trigger_is_unknown():
    found = rows("SELECT DISTINCT tgname FROM pg_trigger WHERE NOT tgisinternal")
    assert {name for (name,) in found} <= KNOWN_TRIGGERS


@pytest.mark.django_db
def test_we_are_connected_as_an_unprivileged_role():
    found = rows(
        "SELECT current_user, r.rolsuper, r.rolbypassrls, "
        "(SELECT count(*) FROM pg_class c WHERE c.relowner = r.oid), "
        "(SELECT count(*) FROM pg_auth_members m WHERE m.member = r.oid) "
        "FROM pg_roles r WHERE r.rolname = current_user"
    )
    assert found == [("greenroom_app", False, False, 0, 0)]
