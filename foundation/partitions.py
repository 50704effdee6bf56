"""Daily partitions, made ahead and dropped when their time is over, through two functions of the owner."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db import connection
from django.db.backends.utils import CursorWrapper

DAYS_AHEAD = 3  # a stopped scheduler has that long to be noticed; later rows fall into the default partition


@dataclass(frozen=True)
class Kept:
    """What one run did. `strays`: tables whose default partition holds rows, which wants a person's look."""

    made: int
    dropped: int
    strays: tuple[str, ...]


def parents() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT parent FROM foundation_partitioned ORDER BY parent")
        return [parent for (parent,) in cursor.fetchall()]


def days_of(parent: str) -> list[date]:
    """The days that have a partition, in order."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT right(c.relname, 8) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
            "WHERE i.inhparent = %s::regclass AND c.relname ~ '_[0-9]{8}$' ORDER BY 1",
            [parent],
        )
        return [datetime.strptime(text, "%Y%m%d").date() for (text,) in cursor.fetchall()]  # noqa: DTZ007 - a day


def drop_before(parent: str, day: date) -> int:
    """Drop the partitions of the days before `day`; returns how many. For tables with a keep of their own."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT keep_days FROM foundation_partitioned WHERE parent = %s", [parent])
        (keep_days,) = cursor.fetchone()
        cursor.execute("SELECT foundation_drop_partitions(%s, %s)", [parent, day + timedelta(days=keep_days)])
        return int(cursor.fetchone()[0])


def keep(*, at: datetime, dropped_elsewhere: Container[str] = ()) -> Kept:
    """Make the partitions from today on and drop those past their keep. Safe to repeat and to run twice at once.

    `dropped_elsewhere`: tables whose old partitions somebody else drops, on terms of their own.
    """
    made = dropped = 0
    strays: list[str] = []
    today = at.date()
    with connection.cursor() as cursor:
        for parent in parents():
            for ahead in range(DAYS_AHEAD + 1):
                made += _made(cursor, parent, today + timedelta(days=ahead))
            if parent not in dropped_elsewhere:
                cursor.execute("SELECT foundation_drop_partitions(%s, %s)", [parent, today])
                dropped += cursor.fetchone()[0]
            cursor.execute("SELECT foundation_default_has_rows(%s)", [parent])
            if cursor.fetchone()[0]:
                strays.append(parent)
    return Kept(made, dropped, tuple(strays))


def _made(cursor: CursorWrapper, parent: str, day: date) -> int:
    cursor.execute("SELECT foundation_make_partition(%s, %s)", [parent, day])
    return int(cursor.fetchone()[0])
