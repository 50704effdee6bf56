"""What people write into a ticket: comments both sides read, and the operator's own notes."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Q

from foundation.narrowing import is_narrowed
from foundation.tenant_tables import TenantQuerySet
from incidents.lifecycle import ask_customer, customer_done, hold
from incidents.models import Incident, IncidentEntry
from incidents.states import State
from incidents.timeline import Author, Line, cleaned, write
from tenancy import audit
from tenancy.models import Person

Kind = IncidentEntry.Kind
OF_OTHERS = (Kind.ROOMS, Kind.LINKED)  # their texts name other rooms and tickets


def entries_of(incident: Incident, *, for_operator: bool) -> TenantQuerySet[IncidentEntry]:
    """The timeline, oldest first; the operator's notes are for the operator alone."""
    rows = IncidentEntry.objects.for_tenant(incident.tenant_id).filter(incident=incident)
    if not for_operator:
        rows = rows.filter(~Q(kind=Kind.NOTE))
    return rows.select_related("author").order_by("at", "id")


def text_of(entry: IncidentEntry) -> str:
    """What an entry says; not of other rooms and tickets to somebody whose scope may not reach them."""
    return "" if is_narrowed() and entry.kind in OF_OTHERS else entry.text


def customer_comment(
    incident: Incident, text: str, *, by: Person, at: datetime, assign_to_operator: bool = False
) -> IncidentEntry:
    """A person of the customer writes. With `assign_to_operator` a ticket the customer has goes back to Operations;
    otherwise whoever has it keeps it. Raises NotValid, IncidentClosed."""
    entry = _write(incident, Kind.COMMENT, text, author=Author(by), at=at)
    if assign_to_operator and incident.state == State.NEEDS_ACTION:
        customer_done(incident, by=by, at=at)
    return entry


def operator_comment(
    incident: Incident, text: str, *, by: Person, at: datetime, ask: bool = False
) -> IncidentEntry:
    """A person of the operator writes to the customer: a response. With `ask` the customer acts next, and whoever
    asks has taken the ticket. Raises NotValid, IncidentClosed, NotInThisState."""
    entry = _write(incident, Kind.COMMENT, text, author=Author(by, by_operator=True), at=at)
    if incident.responded_at is None or incident.due_at is not None:
        incident.responded_at, incident.due_at = incident.responded_at or at, None
        incident.save(update_fields=["responded_at", "due_at"])
    if ask:
        ask_customer(incident, by=by, at=at)
    return entry


def operator_note(incident: Incident, text: str, *, by: Person, at: datetime) -> IncidentEntry:
    """For the operator's eyes only; no response. Raises NotValid, IncidentClosed."""
    return _write(incident, Kind.NOTE, text, author=Author(by, by_operator=True), at=at)


def _write(incident: Incident, kind: Kind, text: str, *, author: Author, at: datetime) -> IncidentEntry:
    kept = cleaned(text, required=True)
    hold(incident)
    (entry,) = write([Line(incident, kind, kept)], tenant_id=incident.tenant_id, at=at, author=author)
    incident.updated_at, incident.version = at, incident.version + 1
    incident.save(update_fields=["updated_at", "version"])
    action = "incident.note" if kind == Kind.NOTE else "incident.comment"
    audit.record(action, incident, tenant_id=incident.tenant_id, at=at)  # the text is in the ticket
    return entry
