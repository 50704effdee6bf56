"""How often a device may post: one request every 2 seconds, and 30 at once after a pause."""

from __future__ import annotations

import math

EVERY_S = 2.0
BURST = 30


class Allowance:
    """Of one device, counted in this process. The moment its last request is paid off tells all (GCRA)."""

    __slots__ = ("_paid_at",)

    def __init__(self) -> None:
        self._paid_at = 0.0

    def take(self, mono_s: float) -> int:
        """Count one request at `mono_s` of the monotonic clock. 0, or the seconds to wait where it is one too many."""
        paid_at = max(self._paid_at, mono_s) + EVERY_S
        late = paid_at - mono_s - BURST * EVERY_S
        if late > 0:
            return math.ceil(late)
        self._paid_at = paid_at
        return 0
