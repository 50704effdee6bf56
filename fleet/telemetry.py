"""Telemetry in PostgreSQL: watermarks and points, written in bulk for the tenants entered. SQL only.

Bulk rows go by COPY into a temporary table, then by INSERT … ON CONFLICT: the one form that row-level security,
partitions and a distributed table all take.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection

from fleet.telemetry_form import COLUMNS, METRICS, added, line_of, natural, signals_of

EVERY_DEVICE = 0  # in fleet_rollup_due: no device has this key
HOUR_MS = 3_600_000

_INCOMING = f"""
CREATE TEMPORARY TABLE IF NOT EXISTS incoming_point (
    tenant_id uuid, device_key bigint, us bigint, healthy bigint, unhealthy bigint,
    {", ".join(f"{column} smallint" for column in COLUMNS)}, usage smallint
) ON COMMIT DELETE ROWS;
CREATE TEMPORARY TABLE IF NOT EXISTS incoming_mark (
    tenant_id uuid, device_key bigint, seq bigint, seen bigint, due bigint, digest bigint, lost bigint, epoch text
) ON COMMIT DELETE ROWS;
DELETE FROM incoming_point;
DELETE FROM incoming_mark
"""  # noqa: S608 - column names of our own
_POINTS = f"""
INSERT INTO fleet_point (tenant_id, device_key, "time", healthy, unhealthy, {", ".join(COLUMNS)}, "usage")
SELECT tenant_id, device_key, timestamptz 'epoch' + us * interval '1 microsecond', healthy, unhealthy,
    {", ".join(COLUMNS)}, usage
FROM incoming_point ON CONFLICT DO NOTHING
"""  # noqa: S608 - column names of our own
_MARKS = """
INSERT INTO fleet_watermark AS mark (tenant_id, device_key, epoch, seq, seen_at, due_at, digest, lost)
SELECT tenant_id, device_key, epoch, seq, timestamptz 'epoch' + seen * interval '1 ms',
    timestamptz 'epoch' + due * interval '1 ms', digest, lost
FROM incoming_mark
ON CONFLICT (tenant_id, device_key, epoch) DO UPDATE SET
    seq = excluded.seq, seen_at = excluded.seen_at, due_at = excluded.due_at, digest = excluded.digest,
    lost = excluded.lost
"""


class Mark:
    """Up to where one epoch of a device is stored. Changed in memory while a batch is applied, then written."""

    __slots__ = ("device_key", "digest", "due_ms", "epoch", "lost", "seen_ms", "seq", "suspected", "tenant")

    def __init__(
        self, tenant: str, device_key: int, epoch: str, seq: int, digest: int | None, lost: int, suspected: bool,
        seen_ms: int,
    ) -> None:  # fmt: skip
        self.tenant = tenant
        self.device_key = device_key
        self.epoch = epoch
        self.seq = seq  # everything up to here is stored or lost for good; 0: nothing is
        self.digest = digest  # of the item `seq`
        self.lost = lost  # how many never came
        self.suspected = suspected  # that this epoch is used twice
        self.seen_ms = seen_ms
        self.due_ms: int | None = None


def make_marks(wanted: Sequence[tuple[str, int, str]]) -> None:
    """Watermarks of (tenant, device key, epoch) that were never heard of, in the order of their keys."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO fleet_watermark (tenant_id, device_key, epoch, seq, seen_at) "
            "SELECT tenant_id, device_key, epoch, 0, timestamptz 'epoch' "
            "FROM unnest(%s::uuid[], %s::bigint[], %s::text[]) AS new (tenant_id, device_key, epoch) "
            "ORDER BY tenant_id, device_key, epoch ON CONFLICT DO NOTHING",
            [
                [tenant for tenant, _, _ in wanted],
                [key for _, key, _ in wanted],
                [epoch for _, _, epoch in wanted],
            ],
        )


def array(plain: Iterable[str]) -> str:
    """An array literal of values that need no quoting (numbers, UUIDs, letters): a tenth of what a list costs."""
    return "{" + ",".join(plain) + "}"


