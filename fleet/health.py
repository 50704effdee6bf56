"""The state of a room: derived from its devices and open faults, kept in the room and in the counters.

Incidents are above this module: they tell here that a fault opened or ended (incidents.lifecycle), the heartbeat
batch and the silence sweep that devices returned or fell silent.
"""

from __future__ import annotations

import logging
from collections import Counter as Tally
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import QuerySet

from fleet import counters
from fleet.errors import Missing
from fleet.models import Device, Room

log = logging.getLogger(__name__)
State = Room.State
BATCH = 200
WAITING = frozenset({Device.Status.ONBOARDING, Device.Status.PENDING})
WATCHED = frozenset({Device.Status.ENROLLED, Device.Status.QUARANTINED})


@dataclass(frozen=True)
class Reporting:
    """What counts of one device. A quarantined one may not be trusted, so it is as good as silent."""

    status: str
    silent: bool = False


@dataclass(frozen=True)
class FaultChange:
    """How many more (or fewer) faults are open in a room. Suppressed ones do not count."""

    faults: int = 0  # Critical or Important
    warnings: int = 0  # Warning or Recommended


@dataclass(frozen=True)
class StateChange:
    room: Room
    before: str
    after: str


def derive(devices: Iterable[Reporting], *, suppressed: bool, open_faults: int) -> Room.State:
    """The first that matches, in the order of the domain: unenrolled, onboarding, suppressed, unmonitored,
    unhealthy, healthy. A room is unmonitored when none of its watched devices is heard."""
    watched, waiting = [], False
    for device in devices:
        if device.status in WATCHED:
            watched.append(device)
        waiting = waiting or device.status in WAITING
    if not watched:
        return State.ONBOARDING if waiting else State.UNENROLLED
    if suppressed:
        return State.SUPPRESSED
    if all(device.silent or device.status == Device.Status.QUARANTINED for device in watched):
        return State.UNMONITORED
    return State.UNHEALTHY if open_faults else State.HEALTHY


def refresh(room_id: UUID, *, at: datetime) -> Room:
    """Derive the state of one room anew. Raises Missing for a room not of the entered tenants."""
    return _one(room_id, FaultChange(), at=at)


def refresh_many(room_ids: Iterable[UUID], *, at: datetime) -> list[StateChange]:
    """The same for many rooms of the entered tenants (one placement group); returns those that changed state."""
    return faults_changed(dict.fromkeys(room_ids, FaultChange()), at=at)


def fault_opened(room_id: UUID, *, makes_unhealthy: bool, at: datetime) -> Room:
    """A fault that is not suppressed is now open. `makes_unhealthy`: Critical or Important."""
    return _one(room_id, _fault(1, makes_unhealthy), at=at)


def fault_ended(room_id: UUID, *, makes_unhealthy: bool, at: datetime) -> Room:
    """It was resolved, closed or suppressed."""
    return _one(room_id, _fault(-1, makes_unhealthy), at=at)


def faults_changed(changes: Mapping[UUID, FaultChange], *, at: datetime) -> list[StateChange]:
    """Apply changes to many rooms at once, locked in the order of their ids; returns those that changed state."""
    changed: list[StateChange] = []
    wanted = sorted(changes)
    with counters.gathered():
        for start in range(0, len(wanted), BATCH):
            rooms = _locked(wanted[start : start + BATCH])
            changed += _apply(rooms, changes, at=at)
    return changed


def set_open_faults(open_now: Mapping[UUID, FaultChange], *, at: datetime) -> list[StateChange]:
    """The nightly check: `open_now` are the true numbers of the rooms named."""
    wanted = sorted(open_now)
    changed: list[StateChange] = []
    with counters.gathered():
        for start in range(0, len(wanted), BATCH):
            rooms = _locked(wanted[start : start + BATCH])
            amounts = {
                room.id: FaultChange(
                    open_now[room.id].faults - room.open_faults,
                    open_now[room.id].warnings - room.open_warnings,
                )
                for room in rooms
            }
            changed += _apply(rooms, amounts, at=at)
    return changed


def _fault(amount: int, makes_unhealthy: bool) -> FaultChange:
    return FaultChange(faults=amount) if makes_unhealthy else FaultChange(warnings=amount)


def _one(room_id: UUID, change: FaultChange, *, at: datetime) -> Room:
    rooms = _locked([room_id])
    if not rooms:
        raise Missing("room")
    with counters.gathered():
        _apply(rooms, {room_id: change}, at=at)
    return rooms[0]


def _locked(room_ids: list[UUID]) -> list[Room]:
    """NO KEY: whoever adds a row that names the room (a word, an incident) is not in the way."""
    rooms: QuerySet[Room] = Room.objects.filter(id__in=room_ids).order_by("tenant_id", "id")
    return list(rooms.select_for_update(no_key=True))


def _apply(rooms: list[Room], changes: Mapping[UUID, FaultChange], *, at: datetime) -> list[StateChange]:
    reporting, heard = _devices_of([room.id for room in rooms])
    moved: list[StateChange] = []
    touched: list[Room] = []
    figures: Tally[counters.Figure] = Tally()
    for room in rooms:
        change = changes[room.id]
        room.open_faults = _not_below_zero(room, room.open_faults + change.faults)
        room.open_warnings = _not_below_zero(room, room.open_warnings + change.warnings)
        suppressed = room.suppressed_until is not None and room.suppressed_until > at
        before = room.state
        after = derive(reporting.get(room.id, ()), suppressed=suppressed, open_faults=room.open_faults)
        if after != before:
            room.state, room.state_since = after, at
            room.last_seen_at = heard.get(room.id, room.last_seen_at)
            moved.append(StateChange(room, before, after))
            if room.retired_at is None:
                figures.update(
                    counters.room_change(
                        room.tenant_id, before=(before, room.site_id), after=(after, room.site_id)
                    )
                )
        if after != before or change != FaultChange():
            touched.append(room)
    _store(touched)
    counters.add(figures)
    return moved


def _store(rooms: list[Room]) -> None:
    fields = ["state", "state_since", "open_faults", "open_warnings", "last_seen_at"]
    if len(rooms) == 1:
        rooms[0].save(update_fields=fields)
    elif rooms:
        Room.objects.bulk_update(rooms, fields)


def _devices_of(room_ids: list[UUID]) -> tuple[dict[UUID, list[Reporting]], dict[UUID, datetime]]:
    reporting: dict[UUID, list[Reporting]] = {}
    heard: dict[UUID, datetime] = {}
    devices = Device.objects.filter(room_id__in=room_ids, retired_at=None)
    for room_id, status, silent_since, seen in devices.values_list(
        "room_id", "status", "silent_since", "last_seen_at"
    ):
        reporting.setdefault(room_id, []).append(Reporting(status, silent_since is not None))
        if seen is not None:
            heard[room_id] = max(seen, heard.get(room_id, seen))
    return reporting, heard


def _not_below_zero(room: Room, number: int) -> int:
    if number < 0:
        log.error("Room %s: more faults ended than were open; the nightly check puts it right", room.id)
    return max(number, 0)
