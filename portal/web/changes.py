"""Changes of rooms and devices whose tickets follow: fleet and enrollment know nothing of incidents above them."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from enrollment import registration
from fleet import inventory
from fleet.models import Device, Room
from incidents import detection, suppression


def suppress(room_id: UUID, *, until: datetime, reason: str, at: datetime) -> Room:
    """Quiet for the room and its open tickets. Raises what fleet.inventory raises."""
    room = inventory.suppress_room(room_id, until=until, reason=reason, at=at)
    suppression.follow_rooms(room.tenant_id, [room.id], at=at)
    return room


def unsuppress(room_id: UUID, *, at: datetime) -> Room:
    room = inventory.unsuppress_room(room_id, at=at)
    suppression.follow_rooms(room.tenant_id, [room.id], at=at)
    return room


def accept(device: Device, *, room: Room, at: datetime) -> Device:
    """Watched from now on; what is faulty already begins its watching period. Raises what registration raises."""
    device = registration.accept(device, room=room, at=at)
    detection.evaluate_devices(device.tenant_id, [device.id], at=at)
    return device


def unenroll(device: Device, *, at: datetime) -> Device:
    """No longer watched; its open tickets end."""
    device = registration.unenroll(device, at=at)
    detection.evaluate_devices(device.tenant_id, [device.id], at=at)
    return device
