"""Rollups of metrics: figures of five minutes, an hour in one row, 90 days; figures of a UTC day, 400 days.

Batches of heartbeats mark the hours they touch. An hour is computed whole from its points, so it may be repeated;
what arrived later than its points are kept was added beside it. A computed hour marks its day.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from uuid import UUID

from django.db import connection

from fleet import telemetry
from fleet.telemetry import EVERY_DEVICE
from fleet.telemetry_form import (
    BUCKET_S,
    COLUMNS,
    MEETING,
    METRICS,
    PEOPLE,
    Line,
    added,
    line_of,
    natural,
)
from foundation.sweep import tenants_due

DAYS_KEPT = 400
AT_ONCE = 50  # marks in one transaction
DEVICES_AT_ONCE = 2000  # in one statement
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
POINTS_KEPT = timedelta(hours=48)
DAY_DONE_AFTER = timedelta(minutes=80)  # its last hour is rolled up a little earlier

_MEAN = "floor((2 * sum({c}) + count({c}))::float8 / nullif(2 * count({c}), 0))"
_LINE = ", ".join(f"{_MEAN.format(c=column)}, min({column}), max({column})" for column in COLUMNS)
_HOUR = f"""
INSERT INTO fleet_rollup AS kept (tenant_id, device_key, "time", figures)
SELECT %(tenant)s, device_key, %(hour)s, array_agg(line ORDER BY bucket)
FROM (
    SELECT wanted.device_key, bucket, ARRAY[
        bucket, least(count(*), 32767), {_LINE},
        count(*) FILTER (WHERE "usage" & 1 = 1), max("usage" >> 1)
    ]::smallint[] AS line
    FROM unnest(%(devices)s::bigint[]) AS wanted (device_key), LATERAL (
        SELECT floor(extract(epoch FROM "time" - %(hour)s) / {BUCKET_S})::int AS bucket, "usage", {", ".join(COLUMNS)}
        FROM fleet_point AS point
        WHERE point.tenant_id = %(tenant)s AND point.device_key = wanted.device_key
            AND "time" >= %(hour)s AND "time" < %(end)s
    ) AS beat
    GROUP BY wanted.device_key, bucket
) AS lines
GROUP BY device_key
ON CONFLICT (tenant_id, device_key, "time") DO UPDATE SET figures = excluded.figures
"""  # noqa: S608 - column names of our own


def _of_day(position: int) -> str:
    """Mean, least and most of a metric over lines of five minutes, whose columns count from 1."""
    mean, least, most = (f"line[{3 + 3 * position + offset}]" for offset in range(3))
    weight = f"sum(line[2]::int) FILTER (WHERE {mean} IS NOT NULL)"
    return f"floor(sum({mean}::bigint * line[2])::float8 / {weight} + 0.5), min({least}), max({most})"


_DAY = f"""
INSERT INTO fleet_rollup_day AS kept (tenant_id, device_key, day, beats, meeting_beats, people, figures)
SELECT %(tenant)s, device_key, %(day)s, sum(line[2]), coalesce(sum(line[{MEETING + 1}]), 0), max(line[{PEOPLE + 1}]),
    ARRAY[{", ".join(_of_day(position) for position in range(len(METRICS)))}]::smallint[]
FROM (
    SELECT device_key, ARRAY(SELECT unnest(lines[each:each])) AS line
    FROM fleet_rollup, LATERAL (VALUES (figures), (late)) AS both_of (lines), generate_subscripts(lines, 1) AS each
    WHERE tenant_id = %(tenant)s AND device_key = ANY (%(devices)s)
        AND "time" >= %(start)s AND "time" < %(end)s
) AS of_five_minutes
GROUP BY device_key
ON CONFLICT (tenant_id, device_key, day) DO UPDATE SET beats = excluded.beats,
    meeting_beats = excluded.meeting_beats, people = excluded.people, figures = excluded.figures
"""  # noqa: S608 - column numbers of our own


def tenants_with_due(*, at: datetime) -> list[UUID]:
    """Customers with hours or days to compute, read by the sweep role."""
    return tenants_due("fleet_rollup_due", at=at)


def roll_up(tenant_id: UUID, *, at: datetime) -> int:
    """Compute what is due in the entered tenant, the oldest first, at most AT_ONCE marks; returns how many there
    were. Repeating it changes nothing; any number of workers may do it at once."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM fleet_rollup_due WHERE (tenant_id, starts, whole_day, device_key) IN ("
            "SELECT tenant_id, starts, whole_day, device_key FROM fleet_rollup_due "
            "WHERE tenant_id = %s AND due_at <= %s ORDER BY starts, whole_day, device_key LIMIT %s "
            "FOR UPDATE SKIP LOCKED) AND tenant_id = %s RETURNING starts, whole_day, device_key",
            [tenant_id, at, AT_ONCE, tenant_id],
        )
        due = cursor.fetchall()
    wanted: dict[tuple[datetime, bool], set[int]] = {}
    for starts, whole_day, device_key in due:
        wanted.setdefault((starts, whole_day), set()).add(device_key)
    for (starts, whole_day), keys in sorted(wanted.items()):
        devices = _devices(tenant_id, since=starts) if EVERY_DEVICE in keys else sorted(keys)
        if whole_day:
            _compute_day(tenant_id, starts, devices)
            continue
        if starts > at - POINTS_KEPT:  # else its points may be gone, and only what came late is new
            _compute_hour(tenant_id, starts, devices)
        _mark_day(tenant_id, starts, keys, at=at)
    return len(due)


