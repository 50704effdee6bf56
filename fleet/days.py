"""Daily health of a room, in its own local day (domain: health rules).

A day is unhealthy if Critical or Important tickets covered more than 20 minutes in total between 05:00 and 21:00.
Tickets are known above this module: their intervals come as data. What is computed may be computed again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import connections
from django.db.models import Exists, OuterRef

from fleet.models import ClosedDay, Device, Room, RoomDay
from foundation.context import current_tenant
from foundation.sweep import SWEEP

DAY_STARTS, DAY_ENDS = time(5), time(21)  # hours that count, room time
TOLERATED = timedelta(minutes=20)
SHOWN_DAYS = 90
KEPT = timedelta(days=400)
MOST_CATCH_UP = 30  # days computed at once after a long stop
BATCH = 1_000

Interval = tuple[datetime, datetime | None]  # aware; None: still going on
Intervals = Mapping[UUID, Sequence[Interval]]  # by room
Reader = Callable[[datetime, datetime], Intervals]  # of one tenant entered, overlapping a span


@dataclass(frozen=True)
class DayHealth:
    healthy: bool
    fault_s: int  # seconds of the counted hours with at least one ticket open


def counted_hours(day: date, zone: str) -> tuple[datetime, datetime]:
    """05:00 to 21:00 of a local day as moments in UTC: 16 hours, unless clocks change in between."""
    local = ZoneInfo(zone)
    start, end = (
        datetime.combine(day, hour, tzinfo=local).astimezone(UTC) for hour in (DAY_STARTS, DAY_ENDS)
    )
    return start, end


def covered(intervals: Iterable[Interval], start: datetime, end: datetime) -> timedelta:
    """How much of [start, end) the intervals cover; overlapping ones count once, in any order."""
    total, reached = timedelta(), start
    for begin, stop in sorted(intervals, key=lambda each: each[0]):
        begin, stop = max(begin, reached), min(stop or end, end)
        if stop > begin:
            total += stop - begin
            reached = stop
    return total


def health_of(
    faults: Iterable[Interval], *, day: date, zone: str, until: datetime | None = None
) -> DayHealth:
    """`until` (aware): the day so far, for today."""
    start, end = counted_hours(day, zone)
    fault = covered(faults, start, min(end, until) if until else end)
    return DayHealth(healthy=fault <= TOLERATED, fault_s=int(fault.total_seconds()))


def today(room: Room, faults: Iterable[Interval], *, at: datetime) -> DayHealth:
    """The live value of the room's current local day."""
    day = at.astimezone(ZoneInfo(room.time_zone)).date()
    return health_of(faults, day=day, zone=room.time_zone, until=at)


def history(room: Room, *, at: datetime, days: int = SHOWN_DAYS) -> list[tuple[date, RoomDay | None]]:
    """The last `days` full local days, oldest first; None where the room was not counted."""
    yesterday = _yesterday(room.time_zone, at)
    first = yesterday - timedelta(days=days - 1)
    kept = RoomDay.objects.for_tenant(room.tenant_id).filter(room=room, day__range=(first, yesterday))
    by_day = {each.day: each for each in kept}
    return [(day, by_day.get(day)) for day in (first + timedelta(days=offset) for offset in range(days))]


def tenants_due(*, at: datetime) -> list[UUID]:
    """Tenants with rooms in a zone whose yesterday has not been computed."""
    with connections[SWEEP].cursor() as cursor:
        cursor.execute("SELECT DISTINCT tenant_id, time_zone FROM fleet_room")
        zones = cursor.fetchall()
        cursor.execute("SELECT tenant_id, time_zone, day FROM fleet_closedday")
        closed = {(tenant_id, zone): day for tenant_id, zone, day in cursor.fetchall()}
    return sorted(
        {
            tenant_id
            for tenant_id, zone in zones
            if closed.get((tenant_id, zone), date.min) < _yesterday(zone, at)
        }
    )


def close_due(*, faults: Reader, silences: Reader | None = None, at: datetime) -> int:
    """Compute every full day not yet computed, of the tenant entered; returns how many room-days.

    A zone seen for the first time starts with yesterday. `faults`: tickets that count for the room's state;
    `silences`: spans without telemetry. May be repeated, also by several processes at once.
    """
    tenant_id, written = current_tenant(), 0
    zones = (
        Room.objects.for_tenant(tenant_id).current().order_by("time_zone").values_list("time_zone", flat=True)
    )
    closed = dict(ClosedDay.objects.for_tenant(tenant_id).values_list("time_zone", "day"))
    for zone in zones.distinct():
        yesterday = _yesterday(zone, at)
        first = max(
            closed.get(zone, yesterday - timedelta(days=1)) + timedelta(days=1),
            yesterday - timedelta(days=MOST_CATCH_UP - 1),
        )
        for offset in range((yesterday - first).days + 1):
            written += close_day(zone, first + timedelta(days=offset), faults=faults, silences=silences)
    return written


def close_day(zone: str, day: date, *, faults: Reader, silences: Reader | None = None) -> int:
    """Compute one local day of all rooms in a zone, of the tenant entered; returns how many rooms counted."""
    tenant_id = current_tenant()
    start, end = counted_hours(day, zone)
    fault_spans, silent_spans = faults(start, end), silences(start, end) if silences else {}
    counted = _counted_rooms(zone, end).values_list("id", "state", "state_since").order_by("id")
    rows = (
        _room_day(
            tenant_id,
            room_id,
            day,
            fault=covered(fault_spans.get(room_id, ()), start, end),
            silent=covered(silent_spans.get(room_id, ()), start, end),
            suppressed=state == Room.State.SUPPRESSED and since < end,
        )
        for room_id, state, since in counted
    )
    written = 0
    while some := list(islice(rows, BATCH)):
        RoomDay.objects.for_tenant(tenant_id).bulk_create(
            some,
            update_conflicts=True,
            unique_fields=["tenant", "room", "day"],
            update_fields=["healthy", "fault_s", "silent_s", "suppressed"],
        )
        written += len(some)
    mark = ClosedDay(tenant_id=tenant_id, time_zone=zone, day=day)
    ClosedDay.objects.for_tenant(tenant_id).bulk_create(
        [mark], update_conflicts=True, unique_fields=["tenant", "time_zone"], update_fields=["day"]
    )
    return written


def forget_old(*, at: datetime) -> int:
    """Drop room-days older than 400 days, of the tenant entered."""
    old = RoomDay.objects.for_tenant(current_tenant()).filter(day__lt=(at - KEPT).date())
    deleted, _ = old.delete()
    return deleted


def _room_day(
    tenant_id: UUID, room_id: UUID, day: date, *, fault: timedelta, silent: timedelta, suppressed: bool
) -> RoomDay:
    return RoomDay(
        tenant_id=tenant_id,
        room_id=room_id,
        day=day,
        healthy=fault <= TOLERATED,
        fault_s=int(fault.total_seconds()),
        silent_s=int(silent.total_seconds()),
        suppressed=suppressed,
    )


def _counted_rooms(zone: str, end: datetime) -> Any:
    """Rooms with a device that was watched before the counted hours were over: onboarding ones are left out."""
    watched = Device.objects.filter(
        tenant_id=OuterRef("tenant_id"),
        room_id=OuterRef("id"),
        status__in=[Device.Status.ENROLLED, Device.Status.QUARANTINED],
        status_since__lt=end,
    )
    return Room.objects.for_tenant(current_tenant()).current().filter(Exists(watched), time_zone=zone)


def _yesterday(zone: str, at: datetime) -> date:
    return at.astimezone(ZoneInfo(zone)).date() - timedelta(days=1)
