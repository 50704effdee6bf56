"""The time: the database's, read once per request or task, so that all processes agree (security rule 10)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta

from django.db import connection

_pinned: ContextVar[list[datetime] | None] = ContextVar(
    "pinned_time", default=None
)  # empty until first asked


def now() -> datetime:
    """Aware, UTC. Inside `read_once()` every call answers the same moment."""
    pinned = _pinned.get()
    if pinned is None:
        return _database_time()
    if not pinned:
        pinned.append(_database_time())
    return pinned[0]


@contextmanager
def read_once(moment: datetime | None = None) -> Iterator[None]:
    """Pin the time for one request or task; it is read at the first `now()` unless given."""
    token = _pinned.set([moment] if moment else [])
    try:
        yield
    finally:
        _pinned.reset(token)


def _database_time() -> datetime:
    moment: datetime
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement_timestamp()")
        (moment,) = cursor.fetchone()
    return moment.astimezone(UTC)


class OffsetClock:
    """Database time for a path without SQL: an offset to this process's monotonic clock, renewed by a poll."""

    def __init__(self) -> None:
        self._at: datetime | None = None
        self._mono = 0.0

    def renew(self, database_time: datetime, *, monotonic_s: float | None = None) -> None:
        """`monotonic_s`: the monotonic clock half-way through the query that read `database_time`."""
        self._at = database_time.astimezone(UTC)
        self._mono = time.monotonic() if monotonic_s is None else monotonic_s

    @property
    def known(self) -> bool:
        return self._at is not None

    def now(self) -> datetime:
        if self._at is None:
            raise RuntimeError("The clock was never set from the database.")
        return self._at + timedelta(seconds=time.monotonic() - self._mono)
