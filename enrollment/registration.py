"""From a key to a watched device: registering, accepting to a room, moving, unenrolling."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from enrollment import credentials, identification, keys, nonces, signatures
from enrollment.canonical import canonical
from enrollment.copies import FAULT as COPY
from enrollment.copies import Sign, quarantine
from enrollment.credentials import DEFAULT_INTERVAL_S, NewToken
from enrollment.errors import EnrollmentRefused, NotWaiting
from enrollment.hardware import Hardware
from enrollment.identification import Identified, Verdict
from enrollment.models import EnrollmentKey
from fleet import faults, group_rules, health, history, inventory, notices, search
from fleet.errors import Missing
from fleet.models import Device, MonitoringSettings, Room
from foundation.errors import NotValid, violated_constraint
from tenancy import audit, regions

Status = Device.Status
SIMPLE_LEVEL, FILE_KEY_LEVEL = 1, 2  # security levels: a token only, a key in a file


@dataclass(frozen=True)
class Application:
    """What a device says of itself, read and cleaned."""

    nonce: str
    platform: str
    kind: str
    hardware: Hardware
    digest: str  # signed_digest of the body
    public_key: bytes | None = None  # Ed25519, raw
    signature: str = ""
    agent_name: str = ""
    agent_version: str = ""
    room_name: str = ""
    resource_account: str = ""


@dataclass(frozen=True)
class Enrollment:
    device: Device
    token: NewToken
    interval_s: int

    @property
    def status(self) -> str:
        """In the words of the device contract: one kept apart waits for a person like any pending one."""
        return Status.PENDING if self.device.status == Status.QUARANTINED else self.device.status


def signed_digest(body: Mapping[str, Any]) -> str:
    """What the signature covers of a body as it was sent. Raises ValueError for one without canonical form."""
    unsigned = {name: value for name, value in body.items() if name != "signature"}
    return hashlib.sha256(canonical(unsigned)).hexdigest()


def enroll(key: EnrollmentKey, applying: Application, *, address: str | None, at: datetime) -> Enrollment:
    """Register a device, or give one that is known a new token. The key's tenant is entered.

    Repeating it with the same public key is the same device and takes no use. Raises EnrollmentRefused with the
    reason; nothing is left then once the caller rolls back.
    """
    _check_signature(key, applying, at=at)
    keys.check_allowed(key, kind=applying.kind, address=address)
    _check_country(_named_room(applying))
    found = identification.identify(key.tenant_id, applying.public_key, applying.hardware, at=at)
    try:
        with transaction.atomic():
            device = _placed(found, key, applying, at=at)
    except IntegrityError as error:
        if violated_constraint(error) != "fleet_device_one_per_serial":
            raise
        raise EnrollmentRefused(
            "serial", "Another device has this serial number.", field="hardware.serial"
        ) from error
    identification.remember(device, applying.hardware)
    search.index_devices([device.id])
    token = credentials.issue(device, public_key=applying.public_key, at=at)
    audit.record("device.enroll", device, tenant_id=device.tenant_id, at=at, after=_told(device, found, key))
    if found.verdict is not Verdict.KNOWN:
        keys.take_use(key, at=at)
    return Enrollment(device, token, _reporting(device).heartbeat_interval_s)


def _named_room(applying: Application) -> Room | None:
    """The room it says it stands in, where there is one already. What it names badly is refused later, if it counts."""
    if not applying.room_name:
        return None
    try:
        return inventory.find_room(name=applying.room_name, resource_account=applying.resource_account)
    except NotValid:
        return None


def _check_country(room: Room | None) -> None:
    """A new room has no country yet: it is checked when somebody sorts it into one."""
    reason = regions.refusal(room.place.country_code) if room is not None else ""
    if reason:
        raise EnrollmentRefused("country", reason, field="room")


def accept(device: Device, *, room: Room, at: datetime) -> Device:
    """Watch a device in a room from now on. The tenant is entered. Repeating it changes nothing.

    One that waited as a replacement or suspected copy takes the place of the device it claims to be, which is
    unenrolled. Raises NotWaiting for a device that is enrolled elsewhere or unenrolled, Missing for a retired room,
    NotValid for one in a country that is not supported.
    """
    _check_room(room)
    claimed = identification.replaced_by(device)
    device, *replaced = _held([device, *claimed])
    if device.status == Status.ENROLLED and device.room_id == room.id:
        return device
    if device.status in (Status.ENROLLED, Status.UNENROLLED):
        raise NotWaiting(f"This device is {device.status}. It does not wait to be accepted.")
    for former in replaced:
        _leave(former, at=at)
    before, old_room_id = device.status, device.room_id
    _watch(device, room, at=at)
    _went(device, from_room=old_room_id, to_room=room.id, at=at)
    faults.end_fault(device, COPY, at=at)  # a person has looked
    _rooms_changed({room.id, old_room_id, *(former.room_id for former in replaced)}, at=at)
    after = {"status": device.status, "room": room.name, "replaces": [former.name for former in replaced]}
    audit.record(
        "device.accept", device, tenant_id=device.tenant_id, at=at, before={"status": before}, after=after
    )
    return device


def move(device: Device, *, room: Room, at: datetime) -> Device:
    """Put an enrolled device into another room. The tenant is entered. Repeating it changes nothing.

    Raises NotWaiting for one that is not enrolled, Missing for a retired room, NotValid for one in a country that is
    not supported.
    """
    _check_room(room)
    (device,) = _held([device])
    if device.status != Status.ENROLLED:
        raise NotWaiting(f"This device is {device.status}. Accept it first.")
    if device.room_id == room.id:
        return device
    before = {"room": device.room.name if device.room else None}
    old_room_id, device.room = device.room_id, room
    device.save(update_fields=["room"])
    _went(device, from_room=old_room_id, to_room=room.id, at=at)
    notices.devices_changed([device.id], tenant_id=device.tenant_id, at=at)
    _rooms_changed({old_room_id, room.id}, at=at)
    audit.record(
        "device.move", device, tenant_id=device.tenant_id, at=at, before=before, after={"room": room.name}
    )
    return device


def unenroll(device: Device, *, at: datetime) -> Device:
    """Stop watching a device and shut it out. The tenant is entered. Repeating it changes nothing.

    It stays in its room's history. With an enrollment key it may come again.
    """
    (device,) = _held([device])
    if device.status != Status.UNENROLLED:
        _leave(device, at=at)
        _rooms_changed({device.room_id}, at=at)
        search.index_devices([device.id])
    return device


def _check_signature(key: EnrollmentKey, applying: Application, *, at: datetime) -> None:
    if not nonces.check("enroll", applying.nonce, at=at):
        raise EnrollmentRefused(
            "nonce", "The nonce is not ours or older than 5 minutes. Ask for a challenge.", field="nonce"
        )
    if applying.public_key is None and not applying.signature:
        if not key.simple_clients:
            raise EnrollmentRefused(
                "key_pair_required", "This key lets in only devices with a key pair.", field="public_key"
            )
        return
    lines = ("greenroom-enroll-v1", applying.nonce, key.public_id, applying.digest)
    if applying.public_key is None or not signatures.holds(applying.public_key, applying.signature, *lines):
        raise EnrollmentRefused("signature", "The signature does not hold for this body.", field="signature")


def _placed(found: Identified, key: EnrollmentKey, applying: Application, *, at: datetime) -> Device:
    """The row of the device that applies, with what it told, in the status it comes to."""
    device = found.device
    match found.verdict:
        case Verdict.KNOWN if device is not None:
            (device,) = _held([device])
            credentials.end_unused(device, at=at)
            credentials.replace_all(device, at=at)
            return _describe(device, key, applying)
        case Verdict.TAKES_OVER if device is not None:
            (device,) = _held([device])
            credentials.revoke(device, at=at)
            return _describe(device, key, applying)
        case Verdict.RETURNS if device is not None:
            (device,) = _held([device])
            device.room = None
            device.last_seen_at = device.silent_since = None
            return _let_in(_describe(device, key, applying), key, applying, at=at)
        case Verdict.REPLACEMENT:
            return _new(key, applying, Status.PENDING, at=at)
        case Verdict.COPY:
            device = _new(key, applying, Status.PENDING, at=at)
            quarantine(device, Sign.OTHER_HARDWARE, at=at)
            return device
    return _let_in(_new(key, applying, Status.ONBOARDING, at=at), key, applying, at=at)


def _new(key: EnrollmentKey, applying: Application, status: str, *, at: datetime) -> Device:
    device = Device(tenant_id=key.tenant_id, status=status, status_since=at, created_at=at)
    return _describe(device, key, applying)


def _describe(device: Device, key: EnrollmentKey, applying: Application) -> Device:
    hardware = applying.hardware
    device.kind, device.platform = applying.kind, applying.platform
    device.make, device.model = hardware.make, hardware.model
    device.serial_number, device.firmware_uuid = hardware.serial, hardware.firmware_uuid
    device.macs = list(hardware.macs)
    device.name = device.name or applying.room_name or f"{hardware.make} {hardware.model}"[:120]
    device.wanted_room, device.wanted_account = applying.room_name, applying.resource_account
    device.agent_name, device.agent_version = applying.agent_name, applying.agent_version
    device.security_level = SIMPLE_LEVEL if applying.public_key is None else FILE_KEY_LEVEL
    device.enrollment_key_id = key.id
    if device._state.adding:
        device.save(force_insert=True)
        device.refresh_from_db(fields=["key"])  # the database gives it
    else:
        device.save()
    return device


def _let_in(device: Device, key: EnrollmentKey, applying: Application, *, at: datetime) -> Device:
    """Onboarding until a person accepts it; at once, where the key approves by itself."""
    if key.approval == EnrollmentKey.Approval.AUTO:
        room = _wanted_room(device, key, applying, at=at)
        _check_country(room)
        _went(device, from_room=device.room_id, to_room=room.id, at=at)
        _watch(device, room, at=at)
        _rooms_changed({room.id}, at=at)
    elif device.status != Status.ONBOARDING:
        device.status, device.status_since = Status.ONBOARDING, at
        device.save(update_fields=["status", "status_since"])
    return device


def _wanted_room(device: Device, key: EnrollmentKey, applying: Application, *, at: datetime) -> Room:
    """Found or made from the name the device gives; one that gives none is its own room's name."""
    name = applying.room_name or f"{device.name[:110]} {str(device.id)[-6:]}"
    try:
        room, _ = inventory.find_or_add_room(
            name=name, resource_account=applying.resource_account, groups=[key.group], at=at
        )
    except NotValid as error:
        field = "resource_account" if error.field == "resource_account" else "name"
        raise EnrollmentRefused("room", error.message, field=f"room.{field}") from error
    return room


