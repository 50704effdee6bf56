"""What happens to a ticket once it is open (domain: state machines). Times are aware, UTC.

Every function locks the ticket first, so racing callers take turns and the later one sees what the earlier did;
the object handed in is brought up to date. The tenant is entered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from fleet.models import SignalState
from foundation import timers
from foundation.errors import NotValid
from incidents import recorder
from incidents.dependencies import HELD_FOR
from incidents.errors import IncidentClosed, NotInThisState
from incidents.models import Incident, IncidentEntry
from incidents.moves import Move, carry_out, held
from incidents.rooms import require_all_rooms
from incidents.signal_values import effective
from incidents.states import Event, State, sources
from incidents.terms import terms_of
from incidents.timeline import GREENROOM, Author, Line, cleaned, write
from tenancy import audit
from tenancy.models import Membership, Person

CLOSE = "close_incident"  # kinds of timers; the subject is the ticket's id
RECHECK = "recheck"
RELEASE = "release_held"  # of a common cause: what it still holds back gets tickets of its own
SHORTEST_RECHECK = timedelta(minutes=1)  # for signals without a watching period

MERGED = "duplicate"
CAUSES: Mapping[str, str] = {  # why a person resolves a ticket
    "fixed_on_site": "Fixed on site",
    "fixed_remotely": "Fixed remotely",
    "hardware_replaced": "Hardware replaced",
    "no_fault_found": "No fault found",
    MERGED: "Duplicate",
    "known_issue": "Known issue",
    "other": "Other",
}
# Why Greenroom does
HEALTHY, UNENROLLED, DISABLED, RETIRED = "healthy", "unenrolled", "signal_disabled", "room_retired"
CAUSES_OF_GREENROOM: Mapping[str, str] = {
    HEALTHY: "Healthy again",
    UNENROLLED: "Device unenrolled",
    DISABLED: "Signal turned off",
    RETIRED: "Room retired",
}


def hold(incident: Incident) -> None:
    """Lock the ticket and bring the object up to date. Raises IncidentClosed."""
    rows = Incident.objects.for_tenant(incident.tenant_id).select_for_update(no_key=True)
    incident.refresh_from_db(from_queryset=rows)
    if incident.state == State.CLOSED:
        raise IncidentClosed(incident.number)


def take(incident: Incident, *, by: Person, at: datetime) -> None:
    """A person of the operator takes the ticket: that is a response. Repeating it changes nothing.

    Raises IncidentClosed, NotInThisState for a resolved ticket or one a colleague holds.
    """
    hold(incident)
    if incident.state == State.ASSIGNED_TO_SOC and incident.assignee_id is not None:
        if incident.assignee_id == by.id:
            return
        raise NotInThisState(f"{incident.assignee} has this ticket.")
    _require(incident, Event.TAKE, "Only an open ticket can be taken.")
    values = {
        "assignee": by,
        "assignee_user_id": by.user_id,
        "responded_at": incident.responded_at or at,
        "due_at": None,
    }
    author = Author(by, by_operator=True)
    carry_out([incident], Move(Event.TAKE, at, author, values, audited={"assignee": str(by)}))


def hand_over(incident: Incident, *, to: Person, by: Person, at: datetime, text: str = "") -> None:
    """Give the ticket to a colleague, who still owes what was due. `to` must be of the operator.

    A ticket the customer has stays with the customer. Raises NotValid, IncidentClosed, NotInThisState.
    """
    _require_operator(to)
    hold(incident)
    _require(incident, Event.TAKE, "Only an open ticket can be handed over.")
    if incident.assignee_id == to.id:
        return
    author = Author(by, by_operator=True)
    values = {"assignee": to, "assignee_user_id": to.user_id}
    if incident.state not in (State.NEEDS_ACTION, State.ASSIGNED_TO_SOC):
        carry_out([incident], Move(Event.TAKE, at, author, values, audited={"assignee": str(to)}))
    before = incident.assignee
    for name, value in values.items():
        setattr(incident, name, value)
    incident.version, incident.updated_at = incident.version + 1, at
    incident.save(update_fields=[*values, "version", "updated_at"])
    line = Line(
        incident, IncidentEntry.Kind.ASSIGNED, cleaned(text), before=incident.state, after=incident.state
    )
    write([line], tenant_id=incident.tenant_id, at=at, author=author)
    audit.record(
        "incident.assign",
        incident,
        tenant_id=incident.tenant_id,
        at=at,
        before={"assignee": str(before or "")},
        after={"assignee": str(to)},
    )


def ask_customer(incident: Incident, *, by: Person, at: datetime) -> None:
    """The customer acts next; what to do is said in a comment (incidents.notes). Whoever asks has taken the ticket.

    Repeating it changes nothing. Raises IncidentClosed, NotInThisState.
    """
    hold(incident)
    if incident.state == State.NEEDS_ACTION:
        return
    if incident.state != State.ASSIGNED_TO_SOC:
        take(incident, by=by, at=at)
    values = {"due_at": None, "responded_at": incident.responded_at or at}
    carry_out([incident], Move(Event.ASK_CUSTOMER, at, Author(by, by_operator=True), values))


def customer_done(incident: Incident, *, by: Person, at: datetime) -> None:
    """The customer did what was asked, or wants Operations to go on: an answer is due anew.

    Raises IncidentClosed, NotInThisState unless the customer has the ticket.
    """
    hold(incident)
    _require(incident, Event.CUSTOMER_DONE, "This ticket is not waiting on you.")
    values = {"due_at": at + terms_of(incident.tenant_id).first_response}
    carry_out([incident], Move(Event.CUSTOMER_DONE, at, Author(by), values))


def resolve(
    incident: Incident, *, cause: str, by: Person, by_operator: bool, at: datetime, text: str = ""
) -> None:
    """A person says it is done. Still unhealthy after one watching period, the ticket opens again.

    `cause`: a key of CAUSES. Raises NotValid, IncidentClosed, NotInThisState.
    """
    if cause not in CAUSES:
        raise NotValid(f"The cause must be one of {', '.join(CAUSES)}.", field="cause")
    text = cleaned(text)
    hold(incident)
    _require(incident, Event.RESOLVE, "This ticket is resolved already.")
    require_all_rooms(incident)
    author = Author(by, by_operator)
    _resolve([incident], cause=cause, at=at, author=author, text=text)
    recorder.tell(incident, author, f"{CAUSES[cause]}. {text}".strip(), at=at)
    if incident.device_id is None:
        return  # nothing tells whether it is healthy but people
    rooms = [incident.room_id] if incident.room_id is not None else []
    watch = effective(incident.tenant_id, rooms).watch_of(incident.signal, incident.room_id)
    due_at = at + (watch or SHORTEST_RECHECK)
    timers.set_timer(RECHECK, str(incident.id), due_at=due_at, tenant_id=incident.tenant_id)


def end_by_merging(incident: Incident, into: Incident, *, author: Author, at: datetime) -> None:
    """Both are held and open. Not looked at again before `into` is resolved."""
    text = f"Merged into {into.number}."
    Incident.objects.for_tenant(incident.tenant_id).filter(id=incident.id).update(parent=into)
    incident.parent = into
    _resolve([incident], cause=MERGED, at=at, author=author, text=text)
    recorder.tell(incident, author, text, at=at)


def reopen(incident: Incident, *, by: Person, by_operator: bool, at: datetime, text: str = "") -> None:
    """A person says it is not done: the ticket goes back to where it was. Raises IncidentClosed, NotInThisState."""
    text = cleaned(text)
    hold(incident)
    _require(incident, Event.REOPEN, "This ticket is open.")
    require_all_rooms(incident)
    reopen_all([incident], at=at, author=Author(by, by_operator), text=text)


def resolve_all(tenant_id: UUID, incident_ids: Sequence[UUID], *, cause: str, at: datetime) -> list[Incident]:
    """Greenroom sees tickets done, without a person; those no longer open are left alone. Returns what it resolved."""
    if not incident_ids:
        return []
    found = held(tenant_id, Event.RESOLVE, id__in=list(incident_ids))
    _resolve(found, cause=cause, at=at, author=GREENROOM, text="")
    return found


def reopen_all(
    incidents: Sequence[Incident],
    *,
    at: datetime,
    author: Author = GREENROOM,
    text: str = "",
    texts: Mapping[UUID, str] | None = None,
) -> None:
    """Tickets that are held and resolved go back to where they were; an answer is due anew."""
    if not incidents:
        return
    tenant_id = incidents[0].tenant_id
    due_at = at + terms_of(tenant_id).first_response
    values = {"resolved_at": None, "cause": "", "respond_by": due_at, "responded_at": None, "due_at": due_at}
    merged = [each.id for each in incidents if each.cause == MERGED and each.parent_id is not None]
    if merged:  # it stands for itself again
        Incident.objects.for_tenant(tenant_id).filter(id__in=merged).update(parent=None)
        for each in incidents:
            each.parent_id = None if each.id in merged else each.parent_id
    carry_out(incidents, Move(Event.REOPEN, at, author, values, text, texts or {}))
    for kind in (CLOSE, RECHECK):
        timers.clear_timers(kind, [str(each.id) for each in incidents], tenant_id=tenant_id)


def close_all(incidents: Sequence[Incident], event: Event, *, at: datetime) -> None:
    """Tickets that are held: EXPIRE for resolved ones, DISABLE for open ones whose signal was turned off."""
    if not incidents:
        return
    values: dict[str, Any] = {"closed_at": at, "due_at": None}
    if event == Event.DISABLE:
        values["cause"] = DISABLED
    audited = {"cause": DISABLED} if event == Event.DISABLE else {}
    carry_out(incidents, Move(event, at, values=values, audited=audited))
    for kind in (CLOSE, RECHECK):
        subjects = [str(each.id) for each in incidents]
        timers.clear_timers(kind, subjects, tenant_id=incidents[0].tenant_id)


def close_if_due(tenant_id: UUID, incident_id: UUID, *, at: datetime) -> bool:
    """Close a ticket that was healthy for the days the customer's terms say. Safe when late or repeated.

    While a new fault of it is being watched closing waits for the outcome. Returns whether it is closed now.
    """
    found = held(tenant_id, Event.EXPIRE, id=incident_id)
    if not found:
        return False
    incident = found[0]
    due_at = (incident.resolved_at or at) + terms_of(tenant_id).close_after
    watched_until = _watched_until(incident)
    if watched_until is not None:
        due_at = max(due_at, watched_until + SHORTEST_RECHECK)
    if due_at > at:
        timers.set_timer(CLOSE, str(incident.id), due_at=due_at, tenant_id=tenant_id)
        return False
    close_all(found, Event.EXPIRE, at=at)
    return True


def _resolve(incidents: Sequence[Incident], *, cause: str, at: datetime, author: Author, text: str) -> None:
    if not incidents:
        return
    tenant_id = incidents[0].tenant_id
    values = {"resolved_at": at, "cause": cause, "due_at": None}
    carry_out(incidents, Move(Event.RESOLVE, at, author, values, text, audited={"cause": cause}))
    due_at = at + terms_of(tenant_id).close_after
    wanted: list[tuple[str, str, datetime, dict[str, Any]]] = []
    for each in incidents:
        wanted.append((CLOSE, str(each.id), due_at, {}))
        if each.cause_key:
            wanted.append((RELEASE, str(each.id), at + HELD_FOR, {}))
    merged = Incident.objects.for_tenant(tenant_id).filter(
        parent_id__in=[each.id for each in incidents], state=State.RESOLVED, cause=MERGED
    )
    again = at + SHORTEST_RECHECK
    wanted += [(RECHECK, str(key), again, {}) for key in merged.values_list("id", flat=True)]
    timers.set_timers(wanted, tenant_id=tenant_id)


def _watched_until(incident: Incident) -> datetime | None:
    if incident.device_id is None:
        return None
    states = SignalState.objects.for_tenant(incident.tenant_id).filter(
        device_id=incident.device_id, signal=incident.signal, instance=incident.instance
    )
    until: datetime | None = states.values_list("watch_until", flat=True).first()
    return until


def _require(incident: Incident, event: Event, otherwise: str) -> None:
    if incident.state not in sources(event):
        raise NotInThisState(otherwise)


def _require_operator(person: Person) -> None:
    of_operator = Membership.objects.filter(
        user_id=person.user_id, tenant_id=person.tenant_id, kind=Membership.Kind.OPERATOR
    )
    if person.ended_at is not None or not of_operator.exists():
        raise NotValid("A ticket can be handed to people of Operations only.", field="to")
