from __future__ import annotations

import pytest

from incidents import attention
from incidents.attention import Party
from incidents.models import Incident
from incidents.states import State


@pytest.mark.parametrize(
    ("state", "label", "operators", "party"),
    [
        ("new", "Greenroom", "Greenroom", Party.GREENROOM),
        ("investigating", "Greenroom", "Greenroom", Party.GREENROOM),
        ("needs_action", "You", "Customer", Party.CUSTOMER),
        ("pending_investigation", "Waiting for Operations", "Operations", Party.OPERATIONS),
        ("assigned_to_soc", "With Operations", "Operations", Party.OPERATIONS),
        ("resolved", "Nobody", "Nobody", Party.GREENROOM),
        ("closed", "Nobody", "Nobody", Party.NOBODY),
    ],
)
def test_who_acts_next_is_said_for_every_state_to_both_sides(state, label, operators, party):
    incident = Incident(state=State(state), signal="camera_room")
    mine, theirs = attention.of(incident), attention.of(incident, for_operator=True)
    assert (mine.label, mine.party, theirs.label) == (label, party, operators)
    assert mine.headline
    assert bool(mine.advice) == incident.is_open


def test_a_ticket_of_no_rule_has_no_advice():
    assert attention.advice_for(Incident(signal="lamp_broken")) == ""
