"""The history of rooms: where they stood, what they became, which devices and equipment came and went.

Written in the transaction of what it tells of, by whoever does it; never changed. The tenant is entered.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from fleet.models import RoomHistory
from foundation.ids import id_at
from tenancy import audit
from tenancy.models import Person

Kind = RoomHistory.Kind


@dataclass(frozen=True)
class Event:
    """`what`: a thing's name, or where the room stood. `other_room_id`: the other side of a move or merger."""

    room_id: UUID
    kind: str
    what: str = ""
    other_room_id: UUID | None = None


def write(events: Iterable[Event], *, tenant_id: UUID, at: datetime) -> None:
    """On account of whoever acts. Two queries at most, none for nothing."""
    told = list(events)
    if not told:
        return
    actor = audit.current_actor()
    by = None
    if actor.kind == "person" and actor.id is not None:
        by = Person.objects.for_tenant(tenant_id).filter(user_id=actor.id).first()
    RoomHistory.objects.for_tenant(tenant_id).bulk_create(
        RoomHistory(
            id=id_at(at),
            tenant_id=tenant_id,
            room_id=event.room_id,
            kind=event.kind,
            what=event.what[:400],
            other_room_id=event.other_room_id,
            by=by,
            at=at,
        )
        for event in told
    )


def went(
    what: str,
    *,
    from_room: UUID | None,
    to_room: UUID | None,
    came: str = Kind.DEVICE_CAME,
    left: str = Kind.DEVICE_LEFT,
) -> list[Event]:
    """Something went from one room to another, or into one, or out of one: in the history of each."""
    if from_room == to_room:
        return []
    events = []
    if from_room is not None:
        events.append(Event(from_room, left, what, to_room))
    if to_room is not None:
        events.append(Event(to_room, came, what, from_room))
    return events
