"""Places, rooms and devices, made the way the product makes them. The tenant is entered."""

from __future__ import annotations

from datetime import datetime
from itertools import count
from typing import Any
from uuid import UUID

from fleet import health, inventory, search
from fleet.models import Device, Place, Room
from foundation.context import current_tenant

_numbers = count(1)


def make_place(name: str = "", *, kind: str = "building", at: datetime, **given: Any) -> Place:
    return inventory.add_place(kind=kind, name=name or f"Building {next(_numbers)}", at=at, **given)


def make_room(name: str = "", *, place: Place | None = None, at: datetime, **given: Any) -> Room:
    where = place or make_place(at=at)
    return inventory.add_room(place_id=where.id, name=name or f"Room {next(_numbers)}", at=at, **given)


def make_device(
    room: Room | None = None, *, status: str = Device.Status.ENROLLED, at: datetime, **given: Any
) -> Device:
    """A device as registration leaves it, with the state and words of its room."""
    number = next(_numbers)
    device = Device(
        tenant_id=current_tenant(),
        room=room,
        status=status,
        status_since=at,
        created_at=at,
        **{
            "name": f"Device {number}",
            "kind": Device.Kind.ROOM_SYSTEM,
            "platform": Device.Platform.LINUX,
            "make": "Acme",
            "model": "One",
            "serial_number": f"SN{number:06d}",
            **given,
        },
    )
    device.save(force_insert=True)
    if room is not None:
        search.index_rooms([room.id])
        health.refresh(room.id, at=at)
    else:
        search.index_devices([device.id])
    return device


def state_of(room_id: UUID) -> str:
    return str(Room.objects.for_tenant(current_tenant()).get(id=room_id).state)
