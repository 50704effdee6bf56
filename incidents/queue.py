"""The operator's queue over all customers served: what is due first, whoever the customer is.

The keys of a page are read by the sweep role, which sees which tickets are there and nothing of what they say;
then the customers of that page are entered and their tickets read (docs/tenancy.md, rule 10).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connections

from foundation.context import tenant
from foundation.errors import NotValid
from foundation.sweep import SWEEP
from incidents.models import Incident

LARGEST_PAGE = 100  # so that a page never needs more tenants than may be entered at once
_SHOWN = "tenant_id = ANY(%(served)s) AND NOT (state IN ('resolved', 'closed')) AND NOT suppressed"


class View(StrEnum):
    MINE = "mine"
    OPEN = "open"
    UNASSIGNED = "unassigned"
    PAST_DUE = "past_due"
    WAITING = "waiting_on_customer"


_CONDITIONS = {
    View.MINE: "assignee_user_id = %(user)s",
    View.OPEN: "true",
    View.UNASSIGNED: "assignee_user_id IS NULL AND state <> 'needs_action'",
    View.PAST_DUE: "due_at < %(at)s",
    View.WAITING: "state = 'needs_action'",
}


class Cursor(NamedTuple):
    """The last ticket of a page: the next page begins after it."""

    due_at: datetime | None
    opened_at: datetime
    id: UUID

    def __str__(self) -> str:
        due = self.due_at.isoformat() if self.due_at is not None else ""
        return f"{due}~{self.opened_at.isoformat()}~{self.id}"


def cursor_of(text: str) -> Cursor:
    """Raises NotValid for what is no cursor."""
    try:
        due, opened, key = text.split("~")
        cursor = Cursor(
            datetime.fromisoformat(due) if due else None, datetime.fromisoformat(opened), UUID(key)
        )
    except ValueError:
        raise NotValid("This page does not exist.", field="after") from None
    if cursor.opened_at.tzinfo is None or (cursor.due_at is not None and cursor.due_at.tzinfo is None):
        raise NotValid("This page does not exist.", field="after")
    return cursor


@dataclass(frozen=True)
class Page:
    """Tickets in order, with room, place, device, assignee and customer; `after` None on the last page."""

    incidents: list[Incident]
    after: Cursor | None


@dataclass(frozen=True)
class Counts:
    """How many open tickets each view, severity and customer has; zeros of customers are left out."""

    views: Counter[View] = field(default_factory=Counter)
    severities: Counter[int] = field(default_factory=Counter)
    customers: Counter[UUID] = field(default_factory=Counter)


def page(
    served: Sequence[UUID],
    view: View,
    *,
    user_id: UUID,
    at: datetime,
    severity: int | None = None,
    after: Cursor | None = None,
    size: int = 50,
) -> Page:
    """Open tickets of the customers `served`, due first, then oldest first; what is not due comes last.

    Suppressed ones are left out. `user_id`: whose View.MINE is.
    """
    size = min(size, LARGEST_PAGE)
    keys = _keys(served, view, user_id=user_id, at=at, severity=severity, after=after, limit=size + 1)
    shown = keys[:size]
    incidents = _read(shown)
    last = shown[-1][1] if len(keys) > size else None
    return Page([incidents[cursor.id] for _, cursor in shown if cursor.id in incidents], last)


def counts(served: Sequence[UUID], *, user_id: UUID, at: datetime) -> Counts:
    """Of the same tickets, in one query over open ones only."""
    found = Counts()
    if not served:
        return found
    sums = ", ".join(f"count(*) FILTER (WHERE {_CONDITIONS[view]})" for view in View)
    statement = f"SELECT tenant_id, severity, {sums} FROM incidents_incident WHERE {_SHOWN} GROUP BY 1, 2"  # noqa: S608 - our own words
    for tenant_id, severity, *numbers in _rows(statement, served=list(served), user=user_id, at=at):
        of_views = dict(zip(View, numbers, strict=True))
        found.views.update(of_views)
        found.severities[severity] += of_views[View.OPEN]
        found.customers[tenant_id] += of_views[View.OPEN]
    return found


def _keys(
    served: Sequence[UUID],
    view: View,
    *,
    user_id: UUID,
    at: datetime,
    severity: int | None,
    after: Cursor | None,
    limit: int,
) -> list[tuple[UUID, Cursor]]:
    if not served:
        return []
    conditions = [_SHOWN, _CONDITIONS[view]]
    if severity is not None:
        conditions.append("severity = %(severity)s")
    if after is not None and after.due_at is not None:
        conditions.append("((due_at, opened_at, id) > (%(due)s, %(opened)s, %(id)s) OR due_at IS NULL)")
    elif after is not None:
        conditions.append("due_at IS NULL AND (opened_at, id) > (%(opened)s, %(id)s)")
    statement = (
        f"SELECT tenant_id, due_at, opened_at, id FROM incidents_incident WHERE {' AND '.join(conditions)} "  # noqa: S608 - our own words
        "ORDER BY due_at NULLS LAST, opened_at, id LIMIT %(limit)s"
    )
    start = {"due": after.due_at, "opened": after.opened_at, "id": after.id} if after is not None else {}
    rows = _rows(statement, served=list(served), user=user_id, at=at, severity=severity, limit=limit, **start)
    return [(tenant_id, Cursor(due_at, opened_at, key)) for tenant_id, due_at, opened_at, key in rows]


def _rows(statement: str, **parameters: Any) -> list[tuple[Any, ...]]:
    with connections[SWEEP].cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())


def _read(keys: Sequence[tuple[UUID, Cursor]]) -> dict[UUID, Incident]:
    """A ticket that is gone meanwhile is not there."""
    tenants = sorted({tenant_id for tenant_id, _ in keys})
    if not tenants:
        return {}
    with tenant(*tenants):
        rows = Incident.objects.for_tenant(*tenants).filter(id__in=[cursor.id for _, cursor in keys])
        rows = rows.select_related("tenant", "room__place", "device", "assignee")
        return {incident.id: incident for incident in rows}
