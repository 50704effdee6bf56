"""Things to do at a moment, as rows: set in the transaction of their cause, fired at least once after it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction

from foundation.context import tenant
from foundation.models import Timer
from foundation.sweep import tenants_due

log = logging.getLogger(__name__)
RETRY_AFTER = timedelta(minutes=1)  # of a timer whose handler failed; the others of its tenant go on
Handler = Callable[[Timer, datetime], None]
Together = Callable[[list[Timer], datetime], None]  # several timers of one kind and tenant


def set_timer(
    kind: str, subject: str, *, due_at: datetime, tenant_id: UUID, payload: dict[str, Any] | None = None
) -> None:
    """Set or move the one timer of (tenant, kind, subject). The tenant is entered."""
    set_timers([(kind, subject, due_at, payload or {})], tenant_id=tenant_id)


def set_timers(wanted: list[tuple[str, str, datetime, dict[str, Any]]], *, tenant_id: UUID) -> None:
    """Many at once: (kind, subject, due_at, payload), in one statement."""
    rows = [
        Timer(tenant_id=tenant_id, kind=kind, subject=subject, due_at=due_at, payload=payload)
        for kind, subject, due_at, payload in wanted
    ]
    Timer.objects.for_tenant(tenant_id).bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["tenant", "kind", "subject"],
        update_fields=["due_at", "payload"],
    )


def clear_timer(kind: str, subject: str, *, tenant_id: UUID) -> None:
    clear_timers(kind, [subject], tenant_id=tenant_id)


def clear_timers(kind: str, subjects: list[str], *, tenant_id: UUID) -> None:
    """Take timers back; one that is not set is no error.

    One being fired at this moment is not waited for, since its handler may wait for us: handlers look for
    themselves whether there is anything left to do.
    """
    rows = Timer.objects.for_tenant(tenant_id).filter(kind=kind, subject__in=subjects)
    free = rows.order_by("id").select_for_update(skip_locked=True).values_list("id", flat=True)
    if found := list(free):
        rows.filter(id__in=found).delete()


def fire_due(
    handlers: Mapping[str, Handler],
    *,
    at: datetime,
    together: Mapping[str, Together] | None = None,
    batch: int = 200,
) -> int:
    """Fire what is due at `at`, tenant by tenant, each timer in its handler's own savepoint.

    The row goes in the transaction of its effect. Any number of processes may run this at once. A handler may set
    its timer again. `together`: kinds that cost less many at once; where that fails each is fired alone by its
    handler. Returns how many fired.
    """
    fired = 0
    for tenant_id in tenants_due(Timer._meta.db_table, at=at):
        with tenant(tenant_id):
            due = Timer.objects.for_tenant(tenant_id).filter(due_at__lte=at, kind__in=list(handlers))
            alone = list(due.order_by("due_at", "id").select_for_update(skip_locked=True)[:batch])
            for kind, handler in (together or {}).items():
                many = [timer for timer in alone if timer.kind == kind]
                if len(many) > 1 and _fire_together(handler, many, at=at):
                    alone = [timer for timer in alone if timer.kind != kind]
                    fired += len(many)
            for timer in alone:
                fired += _fire(handlers[timer.kind], timer, at=at)
    return fired


def _fire_together(handler: Together, many: list[Timer], *, at: datetime) -> bool:
    own = Timer.objects.for_tenant(many[0].tenant_id).filter(id__in=[timer.id for timer in many])
    try:
        with transaction.atomic():
            own.delete()
            handler(many, at)
    except Exception:  # whatever one of them does, the others are due: each is tried alone
        log.exception("%d timers %s failed together; they are fired one by one", len(many), many[0].kind)
        return False
    return True


def _fire(handler: Handler, timer: Timer, *, at: datetime) -> int:
    own = Timer.objects.for_tenant(timer.tenant_id).filter(id=timer.id)
    try:
        with transaction.atomic():
            own.delete()  # first, so that the handler may set it again
            handler(timer, at)
    except Exception:  # a handler's fault must not stop the timers behind it
        log.exception("Timer %s of %s failed; it is tried again", timer.kind, timer.subject)
        own.update(due_at=at + RETRY_AFTER)
        return 0
    return 1
