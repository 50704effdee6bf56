"""The Redis side of heartbeats: streams of accepted requests, and what the next reply to a device says.

Redis carries hints: it may be flushed at any moment and no fact is lost, because a device keeps an item until
PostgreSQL has it. So nothing here assumes that a stream or a reply exists.

Every key of a shard has the same hash tag, so a shard lives on one node of a Redis Cluster:
`{hb:3}` the stream, `{hb:3}:dead` what could not be decoded, `{hb:3}:replies` a hash by device key.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import redis
from django.conf import settings

from fleet import heartbeat_format

START = b"0-0"
FIELD = b"e"
_HEAD = struct.Struct(">B16s16sqQ")  # form, tenant, device, device key, received (ms); the body follows
_WHO = struct.Struct(">B16s16sq")
_WHEN = struct.Struct(">Q")
_FORM = 1


def shard_of(placement: int) -> int:
    return placement % int(settings.STREAM_SHARDS)


def shards() -> range:
    return range(int(settings.STREAM_SHARDS))


def stream_key(shard: int) -> str:
    return f"{{hb:{shard}}}"


def dead_key(shard: int) -> str:
    return f"{{hb:{shard}}}:dead"


def replies_key(shard: int) -> str:
    return f"{{hb:{shard}}}:replies"


def connect(*, patience_s: float = 15) -> redis.Redis:
    """A client for workers and commands. It raises redis.RedisError when Redis is away or answers too late."""
    return redis.Redis.from_url(
        settings.REDIS_URL,
        protocol=2,
        socket_connect_timeout=min(2, patience_s),
        socket_timeout=patience_s,
        socket_keepalive=True,
        health_check_interval=10,
    )


def _call(client: redis.Redis, *command: Any) -> Any:
    return client.execute_command(*command)  # type: ignore[no-untyped-call]


def _pipeline(client: redis.Redis, *, transaction: bool = False) -> Any:
    return client.pipeline(transaction=transaction)


# Entries -------------------------------------------------------------------------------------------------------


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One accepted request. `items` are JSON documents as they came, checked; `heartbeat_format.item` reads one."""

    id: bytes
    tenant: bytes
    device: bytes
    device_key: int
    received_ms: int  # database time, milliseconds since 1970
    epoch: str
    from_seq: int | None  # the lowest sequence the device still holds; None: it did not say
    sent_mono: float | None
    items: list[msgspec.Raw]
    payload: bytes  # as stored in the stream

    @property
    def tenant_id(self) -> UUID:
        return UUID(bytes=self.tenant)

    @property
    def device_id(self) -> UUID:
        return UUID(bytes=self.device)

    @property
    def received_at(self) -> datetime:
        return datetime.fromtimestamp(self.received_ms / 1000, tz=UTC)


@dataclass(frozen=True, slots=True)
class Undecodable:
    """An entry nobody can read, or nobody can store."""

    id: bytes
    payload: bytes
    reason: str


@dataclass(slots=True)
class Batch:
    """Entries in the order they were accepted, and those that are no entries. `last`: the id up to which was read."""

    entries: list[Entry]
    undecodable: list[Undecodable]
    last: bytes

    def __len__(self) -> int:
        return len(self.entries) + len(self.undecodable)


def sender(tenant_id: UUID, device_id: UUID, device_key: int) -> bytes:
    """The first part of every payload of a device; worth keeping."""
    return _WHO.pack(_FORM, tenant_id.bytes, device_id.bytes, device_key)


def payload(sent_by: bytes, received_ms: int, body: bytes) -> bytes:
    """What is stored of a request. `body`: its JSON, checked by heartbeat_format and not compressed."""
    return sent_by + when(received_ms) + body


def when(received_ms: int) -> bytes:
    """The second part of a payload, between `sender` and the body."""
    return _WHEN.pack(received_ms)


def decode(entry_id: bytes, stored: bytes) -> Entry:
    """Raises ValueError for what is no payload (msgspec's errors are ValueErrors)."""
    if len(stored) < _HEAD.size:
        raise ValueError("shorter than its head")
    form, tenant, device, key, received_ms = _HEAD.unpack_from(stored)
    if form != _FORM:
        raise ValueError(f"unknown form {form}")
    body = heartbeat_format.stored(stored[_HEAD.size :])
    return Entry(
        entry_id, tenant, device, key, received_ms,
        body.epoch, body.from_seq, body.sent_mono, body.items, stored,
    )  # fmt: skip


def add(client: redis.Redis, shard: int, payloads: Sequence[bytes]) -> None:
    """Append requests in one round trip. Raises redis.RedisError; then some may have been added."""
    pipe = _pipeline(client)
    for each in payloads:
        pipe.execute_command("XADD", stream_key(shard), "*", FIELD, each)
    pipe.execute()


# Reading, for the one drain of a shard -------------------------------------------------------------------------


def read(
    client: redis.Redis, shard: int, *, after: bytes = START, count: int = 1000, block_ms: int | None = None
) -> Batch:
    """The entries after the id `after`, by default from the start: what is not finished is still there.

    There is one reader at a time, so no consumer group keeps a list of who has what: it would cost twice what
    reading costs. `block_ms`: wait that long for a first entry.
    """
    arguments: list[Any] = ["COUNT", count]
    if block_ms is not None:
        arguments += ["BLOCK", block_ms]
    return _batch(_call(client, "XREAD", *arguments, "STREAMS", stream_key(shard), after), after)


