"""What happened in rooms and needs no triage: poor calls, reports from the room. A person may make a ticket of it.

Of an entered tenant; times are aware, UTC.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from fleet import validation
from fleet.errors import Missing
from fleet.models import Device, Room
from foundation.errors import Conflict, NotValid
from incidents.models import Incident, RoomEvent
from incidents.recorded import LONGEST_TITLE, MOST_ROOMS, Issue, record_issue
from incidents.rooms import FLAGGED
from incidents.timeline import Author, cleaned
from tenancy import audit

Kind = RoomEvent.Kind
MOST_AT_ONCE = 50  # in one request of a device, or in one ticket
MOST_AN_HOUR = 200  # of one device
OLDEST = timedelta(days=30)  # an older one tells nothing any more
KEPT = timedelta(days=90)  # of those no ticket was made of
LONGEST_TEXT, LONGEST_SOURCE, LONGEST_UID = 1_000, 80, 64


class FlaggedAlready(Conflict):
    """A ticket was made of it before."""

    code = "event_flagged"


@dataclass(frozen=True)
class Happening:
    """What a device tells. `uid`: its own name for it, so that telling it again adds nothing; "" for none."""

    kind: str
    at: datetime
    text: str = ""
    uid: str = ""


def has_room_for(device: Device, *, at: datetime) -> bool:
    """Whether a device may tell more events now."""
    lately = RoomEvent.objects.for_tenant(device.tenant_id).filter(
        device=device, received_at__gt=at - timedelta(hours=1)
    )
    return lately.count() < MOST_AN_HOUR


def take_in(device: Device, happenings: Sequence[Happening], *, at: datetime) -> int:
    """Keep what a device tells of its room; returns how much of it is news. May be repeated.

    A device that is not watched, or in no room, has nothing to tell; what is too old is left out. The clock of a
    device may be wrong: nothing happens after `at`.
    """
    if device.status != Device.Status.ENROLLED or device.room_id is None:
        return 0
    rows = [
        RoomEvent(
            tenant_id=device.tenant_id,
            room_id=device.room_id,
            device=device,
            kind=each.kind,
            source=device.name[:LONGEST_SOURCE],
            text=each.text[:LONGEST_TEXT],
            at=min(each.at, at),
            received_at=at,
            uid=each.uid,
        )
        for each in happenings
        if each.at > at - OLDEST
    ]
    kept = RoomEvent.objects.for_tenant(device.tenant_id)
    named = [row.uid for row in rows if row.uid]
    known = set(kept.filter(device=device, uid__in=named).values_list("uid", flat=True)) if named else set()
    new = {row.uid or row.id: row for row in rows if row.uid not in known}
    kept.bulk_create(new.values(), ignore_conflicts=True)  # told twice at once: once
    return len(new)


def add_event(
    tenant_id: UUID,
    *,
    room_id: UUID,
    kind: str,
    source: str,
    text: str = "",
    happened_at: datetime | None = None,
    at: datetime,
) -> RoomEvent:
    """A program or a person tells of a room. Raises Missing, NotValid."""
    room = Room.objects.for_tenant(tenant_id).current().filter(id=room_id).first()
    if room is None:
        raise Missing("room", field="room")
    if kind not in Kind.values:
        raise NotValid(f"The kind must be one of {', '.join(Kind.values)}.", field="kind")
    moment = happened_at or at
    if moment > at + timedelta(minutes=5) or moment <= at - OLDEST:
        raise NotValid("It must have happened within the last 30 days.", field="at")
    row = RoomEvent(
        tenant_id=tenant_id,
        room=room,
        kind=kind,
        source=validation.one_line(source, "source", at_most=LONGEST_SOURCE),
        text=cleaned(text)[:LONGEST_TEXT],
        at=min(moment, at),
        received_at=at,
    )
    row.save(force_insert=True)
    audit.record(
        "event.create", row, tenant_id=tenant_id, at=at, name=Kind(kind).label, after={"room": room.name}
    )
    return row


def flag(
    tenant_id: UUID, event_ids: Iterable[UUID], *, author: Author, at: datetime, title: str = ""
) -> Incident:
    """The rooms are unhealthy: a critical ticket is made of these events. Raises NotValid, Missing, FlaggedAlready."""
    wanted = set(event_ids)
    if not wanted or len(wanted) > MOST_AT_ONCE:
        raise NotValid(f"Name between 1 and {MOST_AT_ONCE} events.", field="events")
    rows = RoomEvent.objects.for_tenant(tenant_id).filter(id__in=wanted)
    events = list(rows.order_by("id").select_for_update(no_key=True))
    if len(events) != len(wanted):
        raise Missing("event", field="events")
    done = next((each for each in events if each.incident_id is not None), None)
    if done is not None:
        raise FlaggedAlready(f"There is a ticket of the event of {done.at:%d %b %H:%M} UTC already.")
    rooms = list(dict.fromkeys(each.room_id for each in events))[:MOST_ROOMS]
    told = Issue(rooms, title.strip() or usual_title(events), _told(events), type=FLAGGED)
    incident = record_issue(tenant_id, told, author=author, at=at)
    rows.update(incident=incident)
    audit.record(
        "event.flag",
        events[0],
        tenant_id=tenant_id,
        at=at,
        name=incident.number,
        after={"events": len(events)},
    )
    return incident


def usual_title(events: Sequence[RoomEvent]) -> str:
    """What a ticket of these is called if nobody says otherwise."""
    first = events[0]
    text = first.text.splitlines()[0] if first.text else ""
    label = Kind(first.kind).label
    return (f"{label}: {text}" if text else label)[:LONGEST_TITLE]


def near(event: RoomEvent) -> list[RoomEvent]:
    """Others of its room within a day of it that no ticket was made of, the latest first."""
    day = timedelta(days=1)
    rows = RoomEvent.objects.for_tenant(event.tenant_id).filter(
        room_id=event.room_id, incident=None, at__gte=event.at - day, at__lte=event.at + day
    )
    others = rows.order_by("-at", "-id")[:MOST_AT_ONCE]
    return [each for each in others if each.id != event.id][: MOST_AT_ONCE - 1]


def forget_old(tenant_id: UUID, *, at: datetime) -> int:
    """Drop what is past its keep and in no ticket."""
    rows = RoomEvent.objects.for_tenant(tenant_id).filter(at__lt=at - KEPT, incident=None)
    deleted, _ = rows.delete()
    return deleted


def _told(events: Sequence[RoomEvent]) -> str:
    ordered = sorted(events, key=lambda each: each.at)
    lines = [
        f"{each.at:%d %b %Y %H:%M} UTC, {Kind(each.kind).label.lower()}, {each.source}"
        + (f": {each.text}" if each.text else "")
        for each in ordered
    ]
    return "\n".join(lines)[:9_000]
