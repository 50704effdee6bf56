"""Which device a token stands for, kept in this process as long as the token lives.

Positive look-ups are kept; what changed in the database is learnt from a poll every 2 seconds and sooner from
hints over Redis, so a revoked token is refused within 5 seconds. While the poll fails nothing is let in: the
database may be saying what we cannot hear.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import time
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.db import connections

from enrollment import nonces
from enrollment.credentials import Holder, Standing
from fleet import stream
from foundation.clock import OffsetClock
from foundation.sweep import SWEEP
from portal.api.heartbeat_batches import device_argument
from portal.api.heartbeat_limits import Allowance
from portal.api.heartbeat_lookups import Away, LookUps, in_thread

POLL_S = 2.0
POLL_PATIENCE_S = 1.5
PACES_EVERY = 5  # polls
TIDY_EVERY = 1_800  # polls: an hour
STALE_S = 4.5  # after the last good poll: revocations are learnt within 5 s, or nobody is let in
OVERLAP = timedelta(
    seconds=120
)  # a change is seen when it is committed, which may be long after its `changed_at`
MOST_WAITING = 500  # look-ups at once; more are told to come back
REFUSALS_KEPT = 10_000
REFUSAL_KEPT_S = 5.0
PREFIX_LENGTH = len("Device grdt_")
ID_END = PREFIX_LENGTH + 12

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Pace:
    """How often devices of one customer report."""

    interval_s: float


class Known:
    """A device let in, with everything its requests need."""

    __slots__ = (
        "allowance",
        "asking",
        "ends_at",
        "header_digest",
        "pace",
        "public_id",
        "rotate_from",
        "sent_by",
        "shard",
    )

    def __init__(self, holder: Holder, header_digest: bytes, pace: Pace, allowance: Allowance) -> None:
        self.header_digest = header_digest
        self.public_id = holder.public_id
        self.sent_by = stream.sender(holder.tenant_id, holder.device_id, holder.device_key)
        self.shard = stream.shard_of(holder.placement)
        self.asking = device_argument(holder.device_key)
        self.ends_at = holder.ends_at.timestamp()
        self.rotate_from = holder.rotate_from.timestamp()
        self.pace = pace
        self.allowance = allowance

    def rotation(self, now_s: float) -> str:
        """The nonce to renew the token with, or "" while it is young. `now_s`: database time, since 1970."""
        if now_s < self.rotate_from:
            return ""
        return nonces.make("rotate", self.public_id, at=datetime.fromtimestamp(now_s, tz=UTC))


class LookUp:
    """One question to the database; requests with the same token share it."""

    __slots__ = ("overtaken", "public_id", "task")

    def __init__(self, public_id: str) -> None:
        self.public_id = public_id
        self.overtaken = (
            False  # the token changed meanwhile: the answer holds for those who wait, and is not kept
        )
        self.task: asyncio.Task[Known | Standing | None]


class Devices:
    """The tokens this process knows, and the clock of the database."""

    def __init__(self) -> None:
        self._known: dict[str, Known] = {}
        self._refused: dict[
            bytes, tuple[float, Standing | None]
        ] = {}  # until (monotonic), by digest of the header
        self._allowances: dict[int, Allowance] = {}
        self._paces: dict[UUID, Pace] = {}
        self._look_ups: dict[bytes, LookUp] = {}
        self._handled: set[tuple[str, datetime]] = set()  # changes seen within the overlap
        self._since: datetime | None = None
        self._polls = 0
        self._database = LookUps()
        self._poll_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="poll")
        self.fresh_until = 0.0  # monotonic: until then changes are being heard of
        self.offset_s = 0.0  # from the monotonic clock to the database's
        self._told_away = False

    # Time, and whether we may let anybody in

    def fresh(self) -> bool:
        """Whether changes are being heard of."""
        return time.monotonic() < self.fresh_until

    def now_s(self) -> float:
        """Database time in seconds since 1970, without asking it."""
        return time.monotonic() + self.offset_s

    # Letting in

    def known(self, authorization: str, mono_s: float) -> Known | None:
        """The device of an Authorization header looked up before, while its token lives."""
        known = self._known.get(authorization[PREFIX_LENGTH:ID_END])
        if known is None or not hmac.compare_digest(known.header_digest, digest(authorization)):
            return None
        if mono_s + self.offset_s >= known.ends_at:
            del self._known[known.public_id]
            return None
        return known

    async def look_up(self, authorization: str) -> Known | Standing | None:
        """The device, or why it is not let in (None: no token of ours). Raises Away."""
        scheme, _, text = authorization.partition(" ")
        text = text.strip()
        if scheme.lower() != "device" or not text:
            return None
        key = digest(authorization)
        refused = self._refused.get(key)
        if refused is not None and time.monotonic() < refused[0]:
            return refused[1]
        under_way = self._look_ups.get(key)
        if under_way is None:
            if len(self._look_ups) >= MOST_WAITING:
                raise Away
            under_way = self._look_ups[key] = LookUp(authorization[PREFIX_LENGTH:ID_END])
            under_way.task = asyncio.ensure_future(self._ask(text, key, under_way))
            under_way.task.add_done_callback(lambda _: self._look_ups.pop(key, None))
        return await asyncio.shield(under_way.task)

    async def _ask(self, text: str, key: bytes, look_up: LookUp) -> Known | Standing | None:
        holder = await self._database.holder(text)
        if holder is None or not holder.valid:
            standing = holder.standing if holder else None
            self._refuse(key, standing)
            return standing
        pace = self._paces.setdefault(holder.tenant_id, Pace(holder.interval_s))
        known = Known(holder, key, pace, self._allowances.setdefault(holder.device_key, Allowance()))
        if not look_up.overtaken:
            self._known[holder.public_id] = known
        return known

    def forget(self, public_ids: Collection[str]) -> None:
        """What is kept of these tokens is no longer true, also of those being looked up just now."""
        for public_id in public_ids:
            self._known.pop(public_id, None)
        for look_up in self._look_ups.values():
            if look_up.public_id in public_ids:
                look_up.overtaken = True

    def _refuse(self, key: bytes, standing: Standing | None) -> None:
        """Asking again costs nothing for a while: a token that is not let in does not become one that is."""
        if len(self._refused) >= REFUSALS_KEPT:
            self._refused.clear()
        self._refused[key] = (time.monotonic() + REFUSAL_KEPT_S, standing)

    # The poll

    async def keep_fresh(self) -> None:
        """Poll for ever. The first poll must succeed before anybody is let in."""
        while True:
            started = time.monotonic()
            try:
                await self._poll()
            except Away:
                self.fresh_until = 0.0
                if not self._told_away:
                    log.warning("The database is away, devices are told to wait")
                self._told_away = True
            else:
                if self._told_away:
                    log.info("The database is back")
                self._told_away = False
            await asyncio.sleep(max(0.1, started + POLL_S - time.monotonic()))

    async def _poll(self) -> None:
        before = time.monotonic()
        since = self._since
        with_paces = self._polls % PACES_EVERY == 0
        found = await in_thread(self._poll_thread, lambda: _read_changes(since, with_paces), POLL_PATIENCE_S)
        self._polls += 1
        if self._polls % TIDY_EVERY == 0:
            self._tidy()
        halfway = (before + time.monotonic()) / 2
        renewed = OffsetClock()
        renewed.renew(found.database_time, monotonic_s=halfway)
        self.offset_s = renewed.now().timestamp() - time.monotonic()
        fresh = set(found.changes) - self._handled
        self.forget({public_id for public_id, _ in fresh})
        self._handled = set(found.changes)
        self._since = found.database_time - OVERLAP
        for tenant_id, interval_s in found.intervals:
            if tenant_id in self._paces:
                self._paces[tenant_id].interval_s = interval_s
        self.fresh_until = before + STALE_S

    def _tidy(self) -> None:
        """Tokens that ended unused, and allowances of devices that are gone, are dropped."""
        now_s = self.now_s()
        self._known = {name: known for name, known in self._known.items() if now_s < known.ends_at}
        kept = {id(known.allowance) for known in self._known.values()}
        self._allowances = {key: each for key, each in self._allowances.items() if id(each) in kept}

    def close(self) -> None:
        self._database.close()
        self._poll_thread.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True, slots=True)
class Changes:
    database_time: datetime
    changes: list[tuple[str, datetime]]
    intervals: list[tuple[UUID, float]]


def digest(authorization: str) -> bytes:
    """A token is kept as this, never as it came."""
    return hashlib.blake2s(authorization.encode()).digest()


def _read_changes(since: datetime | None, with_paces: bool) -> Changes:
    """Credentials changed since then, by the database's clock; at the first poll nothing is known yet."""
    with connections[SWEEP].cursor() as cursor:
        cursor.execute("SELECT statement_timestamp()")
        (database_time,) = cursor.fetchone()
        cursor.execute(
            "SELECT public_id, changed_at FROM enrollment_devicecredential WHERE changed_at > %s",
            [since or database_time - OVERLAP],
        )
        changes = cursor.fetchall()
        intervals = []
        if with_paces:
            cursor.execute("SELECT tenant_id, heartbeat_interval_s FROM fleet_monitoringsettings")
            intervals = cursor.fetchall()
    return Changes(database_time.astimezone(UTC), changes, intervals)
