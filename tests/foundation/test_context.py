from __future__ import annotations

import pytest
from django.db import connection, transaction

from foundation.context import entered, tenant
from foundation.errors import NoTenant
from tenancy.models import Role
from tests.factories.tenancy import make_customer


def visible_roles() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM tenancy_role")
        return int(cursor.fetchone()[0])


def test_a_block_that_is_rolled_back_on_purpose_leaves_the_outer_list_as_it_was(customer, at):
    other = make_customer(at=at)
    with tenant(customer.id):
        before = visible_roles()
        with tenant(other.id):
            Role.objects.for_tenant(other).create(key="gone", name="Gone")
            transaction.set_rollback(True)
        assert entered() == (customer.id,)
        assert visible_roles() == before
    assert visible_roles() == 0
    with tenant(other.id):
        assert not Role.objects.for_tenant(other).filter(key="gone").exists()


def test_a_rollback_in_the_outermost_block_hides_all_rows_again(customer):
    with tenant(customer.id):
        assert visible_roles() > 0
        transaction.set_rollback(True)
    assert entered() == ()
    assert visible_roles() == 0


def test_entering_nothing_is_a_mistake(db):
    with pytest.raises(NoTenant), tenant():
        pass
