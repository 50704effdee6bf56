"""What is to be done about one component of one device: pure, so that it can be tested at its edges."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto

from incidents.facts import HEALTHY


class Watched(Enum):
    """Whether a device may raise tickets."""

    YES = auto()  # enrolled
    NOT_NOW = auto()  # onboarding, pending or quarantined: its tickets stay as they are
    NO_MORE = auto()  # unenrolled: its tickets end


class Ticket(Enum):
    """The ticket of the component that is not closed."""

    NONE = auto()
    OPEN = auto()
    RESOLVED = auto()


class Step(Enum):
    LEAVE = auto()  # as it is
    CALM = auto()  # stop watching
    WATCH = auto()  # begin a watching period
    OPEN = auto()  # open or reopen the ticket
    WAIT = auto()  # healthy: resolve the ticket if it stays so
    RECOVER = auto()  # stop watching, resolve the ticket
    END = auto()  # the same, because the device is no longer watched


@dataclass(frozen=True, slots=True)
class Situation:
    """All that a decision rests on.

    `state`: of the signal, None where the device no longer reports the instance. `faulty`: its rule finds a fault.
    `turned`: it became unhealthy in what is evaluated now; `recovered`: it was healthy in between.
    `flapping`: it turns too often to be believed. `patience`: how long it must be healthy before its ticket is
    resolved. `held`: another fault of the device explains this one. `watch_until`: the end of the watching period,
    or, healthy with an open ticket, of the patience.
    """

    watched: Watched
    enabled: bool
    state: str | None
    faulty: bool
    ticket: Ticket
    watch: timedelta
    watch_until: datetime | None
    turned: bool = False
    recovered: bool = False
    flapping: bool = False
    patience: timedelta = timedelta(0)
    held: bool = False


def decide(situation: Situation, *, at: datetime) -> Step:
    """A watching period that ends at `at` is over. A resolved ticket whose fault never went away is left to
    the recheck one watching period after it was resolved."""
    if situation.watched is Watched.NO_MORE:
        return Step.END
    if situation.watched is Watched.NOT_NOW:
        return Step.CALM
    if not situation.faulty:
        return _after_recovery(situation, at=at)
    if not situation.enabled or situation.ticket is Ticket.OPEN or situation.held:
        return Step.CALM
    if situation.watch_until is None or situation.recovered:
        if situation.ticket is Ticket.RESOLVED and not situation.turned:
            return Step.LEAVE
        return Step.WATCH if situation.watch and not situation.flapping else Step.OPEN
    return Step.OPEN if situation.watch_until <= at else Step.LEAVE


def _after_recovery(situation: Situation, *, at: datetime) -> Step:
    if situation.state is None:
        return Step.RECOVER
    if situation.state != HEALTHY:
        return Step.CALM  # unknown is not healthy: an open ticket stays
    if situation.ticket is not Ticket.OPEN:
        return Step.RECOVER
    if situation.watch_until is None or situation.turned:
        return Step.WAIT if situation.patience else Step.RECOVER
    return Step.RECOVER if situation.watch_until <= at else Step.LEAVE
