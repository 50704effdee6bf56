from __future__ import annotations

import pytest
from django.db import connection, transaction
from django.db.utils import DatabaseError, ProgrammingError

from foundation.context import tenant
from foundation.errors import NoTenant
from tenancy.models import AuditEvent, Person, Role
from tenancy.tenants import add_person, tenants_of
from tests.factories.tenancy import make_customer, make_person, make_user


def test_a_new_customer_has_the_built_in_roles_with_their_permissions(customer, at):
    with tenant(customer.id):
        roles = {role.key: role for role in Role.objects.for_tenant(customer)}
    assert {"pro_manager", "site_lead", "site_technician", "global_reader"} <= roles.keys()
    assert "keys.reset" in roles["pro_manager"].permissions
    assert "keys.reset" not in roles["site_lead"].permissions


def test_outside_every_tenant_a_query_raises_and_sql_shows_nothing(customer, at):
    with pytest.raises(NoTenant):
        Role.objects.count()
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM tenancy_role")
        assert cursor.fetchone() == (0,)


def test_inside_one_tenant_the_rows_of_another_do_not_exist_in_orm_or_sql(customer, at):
    other = make_customer(at=at)
    with tenant(customer.id), connection.cursor() as cursor:
        assert not Role.objects.filter(tenant_id=other.id).exists()
        cursor.execute("SELECT count(*) FROM tenancy_role WHERE tenant_id = %s", [other.id])
        assert cursor.fetchone() == (0,)
        with pytest.raises(NoTenant):
            Role.objects.for_tenant(other)


def test_a_row_cannot_be_written_for_a_tenant_not_entered(customer, at):
    other = make_customer(at=at)
    with tenant(customer.id), pytest.raises(DatabaseError, match="row-level security"), transaction.atomic():
        Role(tenant_id=other.id, key="x", name="x").save(force_insert=True)


def test_a_key_cannot_point_into_another_tenant(customer, at):
    other = make_customer(at=at)
    person = make_person(customer, at=at)
    with tenant(other.id):
        foreign = Role.objects.for_tenant(other).first()
    with tenant(customer.id), pytest.raises(DatabaseError, match="foreign key"), transaction.atomic():
        person.assignments.create(tenant_id=customer.id, role_id=foreign.id)


def test_leaving_a_nested_tenant_restores_the_outer_one(customer, at):
    other = make_customer(at=at)
    with tenant(customer.id):
        with tenant(other.id):
            assert {role.tenant_id for role in Role.objects.all()} == {other.id}
        assert {role.tenant_id for role in Role.objects.all()} == {customer.id}
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM tenancy_role")
        assert cursor.fetchone() == (0,)


def test_adding_a_person_twice_changes_nothing_and_each_write_left_its_event(customer, at):
    user = make_user(customer, at=at)
    with transaction.atomic():
        first = add_person(user, to=customer, role="site_lead", at=at)
        again = add_person(user, to=customer, role="site_lead", at=at)
    with tenant(customer.id):
        assert first == again
        assert Person.objects.for_tenant(customer).count() == 1
        actions = list(
            AuditEvent.objects.for_tenant(customer).order_by("id").values_list("action", flat=True)
        )
    assert sorted(actions) == ["group.create", "person.create", "role.assign", "tenant.create"]
    assert [each for each, _ in tenants_of(user)] == [customer]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE tenancy_auditevent SET action = ''",
        "DELETE FROM tenancy_auditevent",
        "TRUNCATE tenancy_auditevent",
    ],
)
def test_the_audit_log_cannot_be_changed(customer, statement):
    with (
        tenant(customer.id),
        pytest.raises(ProgrammingError),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)
