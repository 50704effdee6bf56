"""When we could receive heartbeats, and when not: our own outage is no device's silence.

Every ingest process tells every few seconds that it can receive. When nobody has told for a while, whoever tells
next records the span as an outage. An outage that has not ended yet is seen from the last word alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import Max

from fleet.models import IngestLiveness, IngestOutage

BEAT_S = 5.0
GAP = timedelta(seconds=15)  # nobody told for so long: nobody could receive
FORGET_AFTER = timedelta(days=1)  # processes that are gone
_LOCK = 0x6862_6C76  # one process at a time looks back and writes, or two would record the same span


@dataclass(frozen=True, slots=True)
class Outage:
    """A span in which nobody could receive, ends included."""

    started_at: datetime
    ended_at: datetime


def beat(process: str, *, started_at: datetime, at: datetime) -> Outage | None:
    """Tell that `process` can receive at `at`. Returns the outage this ended, which is recorded, if it ended one."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        last = _last_word()
        ended = Outage(last, at) if last is not None and at - last > GAP else None
        if ended is not None:
            IngestOutage.objects.create(started_at=ended.started_at, ended_at=ended.ended_at)
        IngestLiveness.objects.update_or_create(
            process=process,
            defaults={"alive_at": at},
            create_defaults={"started_at": started_at, "alive_at": at},
        )
        IngestLiveness.objects.filter(alive_at__lt=at - FORGET_AFTER).delete()
    return ended


def outages(*, since: datetime, at: datetime) -> list[Outage]:
    """Spans after `since` in which nobody could receive, by start; the last one may still last, then it ends `at`."""
    found = [
        Outage(row.started_at, row.ended_at)
        for row in IngestOutage.objects.filter(ended_at__gt=since, started_at__lt=at).order_by("started_at")
    ]
    last = _last_word()
    if last is not None and at - last > GAP:
        found.append(Outage(last, at))
    return found


def time_receiving(start: datetime, end: datetime, outages: Iterable[Outage]) -> timedelta:
    """How much of start to end we could receive. Outages may overlap and reach beyond; never below zero."""
    left = max(end - start, timedelta())
    covered_to = start
    for outage in sorted(outages, key=lambda each: each.started_at):
        lost_from, lost_to = max(outage.started_at, covered_to), min(outage.ended_at, end)
        if lost_to > lost_from:
            left -= lost_to - lost_from
            covered_to = lost_to
    return left


def _last_word() -> datetime | None:
    last: datetime | None = IngestLiveness.objects.aggregate(last=Max("alive_at"))["last"]
    return last
