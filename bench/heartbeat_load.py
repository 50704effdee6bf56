"""Devices that post heartbeats: raw sockets in one process of its own, so that the server's CPU time is the server's."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil


@dataclass
class Load:
    """What one run did. `cpu_s`: of the server and its children, user and system."""

    requests: int
    seconds: float
    cpu_s: float
    statuses: dict[str, int]

    @property
    def cpu_us(self) -> float:
        return self.cpu_s / self.requests * 1e6


class Device(asyncio.Protocol):
    """One connection that stays open; it posts when it is told to."""

    def __init__(self, run: Run, request: bytes) -> None:
        self._run = run
        self._request = request
        self._received = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def post(self) -> None:
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        data = self._received + data
        head, gap, body = data.partition(b"\r\n\r\n")
        length = _content_length(head) if gap else 0
        if not gap or len(body) < length:
            self._received = data
            return
        self._received = b""
        self._run.answered(head[9:12].decode())

    def connection_lost(self, error: Exception | None) -> None:
        self._run.lost()


class Run:
    """Every device posts once in each lap, `at_once` of them at a time, in an order that does not repeat itself."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._devices: list[Device] = []
        self._next = 0
        self._left = 0
        self._over: asyncio.Future[None]
        self.statuses: Counter[str] = Counter()

    async def connect(self, port: int, requests: list[bytes]) -> None:
        loop = asyncio.get_running_loop()
        for start in range(0, len(requests), 200):
            part = requests[start : start + 200]
            made = [loop.create_connection(lambda r=r: Device(self, r), "127.0.0.1", port) for r in part]
            self._devices += [device for _, device in await asyncio.gather(*made)]

    async def laps(self, count: int) -> None:
        self._left = count * len(self._devices)
        self._over = asyncio.get_running_loop().create_future()
        for _ in range(min(self._at_once, self._left)):
            self._post_next()
        await self._over

    def _post_next(self) -> None:
        device = self._devices[self._next % len(self._devices)]
        self._next += 1
        device.post()

    def answered(self, status: str) -> None:
        self.statuses[status] += 1
        self._left -= 1
        if self._left == 0:
            self._over.set_result(None)
        elif self._left >= self._at_once:
            self._post_next()

    def lost(self) -> None:
        if self._left and not self._over.done():
            self._over.set_exception(ConnectionError("The server closed a connection."))


def _content_length(head: bytes) -> int:
    lowered = head.lower()
    start = lowered.find(b"content-length:")
    return int(lowered[start + 15 :].split(b"\r\n", 1)[0]) if start >= 0 else 0


def cpu_of(pid: int) -> float:
    process = psutil.Process(pid)
    times = [each.cpu_times() for each in (process, *process.children(recursive=True))]
    return sum(each.user + each.system for each in times)


async def load(
    port: int, pid: int, requests: list[bytes], *, at_once: int, warm_laps: int, laps: int
) -> Load:
    run = Run(at_once)
    await run.connect(port, requests)
    await run.laps(warm_laps)
    run.statuses.clear()
    cpu, started = cpu_of(pid), time.perf_counter()
    await run.laps(laps)
    return Load(laps * len(requests), time.perf_counter() - started, cpu_of(pid) - cpu, dict(run.statuses))


if __name__ == "__main__":
    order = json.loads(Path(sys.argv[1]).read_text())
    requests = [each.encode("latin-1") for each in order.pop("requests")]
    print(json.dumps(asdict(asyncio.run(load(requests=requests, **order)))))
