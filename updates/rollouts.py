"""How a rollout goes on: its states and those of its rings. Pure: facts in, the next steps out.

Rings go one after the other. A ring begins when the one before it has passed and its day has come, is tested once
all its rooms are through, and passes when its test days are over. It stops at its gate: by failures, by health, or
at its end by its limit; then the rollout is paused, and a person decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum

from updates.errors import NotNow
from updates.gates import Verdict
from updates.states import ENDED_ROLLOUTS, RolloutState, StageState

FIRST_ZONE = timedelta(hours=14)  # a day begins first 14 hours before it does in UTC (Line Islands)
START_WEEKDAY = 2  # Wednesday; critical releases do not wait for it

State = RolloutState


class Event(StrEnum):
    APPROVE = "approve"
    START = "start"
    PAUSE = "pause"  # by a person, or at a gate
    RESUME = "resume"
    FINISH = "finish"
    FINISH_WITH_FAILURES = "finish_with_failures"
    AGAIN = "again"  # a room that was through is to try once more
    CANCEL = "cancel"
    DEPRECATE = "deprecate"


MOVES: dict[Event, tuple[frozenset[State], State]] = {
    Event.APPROVE: (frozenset({State.PROPOSED}), State.SCHEDULED),
    Event.START: (frozenset({State.SCHEDULED}), State.IN_PROGRESS),
    Event.PAUSE: (frozenset({State.SCHEDULED, State.IN_PROGRESS}), State.PAUSED),
    Event.RESUME: (frozenset({State.PAUSED}), State.IN_PROGRESS),
    Event.FINISH: (frozenset({State.IN_PROGRESS}), State.COMPLETED),
    Event.FINISH_WITH_FAILURES: (frozenset({State.IN_PROGRESS}), State.COMPLETED_WITH_FAILURES),
    Event.AGAIN: (
        frozenset({State.IN_PROGRESS, State.COMPLETED, State.COMPLETED_WITH_FAILURES}),
        State.IN_PROGRESS,
    ),
    Event.CANCEL: (
        frozenset({State.PROPOSED, State.SCHEDULED, State.IN_PROGRESS, State.PAUSED}),
        State.CANCELLED,
    ),
    Event.DEPRECATE: (
        frozenset({State.PROPOSED, State.SCHEDULED, State.IN_PROGRESS, State.PAUSED}),
        State.DEPRECATED,
    ),
}
SAID = {
    State.PROPOSED: "It waits for approval.",
    State.SCHEDULED: "It has not begun.",
    State.IN_PROGRESS: "It is in progress.",
    State.PAUSED: "It is paused.",
    State.COMPLETED: "It is completed.",
    State.COMPLETED_WITH_FAILURES: "It is completed.",
    State.CANCELLED: "It was cancelled.",
    State.DEPRECATED: "Its release is deprecated.",
}


def after(state: State, event: Event) -> State:
    """Raises NotNow."""
    allowed, follows = MOVES[event]
    if state not in allowed:
        raise NotNow(SAID[state])
    return follows


@dataclass(frozen=True)
class Counts:
    """Rooms' devices of a ring by where they are. Those left out from the start do not count."""

    scheduled: int = 0
    in_progress: int = 0
    succeeded: int = 0
    failed: int = 0
    skipped: int = 0

    @property
    def total(self) -> int:
        return self.scheduled + self.in_progress + self.succeeded + self.failed + self.skipped

    @property
    def through(self) -> bool:
        return self.scheduled == 0 and self.in_progress == 0


@dataclass(frozen=True)
class Stage:
    """What of a ring decides how it goes on. `gate`, `health`: the worst verdict so far, over all and per model."""

    state: StageState
    starts_on: date
    test_days: int
    counts: Counts
    needs_approval: bool = False
    approved: bool = False
    failure_limit_pct: int = 100
    failed_accepted: int = 0
    gate: Verdict = Verdict.WAIT
    health: Verdict = Verdict.WAIT
    installed_at: datetime | None = None

    @property
    def test_until(self) -> datetime | None:
        return self.installed_at + timedelta(days=self.test_days) if self.installed_at else None


class Change(StrEnum):
    BEGIN = "begin"  # the ring
    TEST = "test"
    PASS = "pass"  # noqa: S105 - no password
    STOP = "stop"
    FINISH = "finish"  # the rollout
    FINISH_WITH_FAILURES = "finish_with_failures"


@dataclass(frozen=True)
class Step:
    """One change. `stage`: which ring, None for the rollout as a whole; `reason` where it stops."""

    change: Change
    stage: int | None = None
    reason: str = ""


