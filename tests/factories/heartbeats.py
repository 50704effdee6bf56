"""A device's side of heartbeats: numbered items in a spool, requests as the accept process stores them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import msgspec

from fleet import stream
from fleet.models import Device

_ids = count(1)
HEALTHY = {"camera_room": "healthy", "mic_conf": "healthy", "disk_space": "healthy"}


def heartbeat(seq: int, **given: Any) -> dict[str, Any]:
    return {"seq": seq, "signals": HEALTHY, "metrics": {"cpu_pct": 12.5}, **given}


def body(items: Iterable[dict[str, Any]], *, epoch: str = "spool1", **envelope: Any) -> bytes:
    """`lowest` is the request's `from`."""
    lowest = envelope.pop("lowest", None)
    named = {"from": lowest} if lowest is not None else {}
    return msgspec.json.encode({"epoch": epoch, **named, **envelope, "items": list(items)})


def entry(device: Device, content: bytes, *, at: datetime) -> stream.Entry:
    """An accepted request of `device`, received at `at`."""
    sent_by = stream.sender(device.tenant_id, device.id, device.key)
    payload = stream.payload(sent_by, int(at.timestamp() * 1000), content)
    return stream.decode(b"%d-0" % next(_ids), payload)


class Spool:
    """Keeps what it posted until it is told that it is committed, like the agent."""

    def __init__(self, device: Device, epoch: str = "spool1") -> None:
        self.device, self.epoch = device, epoch
        self.items: dict[int, dict[str, Any]] = {}
        self.highest = 0

    def add(self, **given: Any) -> int:
        self.highest += 1
        self.items[self.highest] = heartbeat(self.highest, **given)
        return self.highest

    def request(self, *, at: datetime, after: int = 0) -> stream.Entry:
        """All items it still holds beyond `after`."""
        held = [item for seq, item in sorted(self.items.items()) if seq > after]
        lowest = min(self.items, default=self.highest + 1)
        return entry(self.device, body(held, epoch=self.epoch, lowest=lowest), at=at)

    def post(self, *, at: datetime, **given: Any) -> stream.Entry:
        """One more heartbeat, alone."""
        return self.request(at=at, after=self.add(**given) - 1)

    def told(self, committed: int | None) -> None:
        self.items = {seq: item for seq, item in self.items.items() if seq > (committed or 0)}


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)
