"""What to send next and what an answer means for what is kept (architecture: the life of a heartbeat)."""

import gzip
import json
from dataclasses import dataclass
from typing import Any

from agent.clock import Moment
from agent.spool import Item, Spool

RESEND_AFTER_S = 30.0  # acceptance is not storage: unconfirmed for so long, an item is sent again
MOST_ITEMS = 100
MOST_BYTES = 400_000  # decoded; the service takes 512 kB
MOST_COMPRESSED = 60_000  # the service takes 64 kB
REFUSALS_BEFORE_GIVING_UP = 3


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive items and the request that carries them."""

    epoch: str
    first: int
    last: int
    body: bytes
    compressed: bool


class Delivery:
    """Walks the spool in order. What was accepted is remembered only in memory: after a restart everything
    kept is sent again, which the service recognises by its number."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._next = 1  # the first number not yet accepted
        self._unconfirmed: list[tuple[int, float]] = []  # (last number, accepted at)
        self._limit = MOST_ITEMS
        self._refusals = 0

    @property
    def waiting(self) -> bool:
        """Is anything kept that the service has not accepted yet?"""
        lowest = self._spool.lowest
        return lowest is not None and self._spool.highest >= max(self._next, lowest)

    def batch(self, now: Moment) -> Batch | None:
        """The next request, None if everything was accepted. Calling it again gives the same items."""
        lowest = self._spool.lowest
        if lowest is None:
            return None
        items = self._spool.items(max(self._next, lowest), self._limit)
        if not items:
            return None
        while True:
            body = _encode(self._spool.epoch, lowest, items, now)
            packed = gzip.compress(body, compresslevel=6, mtime=0) if len(body) > 1024 else body
            if len(items) == 1 or (len(body) <= MOST_BYTES and len(packed) <= MOST_COMPRESSED):
                return Batch(self._spool.epoch, items[0].seq, items[-1].seq, packed, packed is not body)
            items = items[: len(items) // 2]

    def accepted(self, batch: Batch, committed: int | None, *, at: Moment) -> None:
        """The service took the batch and said what it has stored for good."""
        self._spool.answered(committed, at_wall=at.wall)
        self._limit, self._refusals = min(MOST_ITEMS, self._limit * 2), 0
        if self._spool.epoch != batch.epoch:  # a new one was begun: nothing was sent in it yet
            self._next, self._unconfirmed = 1, []
            return
        self._next = batch.last + 1
        stored = committed or 0
        self._unconfirmed = [(last, when) for last, when in self._unconfirmed if last > stored]
        if any(at.mono - when >= RESEND_AFTER_S for _, when in self._unconfirmed):
            self._next = stored + 1
            self._unconfirmed = []
        elif batch.last > stored:
            self._unconfirmed.append((batch.last, at.mono))

    def refused(self, batch: Batch) -> bool:
        """The service will not take the batch as it is: try fewer items, to find the one at fault.

        An item refused alone three times loses its content. Returns whether that happened just now.
        """
        if batch.first != batch.last:
            self._limit = max(1, (batch.last - batch.first + 1) // 2)
            return False
        self._refusals += 1
        if self._refusals < REFUSALS_BEFORE_GIVING_UP:
            return False
        self._spool.empty_out(batch.first)
        self._refusals = 0
        return True


def _encode(epoch: str, lowest: int, items: list[Item], now: Moment) -> bytes:
    document = {
        "epoch": epoch,
        "from": lowest,
        "sent_mono": round(now.mono, 3),
        "items": [_item(each, now.boot) for each in items],
    }
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _item(item: Item, boot: str) -> dict[str, Any]:
    stamps: dict[str, Any] = {"seq": item.seq, "t_wall": item.t_wall}
    if item.boot == boot:  # another boot's clock cannot be compared with this one's
        stamps["t_mono"] = round(item.t_mono, 3)
    return {**stamps, **item.content}