def finish(client: redis.Redis, shard: int, *, through: bytes) -> None:
    """Delete everything up to the id `through`, after the commit. May be repeated."""
    first, second = through.split(b"-")
    _call(client, "XTRIM", stream_key(shard), "MINID", b"%b-%d" % (first, int(second) + 1))


def bury(client: redis.Redis, shard: int, letters: Iterable[Undecodable]) -> None:
    """Move entries to the dead letters, in one step."""
    letters = list(letters)
    if not letters:
        return
    pipe = _pipeline(client, transaction=True)
    for letter in letters:
        pipe.execute_command("XADD", dead_key(shard), "*", FIELD, letter.payload, "reason", letter.reason)
    pipe.execute_command("XDEL", stream_key(shard), *[letter.id for letter in letters])
    pipe.execute()


def dead_letters(client: redis.Redis, shard: int, *, count: int = 100) -> list[Undecodable]:
    """The oldest dead letters; ids are those in the dead stream."""
    found: Any = client.xrange(dead_key(shard), count=count)
    return [
        Undecodable(letter, fields.get(FIELD, b""), fields.get(b"reason", b"").decode(errors="replace"))
        for letter, fields in found
    ]


def replay(client: redis.Redis, shard: int, letters: Sequence[Undecodable]) -> None:
    """Put dead letters back at the end of their stream, in one step."""
    if not letters:
        return
    pipe = _pipeline(client, transaction=True)
    for letter in letters:
        pipe.execute_command("XADD", stream_key(shard), "*", FIELD, letter.payload)
    pipe.execute_command("XDEL", dead_key(shard), *[letter.id for letter in letters])
    pipe.execute()


def length(client: redis.Redis, shard: int) -> int:
    """Requests waiting, those being worked on included."""
    return int(_call(client, "XLEN", stream_key(shard)))


def _batch(answer: Any, after: bytes) -> Batch:
    batch = Batch([], [], after)
    if not answer:
        return batch
    ((_, found),) = answer.items() if isinstance(answer, dict) else answer
    for entry_id, fields in found:
        stored = _stored(fields)
        try:
            batch.entries.append(decode(entry_id, stored))
        except ValueError as error:
            batch.undecodable.append(Undecodable(entry_id, stored, str(error)[:200]))
    batch.last = found[-1][0]
    return batch


def _stored(fields: Any) -> bytes:
    if isinstance(fields, dict):
        return bytes(fields.get(FIELD, b""))
    return bytes(fields[1]) if fields[0] == FIELD else b""


# Replies -------------------------------------------------------------------------------------------------------


class Reply(msgspec.Struct, frozen=True):
    """What the next answer to a device says beside the time. `committed` counts for this epoch only."""

    epoch: str
    committed: int | None
    operations: int = 0
    inventory_wanted: bool = False
    expected: Mapping[str, Any] | None = None  # equipment of its room that must be there; None: not said


def publish(client: redis.Redis, shard: int, replies: Mapping[int, Reply]) -> None:
    """Set the replies of devices, by device key, in one round trip, after the commit they tell of."""
    if not replies:
        return
    fields: list[Any] = []
    for key, reply in replies.items():
        fields += [key, encode_reply(reply)]
    _call(client, "HSET", replies_key(shard), *fields)


def forget(client: redis.Redis, shard: int, device_keys: Sequence[int]) -> None:
    """Drop the replies of devices that are gone."""
    if device_keys:
        client.hdel(replies_key(shard), *[str(key) for key in device_keys])


def replies(client: redis.Redis, shard: int, device_keys: Sequence[int]) -> dict[int, Reply]:
    """The replies that are known."""
    if not device_keys:
        return {}
    found: Any = client.hmget(replies_key(shard), [str(key) for key in device_keys])
    return {key: decode_reply(value) for key, value in zip(device_keys, found, strict=True) if value}


def reply_lines(client: redis.Redis, shard: int, device_key: int) -> bytes | None:
    """A device's reply as it was published, see encode_reply."""
    found: bytes | None = _call(client, "HGET", replies_key(shard), device_key)
    return found


def encode_reply(reply: Reply) -> bytes:
    """Three lines of JSON: epoch, committed, and the members an answer takes over as they stand."""
    if reply.operations or reply.inventory_wanted or reply.expected is not None:
        members: dict[str, Any] = {"operations": reply.operations}
        if reply.inventory_wanted:
            members["inventory_wanted"] = True
        if reply.expected is not None:
            members["expected"] = dict(reply.expected)
        told = msgspec.json.encode(members)
    else:
        told = _NOTHING_MORE
    committed = b"null" if reply.committed is None else b"%d" % reply.committed
    return b"%b\n%b\n%b" % (msgspec.json.encode(reply.epoch), committed, told)


_NOTHING_MORE = b'{"operations":0}'


def decode_reply(value: bytes) -> Reply:
    epoch, committed, members = (msgspec.json.decode(line) for line in value.split(b"\n"))
    return Reply(
        epoch,
        committed,
        members["operations"],
        members.get("inventory_wanted", False),
        members.get("expected"),
    )
