"""One batch in memory: what each heartbeat adds, before anything is written. The hot path, so it is plain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from zlib import crc32

import msgspec
from msgspec import Raw, Struct

from fleet import signal_reports
from fleet.heartbeat_devices import Known, Place, Places
from fleet.heartbeat_sequence import follows, lost
from fleet.heartbeat_times import event_time
from fleet.models import Device
from fleet.stream import Entry
from fleet.telemetry import EVERY_DEVICE, HOUR_MS, Figures, Mark
from fleet.telemetry_form import BUCKET_S, NULL, small, usage

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


@dataclass(slots=True)
class Outcome:
    """What is to be written of a batch."""

    late_before: int  # hours that start before it (ms) are late: their points may be gone
    open_from: int  # hours that start after it are still open
    points: list[str] = field(default_factory=list)
    late: dict[tuple[str, int, int], list[tuple[int, Figures]]] = field(default_factory=dict)
    hours: set[tuple[str, int, int]] = field(default_factory=set)  # tenant, hour (ms), device key
    apart: list[tuple[str, int, int, str, int, str]] = field(default_factory=list)
    suspected: set[Place] = field(default_factory=set)
    latest: dict[int, Place] = field(default_factory=dict)  # by device key: what its reply is about
    stored: int = 0
    covered: int = 0  # stored before, or waiting for what is missing


def work(entries: Sequence[Entry], places: Places, *, at_ms: int) -> Outcome:
    """Go through `entries` in their order. Raises ValueError for an item that cannot be read."""
    outcome = Outcome(at_ms - POINTS_FOR_MS, at_ms - ROLLED_AFTER_MS)
    for entry in entries:
        place = (entry.device_key, entry.epoch)
        found = places.get(place)
        if found is None:
            continue
        device, mark = found
        received_ms = entry.received_ms
        if received_ms > mark.seen_ms:
            mark.seen_ms = received_ms
        if received_ms > device.seen_ms:
            device.seen_ms = received_ms
        outcome.latest[entry.device_key] = place
        lowest = entry.from_seq
        items = [(_item(raw), raw) for raw in entry.items]
        if len(items) > 1:
            items.sort(key=_by_seq)
        for item, raw in items:
            seq = item.seq
            if not follows(mark.seq, seq, lowest):
                outcome.covered += 1
                if seq == mark.seq and lowest is not None and mark.digest not in (None, _print(item)):
                    outcome.suspected.add(place)
                continue
            if seq != mark.seq + 1:
                mark.lost += lost(mark.seq, seq, lowest)
            mark.seq = seq
            outcome.stored += 1
            if device.status in APART:
                mark.digest = _print(item)
                outcome.apart.append(
                    (mark.tenant, device.key, received_ms, entry.epoch, seq, bytes(raw).decode())
                )
            else:
                _take(item, raw, entry, device, mark, outcome)
    return outcome


def _take(item: _Item, raw: Raw, entry: Entry, device: Known, mark: Mark, outcome: Outcome) -> None:
    ms, plausible = event_time(
        entry.received_ms, entry.sent_mono, item.t_mono, lambda: _moment(item.t_wall) if item.t_wall else None
    )
    device.clock_bad = not plausible
    device.inventory_told = item.inventory_digest
    report = signal_reports.read(bytes(item.signals), bytes(item.versions))
    if report.digest != device.digest:
        device.digest = report.digest
        device.document = raw
        device.reports = [*(device.reports or ()), (report, ms)]
    figures = _figures(item)
    text = _text(figures)
    mark.digest = crc32(text, crc32(item.t_wall))
    hour = ms - ms % HOUR_MS
    # An hour that is still open is rolled up once, for all devices; an earlier one again, for those concerned.
    outcome.hours.add((mark.tenant, hour, EVERY_DEVICE if hour > outcome.open_from else device.key))
    if hour < outcome.late_before:
        bucket = (ms - hour) // (BUCKET_S * 1000)
        outcome.late.setdefault((mark.tenant, device.key, hour), []).append((bucket, figures))
        return
    # Two heartbeats of one millisecond are two points: the number tells them apart.
    us = ms * 1000 + item.seq % 1000
    outcome.points.append(f"{mark.tenant}\t{device.key}\t{us}\t{report.bits}\t{text.decode()}")


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


def _text(figures: Figures) -> bytes:
    """In the form of COPY."""
    (cpu, mem, disk, rtt, loss, temp), present = figures
    text = f"{cpu}\t{mem}\t{disk}\t{rtt}\t{loss}\t{temp}\t{present}"
    return text.replace("None", NULL).encode()


def _print(item: _Item) -> int:
    """Tells one content from another whatever the order of its members, `t_mono` aside: it goes with a reboot."""
    return crc32(_text(_figures(item)), crc32(item.t_wall))


def moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, tz=UTC)
