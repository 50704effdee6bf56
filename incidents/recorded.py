"""Issues people record: a ticket about one room or several, critical until somebody closes it with a reason.

Of an entered tenant; times are aware, UTC.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import IntegrityError, transaction

from fleet import validation
from fleet.errors import Missing
from fleet.models import Room
from foundation.errors import NotValid, violated_constraint
from incidents.counting import Tally
from incidents.errors import NotInThisState
from incidents.lifecycle import RETIRED, hold, resolve_all
from incidents.models import Incident, IncidentEntry, IncidentRoom
from incidents.numbers import random_numbers
from incidents.opening import FIRST_STATE, TRIES, note_new
from incidents.rooms import BY_PEOPLE, RECORDED, join_rooms, require_all_rooms, rooms_now, touch
from incidents.rules import RULES
from incidents.severity import Severity
from incidents.states import OPEN
from incidents.terms import terms_of
from incidents.timeline import GREENROOM, Author, Line, cleaned, write
from tenancy import audit

Kind = IncidentEntry.Kind
MOST_ROOMS = 200
LONGEST_TITLE, LONGEST_REASON = 200, 300


@dataclass(frozen=True)
class Issue:
    """What somebody says is wrong. `high_impact`: why it matters more than others; "" where it does not."""

    rooms: Sequence[UUID]
    title: str
    text: str = ""
    high_impact: str = ""
    type: str = RECORDED


def record_issue(tenant_id: UUID, issue: Issue, *, author: Author, at: datetime) -> Incident:
    """Open a ticket about rooms; they are unhealthy until it is closed. Raises NotValid, Missing."""
    title = validation.one_line(issue.title, "title", at_most=LONGEST_TITLE)
    text = cleaned(issue.text)
    impact = validation.one_line(issue.high_impact, "high_impact", at_most=LONGEST_REASON, required=False)
    rooms = _rooms(tenant_id, issue.rooms)
    incident = _inserted(tenant_id, issue.type, title, impact, rooms, author, at=at)
    IncidentRoom.objects.for_tenant(tenant_id).bulk_create(
        IncidentRoom(tenant_id=tenant_id, incident=incident, room=room) for room in rooms
    )
    note_new(tenant_id, [incident], at=at, author=author, action="incident.record")
    lines = [Line(incident, Kind.COMMENT, text)] if text else []
    lines += [Line(incident, Kind.IMPACT, impact)] if impact else []
    write(lines, tenant_id=tenant_id, at=at, author=author)
    return incident


def change_rooms(incident: Incident, room_ids: Iterable[UUID], *, author: Author, at: datetime) -> Incident:
    """An issue is about these rooms from now on. Raises NotValid, Missing, NotInThisState, IncidentClosed, NotAllowed."""
    rooms = _rooms(incident.tenant_id, list(room_ids))
    hold(incident)
    _require_by_people(incident)
    require_all_rooms(incident)
    if not incident.is_open:
        raise NotInThisState("The rooms of a resolved ticket stay as they are.")
    wanted = {room.id: room for room in rooms}
    here = set(rooms_now(incident))
    joined, left = wanted.keys() - here, here - wanted.keys()
    if not joined and not left:
        return incident
    before = list(Room.objects.for_tenant(incident.tenant_id).filter(id__in=here).order_by("name", "id"))
    tally = Tally(incident.tenant_id)
    tally.was([incident])
    join_rooms(incident, joined)
    rows = IncidentRoom.objects.for_tenant(incident.tenant_id).filter(incident=incident)
    rows.filter(room_id__in=left).update(left_at=at)
    touch(incident, at=at)
    tally.now([incident])
    tally.write(at=at)
    now = ", ".join(room.name for room in rooms)
    write([Line(incident, Kind.ROOMS, now)], tenant_id=incident.tenant_id, at=at, author=author)
    audit.record(
        "incident.rooms",
        incident,
        tenant_id=incident.tenant_id,
        at=at,
        before={"rooms": [room.name for room in before]},
        after={"rooms": [room.name for room in rooms]},
    )
    return incident


def room_retired(tenant_id: UUID, room_id: UUID, *, at: datetime) -> None:
    """Issues are no longer about a room that is out of use; one that was about no other is resolved. Safe to repeat."""
    about = IncidentRoom.objects.for_tenant(tenant_id).filter(room_id=room_id, left_at=None)
    rows = Incident.objects.for_tenant(tenant_id).filter(
        id__in=list(about.values_list("incident_id", flat=True)), signal__in=BY_PEOPLE, state__in=OPEN
    )
    for incident in rows.order_by("id"):
        others = Room.objects.for_tenant(tenant_id).current().filter(id__in=rooms_now(incident))
        left = list(others.exclude(id=room_id).values_list("id", flat=True))
        if left:
            change_rooms(incident, left, author=GREENROOM, at=at)
        else:
            resolve_all(tenant_id, [incident.id], cause=RETIRED, at=at)


def set_high_impact(incident: Incident, reason: str, *, author: Author, at: datetime) -> None:
    """Mark a ticket as of high impact, for a reason; "" takes the mark back. Raises NotValid, IncidentClosed."""
    kept = validation.one_line(reason, "reason", at_most=LONGEST_REASON, required=False)
    hold(incident)
    before = incident.high_impact_reason
    if kept == before:
        return
    incident.high_impact, incident.high_impact_reason = bool(kept), kept
    touch(incident, at=at, fields=("high_impact", "high_impact_reason"))
    write([Line(incident, Kind.IMPACT, kept)], tenant_id=incident.tenant_id, at=at, author=author)
    audit.record(
        "incident.high_impact",
        incident,
        tenant_id=incident.tenant_id,
        at=at,
        before={"high_impact": before},
        after={"high_impact": kept},
    )


def _require_by_people(incident: Incident) -> None:
    if incident.signal not in BY_PEOPLE:
        raise NotInThisState("Only the rooms of a recorded issue can be changed.")


def _rooms(tenant_id: UUID, wanted: Sequence[UUID]) -> list[Room]:
    """By name. Raises NotValid, Missing."""
    ids = set(wanted)
    if not ids:
        raise NotValid("Name at least one room.", field="rooms")
    if len(ids) > MOST_ROOMS:
        raise NotValid(f"At most {MOST_ROOMS} rooms.", field="rooms")
    found = list(Room.objects.for_tenant(tenant_id).current().filter(id__in=ids).order_by("name", "id"))
    if len(found) != len(ids):
        raise Missing("room", field="rooms")
    return found


def _inserted(
    tenant_id: UUID,
    kind: str,
    title: str,
    impact: str,
    rooms: Sequence[Room],
    author: Author,
    *,
    at: datetime,
) -> Incident:
    due_at = at + terms_of(tenant_id).first_response
    numbers = random_numbers()
    for tries_left in reversed(range(TRIES)):
        incident = Incident(
            tenant_id=tenant_id,
            number=next(numbers),
            room=rooms[0] if len(rooms) == 1 else None,
            signal=kind,
            severity=RULES[kind].severity or Severity.CRITICAL,
            state=FIRST_STATE,
            summary=title,
            opened_at=at,
            fault_at=at,
            high_impact=bool(impact),
            high_impact_reason=impact,
            recorded_by=author.person,
            respond_by=due_at,
            due_at=due_at,
            updated_at=at,
        )
        try:
            with transaction.atomic():
                incident.save(force_insert=True)
        except IntegrityError as error:
            if violated_constraint(error) != "incidents_one_per_number" or not tries_left:
                raise
        else:
            break
    return incident
