"""Word to the apps above that a room, device or fault changed in a way they may have to follow: a timer row, due at once.

The fleet does not know who listens (workers.tasks.detection brings tickets in line).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from foundation import timers

ROOM_CHANGED = "room.changed"  # kinds of timers; the subject is the id
DEVICE_CHANGED = "device.changed"
FAULT_CHANGED = "fault.changed"


def rooms_changed(room_ids: Iterable[UUID], *, tenant_id: UUID, at: datetime) -> None:
    """Kept quiet, or no longer."""
    _tell(ROOM_CHANGED, room_ids, tenant_id=tenant_id, at=at)


def devices_changed(device_ids: Iterable[UUID], *, tenant_id: UUID, at: datetime) -> None:
    """Watched from now on, no longer, or in another room."""
    _tell(DEVICE_CHANGED, device_ids, tenant_id=tenant_id, at=at)


def faults_changed(fault_ids: Iterable[UUID], *, tenant_id: UUID, at: datetime) -> None:
    """Raised or ended (fleet.faults)."""
    _tell(FAULT_CHANGED, fault_ids, tenant_id=tenant_id, at=at)


def _tell(kind: str, ids: Iterable[UUID], *, tenant_id: UUID, at: datetime) -> None:
    timers.set_timers([(kind, str(each), at, {}) for each in sorted(ids)], tenant_id=tenant_id)
