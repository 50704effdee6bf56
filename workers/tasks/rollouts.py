"""Rollouts go on: what is due is looked at; devices that came later are taken in; polls and versions are noted."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

from celery import shared_task

from foundation import clock, slots
from foundation.context import tenant
from foundation.sweep import tenants_due
from tenancy.models import Tenant
from updates import catch_up, clients, polls, rollout_progress, spread
from updates.models import Rollout

log = logging.getLogger(__name__)
LONGEST_RUN_S = 30.0  # then the next ring goes on
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@shared_task(name="rollouts.advance", ignore_result=True)
def advance() -> int:
    """Safe to repeat and to run many times at once: a rollout is held while it is looked at. Returns how many were."""
    at, looked, started = clock.now(), 0, time.monotonic()
    for tenant_id in tenants_due(Rollout._meta.db_table, at=at):
        due: list[UUID] = []
        _apart(tenant_id, partial(_due, tenant_id, at, due))
        for rollout_id in due:
            if time.monotonic() - started > LONGEST_RUN_S:
                return looked
            _apart(tenant_id, partial(rollout_progress.advance, rollout_id, tenant_id, at=at))
            looked += 1
    return looked


@shared_task(name="rollouts.catch_up", ignore_result=True)
def take_in() -> None:
    """Once an hour for each customer: new, reimaged and late devices; once a day which versions run."""
    at, started = clock.now(), time.monotonic()
    customers = Tenant.objects.filter(kind=Tenant.Kind.CUSTOMER).order_by("id").values_list("id", flat=True)
    for tenant_id in customers:
        if time.monotonic() - started > LONGEST_RUN_S:
            return
        if slots.claim(f"rollouts.catch_up:{tenant_id}", slots.slot_of(at, HOUR), at=at):
            _apart(tenant_id, partial(catch_up.catch_up, tenant_id, at=at))
        if slots.claim(f"rollouts.versions:{tenant_id}", slots.slot_of(at, DAY), at=at):
            _apart(tenant_id, partial(spread.note_today, tenant_id, at=at))


@shared_task(name="rollouts.note_polls", ignore_result=True)
def note_polls() -> None:
    """When update clients last asked: kept in Redis by the polls, written down together."""
    for tenant_id, seen in polls.take_seen().items():
        moments = {key: datetime.fromtimestamp(seconds, tz=UTC) for key, seconds in seen.items()}
        _apart(tenant_id, partial(clients.note_polls, tenant_id, moments))


def _due(tenant_id: UUID, at: datetime, into: list[UUID]) -> None:
    rows = Rollout.objects.for_tenant(tenant_id).filter(due_at__lte=at).order_by("due_at", "id")
    into += rows.values_list("id", flat=True)


def _apart(tenant_id: UUID, work: Callable[[], object]) -> None:
    """One short transaction; a customer whose work fails does not keep the others from theirs."""
    try:
        with tenant(tenant_id):
            work()
    except Exception:  # whatever one customer's rollout does, those of the others are due
        log.exception("Customer %s: left for the next run", tenant_id)
