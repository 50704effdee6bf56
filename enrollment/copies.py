"""Signs that one device became two, and what follows: it is kept apart until a person has looked."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from fleet import faults, health, notices
from fleet.models import Device
from tenancy import audit

FAULT = "device_copy"  # the type of the ticket that asks a person to look


class Sign(StrEnum):
    """What gave the copy away; the words stand in the audit log and the ticket."""

    REUSED = "a token was used after its successor"
    TWO_CONTENTS = "two contents came under one number"
    OTHER_HARDWARE = "its key came from other hardware"


def quarantine(device: Device, sign: Sign, *, at: datetime) -> None:
    """Stop watching a device and keep what it sends apart. Its tenant is entered. Repeating it changes nothing."""
    apart = Device.Status.QUARANTINED
    watched = (
        Device.objects.for_tenant(device.tenant_id)
        .filter(id=device.id)
        .exclude(status__in=[apart, Device.Status.UNENROLLED])
    )
    if not watched.update(status=apart, status_since=at, next_due_at=None):
        return
    notices.devices_changed([device.id], tenant_id=device.tenant_id, at=at)
    faults.raise_fault(device, FAULT, "A copy of this device is suspected", evidence={"sign": sign}, at=at)
    if device.room_id is not None:
        health.refresh(device.room_id, at=at)
    before = device.status
    device.status, device.status_since, device.next_due_at = apart, at, None
    audit.record(
        "device.quarantine",
        device,
        tenant_id=device.tenant_id,
        at=at,
        before={"status": before},
        after={"status": apart, "sign": sign},
    )
