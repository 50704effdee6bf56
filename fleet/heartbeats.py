"""From accepted requests to facts: a batch of heartbeats is stored once, whatever is delivered how often (§2.2)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from django.db import connection

from fleet import health, heartbeat_devices, signal_states, telemetry
from fleet.heartbeat_batch import APART, OPEN, ROLLED_AFTER_MS, WATCHED, Outcome, moment, work
from fleet.heartbeat_devices import Known, Places
from fleet.models import MonitoringSettings
from fleet.signal_reports import UNKNOWN, Change, changes
from fleet.signal_states import SignalChange, Written
from fleet.stream import Entry, Reply
from foundation.context import tenant
from tenancy.models import placement_of

log = logging.getLogger(__name__)
MOST_TENANTS = 40  # in one transaction: the policy reads the list of tenants for every row
SEEN_EVERY_MS = 300_000  # how often Device.last_seen_at is written while nothing happens
# Another in every heartbeat: points have them, and the inventory document its own digest.
VOLATILE = ("seq", "t_wall", "t_mono", "metrics", "usage", "inventory_digest")

__all__ = ["Changes", "CopySuspected", "NewVersion", "Returned", "SignalChange", "apply", "groups"]


@dataclass(frozen=True, slots=True)
class Returned:
    """A device was heard again after silence."""

    tenant_id: UUID
    device_id: UUID
    room_id: UUID | None
    silent_since: datetime
    at: datetime


@dataclass(frozen=True, slots=True)
class CopySuspected:
    """Two contents came under one number of one epoch: two devices use one identity. Told once an epoch."""

    tenant_id: UUID
    device_id: UUID
    epoch: str


@dataclass(frozen=True, slots=True)
class NewVersion:
    """A watched device runs another version of its meeting app."""

    tenant_id: UUID
    device_id: UUID


@dataclass(slots=True)
class Changes:
    """What a batch changed, in the order it happened. `replies` by device key: for every device of the batch."""

    signals: list[SignalChange] = field(default_factory=list)  # of watched devices
    returned: list[Returned] = field(default_factory=list)  # watched devices
    versions: list[NewVersion] = field(default_factory=list)  # watched devices
    copies: list[CopySuspected] = field(default_factory=list)
    replies: dict[int, Reply] = field(default_factory=dict)
    stored: int = 0
    covered: int = 0  # repeated, or ahead of something still missing: not stored

    def __bool__(self) -> bool:
        """Whether anybody above needs to look."""
        return bool(self.signals or self.returned or self.versions or self.copies)


def groups(entries: Sequence[Entry]) -> list[list[Entry]]:
    """The entries by transaction: few tenants each, those of one placement together. Keeps the order of a tenant's."""
    by_tenant: dict[bytes, list[Entry]] = {}
    for entry in entries:
        by_tenant.setdefault(entry.tenant, []).append(entry)
    tenants = sorted(by_tenant, key=lambda each: (placement_of(UUID(bytes=each)), each))
    return [
        [entry for each in tenants[start : start + MOST_TENANTS] for entry in by_tenant[each]]
        for start in range(0, len(tenants), MOST_TENANTS)
    ]


def apply(entries: Sequence[Entry], *, at: datetime) -> Changes:
    """Store a batch of at most MOST_TENANTS tenants, in the caller's transaction or one of its own.

    Exactly once: what a watermark covers is skipped, so an entry may come again at any time. Raises ValueError (or
    the database's DataError) for an entry that cannot be stored, and then stores nothing.
    """
    if not entries:
        return Changes()
    with tenant(*(UUID(bytes=each) for each in dict.fromkeys(entry.tenant for entry in entries))):
        return _apply(entries, at=at)


def _apply(entries: Sequence[Entry], *, at: datetime) -> Changes:
    places = heartbeat_devices.lock(entries)
    if not places:
        return Changes()
    outcome = work(entries, places, at_ms=_ms(at))
    result = Changes(stored=outcome.stored, covered=outcome.covered)
    devices = {device.key: device for device, _ in places.values()}
    touched = [device for device in devices.values() if _is_touched(device)]
    if touched:
        _write_devices(touched, result, at=at)
    _set_deadlines(places)
    telemetry.store(outcome.points, [mark for _, mark in places.values()])
    telemetry.add_late(outcome.late)
    telemetry.mark_due(_hours(outcome, at=at))
    telemetry.keep_apart(outcome.apart)
    _tell_copies(outcome, places, result, at=at)
    _answer(outcome, places, devices, result)
    return result


# Devices -------------------------------------------------------------------------------------------------------


