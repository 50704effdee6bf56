"""How long the audit log is kept: only days whose every event is sealed are dropped, and the log says so itself."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from django.db import connections

from foundation import partitions
from foundation.context import tenant
from foundation.sweep import SWEEP
from tenancy import audit
from tenancy.models import AuditEvent, Tenant

TABLE = AuditEvent._meta.db_table


def drop_old(*, keep_days: int, at: datetime) -> int:
    """Drop the days older than `keep_days` up to the oldest one with an event that waits for its seal.

    Returns how many days went; each customer's log then holds an event that names the bound. Safe to repeat.
    """
    before = at.date() - timedelta(days=keep_days)
    waiting = _oldest_waiting()
    if waiting is not None:
        before = min(before, waiting)
    if not _is_there_older(before):
        return 0
    for owner in Tenant.objects.filter(created_at__date__lt=before).order_by("id"):
        with tenant(owner.id):
            audit.record(
                "audit.drop",
                owner,
                tenant_id=owner.id,
                at=at,
                after={"before": before, "keep_days": keep_days},
            )
    return partitions.drop_before(TABLE, before)


def _is_there_older(before: date) -> bool:
    return any(day < before for day in partitions.days_of(TABLE))


def _oldest_waiting() -> date | None:
    with connections[SWEEP].cursor() as cursor:
        cursor.execute("SELECT min(at) FROM tenancy_auditpending")
        (oldest,) = cursor.fetchone()
    return oldest.date() if oldest else None
