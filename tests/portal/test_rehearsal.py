"""What tells that an action still starts from what was shown, whatever it would make anew."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from foundation.ids import id_at, made_at, new_id
from portal import rehearsal
from portal.rehearsal import Effect
from tenancy.models import AuditEvent

NUMBER = 25  # more than are shown


@pytest.fixture
def began() -> Any:
    return made_at(new_id())


def test_what_was_made_a_moment_before_it_was_asked_for_counts_by_its_id(began):
    young = id_at(began - timedelta(milliseconds=2))
    facts = [AuditEvent(action="room.update", object_kind="room", object_id=young, before={"name": "A"})]
    stored = rehearsal.kept(effect(facts, began))
    assert rehearsal.same_ground(stored, effect(facts, began + timedelta(minutes=5)))


def rooms(began: Any) -> list[AuditEvent]:
    """A change of many rooms that were there long ago."""
    return [
        AuditEvent(
            action="room.update",
            object_kind="room",
            object_id=id_at(began - timedelta(days=1)),
            before={"capacity": number},
            after={"capacity": 99},
        )
        for number in range(NUMBER)
    ]


def effect(events: list[AuditEvent], began: Any) -> Effect:
    return Effect(None, events, rehearsal._ground(events, began))


def test_what_lies_beyond_what_is_shown_counts_too(began):
    events = rooms(began)
    stored = rehearsal.kept(effect(events, began))
    assert (len(stored["events"]), stored["more"]) == (20, 5)
    assert rehearsal.same_ground(stored, effect(events, began))
    events[-1].before = {"capacity": 7}
    assert not rehearsal.same_ground(stored, effect(events, began))


def test_the_same_change_of_another_object_is_another_change(began):
    events = rooms(began)
    stored = rehearsal.kept(effect(events, began))
    events[3].object_id = id_at(began - timedelta(days=2))
    assert not rehearsal.same_ground(stored, effect(events, began))


def test_what_is_made_anew_may_have_another_id_each_time(began):
    made = AuditEvent(action="ticket.create", object_kind="incident", object_id=new_id(), after={"a": 1})
    stored = rehearsal.kept(effect([made], began))
    again = AuditEvent(action="ticket.create", object_kind="incident", object_id=new_id(), after={"a": 1})
    assert rehearsal.same_ground(stored, effect([again], began))
    again.action = "ticket.close"
    assert not rehearsal.same_ground(stored, effect([again], began))
