"""Carrying out one transition for tickets that are locked: row, timeline, audit, counters in one transaction.

Called by incidents.lifecycle and incidents.opening only; what may follow what is in incidents.states.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import F

from incidents.counting import Tally
from incidents.models import Incident, IncidentEntry
from incidents.states import Event, after, sources
from incidents.timeline import GREENROOM, Author, Line, write
from tenancy import audit

Kind = IncidentEntry.Kind
_KINDS = {
    Event.RESOLVE: Kind.RESOLVED,
    Event.REOPEN: Kind.REOPENED,
    Event.EXPIRE: Kind.CLOSED,
    Event.DISABLE: Kind.CLOSED,
}
_ACTIONS = {
    Event.TAKE: "incident.take",
    Event.RESOLVE: "incident.resolve",
    Event.REOPEN: "incident.reopen",
    Event.EXPIRE: "incident.close",
    Event.DISABLE: "incident.close",
}


@dataclass(frozen=True)
class Move:
    """What happens to tickets: the event, values set beside the state, and what the timeline says."""

    event: Event
    at: datetime
    author: Author = GREENROOM
    values: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""
    texts: Mapping[UUID, str] = field(default_factory=dict)  # by ticket, where each has its own
    audited: Mapping[str, Any] = field(default_factory=dict)  # what the audit log says beside the state


def held(tenant_id: UUID, event: Event | None = None, **conditions: Any) -> list[Incident]:
    """Tickets of an entered tenant, locked in the order of their ids; with `event` those to which it may happen."""
    rows = Incident.objects.for_tenant(tenant_id).filter(**conditions)
    if event is not None:
        rows = rows.filter(state__in=sources(event))
    return list(rows.order_by("id").select_for_update(no_key=True))


def carry_out(incidents: Sequence[Incident], move: Move) -> None:
    """Move tickets of one tenant that are held and in a state that allows it; the objects are changed too.

    Statements are as many for a thousand tickets as for one.
    """
    if not incidents:
        return
    tenant_id = incidents[0].tenant_id
    tally = Tally(tenant_id)
    tally.was(incidents)
    before = {incident.id: incident.state for incident in incidents}
    for incident in incidents:
        _change(incident, move)
    Incident.objects.for_tenant(tenant_id).filter(id__in=list(before)).update(
        **_in_sql(move, incidents[0]), version=F("version") + 1, updated_at=move.at, **move.values
    )
    kind = _KINDS.get(move.event, Kind.STATE)
    write(
        [
            Line(each, kind, move.texts.get(each.id, move.text), before[each.id], each.state)
            for each in incidents
        ],
        tenant_id=tenant_id,
        at=move.at,
        author=move.author,
    )
    audit.record_many(
        [
            audit.Written(
                _ACTIONS.get(move.event, "incident.state"),
                each,
                before={"state": before[each.id]},
                after={"state": each.state, **move.audited},
            )
            for each in incidents
        ],
        tenant_id=tenant_id,
        at=move.at,
    )
    tally.now(incidents)
    tally.write(at=move.at)


def _change(incident: Incident, move: Move) -> None:
    was = incident.state
    state = after(move.event, was, before_resolved=incident.state_before)
    if state is None:
        raise ValueError(f"{move.event} of {incident} in {was}")  # callers hold what they move
    incident.state, incident.updated_at = state, move.at
    incident.version += 1
    if move.event == Event.RESOLVE:
        incident.state_before = was
    if move.event == Event.REOPEN:
        incident.reopened += 1
    for name, value in move.values.items():
        setattr(incident, name, value)


def _in_sql(move: Move, one: Incident) -> dict[str, Any]:
    """The state for rows that may differ: one statement, whatever each of them was."""
    if move.event == Event.REOPEN:
        return {"state": F("state_before"), "reopened": F("reopened") + 1}
    if move.event == Event.RESOLVE:
        return {"state_before": F("state"), "state": one.state}
    return {"state": one.state}
