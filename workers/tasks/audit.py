"""The audit log's own work: sealing, keeping the ends of the chains outside, dropping what is past its keep."""

from __future__ import annotations

import logging
from datetime import timedelta

from celery import shared_task
from django.conf import settings

from foundation import clock, slots
from tenancy import audit_retention, audit_seal

log = logging.getLogger(__name__)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@shared_task(name="audit.seal", ignore_result=True)
def seal() -> int:
    """Safe to repeat and to run twice at once: one of two sealers takes the next number."""
    return audit_seal.seal_due(at=clock.now())


@shared_task(name="audit.keep_heads", ignore_result=True)
def keep_heads() -> None:
    """Once an hour, whoever is first."""
    at = clock.now()
    if slots.claim("audit.keep_heads", slots.slot_of(at, HOUR), at=at):
        audit_seal.keep_heads(settings.AUDIT_HEADS, at=at)


@shared_task(name="audit.drop_old", ignore_result=True)
def drop_old() -> None:
    """Once a day, whoever is first."""
    at = clock.now()
    if not slots.claim("audit.drop_old", slots.slot_of(at, DAY), at=at):
        return
    dropped = audit_retention.drop_old(keep_days=settings.AUDIT_KEEP_DAYS, at=at)
    if dropped:
        log.info("Audit log: %d days past their keep dropped", dropped)
