"""Devices as their update clients know themselves: under which name they call, what they tell of themselves.

Of an entered tenant; times are aware, UTC.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Case, DateTimeField, Q, Value, When

from fleet.models import Device
from foundation.errors import NotValid
from updates.errors import QuotaReached
from updates.models import UpdateClient

MOST_ATTRIBUTES = 100
LONGEST = 128  # of a key and of a value
LONGEST_NAME = 256
MODES = ("merge", "replace", "remove")
PRINTABLE = re.compile(r"[^\x00-\x1f\x7f-\x9f]*")
AT_ONCE = 500
HANDLE_SKIP = ("rauc-hawkbit-c-agent/",)  # programs that leave alone what they are told to skip
SAYS_IT_HANDLES_SKIP = {"handles_skip": "true"}  # attribute of a client we do not know


def is_name(controller_id: str) -> bool:
    """Whether a device may call itself so in the addresses it calls."""
    return 0 < len(controller_id) <= LONGEST_NAME and PRINTABLE.fullmatch(controller_id) is not None


def client_of(device: Device, controller_id: str, program: str | None, *, at: datetime) -> UpdateClient:
    """The client of a device; made at its first call. A device that calls itself something else now is followed.

    `program`: its User-Agent; None: it says nothing about the client. Another one is asked what it can.
    """
    rows = UpdateClient.objects.for_tenant(device.tenant_id)
    told = (program or "")[:120]
    row, is_new = rows.get_or_create(
        device=device, defaults={"controller_id": controller_id, "program": told, "created_at": at}
    )
    if is_new:
        return row
    changed = []
    if row.controller_id != controller_id:
        row.controller_id = controller_id
        changed.append("controller_id")
    if program is not None and row.program != told:
        row.program, row.wants_attributes = told, True
        row.attributes = {name: row.attributes[name] for name in row.attributes.keys() - SAYS_IT_HANDLES_SKIP}
        changed += ["program", "wants_attributes", "attributes"]
    if changed:
        row.save(update_fields=changed)
    return row


def by_controller(tenant_id: UUID, controller_id: str) -> UpdateClient | None:
    rows = UpdateClient.objects.for_tenant(tenant_id).filter(controller_id=controller_id)
    return rows.select_related("device").first()


def called(tenant_id: UUID, controller_id: str) -> Device | None:
    """The device whose id or serial number this is."""
    rows = Device.objects.for_tenant(tenant_id).filter(retired_at=None)
    with suppress(ValueError):
        if (found := rows.filter(id=UUID(controller_id)).first()) is not None:
            return found
    return rows.filter(serial_number=controller_id).first()


def keep_attributes(row: UpdateClient, data: object, mode: str = "merge") -> None:
    """What the device tells of itself: text by name, None takes a name away. They are asked for no more.

    Raises NotValid, QuotaReached; nothing is kept then.
    """
    if mode not in MODES:
        raise NotValid(f"One of {', '.join(MODES)}.", field="mode")
    if not isinstance(data, dict):
        raise NotValid("An object of texts.", field="data")
    told = {
        _text(key, "data"): value if value is None else _text(value, "data") for key, value in data.items()
    }
    kept: dict[str, Any] = {} if mode == "replace" else dict(row.attributes)
    if mode == "remove":
        kept = {key: value for key, value in kept.items() if key not in told}
    else:
        kept.update(told)
        kept = {key: value for key, value in kept.items() if value is not None}
    if len(kept) > MOST_ATTRIBUTES:
        raise QuotaReached(f"At most {MOST_ATTRIBUTES} attributes.")
    row.attributes, row.wants_attributes = kept, False
    row.save(update_fields=["attributes", "wants_attributes"])


def that_handle_skip(tenant_id: UUID) -> set[UUID]:
    """Devices whose client downloads without installing where it is told so. SWUpdate would report the skip as
    installed; others install whatever they are told."""
    known = Q(attributes__contains=SAYS_IT_HANDLES_SKIP)
    for program in HANDLE_SKIP:
        known |= Q(program__startswith=program)
    rows = UpdateClient.objects.for_tenant(tenant_id).filter(known)
    return set(rows.values_list("device_id", flat=True))


def ask_for_attributes(device_id: UUID, tenant_id: UUID) -> None:
    """After an update they may be others."""
    UpdateClient.objects.for_tenant(tenant_id).filter(device_id=device_id).update(wants_attributes=True)


def note_polls(tenant_id: UUID, seen: Mapping[UUID, datetime]) -> None:
    """When devices last asked, in one statement for many."""
    wanted = sorted(seen.items())
    for start in range(0, len(wanted), AT_ONCE):
        some = wanted[start : start + AT_ONCE]
        moments = Case(
            *(When(device_id=key, then=Value(moment)) for key, moment in some), output_field=DateTimeField()
        )
        rows = UpdateClient.objects.for_tenant(tenant_id).filter(device_id__in=[key for key, _ in some])
        rows.update(last_poll_at=moments)


def _text(value: object, field: str) -> str:
    if not isinstance(value, str) or len(value) > LONGEST or not PRINTABLE.fullmatch(value):
        raise NotValid(f"Texts of at most {LONGEST} printable characters.", field=field)
    return value