def _is_touched(device: Known) -> bool:
    """Whether its row is to be written: at most every five minutes while nothing happens."""
    return bool(
        device.document is not None
        or device.seen_ms - device.last_seen_ms >= SEEN_EVERY_MS
        or device.clock_bad != device.was_clock_bad
        or (device.silent_since is not None and device.seen_ms > device.last_seen_ms)
        or (device.next_due_at is not None and device.status == WATCHED)
    )


def _write_devices(touched: list[Known], result: Changes, *, at: datetime) -> None:
    """Rows of devices, their signal states, and what that means to those above."""
    versions = _lock(touched)
    open_ones = [device for device in touched if device.status in OPEN]
    _write_states([device for device in open_ones if device.reports], result)
    by_tenant: dict[str, list[Known]] = {}
    for device in touched:
        by_tenant.setdefault(device.tenant, []).append(device)
    for tenant_id, some in by_tenant.items():
        _refresh(tenant_id, some)
        told = [d for d in some if d.document is not None and d.status in OPEN]
        _write_documents(tenant_id, told, versions, result)
    for device in open_ones:
        if device.silent_since is not None and device.seen_ms > device.last_seen_ms:
            heard = moment(device.seen_ms)
            if device.status == WATCHED:
                result.returned.append(
                    Returned(device.tenant_id, device.device_id, device.room_id, device.silent_since, heard)
                )
        if device.next_due_at is not None and device.status == WATCHED:  # watched from now on
            known = {(change.device_id, change.signal, change.instance) for change in result.signals}
            faults = signal_states.unhealthy(device.tenant_id, device.device_id, device.room_id)
            result.signals += [f for f in faults if (f.device_id, f.signal, f.instance) not in known]
    rooms = {device.room_id for device in touched if device.silent_since is not None and device.room_id}
    if rooms:
        health.refresh_many(rooms, at=at)


def _lock(touched: list[Known]) -> dict[str, dict[str, Any]]:
    """Lock rows in the order of their ids and read again what people may have changed meanwhile: a device accepted
    a moment ago is watched, and whoever accepts it next finds our states. Returns the versions known."""
    by_id = {device.id_text: device for device in touched}
    versions: dict[str, dict[str, Any]] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT device.id::text, device.status, device.room_id::text, device.silent_since, device.next_due_at, "
            "CASE WHEN wanted.told THEN device.versions END "
            "FROM unnest(%s::uuid[], %s::uuid[], %s::boolean[]) AS wanted (tenant_id, id, told) "
            "JOIN fleet_device AS device USING (tenant_id, id) "
            "ORDER BY device.tenant_id, device.id FOR NO KEY UPDATE OF device",
            [
                telemetry.array(device.tenant for device in touched),
                telemetry.array(device.id_text for device in touched),
                telemetry.array("t" if device.document is not None else "f" for device in touched),
            ],
        )
        for device_id, status, room_id, silent_since, next_due_at, known in cursor.fetchall():
            device = by_id[device_id]
            device.status, device.room_text = status, room_id
            device.silent_since, device.next_due_at = silent_since, next_due_at
            if known is not None:
                versions[device_id] = known if isinstance(known, dict) else msgspec.json.decode(known)
    return versions


def _refresh(tenant_id: str, devices: list[Known]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE fleet_device AS device SET "
            "last_seen_at = greatest(device.last_seen_at, timestamptz 'epoch' + heard.ms * interval '1 ms'), "
            "clock_bad = heard.clock_bad, silent_since = CASE WHEN heard.returned THEN NULL ELSE device.silent_since END, "
            "next_due_at = CASE WHEN device.status = 'enrolled' THEN NULL ELSE device.next_due_at END "
            "FROM unnest(%s::uuid[], %s::bigint[], %s::boolean[], %s::boolean[]) "
            "AS heard (id, ms, clock_bad, returned) "
            "WHERE device.tenant_id = %s AND device.id = heard.id",
            [
                telemetry.array(device.id_text for device in devices),
                telemetry.array(str(device.seen_ms) for device in devices),
                telemetry.array("t" if device.clock_bad else "f" for device in devices),
                telemetry.array("t" if device.seen_ms > device.last_seen_ms else "f" for device in devices),
                tenant_id,
            ],
        )


