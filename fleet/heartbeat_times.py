"""When a heartbeat happened, told by the clocks of its device and ours (security §2). Pure; milliseconds since 1970."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

LONGEST_AGE_MS = 8 * 86_400_000  # a spool holds 7 days
AHEAD_MS = 5 * 60_000  # a wall clock further ahead than the drift that is a fault is not believed
JITTER_S = 1.0  # a request is stamped after its items, but not every client rounds alike


class EventTime(NamedTuple):
    ms: int  # never after the request was received
    plausible: bool


def event_time(
    received_ms: int,
    sent_mono: float | None,
    t_mono: float | None,
    t_wall: Callable[[], datetime | None],
) -> EventTime:
    """`received - (sent_mono - t_mono)` within one boot, else the device's wall clock, else when it was received.

    Nothing is refused for its clock: an implausible one only says so, and the next best time counts. `t_wall` is
    asked for only where it is needed.
    """
    plausible = True
    if sent_mono is not None and t_mono is not None:
        age_s = sent_mono - t_mono
        if -JITTER_S <= age_s <= LONGEST_AGE_MS / 1000:
            return EventTime(received_ms - max(0, round(age_s * 1000)), True)
        plausible = False
    wall = t_wall()
    if wall is None:
        return EventTime(received_ms, plausible)
    wall_ms = int(wall.timestamp() * 1000)
    if not received_ms - LONGEST_AGE_MS <= wall_ms <= received_ms + AHEAD_MS:
        return EventTime(received_ms, False)
    return EventTime(min(wall_ms, received_ms), plausible)
