"""Operators and partners in a customer's portal are on record: that they came, and under break glass what they read."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from foundation import clock
from portal.access import READING, Principal
from tenancy import audit, break_glass

NOTED = "provider_access"  # session key: {tenant id: when the last visit was noted}
AGAIN_AFTER = timedelta(hours=1)


def note(request: Any, principal: Principal) -> None:
    """In the transaction of the request, with the customer entered."""
    if principal.break_glass is not None and request.method in READING:
        break_glass.note_read(principal.break_glass, request.path, at=clock.now())
    if principal.actor.tenant_id not in (None, principal.tenant.id):
        visit(request, principal.tenant.id)


def visit(request: Any, customer_id: UUID) -> None:
    """Once an hour and session; pages ask again every few seconds. The customer is entered."""
    at = clock.now()
    noted: dict[str, str] = request.session.get(NOTED, {})
    last = noted.get(customer_id.hex)
    if last is not None and at - datetime.fromisoformat(last) < AGAIN_AFTER:
        return
    request.session[NOTED] = {**noted, customer_id.hex: at.isoformat()}
    audit.record("provider.access", tenant_id=customer_id, at=at)