def _write_documents(
    tenant_id: str, devices: list[Known], known_versions: dict[str, dict[str, Any]], result: Changes
) -> None:
    if not devices:
        return
    rows = []
    for device in devices:
        assert device.document is not None
        document = msgspec.json.decode(device.document)
        for name in VOLATILE:
            document.pop(name, None)
        told = {name: text for name, text in (document.get("versions") or {}).items() if text is not None}
        before = known_versions.get(device.id_text, {})
        versions = {**before, **told}
        if versions.get("app") != before.get("app") and device.status == WATCHED:
            result.versions.append(NewVersion(device.tenant_id, device.device_id))
        rows.append(
            (
                device.id_text,
                msgspec.json.encode(document).decode(),
                device.digest,
                msgspec.json.encode(versions).decode(),
                versions.get("agent", "")[:40],
            )
        )
    ids, documents, digests, versions_, agents = zip(*rows, strict=True)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE fleet_device AS device SET document = told.document::jsonb, document_digest = told.digest, "
            "versions = told.versions::jsonb, "
            "agent_version = CASE WHEN told.agent <> '' THEN told.agent ELSE device.agent_version END "
            "FROM unnest(%s::uuid[], %s::text[], %s::bytea[], %s::text[], %s::text[]) "
            "AS told (id, document, digest, versions, agent) "
            "WHERE device.tenant_id = %s AND device.id = told.id",
            [list(ids), list(documents), list(digests), list(versions_), list(agents), tenant_id],
        )


# Signals -------------------------------------------------------------------------------------------------------


def _write_states(devices: list[Known], result: Changes) -> None:
    if not devices:
        return
    states = signal_states.read([(device.tenant_id, device.device_id) for device in devices])
    rows: dict[tuple[UUID, str, str], Written] = {}
    transitions: list[SignalChange] = []
    for device in devices:
        known = states[device.device_id]
        its: list[SignalChange] = []
        for report, ms in device.reports or ():
            at = moment(ms)
            for change in changes(known, report.signals):
                place = (device.device_id, change.signal, change.instance)
                earlier = rows.get(place)
                same = earlier is not None and earlier.state == change.after  # its detail alone changed
                since = earlier.since if earlier is not None and same else at
                rows[place] = Written(device.tenant_id, *place, change.after, change.detail, since)
                if change.is_transition:
                    its.append(_changed(device, change, at))
        transitions += its
        if device.status == WATCHED:
            result.signals += its
    signal_states.write(rows.values())
    signal_states.record(transitions)


def _changed(device: Known, change: Change, at: datetime) -> SignalChange:
    return SignalChange(
        device.tenant_id,
        device.device_id,
        device.room_id,
        change.signal,
        change.instance,
        change.before,
        change.after or UNKNOWN,
        change.detail,
        at,
    )


# Deadlines, marks, answers -------------------------------------------------------------------------------------


def _set_deadlines(places: Places) -> None:
    """A watched device must be heard again after so many intervals, counted from when we received it last."""
    patience: dict[str, int] = {}
    for settings in MonitoringSettings.objects.all():
        patience[str(settings.tenant_id)] = settings.heartbeat_interval_s * settings.missed_heartbeats * 1000
    usual = _usual_patience_ms()
    for device, mark in places.values():
        mark.due_ms = mark.seen_ms + patience.get(mark.tenant, usual) if device.status == WATCHED else None


def _usual_patience_ms() -> int:
    settings = MonitoringSettings()
    return settings.heartbeat_interval_s * settings.missed_heartbeats * 1000


def _hours(outcome: Outcome, *, at: datetime) -> dict[tuple[str, int, int], datetime]:
    """When the hours that got something are to be rolled up."""
    return {
        (tenant_id, hour, key): moment(hour + ROLLED_AFTER_MS) if key == telemetry.EVERY_DEVICE else at
        for tenant_id, hour, key in outcome.hours
    }


def _tell_copies(outcome: Outcome, places: Places, result: Changes, *, at: datetime) -> None:
    for place in sorted(outcome.suspected):
        device, mark = places[place]
        if not mark.suspected:
            telemetry.suspect(mark, at=at)
            result.copies.append(CopySuspected(device.tenant_id, device.device_id, mark.epoch))
            log.warning("Device %s: two contents under one number of epoch %s", device.device_id, mark.epoch)


def _answer(outcome: Outcome, places: Places, devices: dict[int, Known], result: Changes) -> None:
    expected = _expected(devices)
    for key, place in outcome.latest.items():
        device, mark = places[place]
        told = device.inventory_told
        wanted = told != device.inventory_digest and told != "" and device.status not in APART
        equipment = expected.get(device.room_text) if expected and device.room_text else None
        result.replies[key] = Reply(mark.epoch, mark.seq or None, 0, wanted, equipment)


def _expected(devices: dict[int, Known]) -> dict[str, dict[str, Any]]:
    """The equipment that must be there, by room; {} where none is named, so that a device forgets an earlier one."""
    rooms = {device.room_text: device.tenant for device in devices.values() if device.room_text is not None}
    if not rooms:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT room.id::text, room.expected FROM unnest(%s::uuid[], %s::uuid[]) AS wanted (tenant_id, id) "
            "JOIN fleet_room AS room USING (tenant_id, id)",
            [telemetry.array(rooms.values()), telemetry.array(rooms)],
        )
        return {
            room: value if isinstance(value, dict) else msgspec.json.decode(value)
            for room, value in cursor.fetchall()
        }


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)
