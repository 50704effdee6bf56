"""Tokens looked up in the database: those of a moment in one query, so that a fleet comes back fast after a restart.

A token in ordinary use is read through the sweep role, which sees every tenant's. Whatever is out of the ordinary
(first use, overlap with a successor, ended, revoked) is `enrollment.credentials.find`'s to decide, one by one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from enum import Enum
from typing import TypeVar

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import close_old_connections, connections

from enrollment import credentials
from enrollment.credentials import DEFAULT_INTERVAL_S, PREFIX, Holder, Standing
from foundation import clock, tokens
from foundation.sweep import SWEEP
from foundation.tokens import Presented

GATHER_S = 0.003
MOST_AT_ONCE = 500
PATIENCE_S = 0.8

T = TypeVar("T")


class Away(Exception):
    """The database cannot be asked now."""


class Unsure(Enum):
    """The token needs a closer look."""

    UNSURE = "unsure"


UNSURE = Unsure.UNSURE
Found = Holder | Unsure | None


class LookUps:
    """Questions to the database, from a few threads."""

    def __init__(self) -> None:
        self._asked: dict[Presented, asyncio.Future[Found]] = {}
        self._readers = ThreadPoolExecutor(max_workers=1, thread_name_prefix="look-up")
        self._finders = ThreadPoolExecutor(max_workers=4, thread_name_prefix="closer-look")

    async def holder(self, text: str) -> Holder | None:
        """Who presents this token; None where it is none of ours. Raises Away."""
        presented = tokens.parse(PREFIX, text)
        if presented is None:
            return None
        found = await self._ask(presented)
        if found is UNSURE:
            found = await in_thread(self._finders, lambda: _find(text), PATIENCE_S)
        return found if isinstance(found, Holder) else None

    def close(self) -> None:
        for threads in (self._readers, self._finders):
            threads.shutdown(wait=False, cancel_futures=True)

    async def _ask(self, presented: Presented) -> Found:
        loop = asyncio.get_running_loop()
        if not self._asked:
            loop.call_later(GATHER_S, lambda: loop.create_task(self._read()))
        return await self._asked.setdefault(presented, loop.create_future())

    async def _read(self) -> None:
        asked, self._asked = self._asked, {}
        outcome: BaseException | dict[Presented, Found]
        try:
            outcome = await in_thread(self._readers, lambda: read(list(asked)), PATIENCE_S)
        except Away as error:
            outcome = error
        for presented, answer in asked.items():
            if answer.done():
                continue
            if isinstance(outcome, dict):
                answer.set_result(outcome[presented])
            else:
                answer.set_exception(outcome)


async def in_thread(threads: ThreadPoolExecutor, work: Callable[[], T], patience_s: float) -> T:
    """Raises Away where the database fails or is too slow; what it does then is not waited for."""
    loop = asyncio.get_running_loop()
    try:
        return await asyncio.wait_for(loop.run_in_executor(threads, _with_connections, work), patience_s)
    except (DatabaseError, TimeoutError) as error:
        raise Away(str(error)) from error


def read(asked: list[Presented]) -> dict[Presented, Found]:
    """What a look at the tables says of each."""
    with connections[SWEEP].cursor() as cursor:
        cursor.execute("SELECT statement_timestamp()")
        (at,) = cursor.fetchone()
        numbers = list({presented.tenant_number for presented in asked})
        cursor.execute("SELECT id, placement FROM tenancy_tenant WHERE number = ANY(%s)", [numbers])
        placements = dict(cursor.fetchall())
        rows = {}
        for start in range(0, len(asked), MOST_AT_ONCE):
            public_ids = [presented.public_id for presented in asked[start : start + MOST_AT_ONCE]]
            cursor.execute(_READ, [list(placements), public_ids])
            rows.update({row[0]: row[1:] for row in cursor.fetchall()})
    return {presented: _seen(presented, rows.get(presented.public_id), placements, at) for presented in asked}


_READ = """
SELECT credential.public_id, credential.digest, credential.id, credential.tenant_id, credential.device_id,
       device.key, credential.expires_at, settings.heartbeat_interval_s,
       credential.confirmed_at IS NOT NULL AND credential.replaced_at IS NULL
           AND credential.superseded_at IS NULL AND credential.revoked_at IS NULL
FROM enrollment_devicecredential credential
JOIN fleet_device device ON device.tenant_id = credential.tenant_id AND device.id = credential.device_id
LEFT JOIN fleet_monitoringsettings settings ON settings.tenant_id = credential.tenant_id
WHERE credential.tenant_id = ANY(%s::uuid[]) AND credential.public_id = ANY(%s)
"""


def _seen(presented: Presented, row: tuple | None, placements: dict, at: datetime) -> Found:  # type: ignore[type-arg]
    if row is None:
        return None
    digest, credential_id, tenant_id, device_id, device_key, expires_at, interval_s, ordinary = row
    if not presented.matches(digest):
        return None
    if not ordinary or at >= expires_at:
        return UNSURE
    return Holder(
        standing=Standing.VALID,
        tenant_id=tenant_id,
        placement=placements[tenant_id],
        device_id=device_id,
        device_key=device_key,
        credential_id=credential_id,
        public_id=presented.public_id,
        interval_s=interval_s or DEFAULT_INTERVAL_S,
        issued_at=expires_at - timedelta(days=settings.DEVICE_TOKEN_DAYS),
        ends_at=expires_at,
    )


def _find(text: str) -> Holder | None:
    return credentials.find(text, at=clock.now())


def _with_connections(work: Callable[[], T]) -> T:
    close_old_connections()
    try:
        return work()
    finally:
        with contextlib.suppress(DatabaseError):
            close_old_connections()
