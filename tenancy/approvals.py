"""Actions of partners that wait until the customer approves. Kept as what was asked; the face carries them out.

All functions work in the one tenant entered, the customer's.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from foundation.context import current_tenant
from foundation.errors import NotValid
from tenancy import audit
from tenancy.errors import Missing, Over
from tenancy.models import Partnership, PendingAction, Person

WAITS = timedelta(days=7)
LONGEST_PATH = 300
MOST_WAITING = 200  # of one partnership
State = PendingAction.State


def must_wait(partnership: Partnership | None, permission: str) -> bool:
    return partnership is not None and permission in partnership.approvals


def queue(
    partnership: Partnership,
    person: Person,
    *,
    permission: str,
    label: str,
    method: str,
    path: str,
    body: dict[str, Any],
    token_id: UUID | None = None,
    effect: dict[str, Any] | None = None,
    at: datetime,
) -> PendingAction:
    """`effect`: what it would change, for whoever approves; `token_id`: of the program that asks.

    Asking again for what waits already changes nothing. Raises NotValid where too much waits already.
    """
    rows = PendingAction.objects.for_tenant(current_tenant())
    if len(path) > LONGEST_PATH:
        raise NotValid("What this is about cannot wait for approval.")
    waiting: PendingAction | None = rows.filter(
        partnership=partnership,
        person=person,
        token_id=token_id,
        method=method,
        path=path,
        body=body,
        state=State.WAITING,
        expires_at__gt=at,
    ).first()
    if waiting is not None:
        return waiting
    if rows.filter(partnership=partnership, state=State.WAITING).count() >= MOST_WAITING:
        raise NotValid("Too many of your actions wait for approval already.")
    made = rows.create(
        partnership=partnership,
        person=person,
        permission=permission,
        label=label[:200],
        method=method,
        path=path,
        body=body,
        token_id=token_id,
        effect=effect or {},
        created_at=at,
        expires_at=at + WAITS,
    )
    after = {"permission": permission, "method": method, "path": path}
    audit.record("action.queue", made, tenant_id=made.tenant_id, at=at, after=after)
    return made


def action(action_id: UUID) -> PendingAction:
    """With partnership and person. Raises Missing."""
    rows = PendingAction.objects.for_tenant(current_tenant()).select_related(
        "partnership__role", "person", "token__role", "token__person", "decided_by"
    )
    found: PendingAction | None = rows.filter(id=action_id).first()
    if found is None:
        raise Missing("action")
    return found


def expire(*, at: datetime) -> int:
    """What nobody decided in time. Lists call it first; returns how many."""
    late = PendingAction.objects.for_tenant(current_tenant()).filter(state=State.WAITING, expires_at__lte=at)
    return late.update(state=State.EXPIRED, decided_at=at, outcome="Nobody decided in time")


def approve(action_id: UUID, *, by: Person | None, at: datetime) -> PendingAction:
    """It may be carried out now, once: of two who approve, one gets Over. `finish` says what came of it."""
    return _decide(action_id, State.DONE, "action.approve", by=by, at=at)


def deny(action_id: UUID, *, by: Person | None, at: datetime) -> PendingAction:
    """Raises Missing, Over."""
    return _decide(action_id, State.DENIED, "action.deny", by=by, at=at)


def finish(done: PendingAction, *, worked: bool, outcome: str = "") -> None:
    """What came of an approved action."""
    done.state, done.outcome = State.DONE if worked else State.FAILED, outcome[:200]
    PendingAction.objects.for_tenant(done.tenant_id).filter(id=done.id).update(
        state=done.state, outcome=done.outcome
    )


def _decide(action_id: UUID, state: str, event: str, *, by: Person | None, at: datetime) -> PendingAction:
    held = action(action_id)
    rows = PendingAction.objects.for_tenant(held.tenant_id).filter(
        id=held.id, state=State.WAITING, expires_at__gt=at
    )
    if not rows.update(state=state, decided_at=at, decided_by=by):
        raise Over("This was decided already, or waited too long.")
    held.state, held.decided_at, held.decided_by = state, at, by
    audit.record(event, held, tenant_id=held.tenant_id, at=at, after={"person": held.person})
    return held
