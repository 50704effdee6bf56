"""Break glass: an operator's wider access to one customer, for an hour, with reason and ticket.

The customer's administrators are told at once, every page read is on record, and either side ends it.
All functions work in the one tenant entered, the customer's.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from foundation import mail
from foundation.context import current_tenant
from foundation.errors import NotValid
from tenancy import administrators, audit
from tenancy.custom_roles import one_line
from tenancy.errors import Missing, MoreThanOwn, Over
from tenancy.models import BreakGlass, Membership, Person, Tenant
from tenancy.rights import granted

LASTS = timedelta(minutes=60)
SHORTEST_REASON = 10
RIGHTS = granted(
    "rooms.view rooms.modify rooms.unenroll actions.read actions.write groups.view updates.view updates.modify "
    "reports.view tickets.view tickets.modify inventory.view settings.view roles.view".split()
)


def start(person: Person, *, reason: str, ticket: str, at: datetime) -> BreakGlass:
    """`person`: the operator as this customer knows him; `ticket`: the number of the incident it is for.

    One that runs already goes on until its own end. Raises NotValid, and MoreThanOwn for whoever does not serve
    this customer.
    """
    tenant_id = current_tenant()
    serves = Membership.objects.filter(
        user_id=person.user_id, tenant_id=tenant_id, kind=Membership.Kind.OPERATOR
    )
    if person.ended_at is not None or not serves.exists():
        raise MoreThanOwn("Only operators who serve this customer can do that.")
    reason = one_line(reason, "reason", at_most=500)
    if len(reason) < SHORTEST_REASON:
        raise NotValid("Say why in a few words; the customer reads it.", field="reason")
    running = current(person, at=at)
    if running is not None:
        return running
    made = BreakGlass.objects.for_tenant(tenant_id).create(
        person=person,
        user_id=person.user_id,
        reason=reason,
        ticket=one_line(ticket, "ticket", at_most=40),
        started_at=at,
        expires_at=at + LASTS,
    )
    after = {"reason": reason, "ticket": made.ticket, "expires_at": made.expires_at}
    audit.record("break_glass.start", made, tenant_id=tenant_id, at=at, after=after)
    _tell(made, person, at=at)
    return made


def current(person: Person, *, at: datetime) -> BreakGlass | None:
    """What the operator holds now; None for nothing."""
    rows = BreakGlass.objects.for_tenant(person.tenant_id).filter(user_id=person.user_id)
    found: BreakGlass | None = rows.filter(ended_at=None, started_at__lte=at, expires_at__gt=at).first()
    return found


def end(break_glass_id: UUID, *, at: datetime) -> BreakGlass:
    """Before its time, by the operator or the customer. Raises Missing, Over."""
    rows = BreakGlass.objects.for_tenant(current_tenant()).filter(id=break_glass_id)
    found = rows.select_related("person").first()
    if found is None:
        raise Missing("access")
    if not rows.filter(ended_at=None, expires_at__gt=at).update(ended_at=at):
        raise Over("This access is over already.")
    found.ended_at = at
    audit.record("break_glass.end", found, tenant_id=found.tenant_id, at=at, after={"person": found.person})
    return found


def note_read(held: BreakGlass, what: str, *, at: datetime) -> None:
    """One page or answer read under it."""
    audit.record("break_glass.read", held, tenant_id=held.tenant_id, at=at, name=what)


def _tell(made: BreakGlass, person: Person, *, at: datetime) -> None:
    customer = Tenant.objects.get(id=made.tenant_id)
    text = (
        f"{person.name} of your operator opened wider access to {customer.name} at {at:%d %b %Y %H:%M} UTC.\n\n"
        f"Reason: {made.reason}\nTicket: {made.ticket}\nEnds by itself at {made.expires_at:%H:%M} UTC.\n\n"
        "Every page read is in your audit log. You can end the access there at once.\n"
    )
    subject = f"Emergency access to {customer.name} by {person.name}"
    for administrator in administrators.administrators():
        mail.queue(tenant_id=made.tenant_id, to=administrator.email, subject=subject, text=text, at=at)
