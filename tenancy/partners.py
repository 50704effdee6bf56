"""Partner organisations: a customer invites one by its domain, grants it a role within a scope, and either ends it.

The state of a grant is a global row, changed by conditional updates only; its terms lie with the customer. Functions
enter the tenants they need themselves. Whoever calls them has checked that the person may change roles of the side
he acts for. An end holds from the next request on: rights are read anew with each.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from foundation import mail
from foundation.context import MAX_TENANTS, tenant
from foundation.errors import Conflict, NotAllowed, NotValid, violated_constraint
from foundation.ids import new_id
from tenancy import administrators, audit, scopes
from tenancy.custom_roles import check_may_grant, role
from tenancy.errors import AlreadyThere, Missing, Over
from tenancy.models import (
    ApiToken,
    Membership,
    PartnerGrant,
    Partnership,
    PendingAction,
    Person,
    RoleAssignment,
    Tenant,
    User,
)
from tenancy.rights import Place, Rights, reach_of
from tenancy.roles import CUSTOMERS_OWN, PERMISSIONS
from tenancy.tenants import add_person

SHORTEST, LONGEST = timedelta(days=1), timedelta(days=30)
State = PartnerGrant.State


@dataclass(frozen=True)
class Offer:
    """A grant as the partner reads it."""

    grant: PartnerGrant
    customer: Tenant
    terms: Partnership  # with its role
    people: list[User]  # the partner's who may act at the customer, by name


def invite(
    customer: Tenant,
    *,
    domain: str,
    role_id: UUID,
    everywhere: bool = False,
    scope: Iterable[Place] = (),
    approvals: Iterable[str] = (),
    terms: str = "",
    lasts: timedelta = timedelta(days=14),
    by: Person | None,
    rights: Rights | None,
    at: datetime,
) -> Partnership:
    """`approvals`: permissions whose every use waits for the customer; `lasts`: 1 to 30 days to accept.

    Raises NotValid, Missing for the role, MoreThanOwn, and AlreadyThere while an invitation or grant stands.
    """
    wanted = _domain(domain)
    if not SHORTEST <= lasts <= LONGEST:
        raise NotValid("An invitation is good for 1 to 30 days.", field="lasts")
    live = PartnerGrant.objects.filter(customer=customer, domain=wanted, state=State.PENDING)
    live.filter(expires_at__lte=at).update(state=State.EXPIRED, changed_at=at)
    grant = PartnerGrant(
        id=new_id(), customer=customer, domain=wanted, expires_at=at + lasts, created_at=at, changed_at=at
    )
    try:
        with transaction.atomic():
            grant.save(force_insert=True)
    except IntegrityError as error:
        if violated_constraint(error) != "tenancy_grant_one_live":
            raise
        raise AlreadyThere("This organisation is invited or your partner already.", field="domain") from error
    with tenant(customer.id):
        given = role(role_id, field="role")
        places = scopes.checked(everywhere, scope)
        check_may_grant(rights, given.permissions, reach_of(everywhere, places))
        made = Partnership.objects.for_tenant(customer).create(
            id=grant.id,
            domain=wanted,
            role=given,
            everywhere=everywhere,
            scope=places,
            approvals=_approvals(approvals),
            terms=terms.strip()[:5_000],
            invited_by=by,
            created_at=at,
        )
        audit.record("partner.invite", made, tenant_id=customer.id, at=at, after=_facts(made))
    _tell_partner(grant, customer, at=at)
    return made


def offers_to(partner: Tenant, *, at: datetime) -> QuerySet[PartnerGrant]:
    """Invitations that may still be accepted, and grants that stand, with their customers."""
    mine = Q(state=State.ACCEPTED, partner=partner)
    if partner.domain:
        mine |= Q(state=State.PENDING, domain=partner.domain, expires_at__gt=at)
    return PartnerGrant.objects.filter(mine).select_related("customer")


def offer_to(partner: Tenant, grant_id: UUID, *, at: datetime) -> Offer:
    """Raises Missing."""
    found = read(offers_to(partner, at=at).filter(id=grant_id))
    if not found:
        raise Missing("invitation")
    return found[0]


def read(grants: Iterable[PartnerGrant]) -> list[Offer]:
    """With their terms and the partner's people there: as many queries for one page as for one grant."""
    some = list(grants)
    customers = list(dict.fromkeys(grant.customer_id for grant in some))
    terms: dict[UUID, Partnership] = {}
    for begin in range(0, len(customers), MAX_TENANTS):
        with tenant(*(few := customers[begin : begin + MAX_TENANTS])):
            rows = Partnership.objects.for_tenant(*few).filter(id__in=[grant.id for grant in some])
            terms |= {row.id: row for row in rows.select_related("role")}
    teams: dict[UUID, list[User]] = {}
    sent = Membership.objects.filter(grant__in=some).select_related("user").order_by("user__name", "user_id")
    for row in sent:
        assert row.grant_id is not None  # they were found by it
        teams.setdefault(row.grant_id, []).append(row.user)
    return [
        Offer(grant, grant.customer, terms[grant.id], teams.get(grant.id, []))
        for grant in some
        if grant.id in terms
    ]


