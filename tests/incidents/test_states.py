"""The table of the domain, spelled out once more, against the one the product runs on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incidents.states import OPEN, Event, State, after, sources

ALLOWED = {  # (from, event): to, as in the domain's table of tickets
    ("new", "diagnose"): "investigating",
    ("new", "need_customer"): "needs_action",
    ("investigating", "need_customer"): "needs_action",
    ("new", "queue"): "pending_investigation",
    ("investigating", "queue"): "pending_investigation",
    ("new", "take"): "assigned_to_soc",
    ("investigating", "take"): "assigned_to_soc",
    ("pending_investigation", "take"): "assigned_to_soc",
    ("needs_action", "take"): "assigned_to_soc",
    ("assigned_to_soc", "take"): "assigned_to_soc",
    ("needs_action", "customer_done"): "assigned_to_soc",
    ("assigned_to_soc", "ask_customer"): "needs_action",
    ("new", "resolve"): "resolved",
    ("investigating", "resolve"): "resolved",
    ("needs_action", "resolve"): "resolved",
    ("pending_investigation", "resolve"): "resolved",
    ("assigned_to_soc", "resolve"): "resolved",
    ("resolved", "expire"): "closed",
    ("new", "disable"): "closed",
    ("investigating", "disable"): "closed",
    ("needs_action", "disable"): "closed",
    ("pending_investigation", "disable"): "closed",
    ("assigned_to_soc", "disable"): "closed",
}


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", Event)
def test_every_pair_of_state_and_event_leads_where_the_table_says(state, event):
    if event == Event.REOPEN:
        expected = "needs_action" if state == State.RESOLVED else None
    else:
        expected = ALLOWED.get((state, event))
    assert after(event, state, before_resolved="needs_action") == expected
    assert (state in sources(event)) == (expected is not None)


@given(st.lists(st.sampled_from(list(Event)), max_size=40))
def test_whatever_happens_in_whatever_order_a_ticket_stays_within_the_table(events):
    state, before_resolved, closed = State.NEW, "", False
    for event in events:
        to = after(event, state, before_resolved=before_resolved)
        if to is None:
            continue
        assert not closed, "nothing happens to a closed ticket"
        if event == Event.RESOLVE:
            before_resolved = state
        if event == Event.REOPEN:
            assert to in OPEN
            assert to == before_resolved
        state, closed = to, to == State.CLOSED
    assert state in State
