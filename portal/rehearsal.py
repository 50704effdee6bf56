"""What a request would do, before it is done: carried out whole, looked at, and undone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib.messages import get_messages
from django.db import transaction

from tenancy import audit
from tenancy.models import AuditEvent

SHOWN = 20  # of the events of one action; the rest is counted


@dataclass(frozen=True)
class Effect:
    """`answer`: as it would be given; `events`: what would go on record, without which nothing would change."""

    answer: Any
    events: list[AuditEvent]

    @property
    def worked(self) -> bool:
        return bool(self.answer.status_code < 400)


def run(request: Any, do: Callable[[], Any], *, keep: bool = False) -> Effect:
    """Do it inside the transaction of the request, and undo it again unless `keep`. An answer that refuses is
    undone always, and so is what raised, whatever it raised.
    """
    told = getattr(get_messages(request), "_queued_messages", [])
    before = len(told)
    with audit.noting() as events, transaction.atomic():
        answer = do()
        if hasattr(answer, "render"):
            answer = answer.render()
        if not keep or answer.status_code >= 400:
            transaction.set_rollback(True)
    if not keep:
        del told[before:]  # what a page would have said
    return Effect(answer, events)


def kept(events: list[AuditEvent]) -> dict[str, Any]:
    """To be stored beside what waits: what it would change."""
    shown = [
        {
            "action": event.action,
            "object_kind": event.object_kind,
            "object_id": str(event.object_id) if event.object_id else None,
            "object_name": event.object_name,
            "before": event.before,
            "after": event.after,
        }
        for event in events[:SHOWN]
    ]
    return {"events": shown, "more": max(0, len(events) - SHOWN)}


def events_of(stored: dict[str, Any]) -> list[AuditEvent]:
    """What `kept` stored, as events that are on no record."""
    return [AuditEvent(actor_kind="system", **each) for each in stored.get("events", [])]


def same_ground(stored: dict[str, Any], events: list[AuditEvent]) -> bool:
    """Does it start from the same as when it was asked for? Ids and times of what it makes differ each time."""

    def ground(values: dict[str, Any]) -> list[Any]:
        return [values.get("more"), *([each["action"], each["before"]] for each in values.get("events", []))]

    return ground(stored) == ground(kept(events))
