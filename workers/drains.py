"""Drains: each takes one heartbeat stream into PostgreSQL, alone, for some seconds at a time.

An entry is deleted only after the transaction that stored it, so whatever dies in between, it is read again and the
watermark knows it. Nothing here depends on Redis keeping anything: what it loses, devices send again.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import redis
from celery.exceptions import SoftTimeLimitExceeded
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.utils import DataError, IntegrityError

from enrollment import copies
from fleet import heartbeats, silence, stream
from fleet.heartbeats import Changes
from fleet.models import Device
from foundation import clock
from foundation.context import tenant
from incidents import detection
from tenancy import audit

log = logging.getLogger(__name__)
RUN_S = 35.0
BATCH = 1000
LINGER_S = 0.25  # between reads of a stream that is kept up with: one transaction for many heartbeats
BLOCK_MS = 1000
LONGEST_PAUSE_S = 5.0
TELL_DRAINED_S = 1.0
TRIES_ALONE = 5  # of an entry that fails by itself for a reason that may pass
_LOCK = 0x6862  # first half of the advisory lock's key; the shard is the second
_ITS_OWN_FAULT = (ValueError, DataError, IntegrityError)
_DATABASE_AWAY = (OperationalError, InterfaceError)


@dataclass
class Drained:
    """What a run did."""

    held: bool = False  # whether this run was the one of its shard
    stored: int = 0
    covered: int = 0
    buried: int = 0


class StartOver(Exception):
    """What was read is left pending: take the lock and read again, after a pause."""


def is_drained(shard: int) -> bool:
    """Whether a drain of this shard runs now."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND classid = %s AND objid = %s "
            "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND granted)",
            [_LOCK, shard],
        )
        return bool(cursor.fetchone()[0])


