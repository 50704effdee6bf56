"""On which night each room of a ring is updated. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID


@dataclass(frozen=True)
class RoomOfRing:
    room_id: UUID
    building: UUID | None


def spread(rooms: Iterable[RoomOfRing], days: int) -> Mapping[UUID, int]:
    """Rooms over the days of a ring, 0 to `days` - 1: evenly, and the rooms of each building over all of them.

    The same rooms always give the same days, whatever their order. A room's devices share its night.
    """
    ordered = sorted({(str(room.building or ""), str(room.room_id), room.room_id) for room in rooms})
    return {room_id: place % days for place, (_, _, room_id) in enumerate(ordered)}


def night(starts_on: date, day: int) -> date:
    return starts_on + timedelta(days=day)
