"""What rules see and what they say: plain values, no database, no clock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

HEALTHY, UNHEALTHY, UNKNOWN = "healthy", "unhealthy", "unknown"
TITLE_LENGTH = 300

# How the signal table calls devices: by kind, since a room system reports the same on Windows and Linux.
PLATFORMS = {"room_system": "win", "video_bar": "bar", "console": "con", "panel": "pan"}


@dataclass(frozen=True, slots=True)
class SignalFact:
    """The latest state of one instance of a signal. `since`: event time of the change, aware."""

    signal: str
    instance: str
    state: str
    since: datetime
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One component at fault. `instance` is "" where a device has one only; `fault_at`: when it began."""

    instance: str
    summary: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    fault_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """A device as its rules see it at one moment. Times are aware; `silent_since` None: it is heard."""

    kind: str
    observed_at: datetime
    signals: tuple[SignalFact, ...] = ()
    silent_since: datetime | None = None
    expected: Mapping[str, Any] = field(default_factory=dict)  # equipment its room must have
    signed_in_at: datetime | None = None  # the room's account, last, as its directory tells; None: not known
    app_version: str = ""  # of the meeting app
    lines_behind: int | None = None  # published lines of the meeting app that are newer; None: not known

    def reports(self, signal: str) -> bool:
        """Whether it says anything of a signal, be it good or bad."""
        return any(fact.signal == signal and fact.state != UNKNOWN for fact in self.signals)

    def unhealthy(self, signal: str) -> Iterator[SignalFact]:
        return (fact for fact in self.signals if fact.signal == signal and fact.state == UNHEALTHY)

    def reported(self, signal: str, summary: str) -> Iterator[Finding]:
        """What the device itself calls unhealthy, one finding for each instance."""
        for fact in self.unhealthy(signal):
            title = f"{summary} ({fact.instance})" if fact.instance else summary
            evidence = {"detail": fact.detail} if fact.detail else {}
            yield Finding(fact.instance, title[:TITLE_LENGTH], evidence, fault_at=fact.since)