def store(points: Sequence[str], marks: Iterable[Mark]) -> None:
    """Write points, given as lines in the order of `incoming_point`, and watermarks."""
    with connection.cursor() as cursor:
        cursor.execute(_INCOMING)
        if points:
            cursor.copy_expert("COPY incoming_point FROM STDIN", io.StringIO("\n".join(points)))
            cursor.execute(_POINTS)
        lines = [_mark_line(mark) for mark in marks]
        if lines:
            cursor.copy_expert("COPY incoming_mark FROM STDIN", io.StringIO("\n".join(lines)))
            cursor.execute(_MARKS)


def _mark_line(mark: Mark) -> str:
    due = r"\N" if mark.due_ms is None else mark.due_ms
    digest = r"\N" if mark.digest is None else mark.digest
    epoch = mark.epoch
    if not epoch.isalnum():
        epoch = epoch.translate(_COPY_ESCAPES)
    return (
        f"{mark.tenant}\t{mark.device_key}\t{mark.seq}\t{mark.seen_ms}\t{due}\t{digest}\t{mark.lost}\t{epoch}"
    )


_COPY_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def suspect(mark: Mark, *, at: datetime) -> None:
    """Remember that this epoch was told of."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE fleet_watermark SET suspected_at = %s "
            "WHERE tenant_id = %s AND device_key = %s AND epoch = %s",
            [at, mark.tenant, mark.device_key, mark.epoch],
        )


# What is late, kept apart, or to be computed -------------------------------------------------------------------

FRESH = timedelta(minutes=10)  # older word of a meeting says nothing about now
Figures = tuple[Sequence[int | None], int | None]  # metrics and usage of a point, as stored


def add_late(late: Mapping[tuple[str, int, int], Sequence[tuple[int, Figures]]]) -> None:
    """Add heartbeats whose points may be gone to the rollups of their hours.

    By tenant, device key and hour (ms): bucket and figures of each. The devices' watermarks are locked.
    """
    keys = sorted(late)
    if not keys:
        return
    with connection.cursor() as cursor:
        wanted: list[Any] = [
            [tenant for tenant, _, _ in keys],
            [key for _, key, _ in keys],
            [_hour(ms) for _, _, ms in keys],
        ]
        cursor.execute(
            'SELECT device_key, "time", late FROM fleet_rollup '
            'JOIN unnest(%s::uuid[], %s::bigint[], %s::timestamptz[]) AS wanted (tenant_id, device_key, "time") '
            'USING (tenant_id, device_key, "time")',
            wanted,
        )
        known = {(key, time): lines or [] for key, time, lines in cursor.fetchall()}
        lines = [
            added(known.get((key, _hour(ms)), []), _lines(late[tenant, key, ms])) for tenant, key, ms in keys
        ]
        for (tenant, key, ms), merged in zip(keys, lines, strict=True):
            cursor.execute(
                'INSERT INTO fleet_rollup (tenant_id, device_key, "time", late) VALUES (%s, %s, %s, %s::smallint[]) '
                'ON CONFLICT (tenant_id, device_key, "time") DO UPDATE SET late = excluded.late',
                [tenant, key, _hour(ms), merged],
            )


def _lines(points: Sequence[tuple[int, Figures]]) -> list[list[int | None]]:
    buckets: dict[int, list[Figures]] = {}
    for bucket, figures in points:
        buckets.setdefault(bucket, []).append(figures)
    return [line_of(bucket, figures) for bucket, figures in sorted(buckets.items())]


def _hour(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, tz=UTC)


def mark_due(hours: Mapping[tuple[str, int, int], datetime], *, whole_days: bool = False) -> None:
    """Have rollups computed: by tenant, hour or day (ms) and device key (or EVERY_DEVICE), from when on.

    The update takes the row's lock although nothing may change: a computation that deletes the row waits for our
    points, or we write it anew after its end.
    """
    if not hours:
        return
    keys = sorted(hours)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO fleet_rollup_due (tenant_id, starts, whole_day, device_key, due_at) "
            "SELECT tenant_id, starts, %s, device_key, due_at "
            "FROM unnest(%s::uuid[], %s::timestamptz[], %s::bigint[], %s::timestamptz[]) "
            "AS due (tenant_id, starts, device_key, due_at) "
            "ON CONFLICT (tenant_id, starts, whole_day, device_key) DO UPDATE SET due_at = excluded.due_at",
            [
                whole_days,
                [tenant for tenant, _, _ in keys],
                [_hour(ms) for _, ms, _ in keys],
                [key for _, _, key in keys],
                [hours[key] for key in keys],
            ],
        )


def keep_apart(items: Sequence[tuple[str, int, int, str, int, str]]) -> None:
    """Keep heartbeats nobody may act on: tenant, device key, received (ms), epoch, seq, JSON document."""
    if not items:
        return
    tenants, keys, times, epochs, seqs, documents = zip(*items, strict=True)
    with connection.cursor() as cursor:
        cursor.execute(
            'INSERT INTO fleet_kept_apart (tenant_id, device_key, "time", epoch, seq, item) '
            "SELECT tenant_id, device_key, received, epoch, seq, item::jsonb "
            "FROM unnest(%s::uuid[], %s::bigint[], %s::timestamptz[], %s::text[], %s::bigint[], %s::text[]) "
            "AS apart (tenant_id, device_key, received, epoch, seq, item) ON CONFLICT DO NOTHING",
            [
                list(tenants),
                list(keys),
                [_hour(ms) for ms in times],
                list(epochs),
                list(seqs),
                list(documents),
            ],
        )


# Reading -------------------------------------------------------------------------------------------------------


class Point(NamedTuple):
    """One heartbeat. Metrics by their name in the device contract, in its units."""

    at: datetime
    metrics: dict[str, float]
    in_meeting: bool | None
    people: int | None
    healthy: list[str]
    unhealthy: list[str]


def points(tenant_id: UUID, device_key: int, *, since: datetime, until: datetime) -> list[Point]:
    """The heartbeats of a device of an entered tenant in [since, until), in order; they are kept for 48 hours."""
    with connection.cursor() as cursor:
        cursor.execute(
            f'SELECT "time", healthy, unhealthy, "usage", {", ".join(COLUMNS)} FROM fleet_point '  # noqa: S608 - ours
            'WHERE tenant_id = %s AND device_key = %s AND "time" >= %s AND "time" < %s ORDER BY "time"',
            [tenant_id, device_key, since, until],
        )
        return [_point(row) for row in cursor.fetchall()]


def _point(row: Sequence[Any]) -> Point:
    time, healthy, unhealthy, usage, *metrics = row
    return Point(
        time,
        {
            name: value
            for name, stored in zip(METRICS, metrics, strict=True)
            if (value := natural(stored)) is not None
        },
        None if usage is None else bool(usage & 1),
        None if usage is None else usage >> 1,
        signals_of(healthy or 0),
        signals_of(unhealthy or 0),
    )


def last_seen(tenant_id: UUID, device_keys: Sequence[int]) -> dict[int, datetime]:
    """When devices of an entered tenant were last heard, to the millisecond. `Device.last_seen_at` is written every
    five minutes only; this is exact. Devices never heard from are left out."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT device_key, max(seen_at) FROM fleet_watermark "
            "WHERE tenant_id = %s AND device_key = ANY(%s) AND seen_at > '1970-01-01' GROUP BY device_key",
            [tenant_id, list(device_keys)],
        )
        return dict(cursor.fetchall())


def in_meeting(tenant_id: UUID, device_keys: Sequence[int], *, at: datetime) -> set[int]:
    """Which of these devices, of an entered tenant, said last and within `FRESH` of `at` that a meeting is on."""
    with connection.cursor() as cursor:
        cursor.execute(
            'SELECT DISTINCT ON (device_key) device_key, "usage" FROM fleet_point '
            'WHERE tenant_id = %s AND device_key = ANY(%s) AND "time" > %s AND "usage" IS NOT NULL '
            'ORDER BY device_key, "time" DESC',
            [tenant_id, list(device_keys), at - FRESH],
        )
        return {key for key, usage in cursor.fetchall() if usage & 1}


def forget_epochs(tenant_id: UUID, *, at: datetime, unused_for: timedelta = timedelta(days=90)) -> int:
    """Drop watermarks of epochs nobody has used for long, unless they are the device's latest."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM fleet_watermark AS old WHERE tenant_id = %s AND seen_at < %s AND EXISTS ("
            "SELECT FROM fleet_watermark AS newer WHERE newer.tenant_id = old.tenant_id "
            "AND newer.device_key = old.device_key AND newer.seen_at > old.seen_at)",
            [tenant_id, at - unused_for],
        )
        return int(cursor.rowcount)