def _watch(device: Device, room: Room, *, at: datetime) -> None:
    """Enrolled: the first deadline gives it as long as any other."""
    reporting = _reporting(device)
    patience = timedelta(seconds=reporting.heartbeat_interval_s * reporting.missed_heartbeats)
    device.room, device.status, device.status_since = room, Status.ENROLLED, at
    device.next_due_at, device.silent_since = at + patience, None
    device.save(update_fields=["room", "status", "status_since", "next_due_at", "silent_since"])
    notices.devices_changed([device.id], tenant_id=device.tenant_id, at=at)


def _leave(device: Device, *, at: datetime) -> None:
    before = {"status": device.status, "room": device.room.name if device.room else None}
    device.status, device.status_since = Status.UNENROLLED, at
    device.next_due_at = device.silent_since = None
    device.save(update_fields=["status", "status_since", "next_due_at", "silent_since"])
    notices.devices_changed([device.id], tenant_id=device.tenant_id, at=at)
    faults.end_fault(device, COPY, at=at)
    _went(device, from_room=device.room_id, to_room=None, at=at)
    credentials.revoke(device, at=at)
    after = {"status": device.status}
    audit.record("device.unenroll", device, tenant_id=device.tenant_id, at=at, before=before, after=after)


def _went(device: Device, *, from_room: UUID | None, to_room: UUID | None, at: datetime) -> None:
    """Into the history of the rooms it left and came to."""
    events = history.went(device.name, from_room=from_room, to_room=to_room)
    history.write(events, tenant_id=device.tenant_id, at=at)


