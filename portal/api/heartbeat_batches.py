"""Requests on their way to Redis: those of a moment share one round trip, which also brings the replies to their devices.

One batch is on its way at a time; what arrives meanwhile is the next one, so batches grow with the load. The
protocol is spoken here, over one connection: a client that builds each command and awaits each answer would cost
more than the rest of accepting a heartbeat.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Iterator
from typing import Any, cast

from redis.connection import parse_url

from fleet import stream

PATIENCE_S = 0.8  # a device hears within a second that we cannot take its heartbeat
RECONNECT_S = 0.25
MOST_BYTES = 32_000_000  # waiting for their turn; more are not taken

log = logging.getLogger(__name__)


class Refused(Exception):
    """Redis did not take the request, or did not say so in time."""


class Incomplete(Exception):
    """The rest of an answer has not arrived yet."""


class Batch:
    """What goes in one round trip. `arrived` ends with True when Redis has answered; then `replies` are there."""

    __slots__ = ("_asking", "_entries", "arrived", "replies", "size_bytes")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.arrived: asyncio.Future[bool] = loop.create_future()
        self.replies: list[bytes | Refused | None] = []
        self.size_bytes = 0
        self._entries: list[bytes] = []
        self._asking: dict[int, list[tuple[int, bytes]]] = {}  # shard: places in the batch, device keys

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, shard: int, entry: bytes, asking: bytes) -> int:
        """Its place in the batch. `entry`, `asking`: of `entry_command` and `device_argument`."""
        place = len(self._entries)
        self._entries.append(entry)
        self.size_bytes += len(entry)
        self._asking.setdefault(shard, []).append((place, asking))
        return place

    def written(self) -> bytes:
        """The commands, as sent."""
        parts = self._entries.copy()
        for shard, asked in self._asking.items():
            parts.append(_ASK[shard] % (len(asked) + 2))
            parts += [argument for _, argument in asked]
        return b"".join(parts)

    def places_asked(self) -> Iterator[list[int]]:
        for asked in self._asking.values():
            yield [place for place, _ in asked]


def entry_command(shard: int, sent_by: bytes, received_ms: int, body: bytes) -> bytes:
    """XADD of one request."""
    when = stream.when(received_ms)
    return _ADD[shard] % (len(sent_by) + len(when) + len(body), sent_by, when, body)


def device_argument(device_key: int) -> bytes:
    return _argument(str(device_key).encode())


def _argument(value: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(value), value)


def _literally(value: bytes) -> bytes:
    return _argument(value).replace(b"%", b"%%")


_ADD = {
    shard: b"*5\r\n"
    + b"".join(map(_literally, (b"XADD", stream.stream_key(shard).encode(), b"*", stream.FIELD)))
    + b"$%d\r\n%b%b%b\r\n"
    for shard in stream.shards()
}
_ASK = {
    shard: b"*%d\r\n" + b"".join(map(_literally, (b"HMGET", stream.replies_key(shard).encode())))
    for shard in stream.shards()
}


class Batches:
    """The batches and the connection they take, which is made again whenever it ends."""

    def __init__(self, url: str) -> None:
        self._address: dict[str, Any] = parse_url(url)  # type: ignore[no-untyped-call]
        self._loop = asyncio.get_running_loop()
        self._wire: Wire | None = None
        self._next = Batch(self._loop)
        self._under_way: Batch | None = None
        self._timer: asyncio.Handle | None = None
        self._connecting: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._connecting = self._loop.create_task(self._stay_connected())

    async def close(self) -> None:
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)
        self._fail()

    @property
    def ready(self) -> bool:
        """Whether a request would be taken now."""
        return self._wire is not None and self._next.size_bytes < MOST_BYTES

    def add(self, shard: int, entry: bytes, asking: bytes) -> tuple[Batch, int]:
        """Put a request in the next batch. Await `arrived`, then see `replies` at the place."""
        batch = self._next
        place = batch.add(shard, entry, asking)
        if place == 0 and self._under_way is None:
            self._timer = self._loop.call_soon(self._send)
        return batch, place

    def _send(self) -> None:
        batch, self._next = self._next, Batch(self._loop)
        if self._wire is None:
            batch.arrived.set_result(False)
            return
        self._under_way = batch
        self._timer = self._loop.call_later(PATIENCE_S, self._wire.end, "no answer in time")
        self._wire.write(batch.written())

    def received(self, data: bytes) -> bool:
        """Whether `data` is the whole answer to what was asked. Raises ValueError where it cannot be."""
        batch = self._under_way
        if batch is None:
            raise ValueError("an answer nobody asked for")
        try:
            end = _read_replies(data, batch)
        except Incomplete:
            return False
        if end != len(data):
            raise ValueError("more answers than questions")
        if self._timer is not None:
            self._timer.cancel()
        self._under_way = None
        batch.arrived.set_result(True)
        if len(self._next):
            self._send()
        return True

    def ended(self, wire: Wire, reason: str) -> None:
        if wire is self._wire:
            log.warning("The connection to Redis ended, devices are told to wait: %s", reason)
            self._fail()

    def _fail(self) -> None:
        """Whoever waits hears that it failed."""
        if self._timer is not None:
            self._timer.cancel()
        wire, self._wire = self._wire, None
        waiting, self._next, self._under_way = (self._under_way, self._next), Batch(self._loop), None
        for batch in waiting:
            if batch is not None:
                batch.arrived.set_result(False)
        if wire is not None:
            wire.end("no longer used")

    async def _stay_connected(self) -> None:
        told = False
        while True:
            if self._wire is None:
                try:
                    self._wire = await asyncio.wait_for(connect(self._address, self), PATIENCE_S)
                    log.info("Connected to Redis")
                    told = False
                except (OSError, TimeoutError, Refused) as error:
                    if not told:
                        log.warning(
                            "Redis is away, devices are told to wait: %s", error or type(error).__name__
                        )
                    told = True
            await asyncio.sleep(RECONNECT_S)


# The connection ------------------------------------------------------------------------------------------------


async def connect(address: dict[str, Any], owner: Batches) -> Wire:
    """A connection that is signed in. Raises OSError or Refused."""
    loop = asyncio.get_running_loop()
    tls = ssl.create_default_context() if "connection_class" in address else None
    host, port = address.get("host", "localhost"), address.get("port", 6379)
    _, wire = await loop.create_connection(lambda: Wire(owner, loop.create_future()), host, port, ssl=tls)
    try:
        await wire.sign_in(address)
    except BaseException:
        wire.end("not signed in")
        raise
    return wire


class Wire(asyncio.Protocol):
    """One connection, from its making to its end."""

    def __init__(self, owner: Batches, signed_in: asyncio.Future[str]) -> None:
        self._owner = owner
        self._signed_in = signed_in  # "" or what Redis said instead
        self._expected_lines = 0
        self._received = b""
        self._transport: asyncio.Transport

    async def sign_in(self, address: dict[str, Any]) -> None:
        commands: list[list[str]] = []
        if password := address.get("password"):
            name = address.get("username")
            commands.append(["AUTH", name, password] if name else ["AUTH", password])
        commands.append(["SELECT", str(address.get("db", 0))])
        self._expected_lines = len(commands)
        for command in commands:
            self.write(b"*%d\r\n" % len(command) + b"".join(_argument(word.encode()) for word in command))
        if said := await self._signed_in:
            raise Refused(said)

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    def end(self, reason: str) -> None:
        self._transport.abort()
        self.connection_lost(OSError(reason))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, error: Exception | None) -> None:
        reason = str(error) if error else "closed by Redis"
        if not self._signed_in.done():
            self._signed_in.set_result(reason)
        self._owner.ended(self, reason)

    def data_received(self, data: bytes) -> None:
        if self._received:
            data = self._received + data
        if not self._signed_in.done():
            self._received = self._greeted(data)
            return
        try:
            self._received = b"" if self._owner.received(data) else data
        except ValueError as error:
            self.end(f"not the protocol: {error}")

    def _greeted(self, data: bytes) -> bytes:
        *lines, rest = data.split(b"\r\n")
        if len(lines) < self._expected_lines:
            return data
        refusals = [line.decode(errors="replace") for line in lines if line != b"+OK"]
        self._signed_in.set_result(refusals[0] if refusals else "")
        return rest


# The protocol --------------------------------------------------------------------------------------------------


def _read_replies(data: bytes, batch: Batch) -> int:
    """Fill `batch.replies`; the position after them. Raises Incomplete, or ValueError for another protocol."""
    usual = _read_usual(data, batch)
    if usual is not None:
        batch.replies = usual
        return len(data)
    place = 0
    outcomes: list[bytes | Refused | None] = []
    for _ in range(len(batch)):
        _, place, refused = _read_text(data, place)
        outcomes.append(refused)
    for places in batch.places_asked():
        place = _read_texts(data, place, places, outcomes)
    batch.replies = outcomes
    return place


def _read_usual(data: bytes, batch: Batch) -> list[bytes | Refused | None] | None:
    """The same for an answer without errors whose texts hold no line ends, which is nearly every one."""
    if data[:1] != b"$" or b"\r\n-" in data or data[-2:] != b"\r\n":
        return None
    lines = data.split(b"\r\n")
    at = 2 * len(batch)
    outcomes: list[bytes | Refused | None] = [None] * len(batch)
    try:
        for places in batch.places_asked():
            if lines[at] != b"*%d" % len(places):
                return None
            at += 1
            for place in places:
                if lines[at] == b"$-1":
                    at += 1
                    continue
                text = lines[at + 1]
                if lines[at] != b"$%d" % len(text):
                    return None
                outcomes[place] = text
                at += 2
    except IndexError:
        return None
    return outcomes if at == len(lines) - 1 else None


def _read_texts(data: bytes, place: int, places: list[int], outcomes: list[bytes | Refused | None]) -> int:
    end = _line_end(data, place)
    if data[place] == ord("-"):  # no replies; the requests themselves were taken
        return end + 2
    if data[place] != ord("*") or int(data[place + 1 : end]) != len(places):
        raise ValueError(data[place:end][:40])
    at = end + 2
    for index in places:
        text, at, _ = _read_text(data, at)
        if outcomes[index] is None:
            outcomes[index] = text
    return at


def _read_text(data: bytes, place: int) -> tuple[bytes | None, int, Refused | None]:
    """A bulk string or an error: the text, the position after it, and the refusal if it was an error."""
    end = _line_end(data, place)
    kind = data[place]
    if kind == ord("$"):
        length = int(data[place + 1 : end])
        if length < 0:
            return None, end + 2, None
        last = end + 2 + length
        if len(data) < last + 2:
            raise Incomplete
        return data[end + 2 : last], last + 2, None
    if kind == ord("-"):
        return None, end + 2, Refused(data[place + 1 : end].decode(errors="replace"))
    raise ValueError(data[place:end][:40])


def _line_end(data: bytes, place: int) -> int:
    end = data.find(b"\r\n", place)
    if end < 0:
        raise Incomplete
    return end
