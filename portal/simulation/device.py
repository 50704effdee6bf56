"""A simulated device on the wire: enrolls, posts, keeps what is not yet committed, rotates its token."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import requests

from portal.simulation.room import SimulatedRoom

TIMEOUT_S = 20
RESEND_AFTER_S = 30
MOST_HELD = 500  # older readings are given up: a simulation needs no week of spool
WAIT_S = 30.0  # after a failure that names no time


class Refused(Exception):
    """The installation does not take this device."""


@dataclass(frozen=True)
class Place:
    """Who a simulated device claims to be."""

    key: str  # enrollment key that allows simple clients
    room: str
    resource_account: str = ""
    time_zone: str = "UTC"
    kind: str = "room_system"


@dataclass
class SimulatedDevice:
    place: Place
    room: SimulatedRoom
    token: str = ""
    heartbeat_url: str = ""
    interval_s: float = 60.0
    epoch: str = field(default_factory=lambda: secrets.token_hex(8))
    _seq: int = 0
    _held: deque[dict[str, Any]] = field(default_factory=deque)
    _sent_at: float = 0.0

    def enroll(self, session: requests.Session, url: str) -> None:
        """Raises Refused with the reason the installation gave."""
        nonce = session.post(f"{url}/device/v1/enroll/challenge", timeout=TIMEOUT_S).json()["nonce"]
        body = {
            "nonce": nonce,
            "agent": {"name": "greenroom-simulate", "version": "1"},
            "platform": "windows",
            "kind": self.place.kind,
            "hardware": self.room.hardware,
            "room": {"name": self.place.room, "resource_account": self.place.resource_account},
        }
        answer = session.post(
            f"{url}/device/v1/enroll",
            json=body,
            headers={"Authorization": f"Enroll {self.place.key}"},
            timeout=TIMEOUT_S,
        )
        if answer.status_code != 201:
            raise Refused(f"{self.place.room}: {answer.status_code} {answer.text[:300]}")
        told = answer.json()
        self.token, self.heartbeat_url = told["token"], told["heartbeat_url"]
        self.interval_s = float(told["heartbeat_interval_s"])

    def beat(self, session: requests.Session, url: str) -> float:
        """Live one step and post it. Returns after how many seconds to come back."""
        self.room.advance()
        if self.room.silent:
            return self.interval_s
        self._read()
        try:
            answer = session.post(
                self.heartbeat_url, json=self._envelope(), headers=self._authorization(), timeout=TIMEOUT_S
            )
            if answer.status_code == 202:
                return self._replied(session, url, answer.json())
        except requests.RequestException:
            return WAIT_S
        if answer.status_code == 401:
            raise Refused(f"{self.place.room}: {answer.text[:300]}")
        return float(answer.headers.get("Retry-After", WAIT_S))

    def _read(self) -> None:
        hour = datetime.now(UTC).astimezone(ZoneInfo(self.place.time_zone)).hour
        self._seq += 1
        digest = hashlib.sha256(json.dumps(self.room.inventory(), sort_keys=True).encode()).hexdigest()
        self._held.append(
            {
                "seq": self._seq,
                "t_wall": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
                "t_mono": time.monotonic(),
                **self.room.reading(local_hour=hour),
                "inventory_digest": f"sha256:{digest}",
            }
        )
        while len(self._held) > MOST_HELD:
            self._held.popleft()

    def _envelope(self) -> dict[str, Any]:
        """All that is held if the last sending was long ago, else the newest reading alone."""
        now = time.monotonic()
        again = now - self._sent_at > RESEND_AFTER_S
        items = list(self._held)[:100] if again else [self._held[-1]]
        self._sent_at = now
        return {"epoch": self.epoch, "from": self._held[0]["seq"], "sent_mono": now, "items": items}

    def _replied(self, session: requests.Session, url: str, reply: dict[str, Any]) -> float:
        committed = reply.get("committed")
        while committed is not None and self._held and self._held[0]["seq"] <= committed:
            self._held.popleft()
        if reply.get("inventory_wanted"):
            session.put(
                f"{url}/device/v1/inventory",
                json=self.room.inventory(),
                headers=self._authorization(),
                timeout=TIMEOUT_S,
            )
        if nonce := reply.get("rotate"):
            self._rotate(session, url, nonce)
        return float(reply["next_in"])

    def _rotate(self, session: requests.Session, url: str, nonce: str) -> None:
        answer = session.post(
            f"{url}/device/v1/token/rotate",
            json={"nonce": nonce},
            headers=self._authorization(),
            timeout=TIMEOUT_S,
        )
        if answer.ok:
            self.token = answer.json()["token"]

    def _authorization(self) -> dict[str, str]:
        return {"Authorization": f"Device {self.token}"}