def _rooms_changed(room_ids: Iterable[Any], *, at: datetime) -> None:
    touched = sorted(room_id for room_id in set(room_ids) if room_id is not None)
    search.index_rooms(touched)
    health.refresh_many(touched, at=at)
    group_rules.follow(touched, at=at)


def _held(devices: list[Device]) -> list[Device]:
    """The same devices as they are now, locked in the order of their ids."""
    rows = Device.objects.for_tenant(devices[0].tenant_id).filter(id__in=[device.id for device in devices])
    held = {row.id: row for row in rows.select_for_update(no_key=True).order_by("id")}
    if len(held) != len(devices):
        raise Missing("device")
    return [held[device.id] for device in devices]


def _check_room(room: Room) -> None:
    if room.retired_at is not None:
        raise Missing("room", field="room")
    reason = regions.refusal(room.place.country_code)
    if reason:
        raise NotValid(reason, field="room")


def _reporting(device: Device) -> MonitoringSettings:
    found = MonitoringSettings.objects.for_tenant(device.tenant_id).first()
    return found or MonitoringSettings(heartbeat_interval_s=DEFAULT_INTERVAL_S)


def _told(device: Device, found: Identified, key: EnrollmentKey) -> dict[str, Any]:
    return {
        "status": device.status,
        "recognised": found.verdict.name.lower(),
        "claims": found.device.name if found.device is not None else None,
        "make": device.make,
        "model": device.model,
        "serial": device.serial_number,
        "key_label": key.label,
    }