def of_customer(customer: Tenant, *, at: datetime) -> list[tuple[PartnerGrant, Partnership]]:
    """All grants a customer ever made, newest first. The customer is entered."""
    PartnerGrant.objects.filter(customer=customer, state=State.PENDING, expires_at__lte=at).update(
        state=State.EXPIRED, changed_at=at
    )
    grants = {grant.id: grant for grant in PartnerGrant.objects.filter(customer=customer)}
    rows = Partnership.objects.for_tenant(customer).select_related("role").order_by("-created_at", "-id")
    return [(grants[row.id], row) for row in rows if row.id in grants]


def accept(grant_id: UUID, *, partner: Tenant, at: datetime) -> PartnerGrant:
    """Raises Missing for an invitation of another domain, Over for one decided, taken back or expired."""
    grant = _invited(grant_id, partner)
    _move(grant, State.PENDING, State.ACCEPTED, at=at, in_time=True, partner=partner)
    with tenant(grant.customer_id):
        rows = Partnership.objects.for_tenant(grant.customer_id).filter(id=grant.id)
        rows.update(partner_name=partner.name)
    _record_both("partner.accept", grant, at=at, after={"partner": partner.name}, by_partner=True)
    return grant


def deny(grant_id: UUID, *, partner: Tenant, at: datetime) -> PartnerGrant:
    """Raises what `accept` raises."""
    grant = _invited(grant_id, partner)
    _move(grant, State.PENDING, State.DENIED, at=at, in_time=True, partner=partner)
    _record_both("partner.deny", grant, at=at, after={"partner": partner.name}, by_partner=True)
    return grant


def revoke(grant_id: UUID, *, customer: Tenant, at: datetime) -> PartnerGrant:
    """Take an invitation back. Raises Missing, Over for one that was decided."""
    grant = _granted_by(grant_id, customer)
    _move(grant, State.PENDING, State.REVOKED, at=at)
    _record_both("partner.revoke", grant, at=at)
    return grant


def end(grant_id: UUID, *, side: Tenant, reason: str = "", at: datetime) -> PartnerGrant:
    """By the customer or the partner: its people are out at once, what waits for approval is denied.

    Raises Missing for somebody else's grant, Over for one that does not stand.
    """
    grant = _of_either(grant_id, side)
    _move(grant, State.ACCEPTED, State.ENDED, at=at)
    users = list(Membership.objects.filter(grant=grant).values_list("user_id", flat=True))
    Membership.objects.filter(grant=grant).delete()
    with tenant(grant.customer_id):
        Partnership.objects.for_tenant(grant.customer_id).filter(id=grant.id).update(
            ended_reason=reason[:200]
        )
        _out(grant.customer_id, users, at=at)
        waiting = PendingAction.objects.for_tenant(grant.customer_id).filter(
            partnership_id=grant.id, state=PendingAction.State.WAITING
        )
        waiting.update(state=PendingAction.State.DENIED, decided_at=at, outcome="The partnership ended")
    after = {"by": side.name, "reason": reason[:200]}
    _record_both("partner.end", grant, at=at, after=after, by_partner=side.id == grant.partner_id)
    return grant


