"""Operators and partners in a customer's portal are on record: that they came, and under break glass what they read."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID

from foundation import clock
from foundation.context import MAX_TENANTS, tenant
from portal.access import READING, Principal
from tenancy import audit, break_glass

NOTED = "provider_access"  # session key: {tenant id: when the last visit was noted}
ACTION = "provider.access"
AGAIN_AFTER = timedelta(hours=1)


def note(request: Any, principal: Principal) -> None:
    """In the transaction of the request, with the customer entered."""
    if principal.break_glass is not None and request.method in READING:
        break_glass.note_read(principal.break_glass, request.path, at=clock.now())
    if principal.actor.tenant_id in (None, principal.tenant.id):
        return
    if principal.user is not None:  # a program has no session
        visit(request, principal.tenant.id)


def visit(request: Any, *customer_ids: UUID) -> None:
    """Once an hour, session and customer; pages ask again every few seconds. Enters the customers itself, all at once."""
    at = clock.now()
    noted: dict[str, str] = request.session.get(NOTED, {})
    fresh = {key: last for key, last in noted.items() if at - datetime.fromisoformat(last) < AGAIN_AFTER}
    due = [each for each in customer_ids if each.hex not in fresh]
    if not due:
        return
    request.session[NOTED] = {**fresh, **{each.hex: at.isoformat() for each in due}}
    for some in _batches(due):
        with tenant(*some):
            audit.record_in_each(ACTION, some, at=at)


def visit_of_program(customer_id: UUID) -> None:
    """Of a token whose use is news: once an hour, like a person's visit. The customer is entered."""
    audit.record(ACTION, tenant_id=customer_id, at=clock.now())


def _batches(ids: Iterable[UUID]) -> Iterable[list[UUID]]:
    waiting = iter(ids)
    while some := list(islice(waiting, MAX_TENANTS)):
        yield some
