"""The gate of a rollout on 1,000 rooms, 10 in flight: how many rooms a bad release reaches, how often a good one stops."""

from __future__ import annotations

from random import Random

from bench.rows import Row
from updates.gates import FailureGate, Verdict

ROOMS, IN_FLIGHT, RUNS = 1_000, 10, 2_000
MOST_TOUCHED, MOST_NEEDLESS_STOPS = 41, 2.0  # in 99 of 100 runs; in 100 runs


def measure() -> list[Row]:
    random = Random(20261129)  # a simulation that repeats exactly
    touched = sorted(run(0.30, random)[0] for _ in range(RUNS))[RUNS * 99 // 100 - 1]
    stops = 100 * sum(run(0.02, random)[1] for _ in range(RUNS)) / RUNS
    return [
        Row(
            "rollout gate: rooms touched in 99 of 100 runs at 30 % failures",
            str(touched),
            "",
            None,
            f"≤ {MOST_TOUCHED}",
            touched <= MOST_TOUCHED,
        ),
        Row(
            "rollout gate: needless stops in 100 runs at 2 % failures",
            f"{stops:g}",
            "",
            None,
            f"≤ {MOST_NEEDLESS_STOPS:g}",
            stops <= MOST_NEEDLESS_STOPS,
        ),
    ]


def run(failing: float, random: Random) -> tuple[int, bool]:
    """One rollout: rooms that were given the release, and whether the gate stopped it."""
    gate, touched = FailureGate(), IN_FLIGHT
    while gate.reported < ROOMS:
        gate = gate.after([random.random() >= failing])
        if gate.verdict is Verdict.STOP:
            return touched, True
        touched = min(touched + 1, ROOMS)  # the place that became free
    return touched, False
