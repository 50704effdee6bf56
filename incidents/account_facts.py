"""What a directory tells of the accounts of rooms; who reads the directory tells it here. Of an entered tenant."""

from __future__ import annotations

from datetime import datetime

from fleet.models import Device, Room
from foundation.errors import NotValid
from incidents.detection import evaluate_devices
from incidents.models import AccountFact
from tenancy import audit


def note_sign_in(room: Room, signed_in_at: datetime, *, at: datetime) -> datetime:
    """When the room's account last signed in to Teams; returns the latest known. Silent devices are judged anew.

    Raises NotValid for what lies in the future.
    """
    if signed_in_at > at:
        raise NotValid("Nobody has signed in yet then.", field="signed_in_at")
    fact, new = AccountFact.objects.for_tenant(room.tenant_id).get_or_create(
        room=room, defaults={"signed_in_at": signed_in_at}
    )
    if not new and fact.signed_in_at >= signed_in_at:
        return fact.signed_in_at
    before = None if new else fact.signed_in_at.isoformat()
    fact.signed_in_at = signed_in_at
    fact.save(update_fields=["signed_in_at"])
    audit.record(
        "room.sign_in",
        room,
        tenant_id=room.tenant_id,
        at=at,
        before={"signed_in_at": before},
        after={"signed_in_at": signed_in_at.isoformat()},
    )
    silent = Device.objects.for_tenant(room.tenant_id).filter(room=room, silent_since__isnull=False)
    evaluate_devices(room.tenant_id, list(silent.values_list("id", flat=True)), at=at)
    return signed_in_at
