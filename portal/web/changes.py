"""Changes of rooms and devices whose tickets follow: fleet and enrollment know nothing of incidents above them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.db import transaction

from enrollment import registration
from fleet import inventory, room_groups
from fleet.models import Device, Room
from foundation.context import current_tenant
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


def add_members(group_id: UUID, room_ids: Iterable[UUID], *, at: datetime) -> int:
    """How many came; what keeps the group quiet keeps them quiet too. Raises what room_groups raises."""
    rooms = list(room_ids)
    added = room_groups.add_members(group_id, rooms, at=at)
    suppression.regrouped(current_tenant(), group_id, rooms, at=at)
    return added


def remove_members(group_id: UUID, room_ids: Iterable[UUID], *, at: datetime) -> int:
    rooms = list(room_ids)
    removed = room_groups.remove_members(group_id, rooms, at=at)
    suppression.regrouped(current_tenant(), group_id, rooms, at=at)
    return removed


@transaction.atomic
def delete_group(group_id: UUID, *, at: datetime) -> None:
    """Its rooms stay, and are quiet on its account no longer. Raises what room_groups raises."""
    suppression.end_of_group(current_tenant(), group_id, at=at)
    room_groups.delete_group(group_id, at=at)
