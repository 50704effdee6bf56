"""The states of a ticket and what leads from one to the next (domain: state machines, ticket). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from django.db import models


class State(models.TextChoices):
    NEW = "new"
    INVESTIGATING = "investigating"
    NEEDS_ACTION = "needs_action"
    PENDING_INVESTIGATION = "pending_investigation"
    ASSIGNED_TO_SOC = "assigned_to_soc"
    RESOLVED = "resolved"
    CLOSED = "closed"


class Event(StrEnum):
    """What may happen to a ticket that exists."""

    DIAGNOSE = "diagnose"  # diagnostics or remediation starts
    QUEUE = "queue"  # nothing more can be done without a person of the operator
    NEED_CUSTOMER = "need_customer"  # found without an operator: the customer has to do something
    TAKE = "take"  # a person of the operator takes it, also back from the customer or a colleague
    ASK_CUSTOMER = "ask_customer"
    CUSTOMER_DONE = "customer_done"  # the customer did it, or assigns it back
    RESOLVE = "resolve"
    REOPEN = "reopen"  # the fault is back within the days before closing, or a customer says so
    EXPIRE = "expire"  # healthy for the days before closing
    DISABLE = "disable"  # the signal was disabled for the customer; there is no way back


OPEN = (
    State.NEW,
    State.INVESTIGATING,
    State.NEEDS_ACTION,
    State.PENDING_INVESTIGATION,
    State.ASSIGNED_TO_SOC,
)
WHERE_IT_WAS = None  # reopening leads back to the state before resolving

TRANSITIONS: Mapping[Event, Mapping[State, State | None]] = {
    Event.DIAGNOSE: {State.NEW: State.INVESTIGATING},
    Event.QUEUE: {
        State.NEW: State.PENDING_INVESTIGATION,
        State.INVESTIGATING: State.PENDING_INVESTIGATION,
    },
    Event.NEED_CUSTOMER: {State.NEW: State.NEEDS_ACTION, State.INVESTIGATING: State.NEEDS_ACTION},
    Event.TAKE: dict.fromkeys(OPEN, State.ASSIGNED_TO_SOC),
    Event.ASK_CUSTOMER: {State.ASSIGNED_TO_SOC: State.NEEDS_ACTION},
    Event.CUSTOMER_DONE: {State.NEEDS_ACTION: State.ASSIGNED_TO_SOC},
    Event.RESOLVE: dict.fromkeys(OPEN, State.RESOLVED),
    Event.REOPEN: {State.RESOLVED: WHERE_IT_WAS},
    Event.EXPIRE: {State.RESOLVED: State.CLOSED},
    Event.DISABLE: dict.fromkeys(OPEN, State.CLOSED),
}


def sources(event: Event) -> tuple[State, ...]:
    """The states in which `event` may happen."""
    return tuple(TRANSITIONS[event])


def after(event: Event, state: str, *, before_resolved: str = "") -> State | None:
    """The state `event` leads to from `state`; None where it may not happen.

    `before_resolved`: the open state a resolved ticket had.
    """
    table = TRANSITIONS[event]
    if state not in table:
        return None
    return table[State(state)] or State(before_resolved)
