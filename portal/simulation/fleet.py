"""A fleet of simulated devices: who posts when, and where it stopped last time."""

from __future__ import annotations

import heapq
import json
import logging
import os
import random
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import requests

from portal.simulation.device import Place, Refused, SimulatedDevice
from portal.simulation.room import SimulatedRoom

log = logging.getLogger(__name__)
SAVE_EVERY_S = 60
ROOMS_PER_THREAD = 100
FIRST_STEP = 700  # rooms begin in the middle of life: some ill, as in any fleet


class Fleet:
    """Devices that live until `stop()`. `state` remembers tokens and steps, so that a second start goes on."""

    def __init__(
        self, url: str, places: Iterable[Place], *, seed: int, state: Path, speed: float = 1.0
    ) -> None:
        self.url, self.seed, self.speed, self.state = url.rstrip("/"), seed, speed, state
        self._stopped = threading.Event()
        self._local = threading.local()
        remembered = self._remembered()
        self.devices = [
            self._device(number, place, remembered.get(place.room, {})) for number, place in enumerate(places)
        ]
        self.posted = 0

    def _device(self, number: int, place: Place, known: dict[str, Any]) -> SimulatedDevice:
        room = SimulatedRoom(self.seed, number, step=known.get("step", FIRST_STEP))
        device = SimulatedDevice(place, room)
        if known:
            device.token, device.heartbeat_url = known["token"], known["heartbeat_url"]
            device.interval_s = known["interval_s"]
        return device

    def enroll(self, progress: Callable[[int, int], None]) -> list[str]:
        """Enroll whoever has no token yet. Returns the reasons of those refused."""
        refused = []
        for done, device in enumerate(self.devices, start=1):
            if self._stopped.is_set():
                break
            if not device.token:
                try:
                    device.enroll(self._session(), self.url)
                except Refused as error:
                    refused.append(str(error))
            progress(done, len(self.devices))
        self.save()
        return refused

    def live(self) -> None:
        """Post until stopped. Devices start spread over one interval, like a fleet that has been up for long."""
        spread = random.Random(self.seed)  # noqa: S311 - a simulation
        live = [device for device in self.devices if device.token]
        started = time.monotonic()
        due = [
            (started + spread.random() * device.interval_s / self.speed, number)
            for number, device in enumerate(live)
        ]
        heapq.heapify(due)
        lock = threading.Condition()
        saved = started

        def one(number: int) -> None:
            try:
                wait = live[number].beat(self._session(), self.url)
            except Refused as error:
                log.warning("Gone: %s", error)
                return
            except Exception:  # one device's fault must not end the whole simulated fleet
                log.exception("A simulated device failed")
                wait = 60.0
            with lock:
                self.posted += 1
                heapq.heappush(due, (time.monotonic() + wait / self.speed, number))
                lock.notify()

        with ThreadPoolExecutor(max(4, len(live) // ROOMS_PER_THREAD)) as pool:
            while not self._stopped.is_set():
                with lock:
                    now = time.monotonic()
                    while due and due[0][0] <= now:
                        pool.submit(one, heapq.heappop(due)[1])
                    lock.wait(min(max(due[0][0] - now, 0.0), 1.0) if due else 1.0)
                if time.monotonic() - saved > SAVE_EVERY_S:
                    self.save()
                    saved = time.monotonic()
        self.save()

    def stop(self) -> None:
        self._stopped.set()

    def save(self) -> None:
        """Whole or not at all, and readable by its owner alone: it holds tokens."""
        kept = {
            device.place.room: {
                "token": device.token,
                "heartbeat_url": device.heartbeat_url,
                "interval_s": device.interval_s,
                "step": device.room.step,
            }
            for device in self.devices
            if device.token
        }
        self.state.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.state.with_suffix(".new")
        fresh.touch(mode=0o600)
        fresh.write_text(json.dumps({"seed": self.seed, "url": self.url, "devices": kept}))
        os.replace(fresh, self.state)

    def _remembered(self) -> dict[str, dict[str, Any]]:
        if not self.state.exists():
            return {}
        kept = json.loads(self.state.read_text())
        return kept["devices"] if (kept["seed"], kept["url"]) == (self.seed, self.url) else {}

    def _session(self) -> requests.Session:
        if not hasattr(self._local, "session"):
            self._local.session = requests.Session()
            self._local.session.trust_env = False
        session: requests.Session = self._local.session
        return session


def write_plan(path: Path, places: Iterable[Place]) -> None:
    """Keep a plan for a later `read_plan`; it holds keys, so only its owner may read it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(json.dumps([asdict(place) for place in places], indent=1))


def read_plan(path: Path) -> list[Place]:
    return [Place(**each) for each in json.loads(path.read_text())]
