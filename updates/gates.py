"""Whether a rollout may go on: failures among the rooms that reported, and their health. Pure.

Failures: a sequential test of two claims, "2 % fail" and "20 % fail" (A. Wald, Sequential Analysis, 1947).
Each room that reported moves the score by the logarithm of how much likelier the second claim makes
what it said. The score never falls below `FLOOR`, so that a thousand good rooms do not hide a bad hundred
that follow (E. S. Page, Biometrika 41, 1954). Limits and floor are chosen by the simulation in bench/rollout_gate.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from math import comb, log

TOLERABLE, INTOLERABLE = 0.02, 0.20  # shares of rooms that fail
STOP_AT = log(50)
FLOOR = -log(400)
LEAST_REPORTED = 5
FAILURE, SUCCESS = log(INTOLERABLE / TOLERABLE), log((1 - INTOLERABLE) / (1 - TOLERABLE))

LEAST_COMPARED = 10  # rooms on either side of a comparison of health
CHANCE = 0.01  # how seldom the difference may come about by chance before it counts


class Verdict(StrEnum):
    GO_ON = "go_on"
    WAIT = "wait"  # too little has been reported to say
    STOP = "stop"


@dataclass(frozen=True)
class FailureGate:
    """What is known so far. Kept per ring and per model; begin with `FailureGate()`."""

    reported: int = 0
    failed: int = 0
    score: float = 0.0
    tripped: bool = False  # stays: whether a stopped rollout goes on is a person's decision

    def after(self, outcomes: Iterable[bool]) -> FailureGate:
        """With more outcomes, in the order they were reported; True: the room succeeded."""
        reported, failed, score, tripped = self.reported, self.failed, self.score, self.tripped
        for succeeded in outcomes:
            reported += 1
            failed += not succeeded
            score = max(FLOOR, score + (SUCCESS if succeeded else FAILURE))
            tripped = tripped or (reported >= LEAST_REPORTED and score >= STOP_AT)
        return FailureGate(reported, failed, score, tripped)

    @property
    def verdict(self) -> Verdict:
        if self.tripped:
            return Verdict.STOP
        return Verdict.GO_ON if self.reported >= LEAST_REPORTED else Verdict.WAIT


@dataclass(frozen=True)
class Health:
    """Rooms of one model and how many of them are unhealthy now."""

    rooms: int
    unhealthy: int

    def __post_init__(self) -> None:
        if not 0 <= self.unhealthy <= self.rooms:
            raise ValueError("There cannot be more unhealthy rooms than rooms.")


def health_verdict(updated: Health, not_updated: Health) -> Verdict:
    """Whether updated rooms are worse off than the others of the same model (Fisher's exact test, one side).

    A fault that hits both sides, such as a network outage, stops nothing. WAIT while either side is too
    small to compare: the last rooms of a model are judged by their failures alone.
    """
    if min(updated.rooms, not_updated.rooms) < LEAST_COMPARED:
        return Verdict.WAIT
    return Verdict.STOP if _chance(updated, not_updated) < CHANCE else Verdict.GO_ON


def _chance(updated: Health, not_updated: Health) -> float:
    """Of at least this many unhealthy rooms among the updated, if the update made no difference."""
    rooms, unhealthy = updated.rooms + not_updated.rooms, updated.unhealthy + not_updated.unhealthy
    most = min(updated.rooms, unhealthy)
    ways = sum(
        comb(unhealthy, here) * comb(rooms - unhealthy, updated.rooms - here)
        for here in range(updated.unhealthy, most + 1)
    )
    return ways / comb(rooms, updated.rooms)
