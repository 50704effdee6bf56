"""Daily partitions, made ahead and dropped when their time is over, through two functions of the owner."""

from __future__ import annotations

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


def keep(*, at: datetime) -> Kept:
    """Make the partitions from today on and drop those past their keep. Safe to repeat and to run twice at once."""
    made = dropped = 0
    strays: list[str] = []
    today = at.date()
    with connection.cursor() as cursor:
        for parent in parents():
            for ahead in range(DAYS_AHEAD + 1):
                made += _made(cursor, parent, today + timedelta(days=ahead))
            cursor.execute("SELECT foundation_drop_partitions(%s, %s)", [parent, today])
            dropped += cursor.fetchone()[0]
            cursor.execute("SELECT foundation_default_has_rows(%s)", [parent])
            if cursor.fetchone()[0]:
                strays.append(parent)
    return Kept(made, dropped, tuple(strays))


def _made(cursor: CursorWrapper, parent: str, day: date) -> int:
    cursor.execute("SELECT foundation_make_partition(%s, %s)", [parent, day])
    return int(cursor.fetchone()[0])
