"""Simulated agents over HTTP: a spool each, from which only what is committed is deleted."""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from collections import Counter
from datetime import UTC, datetime
from typing import Any

RESEND_AFTER_S = 4.0  # of an agent 30 s; a test has less time
AT_ONCE = 5  # items in a request


class Agent:
    """Sends the numbers 1 to `items` and holds each until it is committed. Its one signal turns with every item."""

    def __init__(self, device: dict[str, Any], items: int, source: random.Random, rest_s: float) -> None:
        self.device, self.items, self.source, self.rest_s = device, items, source, rest_s
        self.epoch = f"{source.getrandbits(64):016x}"
        self.committed = 0
        self.next = 1
        self.sent_last_at = 0.0
        self.not_before = 0.0
        self._made: dict[int, dict[str, Any]] = {}

    @property
    def done(self) -> bool:
        return self.committed >= self.items

    def request(self) -> bytes:
        now = time.monotonic()
        if self.next > self.items or now - self.sent_last_at > RESEND_AFTER_S:
            self.next = self.committed + 1
        last = min(self.next + AT_ONCE - 1, self.items)
        items = [self._item(seq, now) for seq in range(self.next, last + 1)]
        return json.dumps(
            {"epoch": self.epoch, "from": self.committed + 1, "sent_mono": now, "items": items}
        ).encode()

    def accepted(self, reply: dict[str, Any]) -> None:
        if reply["epoch"] == self.epoch and reply["committed"] is not None:
            assert self.committed <= reply["committed"] <= self.items, "what was committed stays so"
            self.committed = reply["committed"]
        self.next = min(self.next + AT_ONCE, self.items + 1)
        self.sent_last_at = time.monotonic()
        longest = 1.0 if self.next > self.items else self.rest_s
        self.not_before = self.sent_last_at + self.source.uniform(0.3, 1.0) * longest

    def _item(self, seq: int, now: float) -> dict[str, Any]:
        if seq not in self._made:
            self._made[seq] = {
                "seq": seq,
                "t_wall": datetime.now(UTC).isoformat(),
                "t_mono": now,
                "signals": {"led": "unhealthy" if seq % 2 else "healthy"},
                "metrics": {"cpu_pct": seq % 100},
            }
        return self._made[seq]


class Agents:
    """All agents, in a few threads, until everything is committed. `answers` counts statuses, `waits` Retry-After."""

    def __init__(self, port: int, fleet: dict[str, Any], *, items: int, seed: int, rest_s: float) -> None:
        source = random.Random(seed)
        self.port = port
        self.agents = [
            Agent(device, items, random.Random(source.random()), rest_s) for device in fleet["devices"]
        ]
        self.answers: Counter[str] = Counter()
        self.waits: list[float] = []
        self.failures: list[BaseException] = []
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(first,)) for first in range(4)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    @property
    def committed(self) -> int:
        return sum(agent.committed for agent in self.agents)

    @property
    def done(self) -> bool:
        return bool(self.failures) or all(agent.done for agent in self.agents)

    def stop(self) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _work(self, first: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        mine = self.agents[first :: len(self._threads)]
        try:
            while not self._stopped.is_set() and not all(agent.done for agent in mine):
                ready = [agent for agent in mine if not agent.done and agent.not_before <= time.monotonic()]
                for agent in ready:
                    self._post(connection, agent)
                self._stopped.wait(0.02)
        except BaseException as failure:
            self.failures.append(failure)
        finally:
            connection.close()

    def _post(self, connection: http.client.HTTPConnection, agent: Agent) -> None:
        headers = {"Authorization": f"Device {agent.device['token']}", "Content-Type": "application/json"}
        try:
            connection.request("POST", "/device/v1/heartbeats", agent.request(), headers)
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            self._count("no answer")
            agent.not_before = time.monotonic() + agent.source.uniform(0.1, 0.5)
            return
        self._count(str(answer.status))
        if answer.status == 202:
            agent.accepted(json.loads(content))
            return
        wait_s = float(answer.headers["Retry-After"])
        with self._lock:
            self.waits.append(wait_s)
        longest = 2.0 if answer.status == 503 else wait_s  # a test has less time than a fleet
        agent.not_before = time.monotonic() + min(wait_s, longest)

    def _count(self, what: str) -> None:
        with self._lock:
            self.answers[what] += 1
