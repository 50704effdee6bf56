"""Watching periods: a signal must stay unhealthy for a while before it becomes a ticket.

The end is kept beside the signal's state and as a timer; whichever is looked at first opens the ticket.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from uuid import UUID

from django.db import connection

from fleet.models import SignalState
from foundation import timers

WATCH = "watch"  # kind of timer
_BEGIN = """
UPDATE fleet_signalstate AS state SET watch_until = wanted.until
FROM unnest(%s::uuid[], %s::timestamptz[]) AS wanted (id, until)
WHERE state.tenant_id = %s AND state.id = wanted.id
"""


def subject_of(state: SignalState) -> str:
    return f"{state.device_id}:{state.signal}:{state.instance}"


def parse(subject: str) -> tuple[UUID, str, str]:
    """Device, signal and instance; an instance may hold colons."""
    device_id, signal, instance = subject.split(":", 2)
    return UUID(device_id), signal, instance


def begin(states: Mapping[UUID, SignalState], until: Mapping[UUID, datetime], *, tenant_id: UUID) -> None:
    """Watch signals, held by the caller, each until its moment. Both mappings are keyed by the state's id."""
    if not until:
        return
    for key, moment in until.items():
        states[key].watch_until = moment
    watched = [states[key] for key in until]
    with connection.cursor() as cursor:
        cursor.execute(_BEGIN, [[str(key) for key in until], list(until.values()), tenant_id])
    timers.set_timers(
        [(WATCH, subject_of(state), until[state.id], {}) for state in watched], tenant_id=tenant_id
    )


def end(states: Iterable[SignalState], *, tenant_id: UUID) -> None:
    """Watch no longer: a ticket was opened, or none is needed."""
    watched = [state for state in states if state.watch_until is not None]
    if not watched:
        return
    for state in watched:
        state.watch_until = None
    ids = [state.id for state in watched]
    SignalState.objects.for_tenant(tenant_id).filter(id__in=ids).update(watch_until=None)
    timers.clear_timers(WATCH, [subject_of(state) for state in watched], tenant_id=tenant_id)
