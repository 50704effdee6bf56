"""What somebody may do at an organisation at this moment, by whichever way they come: member, partner, operator, token.

Functions enter the tenants they need themselves.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from foundation.context import tenant
from tenancy import api_tokens, break_glass, partners, roles, tenants
from tenancy.audit import Actor
from tenancy.models import ApiToken, Membership, Person, Tenant, User
from tenancy.rights import Rights, granted

OF_PEOPLE = ("person", "token")  # kinds of actors whose rights can end; the others are Greenroom's own


def rights_now(actor: Actor, tenant_id: UUID, *, at: datetime) -> Rights:
    """Nothing for a person who left or a token that ended. `actor`: one of OF_PEOPLE."""
    if actor.id is None:
        return Rights()
    if actor.kind == "token":
        return _of_token(actor.id, tenant_id, at=at)
    user = User.objects.filter(id=actor.id, is_active=True).first()
    return _of_user(user, tenant_id, at=at) if user else Rights()


def own_operator(memberships: Iterable[Membership]) -> Membership | None:
    """The operator somebody works for, among all that he may enter."""
    own = (
        each
        for each in memberships
        if each.tenant.kind == Tenant.Kind.OPERATOR and each.kind == Membership.Kind.MEMBER
    )
    return next(own, None)


def in_house(house: Tenant, user: User) -> Rights:
    """What somebody may do in his own organisation."""
    with tenant(house.id):
        person = tenants.person_in(house.id, user.id)
        return roles.rights_of(person) if person else Rights()


def at_customers(held: Rights) -> Rights:
    """What an operator's roles in his own house are worth at a customer served."""
    return granted(held.permissions & roles.STANDING)


def of_holder(row: ApiToken, rights: Rights, membership: Membership | None) -> Rights:
    """`rights` of a token that is a person's own, held to what the person has by that membership."""
    if membership is None or row.person is None:
        return rights
    if membership.kind == Membership.Kind.PARTNER:
        return partners.worth(rights)
    if membership.kind == Membership.Kind.OPERATOR:  # on pages too he has no more at a customer
        own = own_operator(tenants.memberships_of(membership.user))
        return rights & at_customers(in_house(own.tenant, membership.user)) if own else Rights()
    return rights


def membership_of(person: Person) -> Membership | None:
    """How the person comes to his organisation, with his user."""
    rows = Membership.objects.filter(user_id=person.user_id, tenant_id=person.tenant_id)
    found: Membership | None = rows.select_related("user").first()
    return found


def _of_user(user: User, tenant_id: UUID, *, at: datetime) -> Rights:
    memberships = tenants.memberships_of(user)
    here = next((each for each in memberships if each.tenant_id == tenant_id), None)
    if here is None:
        return Rights()
    with tenant(tenant_id):
        person = tenants.person_in(tenant_id, user.id)
        if person is None:
            return Rights()
        rights = roles.rights_of(person)
        broken = break_glass.current(person, at=at) if here.kind == Membership.Kind.OPERATOR else None
    if here.kind == Membership.Kind.PARTNER:
        return partners.worth(rights)
    if here.kind != Membership.Kind.OPERATOR:
        return rights
    own = own_operator(memberships)
    standing = at_customers(in_house(own.tenant, user)) if own else Rights()
    return standing | break_glass.RIGHTS if broken else standing


def _of_token(token_id: UUID, tenant_id: UUID, *, at: datetime) -> Rights:
    with tenant(tenant_id):
        rows = ApiToken.objects.for_tenant(tenant_id).usable(at=at).filter(id=token_id)
        row = rows.select_related("role", "person").first()
        if row is None:
            return Rights()
        rights = api_tokens.rights_of(row)
    return of_holder(row, rights, membership_of(row.person) if row.person else None)
