"""Word to the apps above that a room, device or fault changed in a way they may have to follow: a timer row, due at once.

The fleet does not know who listens (workers.tasks.detection brings tickets in line).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from foundation import timers
from foundation.ids import new_id
from foundation.models import Timer

ROOM_CHANGED = "room.changed"  # kinds of timers; the subject is the id
DEVICE_CHANGED = "device.changed"
FAULT_CHANGED = "fault.changed"
REGROUPED = "group.regrouped"  # the subject begins with the group's id; the payload names the rooms
ROOMS_MOVED = "rooms.moved"  # the payload names the rooms
ROOM_MERGED = "room.merged"  # the subject is the room that is gone, the payload names what it became part of
ROOM_RETIRED = "room.retired"  # the subject is the room
ROOMS_TOLD = 500  # in one notice


def rooms_changed(room_ids: Iterable[UUID], *, tenant_id: UUID, at: datetime) -> None:
    """Kept quiet, or no longer."""
    _tell(ROOM_CHANGED, room_ids, tenant_id=tenant_id, at=at)


def devices_changed(device_ids: Iterable[UUID], *, tenant_id: UUID, at: datetime) -> None:
    """Watched from now on, no longer, or in another room."""
    _tell(DEVICE_CHANGED, device_ids, tenant_id=tenant_id, at=at)


def faults_changed(fault_ids: Iterable[UUID], *, tenant_id: UUID, at: datetime) -> None:
    """Raised or ended (fleet.faults)."""
    _tell(FAULT_CHANGED, fault_ids, tenant_id=tenant_id, at=at)


def regrouped(group_id: UUID, room_ids: Iterable[UUID], *, tenant_id: UUID, at: datetime) -> None:
    """Rooms came to a group or left it."""
    _tell_rooms(REGROUPED, f"{group_id}:", room_ids, tenant_id=tenant_id, at=at)


def rooms_moved(room_ids: Iterable[UUID], *, tenant_id: UUID, at: datetime) -> None:
    """They stand below other places now."""
    _tell_rooms(ROOMS_MOVED, "", room_ids, tenant_id=tenant_id, at=at)


def room_merged(gone_id: UUID, into_id: UUID, *, tenant_id: UUID, at: datetime) -> None:
    """A room became part of another."""
    timers.set_timers([(ROOM_MERGED, str(gone_id), at, {"into": str(into_id)})], tenant_id=tenant_id)


def room_retired(room_id: UUID, *, tenant_id: UUID, at: datetime) -> None:
    """A room is no longer in use."""
    _tell(ROOM_RETIRED, [room_id], tenant_id=tenant_id, at=at)


def rooms_of(timer: Timer) -> list[UUID]:
    """The rooms a notice of REGROUPED or ROOMS_MOVED is about."""
    return [UUID(each) for each in timer.payload["rooms"]]


def _tell_rooms(kind: str, subject: str, room_ids: Iterable[UUID], *, tenant_id: UUID, at: datetime) -> None:
    """Each notice is a row of its own: what is told twice is followed twice, to the same end."""
    rooms = [str(each) for each in sorted(set(room_ids))]
    timers.set_timers(
        [
            (kind, f"{subject}{new_id()}", at, {"rooms": rooms[start : start + ROOMS_TOLD]})
            for start in range(0, len(rooms), ROOMS_TOLD)
        ],
        tenant_id=tenant_id,
    )


def _tell(kind: str, ids: Iterable[UUID], *, tenant_id: UUID, at: datetime) -> None:
    timers.set_timers([(kind, str(each), at, {}) for each in sorted(ids)], tenant_id=tenant_id)
