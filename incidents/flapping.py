"""Signals that come and go: two limits on how often they turned lately. Pure.

Each turn counts one and fades to half in HALF_LIFE. Above BEGINS a signal flaps, until it has faded to ENDS: one
limit alone would make the flapping itself come and go (the two-limit form of Nagios' flap detection, for turns
instead of checks). With these values eight turns ten minutes apart, or five in five minutes, are flapping; a fault
that comes, stays and goes is not.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import log2

HALF_LIFE = timedelta(minutes=30)
BEGINS, ENDS = 4.0, 2.0
MOST = 12.0  # however wild it was, it has faded to ENDS after some 80 minutes


@dataclass(frozen=True, slots=True)
class Stability:
    """`score` as of `scored_at` (aware)."""

    score: float
    scored_at: datetime
    flapping: bool = False


def faded(known: Stability, at: datetime) -> float:
    passed = max(at - known.scored_at, timedelta(0))
    return float(known.score * 0.5 ** (passed / HALF_LIFE))


def turned(known: Stability | None, *, turns: int, at: datetime) -> Stability:
    """After so many turns at `at`."""
    score = min((faded(known, at) if known else 0.0) + turns, MOST)
    before = known is not None and known.flapping and faded(known, at) > ENDS
    return Stability(score, at, score >= BEGINS or (before and score > ENDS))


def calm_at(known: Stability) -> datetime:
    """When it has faded to ENDS, if it turns no more."""
    if not known.flapping or known.score <= ENDS:
        return known.scored_at
    return known.scored_at + HALF_LIFE * log2(known.score / ENDS)
