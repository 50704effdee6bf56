"""Which device is it that wants in: told by its key, else by its hardware."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Any
from uuid import UUID

from django.db import connection

from enrollment.hardware import Hardware, Match, compare
from enrollment.models import DeviceCredential, HardwareFact
from fleet.models import Device

SILENT_AFTER = timedelta(minutes=15)  # a device heard since then is alive: nobody takes its place unasked
SEEN_LATE = timedelta(
    minutes=5
)  # last_seen_at of a device without changes is written that seldom (fleet.heartbeats)
Status = Device.Status


class Verdict(Enum):
    NEW = auto()
    KNOWN = auto()  # its key is known, and nothing speaks against its hardware
    RETURNS = auto()  # it was unenrolled before and comes again
    TAKES_OVER = auto()  # the machine has a new key, and the device it was is silent
    REPLACEMENT = auto()  # the machine has a new key, and the device it was is alive: a person decides
    COPY = auto()  # a known key from other hardware


@dataclass(frozen=True)
class Identified:
    verdict: Verdict
    device: Device | None  # whose place it has, takes or claims; None: NEW


def identify(tenant_id: UUID, public_key: bytes | None, hardware: Hardware, *, at: datetime) -> Identified:
    """The table of security.md, section 1. The tenant is entered.

    Serialises with every other identification that shares the key or a fact, to the end of the transaction.
    """
    shown = hardware.facts
    _wait_for_turn(tenant_id, shown if public_key is None else {*shown, f"key:{public_key.hex()}"})
    if public_key is not None:
        with_key = _devices(tenant_id, id__in=_with_key(tenant_id, [public_key]))
        if with_key:
            return _by_key(with_key, facts_of(tenant_id, with_key), shown)
    alike = _devices(tenant_id, id__in=_with_facts(tenant_id, shown))
    return _by_hardware(alike, facts_of(tenant_id, alike), shown, hardware.serial, at)


def replaced_by(device: Device) -> list[Device]:
    """The devices whose place this one, waiting for a person, would take: the same machine, or the same key."""
    if device.status not in (Status.PENDING, Status.QUARANTINED):
        return []
    tenant_id = device.tenant_id
    shown = facts_of(tenant_id, [device])[device.id]
    keys = DeviceCredential.objects.for_tenant(tenant_id).filter(device=device, public_key__isnull=False)
    public_keys = {bytes(key) for key in keys.values_list("public_key", flat=True) if key is not None}
    sharing = _with_key(tenant_id, public_keys)
    alike = _with_facts(tenant_id, shown)
    there = _devices(tenant_id, id__in=(sharing | alike) - {device.id}, status__in=_IN_PLACE)
    facts = facts_of(tenant_id, there)
    return [
        each
        for each in there
        if each.id in sharing or _claims(each, facts[each.id], shown, device.serial_number)
    ]


def facts_of(tenant_id: UUID, devices: Iterable[Device]) -> dict[UUID, set[str]]:
    facts: dict[UUID, set[str]] = {device.id: set() for device in devices}
    rows = HardwareFact.objects.for_tenant(tenant_id).filter(device_id__in=facts)
    for device_id, fact in rows.values_list("device_id", "fact"):
        facts[device_id].add(fact)
    return facts


def remember(device: Device, hardware: Hardware) -> None:
    """Keep what the machine tells now; what it does not tell this time stays."""
    shown = hardware.facts
    told = {fact.partition(":")[0] for fact in shown}
    rows = HardwareFact.objects.for_tenant(device.tenant_id)
    known = {row.fact: row.id for row in rows.filter(device=device)}
    gone = [row for fact, row in known.items() if fact.partition(":")[0] in told and fact not in shown]
    if gone:
        rows.filter(id__in=gone).delete()
    new = [
        HardwareFact(tenant_id=device.tenant_id, device=device, fact=fact)
        for fact in sorted(shown - known.keys())
    ]
    rows.bulk_create(new)


_IN_PLACE = (Status.ONBOARDING, Status.ENROLLED)


def _by_key(with_key: list[Device], facts: dict[UUID, set[str]], shown: frozenset[str]) -> Identified:
    """One key may be of several rows: a device and the suspected copies beside it."""
    matches = {device.id: compare(facts[device.id], shown) for device in with_key}
    for wanted in (Match.SAME, Match.UNKNOWN):
        for device in with_key:
            if matches[device.id] is wanted:
                came_back = device.status == Status.UNENROLLED
                return Identified(Verdict.RETURNS if came_back else Verdict.KNOWN, device)
    return Identified(Verdict.COPY, with_key[0])


def _by_hardware(
    alike: list[Device], facts: dict[UUID, set[str]], shown: frozenset[str], serial: str, at: datetime
) -> Identified:
    same = [device for device in alike if compare(facts[device.id], shown) is Match.SAME]
    watched = [device for device in same if device.status in _IN_PLACE or device.status == Status.QUARANTINED]
    for device in watched:
        gone = device.status in _IN_PLACE and _is_silent(device, at)
        return Identified(Verdict.TAKES_OVER if gone else Verdict.REPLACEMENT, device)
    for device in same:
        if device.status == Status.UNENROLLED:
            return Identified(Verdict.RETURNS, device)
    for device in alike:
        if device.status in _IN_PLACE and serial and device.serial_number == serial:
            return Identified(
                Verdict.REPLACEMENT, device
            )  # one fact is too little to know, too much to ignore
    return Identified(Verdict.NEW, None)


def _is_silent(device: Device, at: datetime) -> bool:
    """Unheard for SILENT_AFTER, surely: of a device nobody found silent, last_seen_at may be a little old."""
    unheard = at - (device.last_seen_at or device.status_since)
    return unheard >= (
        SILENT_AFTER if device.silent_since or not device.last_seen_at else SILENT_AFTER + SEEN_LATE
    )


def _claims(there: Device, known: set[str], shown: set[str], serial: str) -> bool:
    return compare(known, shown) is Match.SAME or bool(serial and there.serial_number == serial)


def _devices(tenant_id: UUID, **conditions: Any) -> list[Device]:
    """Oldest first: of a device and its copies the original."""
    rows = Device.objects.for_tenant(tenant_id).filter(retired_at=None, **conditions)
    return list(rows.defer("document", "inventory").order_by("id"))


def _with_key(tenant_id: UUID, public_keys: Collection[bytes]) -> set[UUID]:
    """Devices whose latest credential is of one of these keys: a key that was taken over names nobody."""
    rows = DeviceCredential.objects.for_tenant(tenant_id)
    ever = list(rows.filter(public_key__in=public_keys).values_list("device_id", flat=True).distinct())
    latest = rows.filter(device_id__in=ever).order_by("device_id", "-id").distinct("device_id")
    return {
        device_id
        for device_id, key in latest.values_list("device_id", "public_key")
        if key is not None and bytes(key) in public_keys
    }


def _with_facts(tenant_id: UUID, facts: Iterable[str]) -> set[UUID]:
    rows = HardwareFact.objects.for_tenant(tenant_id).filter(fact__in=list(facts))
    return set(rows.values_list("device_id", flat=True))


def _wait_for_turn(tenant_id: UUID, names: Iterable[str]) -> None:
    """Advisory locks, in one order for all: the same machine enrolling twice at once is one device."""
    digests = (hashlib.sha256(f"{tenant_id} {name}".encode()).digest() for name in names)
    with connection.cursor() as cursor:
        for lock in sorted(int.from_bytes(digest[:8], "big", signed=True) for digest in digests):
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [lock])
