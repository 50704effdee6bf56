"""The devices of a batch with the watermarks of their epochs: one locking read, since every heartbeat needs both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db import connection
from msgspec import Raw

from fleet.signal_reports import Report
from fleet.stream import Entry
from fleet.telemetry import Mark, array, make_marks

# Ids as text: most are only handed on, and what is not changed needs none.
_LOCKED = """
SELECT device.key, mark.epoch, mark.seq, mark.digest, mark.lost, mark.suspected_at IS NOT NULL,
    (extract(epoch FROM mark.seen_at) * 1000)::bigint,
    device.id::text, device.room_id::text, device.status, device.document_digest, device.inventory_digest,
    device.clock_bad, device.silent_since, (extract(epoch FROM device.last_seen_at) * 1000)::bigint,
    device.next_due_at
FROM unnest(%s::uuid[], %s::bigint[], %s::text[]) AS wanted (tenant_id, device_key, epoch)
JOIN fleet_watermark AS mark USING (tenant_id, device_key, epoch)
JOIN fleet_device AS device ON device.tenant_id = mark.tenant_id AND device.key = mark.device_key
WHERE device.status <> 'unenrolled'
ORDER BY mark.tenant_id, mark.device_key, mark.epoch
FOR NO KEY UPDATE OF mark
"""
_PRESENT = """
SELECT device.key FROM unnest(%s::uuid[], %s::bigint[]) AS wanted (tenant_id, key)
JOIN fleet_device AS device USING (tenant_id, key) WHERE device.status <> 'unenrolled'
"""

Place = tuple[int, str]  # device key and epoch


class Known:
    """A device as the database had it when the batch began, and what the batch makes of it."""

    __slots__ = (
        "clock_bad", "digest", "document", "id_text", "inventory_digest", "inventory_told", "key", "last_seen_ms",
        "next_due_at", "reports", "room_text", "seen_ms", "silent_since", "status", "tenant", "was_clock_bad",
    )  # fmt: skip

    def __init__(self, tenant: str, key: int, row: Sequence[Any]) -> None:
        self.tenant, self.key = tenant, key
        self.id_text: str
        self.room_text: str | None
        (
            self.id_text, self.room_text, self.status, digest, self.inventory_digest, self.was_clock_bad,
            self.silent_since, last_seen_ms, self.next_due_at,
        ) = row  # fmt: skip
        self.digest: bytes | None = None if digest is None else bytes(digest)
        self.clock_bad: bool = self.was_clock_bad
        self.last_seen_ms: int = last_seen_ms or 0
        self.seen_ms = 0  # in this batch
        self.document: Raw | None = None  # the latest item that differs from the one before
        self.inventory_told = ""
        self.reports: list[tuple[Report, int]] | None = (
            None  # those that may change a state, with their time (ms)
        )

    @property
    def tenant_id(self) -> UUID:
        return UUID(self.tenant)

    @property
    def device_id(self) -> UUID:
        return UUID(self.id_text)

    @property
    def room_id(self) -> UUID | None:
        return None if self.room_text is None else UUID(self.room_text)


Places = dict[Place, tuple[Known, Mark]]


def lock(entries: Sequence[Entry]) -> Places:
    """Devices and watermarks of a batch, locked in the order of their keys; watermarks are made where there are
    none. Devices unenrolled or gone are left out: what they send is nobody's."""
    texts = {each: str(UUID(bytes=each)) for each in {entry.tenant for entry in entries}}
    wanted = {(entry.device_key, entry.epoch): texts[entry.tenant] for entry in entries}
    devices: dict[int, Known] = {}
    found = _locked(wanted, devices)
    if len(found) < len(wanted):
        missing = {place: tenant for place, tenant in wanted.items() if place not in found}
        present = _present({key: tenant for (key, _), tenant in missing.items()})
        new = {place: tenant for place, tenant in missing.items() if place[0] in present}
        if new:
            make_marks([(tenant, key, epoch) for (key, epoch), tenant in new.items()])
            found |= _locked(new, devices)
    return found


def _locked(wanted: dict[Place, str], devices: dict[int, Known]) -> Places:
    """`devices` are those known already: one of two epochs is one device."""
    epochs = [epoch for _, epoch in wanted]
    plain = all(map(str.isalnum, epochs))
    found: Places = {}
    with connection.cursor() as cursor:
        cursor.execute(
            _LOCKED,
            [
                array(wanted.values()),
                array(str(key) for key, _ in wanted),
                array(epochs) if plain else epochs,
            ],
        )
        for key, epoch, seq, digest, lost, suspected, seen_ms, *row in cursor.fetchall():
            tenant = wanted[key, epoch]
            device = devices.get(key)
            if device is None:
                device = devices[key] = Known(tenant, key, row)
            found[key, epoch] = device, Mark(tenant, key, epoch, seq, digest, lost, suspected, seen_ms)
    return found


def _present(tenants: dict[int, str]) -> set[int]:
    with connection.cursor() as cursor:
        cursor.execute(_PRESENT, [array(tenants.values()), array(map(str, tenants))])
        return {key for (key,) in cursor.fetchall()}
