"""Ninety days of health for rooms that exist only since today, so that strips and trends have something to show."""

from __future__ import annotations

import random
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from fleet.models import Room, RoomDay
from tenancy.models import Tenant

DAYS = 90
OUTAGES = {17: 0.35, 18: 0.2, 52: 0.15}  # days ago on which many rooms failed at once
DAY_S = 16 * 3600  # 05:00 to 21:00


def write(customer: Tenant, *, at: datetime) -> int:
    """Days of the customer's rooms, the same at each load. The tenant is entered. Days that are there stay."""
    rooms = list(Room.objects.for_tenant(customer).current().exclude(expected={}).order_by("name", "id"))
    rows = [row for room in rooms for row in _days(room, at=at)]
    RoomDay.objects.for_tenant(customer).bulk_create(rows, ignore_conflicts=True, batch_size=1000)
    return len(rows)


def _days(room: Room, *, at: datetime) -> list[RoomDay]:
    chance = random.Random(f"history of {room.name}")  # noqa: S311 - sample data
    usual = chance.choice((0.004, 0.01, 0.02, 0.05))
    today: date = at.astimezone(ZoneInfo(room.time_zone)).date()
    days = []
    for ago in range(1, DAYS + 1):
        ill = chance.random() < max(usual, OUTAGES.get(ago, 0.0))
        silent = chance.random() < 0.006
        days.append(
            RoomDay(
                tenant_id=room.tenant_id,
                room=room,
                day=today - timedelta(days=ago),
                healthy=not ill,
                fault_s=chance.randrange(1_500, 20_000) if ill else 0,
                silent_s=chance.randrange(DAY_S // 2, DAY_S) if silent else 0,
            )
        )
    return days
