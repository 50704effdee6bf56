"""What update clients are answered, kept in Redis so that a poll that brings nothing new costs no SQL.

Kept under the device: whoever changes what it is offered calls `forget`, which takes effect once that is committed.
Redis away: nothing is kept, every poll is answered from PostgreSQL.
"""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

import redis
from django.conf import settings
from django.db import transaction

log = logging.getLogger(__name__)
KEPT = timedelta(minutes=15)  # at most: a change whose word was lost is seen by then
CHANGED = "credentials:changed:"  # enrollment.credentials marks tokens that were revoked or replaced
SEEN = "ddi:seen"  # hash: tenant and device -> seconds since 1970 of the last poll


@dataclass(frozen=True)
class Kept:
    """An answer to a device. `credential`: public id of the token that was shown."""

    tenant_id: UUID
    device_id: UUID
    credential: str
    etag: str
    body: str


def answer(address: str, digest: str, *, at: datetime) -> Kept | None:
    """The answer kept for an address and the digest of the token shown; the poll is noted. Two round trips."""
    try:
        found = _client().get(_key(address, digest))
        if found is None:
            return None
        tenant_id, device_id, credential, etag, body, version, until = json.loads(found)
        if at.timestamp() >= until:
            return None
        pipe = _client().pipeline(transaction=False)
        pipe.get(_version(device_id))
        pipe.exists(f"{CHANGED}{credential}")
        pipe.hset(SEEN, f"{tenant_id}:{device_id}", int(at.timestamp()))
        now, changed, _ = pipe.execute()
    except redis.RedisError as error:
        log.warning("Answers to update clients are not kept: %s", error)
        return None
    if changed or _text(now) != version:
        return None
    return Kept(UUID(tenant_id), UUID(device_id), credential, etag, body)


def version(device_id: UUID) -> str | None:
    """To be read before an answer is made, so that one made of what changed meanwhile is not kept. None: Redis is away."""
    try:
        return _text(_client().get(_version(device_id)))
    except redis.RedisError:
        return None


def keep(
    address: str, digest: str, kept: Kept, *, version: str | None, until: datetime | None, at: datetime
) -> None:
    """For at most KEPT and not beyond `until`: then the answer may be another."""
    lives = KEPT if until is None else min(KEPT, until - at)
    if version is None or lives.total_seconds() < 1:
        return
    ends = (at + lives).timestamp()
    whose = [str(kept.tenant_id), str(kept.device_id), kept.credential, kept.etag, kept.body]
    try:
        pipe = _client().pipeline(transaction=False)
        pipe.set(
            _key(address, digest), json.dumps([*whose, version, ends]), ex=int(lives.total_seconds()) + 1
        )
        pipe.hset(SEEN, f"{kept.tenant_id}:{kept.device_id}", int(at.timestamp()))
        pipe.execute()
    except redis.RedisError as error:
        log.warning("Answers to update clients are not kept: %s", error)


def forget(device_ids: Iterable[UUID], *, tenant_id: UUID) -> None:
    """What was kept for these devices of an entered tenant holds no longer, once the transaction has committed."""
    wanted = [str(each) for each in device_ids]
    if wanted:
        transaction.on_commit(lambda: _forget(wanted), robust=True)


def take_seen() -> dict[UUID, dict[UUID, int]]:
    """Polls since the last call, by tenant and device, in seconds since 1970."""
    taken: dict[UUID, dict[UUID, int]] = {}
    try:
        client = _client()
        pipe = client.pipeline(transaction=True)
        pipe.hgetall(SEEN)
        pipe.delete(SEEN)
        seen = pipe.execute()[0]
    except redis.RedisError:
        return taken
    for key, seconds in seen.items():
        tenant_id, _, device_id = key.decode().partition(":")
        taken.setdefault(UUID(tenant_id), {})[UUID(device_id)] = int(seconds)
    return taken


def _forget(device_ids: list[str]) -> None:
    try:
        pipe = _client().pipeline(transaction=False)
        for device_id in device_ids:
            pipe.set(_version(device_id), secrets.token_hex(8), ex=2 * int(KEPT.total_seconds()))
        pipe.execute()
    except redis.RedisError as error:
        log.warning("No word that answers changed: %s. They are read anew within %s.", error, KEPT)


def _text(value: Any) -> str:
    return (value or b"").decode()


def _key(address: str, digest: str) -> str:
    return f"ddi:answer:{digest}:{address}"


def _version(device_id: object) -> str:
    return f"ddi:version:{device_id}"


@lru_cache(maxsize=1)
def _client() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=0.5, socket_timeout=0.5)
