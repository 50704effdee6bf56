"""One batch in memory: what each heartbeat adds, before anything is written. The hot path, so it is plain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any
from uuid import UUID
from zlib import crc32

import msgspec
from msgspec import Raw, Struct

from fleet import signal_reports
from fleet.heartbeat_sequence import follows, lost
from fleet.heartbeat_times import event_time
from fleet.models import Device
from fleet.signal_reports import Report
from fleet.stream import Entry
from fleet.telemetry import EVERY_DEVICE, HOUR_MS, Figures, Mark, Marks
from fleet.telemetry_form import BUCKET_S, small, usage

ROLLED_AFTER_MS = 65 * 60_000  # from the start of an hour: most of its stragglers are there
POINTS_FOR_MS = 24 * HOUR_MS  # older hours go straight to the rollups: partitions of points end after 48 h
WATCHED = Device.Status.ENROLLED
OPEN = frozenset({Device.Status.ENROLLED, Device.Status.ONBOARDING})  # their state is shown
APART = frozenset({Device.Status.QUARANTINED, Device.Status.PENDING})  # heard, but nothing is believed


class _Metrics(Struct, frozen=True, gc=False):
    cpu_pct: float | None = None
    mem_pct: float | None = None
    disk_free_pct: float | None = None
    rtt_ms: float | None = None
    loss_pct: float | None = None
    temp_c: float | None = None


class _Usage(Struct, frozen=True, gc=False):
    in_meeting: Any = None
    people: Any = None


class _Item(Struct, gc=False):
    """What the hot path needs of an item; the rest is looked at when something has changed."""

    seq: int
    signals: Raw
    t_wall: Raw = Raw(b"")
    t_mono: float | None = None
    versions: Raw = Raw(b"")
    metrics: _Metrics = _Metrics()
    usage: _Usage = _Usage()
    inventory_digest: str = ""


_item = msgspec.json.Decoder(_Item).decode
_moment = msgspec.json.Decoder(datetime | None).decode


class Known:
    """A device as the database had it when the batch began, and what the batch makes of it."""

    __slots__ = (
        "clock_bad", "digest", "document", "id_text", "inventory_digest", "inventory_told", "key", "last_seen_ms",
        "next_due_at", "reports", "room_text", "seen_ms", "silent_since", "status", "tenant", "was_clock_bad",
    )  # fmt: skip

    def __init__(self, tenant: str, row: Sequence[Any]) -> None:
        self.tenant = tenant
        self.key: int
        self.id_text: str
        self.room_text: str | None
        (
            self.key, self.id_text, self.room_text, self.status, digest, self.inventory_digest,
            self.was_clock_bad, self.silent_since, last_seen_ms, self.next_due_at,
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


@dataclass(slots=True)
class Outcome:
    """What is to be written of a batch."""

    late_before: int  # hours that start before it (ms) are late: their points may be gone
    open_from: int  # hours that start after it are still open
    points: list[str] = field(default_factory=list)
    late: dict[tuple[str, int, int], list[tuple[int, Figures]]] = field(default_factory=dict)
    hours: set[tuple[str, int, int]] = field(default_factory=set)  # tenant, hour (ms), device key
    apart: list[tuple[str, int, int, str, int, str]] = field(default_factory=list)
    marks: Marks = field(default_factory=dict)
    suspected: set[Mark] = field(default_factory=set)
    epochs: dict[int, str] = field(default_factory=dict)  # the latest of each device, for its reply
    stored: int = 0
    covered: int = 0  # stored before, or waiting for what is missing


def work(entries: Sequence[Entry], devices: dict[int, Known], marks: Marks, *, at_ms: int) -> Outcome:
    """Go through `entries` in their order. Raises ValueError for an item that cannot be read."""
    outcome = Outcome(at_ms - POINTS_FOR_MS, at_ms - ROLLED_AFTER_MS)
    for entry in entries:
        device = devices.get(entry.device_key)
        if device is None:
            continue
        mark = marks[entry.device_key, entry.epoch]
        received_ms = entry.received_ms
        if received_ms > mark.seen_ms:
            mark.seen_ms = received_ms
        if received_ms > device.seen_ms:
            device.seen_ms = received_ms
        outcome.marks[device.key, entry.epoch] = mark
        outcome.epochs[device.key] = entry.epoch
        lowest = entry.from_seq
        items = [(_item(raw), raw) for raw in entry.items]
        if len(items) > 1:
            items.sort(key=_by_seq)
        for item, raw in items:
            seq = item.seq
            if not follows(mark.seq, seq, lowest):
                outcome.covered += 1
                if (
                    seq == mark.seq
                    and lowest is not None
                    and mark.digest not in (None, _print(item, _figures(item)))
                ):
                    outcome.suspected.add(mark)
                continue
            if seq != mark.seq + 1:
                mark.lost += lost(mark.seq, seq, lowest)
            figures = _figures(item)
            mark.seq = seq
            mark.digest = _print(item, figures)
            outcome.stored += 1
            if device.status in APART:
                outcome.apart.append(
                    (mark.tenant, device.key, received_ms, entry.epoch, seq, bytes(raw).decode())
                )
            else:
                _take(item, raw, figures, entry, device, mark.tenant, outcome)
    return outcome


def _take(
    item: _Item, raw: Raw, figures: Figures, entry: Entry, device: Known, tenant: str, outcome: Outcome
) -> None:
    ms, plausible = event_time(
        entry.received_ms, entry.sent_mono, item.t_mono, lambda: _moment(item.t_wall) if item.t_wall else None
    )
    device.clock_bad = not plausible
    device.inventory_told = item.inventory_digest
    signals = bytes(item.signals)
    report = signal_reports.read(signals)
    digest = blake2b(
        b"%b\0%b\0%b" % (signals, item.versions, item.inventory_digest.encode()), digest_size=16
    ).digest()
    if digest != device.digest:
        device.digest = digest
        device.document = raw
        device.reports = [*(device.reports or ()), (report, ms)]
    hour = ms - ms % HOUR_MS
    # An hour that is still open is rolled up once, for all devices; an earlier one again, for those concerned.
    outcome.hours.add((tenant, hour, EVERY_DEVICE if hour > outcome.open_from else device.key))
    if hour < outcome.late_before:
        bucket = (ms - hour) // (BUCKET_S * 1000)
        outcome.late.setdefault((tenant, device.key, hour), []).append((bucket, figures))
        return
    # Two heartbeats of one millisecond are two points: the number tells them apart.
    us = ms * 1000 + item.seq % 1000
    (cpu, mem, disk, rtt, loss, temp), present = figures
    line = (
        f"{tenant}\t{device.key}\t{us}\t{report.healthy or None}\t{report.unhealthy or None}"
        f"\t{cpu}\t{mem}\t{disk}\t{rtt}\t{loss}\t{temp}\t{present}"
    )
    outcome.points.append(line.replace("None", r"\N"))


def _by_seq(pair: tuple[_Item, Raw]) -> int:
    return pair[0].seq


def _figures(item: _Item) -> Figures:
    told = item.metrics
    return (
        small(told.cpu_pct),
        small(told.mem_pct),
        small(told.disk_free_pct),
        small(told.rtt_ms),
        small(told.loss_pct),
        small(told.temp_c),
    ), usage(item.usage.in_meeting, item.usage.people)


def _print(item: _Item, figures: Figures) -> int:
    """Tells one content from another whatever the order of its members, `t_mono` aside: it goes with a reboot."""
    return crc32(b"%b%b" % (item.t_wall, repr(figures).encode()))


def moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, tz=UTC)
