"""Who acts next on a ticket, in the words of its page. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from incidents.models import Incident
from incidents.rules import RULES
from incidents.states import State


class Party(StrEnum):
    CUSTOMER = "customer"
    OPERATIONS = "operations"
    GREENROOM = "greenroom"  # by itself: it checks, repairs, or waits for the closing
    NOBODY = "nobody"


@dataclass(frozen=True)
class Attention:
    """`label` fits a table cell; `headline` and `advice` stand above the ticket."""

    party: Party
    label: str
    headline: str
    advice: str = ""

    @property
    def waits_on_customer(self) -> bool:
        return self.party is Party.CUSTOMER


_FOR_CUSTOMER = {
    State.NEW: (Party.GREENROOM, "Greenroom", "Greenroom is looking into it"),
    State.INVESTIGATING: (Party.GREENROOM, "Greenroom", "Greenroom is looking into it"),
    State.NEEDS_ACTION: (Party.CUSTOMER, "You", "Operations needs you to do something"),
    State.PENDING_INVESTIGATION: (
        Party.OPERATIONS,
        "Waiting for Operations",
        "Operations will look at this ticket",
    ),
    State.ASSIGNED_TO_SOC: (Party.OPERATIONS, "With Operations", "Operations works on this ticket"),
    State.RESOLVED: (Party.GREENROOM, "Nobody", "Resolved. It closes by itself if the fault stays away"),
    State.CLOSED: (Party.NOBODY, "Nobody", "Closed. A new fault gets a new ticket"),
}
_FOR_OPERATOR = {
    State.NEEDS_ACTION: (Party.CUSTOMER, "Customer", "Waiting on the customer"),
    State.PENDING_INVESTIGATION: (Party.OPERATIONS, "Operations", "Nobody has taken this ticket"),
    State.ASSIGNED_TO_SOC: (Party.OPERATIONS, "Operations", "Operations works on this ticket"),
}


def of(incident: Incident, *, for_operator: bool = False) -> Attention:
    """As the customer reads it, or the operator."""
    state = State(incident.state)
    party, label, headline = _FOR_CUSTOMER[state]
    if for_operator:
        party, label, headline = _FOR_OPERATOR.get(state, (party, label, headline))
    return Attention(party, label, headline, advice_for(incident) if incident.is_open else "")


def advice_for(incident: Incident) -> str:
    """What usually helps, to the customer; "" for a signal without a rule."""
    rule = RULES.get(incident.signal)
    return rule.advice if rule is not None else ""
