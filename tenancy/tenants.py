"""Customers and the operator: how a tenant comes to be, and who may enter it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db import connection
from django.db.models import Q

from foundation.context import tenant
from foundation.errors import NotFound
from foundation.ids import new_id
from foundation.tokens import MAX_NUMBER
from tenancy import audit, regions, roles
from tenancy.models import Membership, PartnerGrant, Person, Role, RoleAssignment, Tenant, User, placement_of

SPREAD = 11_184_811  # odd, so no two numbers meet; neighbours do not look alike


def create_tenant(
    name: str,
    *,
    kind: str = Tenant.Kind.CUSTOMER,
    time_zone: str = "UTC",
    domain: str = "",
    home_region: str = "",
    is_demo: bool = False,
    at: datetime,
) -> Tenant:
    """A new organisation with its built-in roles. Must run inside a transaction.

    `home_region`: where its data lives; the installation's usual one for "". Raises NotValid for one not served.
    """
    tenant_id = new_id()
    made = Tenant.objects.create(
        id=tenant_id,
        number=_next_number(),
        name=name,
        kind=kind,
        placement=placement_of(tenant_id),
        time_zone=time_zone,
        domain=domain.strip().lower(),
        home_region=regions.checked(home_region),
        is_demo=is_demo,
        created_at=at,
    )
    with tenant(tenant_id):
        roles.create_built_in_roles(tenant_id, operator=kind == Tenant.Kind.OPERATOR)
        after = {"name": name, "kind": kind, "home_region": made.home_region}
        audit.record("tenant.create", made, tenant_id=tenant_id, at=at, after=after)
    return made


def all_ids() -> list[UUID]:
    """Every organisation of the installation, in order of their ids."""
    return list(Tenant.objects.order_by("id").values_list("id", flat=True))


def add_person(
    user: User, *, to: Tenant, role: str, kind: str = Membership.Kind.MEMBER, at: datetime
) -> Person:
    """Let `user` enter `to` with the role of that key, over all rooms; "" for none yet. Raises NotFound for no such role.

    Repeating it changes nothing. `kind` OPERATOR: the operator's people, whose rights come from their own
    organisation; they are a Person of the customer so that tickets can name them.
    """
    Membership.objects.get_or_create(user=user, tenant=to, defaults={"kind": kind})
    with tenant(to.id):
        people = Person.objects.for_tenant(to)
        person, is_new = people.get_or_create(user=user, defaults={"name": user.name, "email": user.email})
        if person.ended_at is not None:  # somebody who left is back
            people.filter(id=person.id).update(ended_at=None, by_group=False, group_role="")
            RoleAssignment.objects.for_tenant(to).filter(person=person).delete()
            person.ended_at, person.by_group, person.group_role, is_new = None, False, "", True
        if is_new:
            audit.record("person.create", person, tenant_id=to.id, at=at)
        if kind == Membership.Kind.MEMBER and role:
            wanted = Role.objects.for_tenant(to).filter(key=role).first()
            if wanted is None:
                raise NotFound(f"There is no role {role}.")
            _, given = RoleAssignment.objects.for_tenant(to).get_or_create(
                person=person, role=wanted, scope="all"
            )
            if given:
                audit.record("role.assign", person, tenant_id=to.id, at=at, after={"role": wanted.name})
    return person


def memberships_of(user: User) -> list[Membership]:
    """The organisations `user` may enter now, with them, by name: a partner's person only by a grant that stands."""
    stands = ~Q(kind=Membership.Kind.PARTNER) | Q(grant__state=PartnerGrant.State.ACCEPTED)
    rows = Membership.objects.filter(stands, user=user)
    return list(rows.select_related("tenant", "grant").order_by("tenant__name", "id"))


def tenants_of(user: User) -> list[tuple[Tenant, str]]:
    """The organisations `user` may enter with the kind of membership, by name."""
    return [(membership.tenant, membership.kind) for membership in memberships_of(user)]


def by_number(number: int) -> Tenant | None:
    """The tenant a key's or token's id names."""
    return Tenant.objects.filter(number=number).first()


def person_in(tenant_id: UUID, user_id: UUID) -> Person | None:
    """The user as that tenant, entered, sees him."""
    found: Person | None = Person.objects.for_tenant(tenant_id).filter(user_id=user_id, ended_at=None).first()
    return found


def _next_number() -> int:
    """Numbers are spread over the key space by a fixed odd factor, so neighbours do not look alike."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO tenancy_tenantcounter (id, last) VALUES (1, 1) "
            "ON CONFLICT (id) DO UPDATE SET last = tenancy_tenantcounter.last + 1 RETURNING last"
        )
        last = int(cursor.fetchone()[0])
    number: int = last * SPREAD % (MAX_NUMBER + 1)
    return number
