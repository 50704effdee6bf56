"""What a request would do, before it is done: carried out whole, looked at, and undone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib.messages import get_messages
from django.db import transaction

from foundation.ids import made_at, new_id
from tenancy import audit
from tenancy.models import AuditEvent

SHOWN = 20  # of the events of one action; the rest is counted


@dataclass(frozen=True)
class Effect:
    """`answer`: as it would be given; `events`: what would go on record, without which nothing would change;
    `ground`: digest of what it starts from, the same as long as that is the same."""

    answer: Any
    events: list[AuditEvent]
    ground: str

    @property
    def worked(self) -> bool:
        return bool(self.answer.status_code < 400)


def run(request: Any, do: Callable[[], Any], *, keep: bool = False) -> Effect:
    """Do it inside the transaction of the request, and undo it again unless `keep`. An answer that refuses is
    undone always, and so is what raised, whatever it raised.
    """
    told = getattr(get_messages(request), "_queued_messages", [])
    before, began = len(told), made_at(new_id())  # by the clock that ids are made with
    with audit.noting() as events, transaction.atomic():
        answer = do()
        if hasattr(answer, "render"):
            answer = answer.render()
        if not keep or answer.status_code >= 400:
            transaction.set_rollback(True)
    if not keep:
        del told[before:]  # what a page would have said
    return Effect(answer, events, _ground(events, began))


def kept(effect: Effect) -> dict[str, Any]:
    """To be stored beside what waits: what it would change."""
    events = effect.events
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
    return {"events": shown, "more": max(0, len(events) - SHOWN), "ground": effect.ground}


def events_of(stored: dict[str, Any]) -> list[AuditEvent]:
    """What `kept` stored, as events that are on no record."""
    return [AuditEvent(actor_kind="system", **each) for each in stored.get("events", [])]


def same_ground(stored: dict[str, Any], effect: Effect) -> bool:
    """Does it start from the same as when it was asked for?"""
    if "ground" in stored:
        return bool(stored["ground"] == effect.ground)
    now = kept(effect)["events"]  # asked for before digests were kept
    then = [(each["action"], each["before"]) for each in stored.get("events", [])]
    return then == [(each["action"], each["before"]) for each in now]


def _ground(events: list[AuditEvent], began: datetime) -> str:
    """Of all events: what is done to which object, and how that was before. What it makes anew has another id each
    time, so only what was there already counts by its id."""

    def held(object_id: UUID | None) -> str | None:
        is_new = object_id is not None and object_id.version == 7 and made_at(object_id) >= began
        return None if object_id is None or is_new else str(object_id)

    facts = [[each.action, each.object_kind, held(each.object_id), each.before] for each in events]
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()
