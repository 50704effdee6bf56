"""Which of an operator's people serve which customers: begun and ended, on record at both.

Both functions enter the tenants they need themselves. An end holds from the next request on: memberships are read
anew with each.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from foundation.context import tenant
from foundation.errors import NotValid
from tenancy import audit
from tenancy.errors import AlreadyThere, Missing
from tenancy.models import ApiToken, BreakGlass, Membership, Person, RoleAssignment, Tenant, User
from tenancy.tenants import add_person


def customers_of(operator: Tenant) -> list[UUID]:
    """Ids of the customers that anybody of the operator serves."""
    rows = Membership.objects.filter(kind=Membership.Kind.OPERATOR, user__home=operator)
    return list(rows.order_by().values_list("tenant_id", flat=True).distinct())


def serving(operator: Tenant, customers: Iterable[UUID]) -> dict[UUID, list[User]]:
    """The operator's people at each of these customers, by name."""
    found: dict[UUID, list[User]] = {key: [] for key in customers}
    rows = Membership.objects.filter(
        kind=Membership.Kind.OPERATOR, user__home=operator, tenant_id__in=list(found)
    )
    for row in rows.select_related("user").order_by("user__name", "user_id"):
        found[row.tenant_id].append(row.user)
    return found


def begin(user: User, customer: Tenant, *, at: datetime) -> Person:
    """Let one of an operator's people serve a customer. Raises NotValid for anybody else, AlreadyThere."""
    own = Membership.objects.filter(user=user, tenant_id=user.home_id, kind=Membership.Kind.MEMBER)
    if user.home.kind != Tenant.Kind.OPERATOR or not own.exists():
        raise NotValid(f"{user.email} is nobody of an operator.", field="person")
    if Membership.objects.filter(user=user, tenant=customer).exists():
        raise AlreadyThere(f"{user.name} serves {customer.name} already.", field="person")
    with audit.acting(_from_outside(user)):
        person = add_person(user, to=customer, role="", kind=Membership.Kind.OPERATOR, at=at)
    _record("membership.create", user, customer, person, at=at)
    return person


def end(user: User, customer: Tenant, *, at: datetime) -> None:
    """They may no longer enter, emergency access included. Raises Missing for somebody who does not serve it."""
    rows = Membership.objects.filter(user=user, tenant=customer, kind=Membership.Kind.OPERATOR)
    gone, _ = rows.delete()
    if not gone:
        raise Missing("person", field="person")
    with tenant(customer.id):
        person = Person.objects.for_tenant(customer).get(user=user)
        RoleAssignment.objects.for_tenant(customer).filter(person=person).delete()
        ApiToken.objects.for_tenant(customer).filter(person=person, revoked_at=None).update(revoked_at=at)
        BreakGlass.objects.for_tenant(customer).filter(
            user_id=user.id, ended_at=None, expires_at__gt=at
        ).update(ended_at=at)
        Person.objects.for_tenant(customer).filter(id=person.id).update(ended_at=at)
    _record("membership.end", user, customer, person, at=at)


def end_all(user: User, *, at: datetime) -> None:
    """Of somebody who leaves the operator."""
    rows = Membership.objects.filter(user=user, kind=Membership.Kind.OPERATOR).select_related("tenant")
    for row in list(rows.order_by("tenant_id")):
        end(user, row.tenant, at=at)


def _record(action: str, user: User, customer: Tenant, person: Person, *, at: datetime) -> None:
    operator = Tenant.objects.get(id=user.home_id)
    with tenant(customer.id), audit.acting(_from_outside(user)):
        audit.record(action, person, tenant_id=customer.id, at=at, after={"operator": operator.name})
    with tenant(operator.id):
        known = Person.objects.for_tenant(operator).filter(user=user).first()
        audit.record(action, known, tenant_id=operator.id, at=at, after={"customer": customer.name})


def _from_outside(user: User) -> audit.Actor:
    """For the customer whoever decides this is of the operator."""
    actor = audit.current_actor()
    return replace(actor, tenant_id=user.home_id) if actor.kind == "person" else actor