@contextmanager
def _lock(shard: int) -> Iterator[bool]:
    """The session's lock on a shard, if it can be had. It ends with the session, so it cannot be forgotten."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [_LOCK, shard])
        held = bool(cursor.fetchone()[0])
    session = connection.connection
    try:
        yield held
    finally:
        if held and connection.connection is session and connection.is_usable():
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [_LOCK, shard])


class Drain:
    """One run over one shard."""

    def __init__(self, shard: int, *, client: redis.Redis | None = None) -> None:
        self.shard = shard
        self.client = client or stream.connect()
        self.done = Drained()
        self._after = stream.START  # what an earlier drain took and did not finish is still there
        self._count = BATCH
        self._alone = 0
        self._told_drained = 0.0

    def run(self, *, seconds: float = RUN_S, until: Callable[[], bool] = lambda: False) -> Drained:
        """Drain for `seconds` or until `until` says so. `held` false: another drain is at work.

        The database or Redis being away is waited out; what was read and not stored is read again.
        """
        ends = time.monotonic() + seconds
        failures = 0
        while time.monotonic() < ends and not until():
            try:
                with _lock(self.shard) as held:
                    if not held:
                        return self.done
                    self.done.held = True
                    session = connection.connection
                    while time.monotonic() < ends and not until():
                        self._turn(session)
                        failures = 0
            except (*_DATABASE_AWAY, redis.RedisError, StartOver) as error:
                failures += 1
                self._after = stream.START
                log.warning("Shard %d waits: %s", self.shard, str(error).strip().split("\n")[0])
                if isinstance(error, _DATABASE_AWAY):
                    connection.close()
                _pause(failures, ends)
        return self.done

    def _turn(self, session: Any) -> None:
        """One read and what follows from it. What fails on the way is read again, from the start of the stream."""
        began = time.monotonic()
        at = clock.now()
        if connection.connection is not session:
            raise StartOver("the connection that held the lock is gone")
        batch = stream.read(self.client, self.shard, after=self._after, count=self._count, block_ms=BLOCK_MS)
        caught_up = len(batch) < self._count
        read_at = at + timedelta(seconds=time.monotonic() - began)
        if batch.undecodable:
            log.error("Shard %d: %d entries cannot be decoded", self.shard, len(batch.undecodable))
            stream.bury(self.client, self.shard, batch.undecodable)
            self.done.buried += len(batch.undecodable)
        for group in heartbeats.groups(batch.entries):
            self._take(group, at=read_at)
        if batch:
            stream.finish(self.client, self.shard, through=batch.last)
            self._after = batch.last
        self._tell_drained(at if caught_up else None, batch.entries)
        if caught_up:
            time.sleep(max(0.0, LINGER_S - (time.monotonic() - began)))

    def _tell_drained(self, until: datetime | None, entries: Sequence[stream.Entry]) -> None:
        """What was received before we looked is stored: the silence sweep counts up to there."""
        if time.monotonic() - self._told_drained < TELL_DRAINED_S:
            return
        if until is None and entries:
            until = min(entry.received_at for entry in entries)
        if until is not None:
            silence.drained(self.shard, until)
            self._told_drained = time.monotonic()

    def _take(self, entries: Sequence[stream.Entry], *, at: datetime) -> None:
        """Store entries, or, if they cannot be stored together, those that can."""
        try:
            changes = self._store(entries, at=at)
        except SoftTimeLimitExceeded:
            raise
        except _DATABASE_AWAY as error:
            self._go_slower(entries, error)
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, its neighbours go on
            if len(entries) == 1:
                self._refuse(entries[0], error)
                return
            middle = len(entries) // 2
            self._take(entries[:middle], at=at)
            self._take(entries[middle:], at=at)
            return
        self._count = min(BATCH, self._count * 2)
        self._alone = 0
        self.done.stored += changes.stored
        self.done.covered += changes.covered
        stream.publish(self.client, self.shard, changes.replies)

    def _store(self, entries: Sequence[stream.Entry], *, at: datetime) -> Changes:
        with transaction.atomic(), clock.read_once(at):
            changes = heartbeats.apply(entries, at=at)
            if changes:
                detection.evaluate(changes, at=at)
                _record_copies(changes, at=at)
        return changes

    def _go_slower(self, entries: Sequence[stream.Entry], error: Exception) -> None:
        """A batch that runs into a timeout again and again is read in smaller parts, at last entry by entry."""
        if not connection.is_usable():
            return
        if self._count > 1:
            self._count = max(1, self._count // 2)
        elif len(entries) == 1:
            self._alone += 1
            if self._alone >= TRIES_ALONE:
                self._bury(entries[0], error)

    def _refuse(self, entry: stream.Entry, error: Exception) -> None:
        """An entry that fails alone. One that is itself at fault is buried; else we are, and it is tried again
        until its neighbours show that it is the only one."""
        if isinstance(error, _ITS_OWN_FAULT) or self.done.stored:
            self._bury(entry, error)
            return
        self._alone += 1
        if self._alone >= TRIES_ALONE:
            self._bury(entry, error)
            return
        log.error("An entry of shard %d failed", self.shard, exc_info=error)
        raise StartOver("an entry failed and is tried again")

    def _bury(self, entry: stream.Entry, error: Exception) -> None:
        log.error(
            "Entry %s of device %s goes to the dead letters",
            entry.id.decode(),
            entry.device_id,
            exc_info=error,
        )
        reason = f"{type(error).__name__}: {error}"[:200]
        stream.bury(self.client, self.shard, [stream.Undecodable(entry.id, entry.payload, reason)])
        self.done.buried += 1


def _record_copies(changes: Changes, *, at: datetime) -> None:
    for copy in changes.copies:
        with tenant(copy.tenant_id):
            device = Device.objects.for_tenant(copy.tenant_id).get(id=copy.device_id)
            audit.record(
                "device.copy_suspected",
                device,
                tenant_id=copy.tenant_id,
                at=at,
                after={"sign": copies.Sign.TWO_CONTENTS, "epoch": copy.epoch},
            )
            copies.quarantine(device, copies.Sign.TWO_CONTENTS, at=at)


def _pause(failures: int, ends: float) -> None:
    longest = min(LONGEST_PAUSE_S, 0.1 * 2**failures)
    wait = random.uniform(longest / 2, longest)  # noqa: S311 - spreads load, keeps no secret
    time.sleep(max(0.0, min(wait, ends - time.monotonic())))
