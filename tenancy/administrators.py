"""Every customer keeps somebody who may change roles over everything: else nobody could ever again."""

from __future__ import annotations

from foundation.context import current_tenant
from foundation.errors import Conflict
from tenancy.errors import LastAdministrator
from tenancy.models import Membership, Person, Role, RoleAssignment, Tenant

CHANGES_ROLES = "roles.modify"


def lock() -> None:
    """Changes of who may do what follow each other: two administrators cannot remove each other at once."""
    built_in = Role.objects.for_tenant(current_tenant()).filter(built_in=True).order_by("id")
    if built_in.select_for_update(no_key=True).first() is None:
        raise Conflict("This organisation has no roles.")


def keep_one() -> None:
    """After a change, in its transaction. Raises LastAdministrator where nobody of a customer's own people is left
    who may change roles everywhere."""
    tenant_id = current_tenant()
    if Tenant.objects.filter(id=tenant_id, kind=Tenant.Kind.OPERATOR).exists():
        return  # the installation's own commands can always make one
    if not administrators():
        raise LastAdministrator("Somebody must be left who can change roles over all rooms.")


def administrators() -> list[Person]:
    """The organisation's own people who may change roles everywhere, by name."""
    tenant_id = current_tenant()
    rows = RoleAssignment.objects.for_tenant(tenant_id).filter(
        scope=RoleAssignment.Scope.ALL,
        person__ended_at=None,
        role__permissions__contains=[CHANGES_ROLES],
    )
    people = Person.objects.for_tenant(tenant_id).filter(
        id__in=list(rows.values_list("person_id", flat=True))
    )
    own = Membership.objects.filter(
        tenant_id=tenant_id,
        kind=Membership.Kind.MEMBER,
        user_id__in=list(people.values_list("user_id", flat=True)),
        user__is_active=True,
    )
    return list(people.filter(user_id__in=list(own.values_list("user_id", flat=True))).order_by("name", "id"))
