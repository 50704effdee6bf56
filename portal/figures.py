"""Figures of the running installation that a monitoring system watches: what waits, and for how long."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

import redis
from django.db import connections

from fleet import stream


@dataclass(frozen=True)
class Figure:
    name: str
    meaning: str
    value: float
    labels: dict[str, str] = field(default_factory=dict)


WAITING = (
    ("outbox", "foundation_outboxentry", "state = 'due'"),
    ("timers", "foundation_timer", "true"),
    ("jobs", "foundation_job", "state IN ('queued', 'running')"),
)


def figures(*, at: datetime) -> Iterator[Figure]:
    """Read through the sweep role: figures over all customers, no customer's data."""
    with connections["sweep"].cursor() as cursor:
        for name, table, condition in WAITING:
            cursor.execute(
                f"SELECT count(*), coalesce(extract(epoch FROM %s - min(due_at)), 0) FROM {table} "  # noqa: S608
                f"WHERE due_at <= %s AND {condition}",
                [at, at],
            )
            due, oldest_s = cursor.fetchone()
            yield Figure(f"{name}_due", f"Rows of {name} whose time has come", float(due))
            yield Figure(
                f"{name}_oldest_seconds", f"How long the oldest due row of {name} waits", float(oldest_s)
            )
        cursor.execute("SELECT state, count(*) FROM fleet_room GROUP BY state")
        for state, rooms in cursor.fetchall():
            yield Figure("rooms", "Rooms by state", float(rooms), {"state": state})
    yield from _streams()


def _streams() -> Iterator[Figure]:
    client = stream.connect()
    try:
        for shard in stream.shards():
            waiting = float(stream.length(client, shard))
            yield Figure(
                "heartbeats_waiting", "Accepted requests not yet ingested", waiting, {"shard": str(shard)}
            )
    except redis.RedisError:
        yield Figure("redis_up", "Whether Redis answers", 0.0)
    else:
        yield Figure("redis_up", "Whether Redis answers", 1.0)
    finally:
        client.close()
