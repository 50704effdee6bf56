"""The live health score of a room, 0 to 100, that explains itself: what takes points, and how many. Pure.

A room starts at 100 and loses points for what is wrong now and, a little, for its last two weeks (docs/signals.md):

    every Critical ticket 40, Important 25, Warning 5 (15 together), Recommended 1 (5 together)
    no watched device is heard 60; some are not, 20 each
    every signal that is unhealthy and still watched 3 (9 together), or turns too often 4 (12 together)
    the share of unhealthy days among the last 14 counted ones, times 15

Tickets about silence take nothing of their own: the silence does. What is suppressed takes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from incidents.severity import Severity

BEST = 100
TICKET = {Severity.CRITICAL: 40, Severity.IMPORTANT: 25, Severity.WARNING: 5, Severity.RECOMMENDED: 1}
TOGETHER = {Severity.WARNING: 15, Severity.RECOMMENDED: 5}  # the most that many of them take
ALL_SILENT, ONE_SILENT = 60, 20
WATCHED, WATCHED_TOGETHER = 3, 9
UNSTEADY, UNSTEADY_TOGETHER = 4, 12
HISTORY, HISTORY_DAYS = 15, 14
LABELS = ((90, "Good"), (70, "Fair"), (40, "Poor"), (0, "Bad"))


@dataclass(frozen=True)
class Ticket:
    id: UUID
    severity: Severity
    summary: str
    about_silence: bool = False


@dataclass(frozen=True)
class RoomFacts:
    """`watched`, `unsteady`: names of components. `days`: health of the last counted days, any order."""

    devices: int = 0  # watched
    silent: int = 0  # of these
    tickets: Sequence[Ticket] = ()  # open, not suppressed
    watched: Sequence[str] = ()
    unsteady: Sequence[str] = ()
    days: Sequence[bool] = ()


@dataclass(frozen=True)
class Part:
    """`points` it takes, with the ticket it comes from, if one."""

    points: int
    text: str
    incident_id: UUID | None = None


@dataclass(frozen=True)
class Score:
    """`value` None: the room has no watched device, so there is nothing to judge."""

    value: int | None
    parts: list[Part] = field(default_factory=list)  # the heaviest first

    @property
    def label(self) -> str:
        if self.value is None:
            return "Not watched"
        return next(label for least, label in LABELS if self.value >= least)


def score(facts: RoomFacts) -> Score:
    if not facts.devices:
        return Score(None)
    parts = [*_silence(facts), *_tickets(facts.tickets)]
    parts += _each(facts.watched, "{} is unhealthy and being watched", WATCHED, WATCHED_TOGETHER)
    parts += _each(facts.unsteady, "{} turns too often", UNSTEADY, UNSTEADY_TOGETHER)
    parts += _history(facts.days)
    parts = sorted((part for part in parts if part.points), key=lambda part: -part.points)
    return Score(max(BEST - sum(part.points for part in parts), 0), parts)


def _silence(facts: RoomFacts) -> Iterable[Part]:
    if facts.silent >= facts.devices:
        yield Part(ALL_SILENT, "No device is heard")
    elif facts.silent:
        noun = "device is" if facts.silent == 1 else "devices are"
        yield Part(min(ONE_SILENT * facts.silent, ALL_SILENT), f"{facts.silent} {noun} silent")


def _tickets(tickets: Sequence[Ticket]) -> Iterable[Part]:
    taken: dict[Severity, int] = {}
    for ticket in sorted(tickets, key=lambda each: each.severity):
        if ticket.about_silence:
            continue
        most = TOGETHER.get(ticket.severity)
        points = TICKET[ticket.severity]
        if most is not None:
            points = min(points, most - taken.get(ticket.severity, 0))
        taken[ticket.severity] = taken.get(ticket.severity, 0) + points
        yield Part(points, ticket.summary, ticket.id)


def _each(names: Sequence[str], text: str, points: int, together: int) -> Iterable[Part]:
    left = together
    for name in names:
        yield Part(min(points, left), text.format(name))
        left = max(left - points, 0)


def _history(days: Sequence[bool]) -> Iterable[Part]:
    lately = list(days)[:HISTORY_DAYS]
    bad = sum(not healthy for healthy in lately)
    if bad:
        points = max(round(HISTORY * bad / len(lately)), 1)
        yield Part(points, f"{bad} of the last {len(lately)} days unhealthy")