def change(
    grant_id: UUID,
    *,
    customer: Tenant,
    everywhere: bool | None = None,
    scope: Iterable[Place] | None = None,
    approvals: Iterable[str] | None = None,
    rights: Rights | None,
    at: datetime,
) -> Partnership:
    """The customer changes where the partner's role holds, or what waits for approval. Raises Missing, NotValid, Over."""
    grant = _granted_by(grant_id, customer)
    if grant.state not in (State.PENDING, State.ACCEPTED):
        raise Over("This partnership is over.")
    with tenant(customer.id):
        rows = Partnership.objects.for_tenant(customer).select_related("role")
        changed = rows.get(id=grant.id)
        before = _facts(changed)
        if everywhere is not None or scope is not None:
            changed.everywhere = bool(everywhere) if everywhere is not None else not scope
            changed.scope = scopes.checked(changed.everywhere, scope or ())
            check_may_grant(rights, changed.role.permissions, reach_of(changed.everywhere, changed.scope))
        if approvals is not None:
            changed.approvals = _approvals(approvals)
        changed.save(update_fields=["everywhere", "scope", "approvals"])
        for person in _people_in(grant):
            _write_rows(person, changed)
        audit.record(
            "partner.invite", changed, tenant_id=customer.id, at=at, before=before, after=_facts(changed)
        )
    return changed


def delegate(grant_id: UUID, user: User, *, partner: Tenant, at: datetime) -> Person:
    """Let one of the partner's own people act at the customer. Repeating it changes nothing.

    Raises Missing for a grant that does not stand or a user of elsewhere, Conflict for one who is there already, and
    NotAllowed for one whose access the customer ended.
    """
    grant = PartnerGrant.objects.filter(id=grant_id, partner=partner, state=State.ACCEPTED).first()
    if grant is None:
        raise Missing("partnership")
    own = Membership.objects.filter(user=user, tenant=partner, kind=Membership.Kind.MEMBER)
    if not own.exists():
        raise Missing("person")
    with tenant(grant.customer_id):
        ended_there = Person.objects.for_tenant(grant.customer_id).filter(
            user=user, blocked_grant_id=grant.id
        )
        if ended_there.exists():
            raise NotAllowed(
                f"The customer ended the access of {user.name}. Only they can let them in again."
            )
    there, made = Membership.objects.get_or_create(
        user=user, tenant_id=grant.customer_id, defaults={"kind": Membership.Kind.PARTNER, "grant": grant}
    )
    if there.grant_id != grant.id:
        raise Conflict("This person can enter that organisation already, in another way.")
    customer = Tenant.objects.get(id=grant.customer_id)
    with audit.acting(replace(audit.current_actor(), tenant_id=partner.id)):
        person = add_person(user, to=customer, role="", kind=Membership.Kind.PARTNER, at=at)
    if made:
        with tenant(customer.id):
            _write_rows(person, Partnership.objects.for_tenant(customer).get(id=grant.id))
        _record_both("partner.delegate", grant, at=at, of=user, by_partner=True)
    return person


def undelegate(grant_id: UUID, user: User, *, partner: Tenant, at: datetime) -> None:
    """Raises Missing for somebody who was not delegated."""
    rows = Membership.objects.filter(user=user, grant_id=grant_id, grant__partner=partner)
    held = rows.select_related("grant").first()
    if held is None or held.grant is None:
        raise Missing("person")
    grant = held.grant
    rows.delete()
    with tenant(grant.customer_id):
        _out(grant.customer_id, [user.id], at=at)
    _record_both("partner.undelegate", grant, at=at, of=user, by_partner=True)


def end_all(user: User, *, at: datetime) -> None:
    """Of somebody who leaves the partner: he works for none of its customers any more."""
    rows = Membership.objects.filter(user=user, grant__partner_id=user.home_id).select_related(
        "grant__partner"
    )
    for row in list(rows.order_by("tenant_id")):
        assert row.grant is not None and row.grant.partner is not None  # they were asked for
        undelegate(row.grant.id, user, partner=row.grant.partner, at=at)


def partnership_of(membership: Membership) -> Partnership | None:
    """The terms under which a partner's person is here; None for anybody else. The customer is entered."""
    if membership.grant_id is None:
        return None
    rows = Partnership.objects.for_tenant(membership.tenant_id).select_related("role")
    found: Partnership | None = rows.filter(id=membership.grant_id).first()
    return found


def worth(rights: Rights) -> Rights:
    """What a role is worth to a partner's people at a customer: never its people and roles, or they could let
    themselves in for good and approve what they ask for. In their own organisation the role is worth all of it."""
    return Rights({name: reach for name, reach in rights.reaches.items() if name not in CUSTOMERS_OWN})


def _write_rows(person: Person, terms: Partnership) -> None:
    """What the terms give; what an assignment of the customer gives besides stays."""
    rows = RoleAssignment.objects.for_tenant(person.tenant_id)
    rows.filter(person=person, assignment=None).delete()
    rows.bulk_create(
        RoleAssignment(
            tenant_id=person.tenant_id, person=person, role_id=terms.role_id, scope=kind, scope_id=key
        )
        for kind, key in scopes.rows(terms.everywhere, terms.scope)
    )