def forget_old(tenant_id: UUID, *, at: datetime) -> int:
    """Drop the days past their keep, of the entered tenant."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM fleet_rollup_day WHERE tenant_id = %s AND day < %s",
            [tenant_id, (at - timedelta(days=DAYS_KEPT)).date()],
        )
        return int(cursor.rowcount)


def _devices(tenant_id: UUID, *, since: datetime) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT device_key FROM fleet_watermark WHERE tenant_id = %s AND seen_at >= %s ORDER BY 1",
            [tenant_id, since],
        )
        return [key for (key,) in cursor.fetchall()]


def _compute_hour(tenant_id: UUID, hour: datetime, devices: Sequence[int]) -> None:
    for some in _slices(devices):
        with connection.cursor() as cursor:
            cursor.execute(_HOUR, {"tenant": tenant_id, "hour": hour, "end": hour + HOUR, "devices": some})


def _compute_day(tenant_id: UUID, start: datetime, devices: Sequence[int]) -> None:
    for some in _slices(devices):
        with connection.cursor() as cursor:
            cursor.execute(
                _DAY,
                {
                    "tenant": tenant_id,
                    "day": start.date(),
                    "start": start,
                    "end": start + DAY,
                    "devices": some,
                },
            )


def _slices(devices: Sequence[int]) -> Iterable[list[int]]:
    return (
        list(devices[first : first + DEVICES_AT_ONCE]) for first in range(0, len(devices), DEVICES_AT_ONCE)
    )


def _mark_day(tenant_id: UUID, hour: datetime, keys: Iterable[int], *, at: datetime) -> None:
    start = datetime.combine(hour.astimezone(UTC).date(), time(), UTC)
    due_at = max(start + DAY + DAY_DONE_AFTER, at)
    start_ms = int(start.timestamp() * 1000)
    telemetry.mark_due({(str(tenant_id), start_ms, key): due_at for key in keys}, whole_days=True)


# Reading -------------------------------------------------------------------------------------------------------


class Span(NamedTuple):
    """Mean, least and most, in the unit of the device contract."""

    mean: float
    least: float
    most: float


class Figures(NamedTuple):
    """What a device told in five minutes (or on a day): metrics by their name in the device contract."""

    starts: datetime
    beats: int
    metrics: dict[str, Span]
    meeting_beats: int
    people: int | None


def five_minutes(tenant_id: UUID, device_key: int, *, since: datetime, until: datetime) -> list[Figures]:
    """Figures of a device of an entered tenant in [since, until), in order; spans without a heartbeat are left out.

    Hours not rolled up yet are computed from their points.
    """
    first = since.replace(minute=0, second=0, microsecond=0)
    with connection.cursor() as cursor:
        cursor.execute(
            'SELECT "time", figures, late FROM fleet_rollup WHERE tenant_id = %s AND device_key = %s '
            'AND "time" >= %s AND "time" < %s ORDER BY "time"',
            [tenant_id, device_key, first, until],
        )
        hours = {hour: (figures or [], late or []) for hour, figures, late in cursor.fetchall()}
    for hour, lines in _from_points(tenant_id, device_key, since=first, until=until).items():
        if not hours.get(hour, ([], []))[0]:
            hours[hour] = (lines, hours.get(hour, ([], []))[1])
    found = [_figures(hour, line) for hour, (own, late) in sorted(hours.items()) for line in added(own, late)]
    return [each for each in found if since <= each.starts < until]


def days(tenant_id: UUID, device_key: int, *, since: date, until: date) -> list[Figures]:
    """Figures of whole UTC days in [since, until), in order; the running day is not among them."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT day, beats, meeting_beats, people, figures FROM fleet_rollup_day "
            "WHERE tenant_id = %s AND device_key = %s AND day >= %s AND day < %s ORDER BY day",
            [tenant_id, device_key, since, until],
        )
        return [
            Figures(datetime.combine(day, time(), UTC), beats, _spans(figures), meeting_beats, people)
            for day, beats, meeting_beats, people, figures in cursor.fetchall()
        ]


def _from_points(
    tenant_id: UUID, device_key: int, *, since: datetime, until: datetime
) -> dict[datetime, list[Line]]:
    with connection.cursor() as cursor:
        cursor.execute(
            f'SELECT "time", "usage", {", ".join(COLUMNS)} FROM fleet_point '  # noqa: S608 - column names of our own
            'WHERE tenant_id = %s AND device_key = %s AND "time" >= %s AND "time" < %s ORDER BY "time"',
            [tenant_id, device_key, since, until],
        )
        buckets: dict[tuple[datetime, int], list[tuple[Sequence[int | None], int | None]]] = {}
        for moment, usage, *metrics in cursor.fetchall():
            hour = moment.replace(minute=0, second=0, microsecond=0)
            bucket = int((moment - hour).total_seconds()) // BUCKET_S
            buckets.setdefault((hour, bucket), []).append((metrics, usage))
    hours: dict[datetime, list[Line]] = {}
    for (hour, bucket), points in buckets.items():
        hours.setdefault(hour, []).append(line_of(bucket, points))
    return hours


def _figures(hour: datetime, line: Line) -> Figures:
    bucket, beats = line[0] or 0, line[1] or 0
    starts = hour + timedelta(seconds=bucket * BUCKET_S)
    return Figures(starts, beats, _spans(line[2:MEETING]), line[MEETING] or 0, line[PEOPLE])


def _spans(figures: Sequence[int | None]) -> dict[str, Span]:
    spans = {}
    for position, name in enumerate(METRICS):
        mean, least, most = (natural(value) for value in figures[3 * position : 3 * position + 3])
        if mean is not None and least is not None and most is not None:
            spans[name] = Span(mean, least, most)
    return spans
