"""What pages about updates call things. Tones are those of the design."""

from __future__ import annotations

from updates.models import Release, Rollout

KINDS = dict(Release.Kind.choices)
ROLLOUTS = {
    "proposed": ("none", "Waits for approval"),
    "scheduled": ("none", "Scheduled"),
    "in_progress": ("info", "In progress"),
    "paused": ("mute", "Paused"),
    "completed": ("ok", "Completed"),
    "completed_with_failures": ("warn", "Completed with failures"),
    "cancelled": ("off", "Cancelled"),
    "deprecated": ("off", "Deprecated"),
}
STAGES = {
    "waiting": ("none", "Waiting"),
    "in_progress": ("info", "Updating"),
    "testing": ("info", "Testing"),
    "passed": ("ok", "Passed"),
    "stopped": ("bad", "Stopped"),
}
TARGETS = {
    "not_required": ("none", "Left out"),
    "scheduled": ("none", "Scheduled"),
    "in_progress": ("info", "Updating"),
    "succeeded": ("ok", "Updated"),
    "failed": ("bad", "Failed"),
    "skipped": ("mute", "Skipped"),
}


def done(rollout: Rollout) -> str:
    """What a device is that a rollout is through with."""
    return "downloaded" if rollout.download_only else "updated"


def doing(rollout: Rollout) -> str:
    return "downloading" if rollout.download_only else "updating"


def target_chip(state: str, rollout: Rollout) -> tuple[str, str]:
    """Tone and label of a device's state."""
    tone, label = TARGETS[state]
    own = {"succeeded": done(rollout), "in_progress": doing(rollout)}
    return tone, own[state].capitalize() if state in own else label


def size_text(size_bytes: int) -> str:
    """ "214 MB", in units of 1000 as makers write them."""
    if size_bytes < 1000:
        return f"{size_bytes} bytes"
    for unit, factor in (("kB", 10**3), ("MB", 10**6), ("GB", 10**9)):
        if size_bytes < factor * 1000 or unit == "GB":
            return f"{size_bytes / factor:.3g} {unit}"
    return ""
