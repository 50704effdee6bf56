from __future__ import annotations

from datetime import timedelta

import pytest

from incidents.decisions import Situation, Step, Ticket, Watched, decide

WATCH = timedelta(minutes=5)


def situation(**given):
    usual = {
        "watched": Watched.YES,
        "enabled": True,
        "state": "unhealthy",
        "faulty": True,
        "ticket": Ticket.NONE,
        "watch": WATCH,
        "watch_until": None,
    }
    return Situation(**{**usual, **given})


def test_a_watching_period_is_over_at_its_very_end(at):
    assert decide(situation(watch_until=at + timedelta(microseconds=1)), at=at) is Step.LEAVE
    assert decide(situation(watch_until=at), at=at) is Step.OPEN


@pytest.mark.parametrize(
    ("given", "step"),
    [
        ({}, Step.WATCH),
        ({"watch": timedelta(0)}, Step.OPEN),
        ({"enabled": False}, Step.CALM),
        ({"ticket": Ticket.OPEN}, Step.CALM),
        ({"ticket": Ticket.RESOLVED, "turned": True}, Step.WATCH),
        ({"ticket": Ticket.RESOLVED}, Step.LEAVE),
        ({"faulty": False, "state": "healthy"}, Step.RECOVER),
        ({"faulty": False, "state": None}, Step.RECOVER),
        ({"faulty": False, "state": "unknown"}, Step.CALM),
        ({"watched": Watched.NOT_NOW}, Step.CALM),
        ({"watched": Watched.NO_MORE}, Step.END),
    ],
)
def test_each_situation_has_its_step(at, given, step):
    assert decide(situation(**given), at=at) is step


def test_a_recovery_in_between_begins_the_watching_period_anew(at):
    over = situation(watch_until=at - WATCH, recovered=True, turned=True)
    assert decide(over, at=at) is Step.WATCH
