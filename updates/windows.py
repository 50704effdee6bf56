"""Nights in which a room may be updated, in the room's own time. Pure; instants are aware, UTC."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True)
class InstallWindow:
    """Wall times of the room, without a zone. One that ends before it starts runs past midnight."""

    starts: time = time(0)
    ends: time = time(5)

    def __post_init__(self) -> None:
        if self.starts == self.ends:
            raise ValueError("A window needs two different times.")
        if self.starts.tzinfo or self.ends.tzinfo:
            raise ValueError("A window is in the room's time; its times name no zone.")


@dataclass(frozen=True)
class Night:
    """One opening of a window: from `starts_at` up to, not including, `ends_at`. `day`: the room's date it starts on."""

    day: date
    starts_at: datetime
    ends_at: datetime

    def contains(self, at: datetime) -> bool:
        return self.starts_at <= at < self.ends_at


def night_of(day: date, window: InstallWindow, zone: ZoneInfo) -> Night | None:
    """The opening that starts on the room's `day`; None where the clock skips it all when it is put forward.

    A time the clock skips stands for the moment it is put forward, one that comes twice for its first
    coming: a window is at most an hour longer than it says, and opens once.
    """
    until = day + timedelta(days=1) if window.ends < window.starts else day
    starts_at, ends_at = _instant(day, window.starts, zone), _instant(until, window.ends, zone)
    return Night(day, starts_at, ends_at) if starts_at < ends_at else None


def nights(window: InstallWindow, zone: ZoneInfo, *, at: datetime) -> Iterator[Night]:
    """The openings that are not over at `at`, in order, without end: the first may be open already."""
    day = at.astimezone(zone).date() - timedelta(days=1)
    while True:
        night = night_of(day, window, zone)
        if night is not None and night.ends_at > at:
            yield night
        day += timedelta(days=1)


def open_night(window: InstallWindow, zone: ZoneInfo, *, at: datetime) -> Night | None:
    """The opening `at` lies in. Asked again whenever an update is offered: a plan may have grown old."""
    night = next(nights(window, zone, at=at))
    return night if night.contains(at) else None


def _instant(day: date, wall: time, zone: ZoneInfo) -> datetime:
    local = datetime.combine(day, wall).replace(tzinfo=zone, fold=0)
    instant = local.astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None):
        return instant
    # The clock skips this time. The change lies between its two readings (PEP 495).
    low, high = local.replace(fold=1).astimezone(UTC), instant
    offset = high.astimezone(zone).utcoffset()
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) // 2
        if middle.astimezone(zone).utcoffset() == offset:
            high = middle
        else:
            low = middle
    return high.replace(microsecond=0)
