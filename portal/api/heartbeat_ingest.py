"""The ingest process: heartbeats over RSGI, accepted without SQL once a device is known."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import secrets
import socket
import time
from datetime import UTC, datetime
from typing import Any

import msgspec
import redis.asyncio
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import close_old_connections
from granian.rsgi import ProtocolClosed  # type: ignore[attr-defined]  # it is, at run time

from enrollment.credentials import CHANNEL
from fleet import heartbeat_format, liveness, stream
from fleet.heartbeat_reading import BadBody, BodyTooLarge
from portal.api import heartbeat_answers as answers
from portal.api.heartbeat_answers import Answer
from portal.api.heartbeat_batches import Batches, Refused, entry_command
from portal.api.heartbeat_devices import Devices, Known
from portal.api.heartbeat_lookups import Away

PATH = "/device/v1/heartbeats"
LENGTHS_EVERY_S = 1.0
LARGE_BYTES = 32_000  # a document the careful reader takes so long for that others must not wait
BODY_PATIENCE_S = 20.0
MOMENT_S = 0.004
SPREAD = 0.2  # of the interval, both ways

log = logging.getLogger(__name__)
_as_json = msgspec.json.Encoder().encode


class Ingest:
    """The application granian serves."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []
        self._devices: Devices
        self._batches: Batches
        self._loop: asyncio.AbstractEventLoop
        self._now: asyncio.Future[None] | None = None
        self._full: set[int] = set()  # shards above the limit
        self._time_text = answers.TimeText()
        self._spread = random.Random()  # noqa: S311 - spreads requests over time, no secret

    # Life

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._devices = Devices()
        self._tasks.append(loop.create_task(self._run()))

    def __rsgi_del__(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.run_until_complete(self._stop())

    async def _run(self) -> None:
        self._batches = Batches(settings.REDIS_URL)
        self._batches.start()
        keep = (
            self._devices.keep_fresh,
            self._listen,
            self._watch_lengths,
            self._tell_alive,
        )
        self._tasks += [self._loop.create_task(each()) for each in keep]

    async def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._batches.close()
        self._devices.close()

    # Requests

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        try:
            if scope.path == PATH and scope.method == "POST":
                answer = await self._heartbeats(scope.headers, protocol)
            else:
                answer = _elsewhere(scope)
        except BadBody as error:
            answer = answers.bad_body(error)
        except (Away, Refused):
            answer = answers.unavailable()
        except Exception:  # the outermost layer: the device is told to come again, the log says why
            reference = secrets.token_hex(8)
            log.exception("A request failed (%s)", reference)
            answer = answers.internal_error(reference)
        protocol.response_bytes(*answer)

    async def _heartbeats(self, headers: Any, protocol: Any) -> Answer:
        """In one piece: every call of a coroutine costs as much as the steps in it."""
        devices, mono_s = self._devices, time.monotonic()
        if mono_s >= devices.fresh_until or not self._batches.ready:
            raise Away
        authorization = headers.get("authorization") or ""
        known = devices.known(authorization, mono_s)
        if known is None:
            found = await devices.look_up(authorization)
            if not isinstance(found, Known):
                return answers.not_let_in(found)
            known = found
        if known.shard in self._full:
            raise Away
        if wait_s := known.allowance.take(mono_s):
            return answers.too_often(wait_s)

        encoding = headers.get("content-encoding")
        if encoding:
            encoding = encoding.lower()
            if encoding not in ("gzip", "identity"):
                return answers.unknown_encoding(encoding)
        body = await self._body(headers.get("content-length"), protocol)
        if encoding == "gzip":
            body = heartbeat_format.unpack(body)
        request = heartbeat_format.usual(body) or await self._careful(body)

        received_ms = int((mono_s + devices.offset_s) * 1000)
        batch, place = self._batches.add(
            known.shard, entry_command(known.shard, known.sent_by, received_ms, body), known.asking
        )
        if not await batch.arrived:
            raise Refused
        reply = batch.replies[place]
        if isinstance(reply, Refused):
            raise reply
        now_s = devices.now_s()
        next_in_s = known.pace.interval_s * self._spread.uniform(1 - SPREAD, 1 + SPREAD)
        epoch = _as_json(request.epoch)
        return answers.accepted(epoch, reply, self._time_text(now_s), next_in_s, known.rotation(now_s))

    async def _body(self, announced: str | None, protocol: Any) -> bytes:
        """The body as sent, never more of it than may be.

        Bodies that arrive within a moment are taken together: each that is awaited before it is there wakes this
        process for itself alone. Raises BadBody, also for one that breaks off or does not come to its end.
        """
        try:
            if announced is None:
                return await asyncio.wait_for(_pieces(protocol), BODY_PATIENCE_S)
            if int(announced) > heartbeat_format.MAX_BYTES:
                raise BodyTooLarge(heartbeat_format.MAX_BYTES)
            arriving = protocol()
            await self._moment()
            if not arriving.done():
                await asyncio.wait_for(arriving, BODY_PATIENCE_S)
            body: bytes = arriving.result()
            return body
        except ProtocolClosed:
            raise BadBody("The body broke off.") from None
        except TimeoutError:
            raise BadBody("The body did not come to its end in time.") from None

    def _moment(self) -> asyncio.Future[None]:
        """Over for all who wait, a few milliseconds after the first began to."""
        if self._now is None:
            self._now = self._loop.create_future()
            self._loop.call_later(MOMENT_S, self._moment_over)
        return self._now

    def _moment_over(self) -> None:
        over, self._now = self._now, None
        if over is not None:
            over.set_result(None)

    async def _careful(self, body: bytes) -> heartbeat_format.Request:
        if len(body) <= LARGE_BYTES:
            return heartbeat_format.careful(body)
        return await self._loop.run_in_executor(None, heartbeat_format.careful, body)

    # What goes on beside the requests

    async def _listen(self) -> None:
        """Hints that credentials changed. Losing one loses nothing: the poll finds it."""
        while True:
            client = redis.asyncio.Redis.from_url(
                settings.REDIS_URL, socket_connect_timeout=2, health_check_interval=10
            )
            try:
                async with client.pubsub(ignore_subscribe_messages=True) as hints:
                    await hints.subscribe(CHANNEL)
                    while True:
                        message = await hints.get_message(timeout=30)
                        if message is not None:
                            self._devices.forget(set(message["data"].decode().split(",")))
            except (redis.RedisError, OSError, ValueError) as error:
                log.info("No hints about credentials for now: %s", error)
            finally:
                await client.aclose()
            await asyncio.sleep(LENGTHS_EVERY_S)

    async def _watch_lengths(self) -> None:
        """Above the limit devices keep their heartbeats until workers have caught up."""
        client = redis.asyncio.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=2, socket_timeout=2)
        while True:
            try:
                lengths = {shard: await client.xlen(stream.stream_key(shard)) for shard in stream.shards()}
            except (redis.RedisError, OSError) as error:
                log.debug("The length of the streams is not known: %s", error)
            else:
                full = {shard for shard, length in lengths.items() if length >= settings.STREAM_LIMIT}
                for shard in full - self._full:
                    log.warning("Stream %s is full, its devices are told to wait", shard)
                self._full = full
            await asyncio.sleep(LENGTHS_EVERY_S)

    async def _tell_alive(self) -> None:
        """While devices can be heard. A beat that does not reach the database is one that was not made."""
        process = f"{socket.gethostname()[:40]}:{os.getpid()}:{secrets.token_hex(4)}"
        started_at: datetime | None = None
        while True:
            if self._devices.fresh() and self._batches.ready and not self._full:
                at = datetime.fromtimestamp(self._devices.now_s(), tz=UTC)
                started_at = started_at or at
                try:
                    await self._loop.run_in_executor(None, _beat, process, started_at, at)
                except DatabaseError as error:
                    log.info("This process could not tell that it is alive: %s", error)
            await asyncio.sleep(liveness.BEAT_S)


async def _pieces(protocol: Any) -> bytes:
    """A body of unknown length. Raises BodyTooLarge."""
    pieces, size = [], 0
    async for piece in protocol:
        pieces.append(piece)
        size += len(piece)
        if size > heartbeat_format.MAX_BYTES:
            raise BodyTooLarge(heartbeat_format.MAX_BYTES)
    return b"".join(pieces)


def _elsewhere(scope: Any) -> Answer:
    if scope.path == "/healthz":
        if scope.method in ("GET", "HEAD"):
            return Answer(200, [("content-type", "text/plain"), answers.NO_STORE], b"ok\n")
        return answers.wrong_method("GET")
    return answers.wrong_method("POST") if scope.path == PATH else answers.not_found()


def _beat(process: str, started_at: datetime, at: datetime) -> None:
    close_old_connections()
    try:
        ended = liveness.beat(process, started_at=started_at, at=at)
    finally:
        close_old_connections()
    if ended is not None:
        log.warning("No process could receive heartbeats from %s to %s", ended.started_at, ended.ended_at)