def _people_in(grant: PartnerGrant) -> list[Person]:
    users = list(Membership.objects.filter(grant=grant).values_list("user_id", flat=True))
    return list(Person.objects.for_tenant(grant.customer_id).filter(user_id__in=users, ended_at=None))


def _out(customer_id: UUID, users: list[UUID], *, at: datetime) -> None:
    people = Person.objects.for_tenant(customer_id).filter(user_id__in=users, ended_at=None)
    ids = list(people.values_list("id", flat=True))
    RoleAssignment.objects.for_tenant(customer_id).filter(person_id__in=ids).delete()
    ApiToken.objects.for_tenant(customer_id).filter(person_id__in=ids, revoked_at=None).update(revoked_at=at)
    people.update(ended_at=at)


def _move(
    grant: PartnerGrant, before: str, after: str, *, at: datetime, in_time: bool = False, **also: Any
) -> None:
    rows = PartnerGrant.objects.filter(id=grant.id, state=before)
    if in_time:
        rows = rows.filter(expires_at__gt=at)
    if not rows.update(state=after, changed_at=at, **also):
        raise Over("This was decided or ended meanwhile.")
    grant.refresh_from_db()


def _invited(grant_id: UUID, partner: Tenant) -> PartnerGrant:
    found = PartnerGrant.objects.filter(id=grant_id, domain=partner.domain).exclude(domain="").first()
    if found is None:
        raise Missing("invitation")
    return found


def _granted_by(grant_id: UUID, customer: Tenant) -> PartnerGrant:
    found = PartnerGrant.objects.filter(id=grant_id, customer=customer).first()
    if found is None:
        raise Missing("partnership")
    return found


def _of_either(grant_id: UUID, side: Tenant) -> PartnerGrant:
    found = PartnerGrant.objects.filter(Q(customer=side) | Q(partner=side), id=grant_id).first()
    if found is None:
        raise Missing("partnership")
    return found


def _record_both(
    action: str,
    grant: PartnerGrant,
    *,
    at: datetime,
    after: dict[str, Any] | None = None,
    of: User | None = None,
    by_partner: bool = False,
) -> None:
    """On record at the customer and, once it is known, at the partner. `of`: whom it is about."""
    for side in filter(None, (grant.customer_id, grant.partner_id)):
        actor = audit.current_actor()
        if by_partner and side == grant.customer_id:
            actor = replace(actor, tenant_id=grant.partner_id)  # for the customer it is somebody from outside
        with tenant(side), audit.acting(actor):
            if of is not None:
                after = {"person": Person.objects.for_tenant(side).filter(user=of).first()}
            audit.record(action, grant, tenant_id=side, at=at, after=after, name=grant.domain)


def _tell_partner(grant: PartnerGrant, customer: Tenant, *, at: datetime) -> None:
    partner = Tenant.objects.filter(domain=grant.domain, kind=Tenant.Kind.PARTNER).first()
    if partner is None:
        return  # they see it when they join
    text = (
        f"{customer.name} invites {partner.name} to look after some of its rooms.\n\n"
        f"Sign in and open Partners to read the terms. The invitation ends on {grant.expires_at:%d %b %Y}.\n"
    )
    with tenant(partner.id):
        for administrator in administrators.administrators():
            mail.queue(
                tenant_id=partner.id,
                to=administrator.email,
                subject=f"{customer.name} invites you as a partner",
                text=text,
                at=at,
            )


def _domain(text: str) -> str:
    wanted = text.strip().lower().rstrip(".")
    labels = wanted.split(".")
    fits = len(wanted) <= 253 and len(labels) > 1
    if not fits or not all(
        label.isascii() and label.replace("-", "a").isalnum() and len(label) < 64 for label in labels
    ):
        raise NotValid("Write a domain like partner.example.", field="domain")
    return wanted


def _approvals(names: Iterable[str]) -> list[str]:
    wanted = sorted(set(names))
    for name in wanted:
        if name not in PERMISSIONS or name.endswith(".view"):
            raise NotValid(f"There is no kind of action {name[:60]!r}.", field="approvals")
    return wanted


def _facts(terms: Partnership) -> dict[str, Any]:
    return {
        "domain": terms.domain,
        "role": terms.role.name,
        "everywhere": terms.everywhere,
        "scope": [list(place) for place in terms.scope],
        "approvals": list(terms.approvals),
    }