@dataclass(frozen=True)
class Standing:
    """A rollout and its rings in their order."""

    state: State
    stages: tuple[Stage, ...]


def advanced(standing: Standing, *, at: datetime) -> tuple[Standing, list[Step]]:
    """Everything that follows at `at`, one step after the other. Repeating it changes nothing."""
    steps: list[Step] = []
    while (step := _next(standing, at)) is not None:
        standing = _taken(standing, step, at)
        steps.append(step)
    return standing, steps


def resumed(stage: Stage) -> Stage:
    """A ring that had stopped, once somebody decided to go on: what failed so far is known and accepted."""
    if stage.state != StageState.STOPPED:
        return stage
    state = StageState.TESTING if stage.installed_at is not None else StageState.IN_PROGRESS
    return replace(
        stage, state=state, gate=Verdict.WAIT, health=Verdict.WAIT, failed_accepted=stage.counts.failed
    )


def first_night(today: date, *, critical: bool) -> date:
    """The day a rollout begins that is planned on `today`: the next Wednesday; at once where it is critical."""
    if critical:
        return today
    ahead = (START_WEEKDAY - today.weekday()) % 7 or 7
    return today + timedelta(days=ahead)


def planned_starts(starts_on: date, days: Sequence[tuple[int, int]]) -> list[date]:
    """When each ring begins: after the rollout and test days of all before it."""
    starts = []
    for rollout_days, test_days in days:
        starts.append(starts_on)
        starts_on += timedelta(days=rollout_days + test_days)
    return starts


def _next(standing: Standing, at: datetime) -> Step | None:
    if standing.state != State.IN_PROGRESS:
        return None
    for number, stage in enumerate(standing.stages):
        if stage.state == StageState.PASSED:
            if not stage.counts.through:  # rooms that catch up: the rollout is not over before them
                return None if number == len(standing.stages) - 1 else _after_passed(standing, number, at)
            continue
        return _step_of(number, stage, at)
    failed = any(stage.counts.failed for stage in standing.stages)
    return Step(Change.FINISH_WITH_FAILURES if failed else Change.FINISH)


def _after_passed(standing: Standing, number: int, at: datetime) -> Step | None:
    """A ring that passed and has rooms catching up holds no later ring up, only the end."""
    for later, stage in enumerate(standing.stages[number + 1 :], number + 1):
        if stage.state != StageState.PASSED:
            return _step_of(later, stage, at)
    return None


def _step_of(number: int, stage: Stage, at: datetime) -> Step | None:
    counts = stage.counts
    if stage.state == StageState.WAITING:
        if counts.total == 0:
            return Step(Change.PASS, number)
        if stage.needs_approval and not stage.approved:
            return None
        return Step(Change.BEGIN, number) if (at + FIRST_ZONE).date() >= stage.starts_on else None
    if stage.state == StageState.STOPPED:
        return None
    if stage.gate == Verdict.STOP:
        return Step(Change.STOP, number, "Too many rooms failed.")
    if stage.health == Verdict.STOP:
        return Step(Change.STOP, number, "Updated rooms are less healthy than the others of their model.")
    if stage.state == StageState.IN_PROGRESS:
        if not counts.through:
            return None
        over = counts.failed * 100 > stage.failure_limit_pct * counts.total
        if over and counts.failed > stage.failed_accepted:
            return Step(Change.STOP, number, f"More than {stage.failure_limit_pct} % of its rooms failed.")
        return Step(Change.TEST, number)
    until = stage.test_until
    return Step(Change.PASS, number) if until is None or at >= until else None


def _taken(standing: Standing, step: Step, at: datetime) -> Standing:
    if step.stage is None:
        event = Event.FINISH if step.change == Change.FINISH else Event.FINISH_WITH_FAILURES
        return replace(standing, state=after(standing.state, event))
    stage = standing.stages[step.stage]
    match step.change:
        case Change.BEGIN:
            stage = replace(stage, state=StageState.IN_PROGRESS)
        case Change.TEST:
            stage = replace(stage, state=StageState.TESTING, installed_at=at)
        case Change.PASS:
            stage = replace(stage, state=StageState.PASSED)
        case _:
            stage = replace(stage, state=StageState.STOPPED)
    stages = (*standing.stages[: step.stage], stage, *standing.stages[step.stage + 1 :])
    state = after(standing.state, Event.PAUSE) if step.change == Change.STOP else standing.state
    return Standing(state, stages)


def is_over(state: State) -> bool:
    return state in ENDED_ROLLOUTS
