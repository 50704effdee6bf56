"""What keeps the database small and ready."""

from __future__ import annotations

import logging
from datetime import timedelta

from celery import shared_task
from django.contrib.sessions.models import Session

from foundation import clock, idempotency, jobs, partitions, slots
from foundation.context import tenant
from tenancy import audit_retention

log = logging.getLogger(__name__)
HOUR = timedelta(hours=1)


@shared_task(name="housekeeping.keep_partitions", ignore_result=True)
def keep_partitions() -> None:
    """Safe to repeat: what is there is left alone."""
    kept = partitions.keep(at=clock.now(), dropped_elsewhere={audit_retention.TABLE})
    if kept.made or kept.dropped:
        log.info("Partitions: %d made, %d dropped", kept.made, kept.dropped)
    for parent in kept.strays:
        log.error("The default partition of %s holds rows: its partitions were not made in time", parent)


@shared_task(name="housekeeping.forget_old", ignore_result=True)
def forget_old() -> None:
    """Once an hour, whoever is first."""
    at = clock.now()
    if not slots.claim("housekeeping.forget_old", slots.slot_of(at, HOUR), at=at):
        return
    slots.forget_old(at=at)
    jobs.forget_old(at=at)
    Session.objects.filter(expire_date__lt=at).delete()
    for tenant_id in idempotency.tenants_with_old(at=at):
        with tenant(tenant_id):
            idempotency.forget_old(tenant_id, at=at)
