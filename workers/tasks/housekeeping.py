"""What keeps the database small and ready."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from allauth.usersessions.models import UserSession
from celery import shared_task
from django.contrib.sessions.models import Session

from foundation import clock, idempotency, jobs, outbox, partitions, rotation, secrets, slots
from foundation.context import tenant
from tenancy import audit_retention, tenants

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
    outbox.forget_old(at=at)
    forget_sessions(at=at)
    for tenant_id in idempotency.tenants_with_old(at=at):
        with tenant(tenant_id):
            idempotency.forget_old(tenant_id, at=at)


def forget_sessions(*, at: datetime) -> None:
    """What ended, and with it from where it was held; not what began so lately that it may not be written yet."""
    Session.objects.filter(expire_date__lt=at).delete()
    held = Session.objects.values("session_key")
    UserSession.objects.filter(created_at__lt=at - timedelta(days=1)).exclude(session_key__in=held).delete()


@shared_task(name="housekeeping.reseal_secrets", ignore_result=True)
def reseal_secrets() -> None:
    """Once an hour while a rotation is under way: more than one key is held. Safe to repeat."""
    at = clock.now()
    if len(secrets.keys().by_id) < 2 or not slots.claim(
        "housekeeping.reseal_secrets", slots.slot_of(at, HOUR), at=at
    ):
        return
    written = rotation.reseal(tenants.all_ids())
    if written:
        log.info("Secrets sealed again under key %s: %d", secrets.keys().newest, written)
