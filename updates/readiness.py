"""What keeps a device from being updated for now. Pure; the words are those `updates.reasons` explains."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

OS_KINDS = frozenset({"os_feature", "os_quality"})
OS_SIGNALS = ("wu_disabled", "wu_blocked", "wsus_enabled", "wu_components")


@dataclass(frozen=True)
class Readiness:
    """What is known of a device. `unhealthy`: keys of its signals that are unhealthy now."""

    enrolled: bool = True
    silent: bool = False
    in_meeting: bool = False
    clock_wrong: bool = False
    unhealthy: Collection[str] = frozenset()


def blocker(kind: str, device: Readiness, *, forced: str = "") -> str:
    """Why it has to wait, "" if it need not. `forced`: `now` minds no meeting, `next_free` does."""
    if not device.enrolled:
        return "not_watched"
    if device.silent:
        return "silent"
    if device.clock_wrong:
        return "clock_wrong"
    if device.in_meeting and forced != "now":
        return "in_meeting"
    if "disk_space" in device.unhealthy:
        return "disk_space"
    if kind in OS_KINDS:
        return next((signal for signal in OS_SIGNALS if signal in device.unhealthy), "")
    return ""
