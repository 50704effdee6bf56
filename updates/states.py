"""The states of a rollout, its rings, its rooms and each try (domain: state machines, Update). Plain words."""

from __future__ import annotations

from enum import StrEnum


class RolloutState(StrEnum):
    PROPOSED = "proposed"  # planned, waits for somebody's yes
    SCHEDULED = "scheduled"
    IN_PROGRESS = "in_progress"
    PAUSED = "paused"
    COMPLETED = "completed"
    COMPLETED_WITH_FAILURES = "completed_with_failures"
    CANCELLED = "cancelled"
    DEPRECATED = "deprecated"  # its release was superseded or withdrawn


class StageState(StrEnum):
    WAITING = "waiting"
    IN_PROGRESS = "in_progress"
    TESTING = "testing"
    PASSED = "passed"
    STOPPED = "stopped"  # at its gate


class TargetState(StrEnum):
    NOT_REQUIRED = "not_required"
    SCHEDULED = "scheduled"
    IN_PROGRESS = "in_progress"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"


class AttemptState(StrEnum):
    CONFIRMING = "confirming"  # waits for somebody at the device to agree
    OFFERED = "offered"
    DOWNLOADING = "downloading"
    INSTALLING = "installing"  # past the point of no return
    VERIFYING = "verifying"  # the device says done; it has to prove it
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLING = "cancelling"  # asked to stop; the device's answer decides
    CANCELLED = "cancelled"
    EXPIRED = "expired"  # the night ended before the device had begun


ENDED_ROLLOUTS = frozenset(
    {
        RolloutState.COMPLETED,
        RolloutState.COMPLETED_WITH_FAILURES,
        RolloutState.CANCELLED,
        RolloutState.DEPRECATED,
    }
)
PAST_RETURN = frozenset({AttemptState.INSTALLING, AttemptState.VERIFYING})
