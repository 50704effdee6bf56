"""What detection does when a moment has come: ends of watching periods, closings, rechecks, days, recounts."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from celery import shared_task
from django.db import Error

from fleet import bulk_edit, counters, days, inventory, notices
from fleet.models import Room
from foundation import clock, slots, timers
from foundation.context import tenant
from foundation.models import Timer
from incidents import (
    counting,
    detection,
    events,
    intervals,
    lifecycle,
    mergers,
    recorded,
    stability,
    suppression,
    watching,
)
from tenancy.models import Tenant
from workers.effects import TIMERS, TIMERS_TOGETHER

log = logging.getLogger(__name__)
LONGEST_RUN_S = 30.0  # then the next ring goes on
DAY = timedelta(days=1)
UNDONE_WITHIN = timedelta(days=30)  # edits of many rooms


@shared_task(name="detection.fire_timers", ignore_result=True)
def fire_timers() -> int:
    """Safe to repeat and to run many times at once: timers are claimed, and handlers look at what is."""
    return timers.fire_due(TIMERS, at=clock.now(), together=TIMERS_TOGETHER)


@shared_task(name="rollups.daily_health", ignore_result=True)
def daily_health() -> int:
    """The day of rooms whose local midnight has passed; a day is computed as often as asked, to the same result.

    Returns how many room-days were written.
    """
    at, written = clock.now(), 0
    for tenant_id in _each_until_late(days.tenants_due(at=at)):
        written += _apart(tenant_id, partial(_close_days, tenant_id, at=at)) or 0
    return written


@shared_task(name="rollups.recount", ignore_result=True)
def recount() -> None:
    """Once a day for each customer: the numbers pages show against what they count."""
    at = clock.now()
    customers = Tenant.objects.filter(kind=Tenant.Kind.CUSTOMER).order_by("id").values_list("id", flat=True)
    for tenant_id in _each_until_late(customers):
        if slots.claim(f"rollups.recount:{tenant_id}", slots.slot_of(at, DAY), at=at):
            _apart(tenant_id, partial(_recount, tenant_id, at=at))


def _close_days(tenant_id: UUID, *, at: datetime) -> int:
    return days.close_due(
        faults=partial(intervals.faults_between, tenant_id),
        silences=partial(intervals.silences_between, tenant_id),
        at=at,
    )


def _recount(tenant_id: UUID, *, at: datetime) -> None:
    quiet = Room.objects.for_tenant(tenant_id).exclude(suppressed_until=None).values_list("id", flat=True)
    suppression.follow_rooms(tenant_id, quiet, at=at)
    wrong = counters.recount_rooms(tenant_id) | counting.recount(tenant_id, at=at)
    if wrong:
        log.error("Customer %s: numbers were wrong and are right now: %s", tenant_id, sorted(map(str, wrong)))
    days.forget_old(at=at)
    bulk_edit.forget_old(before=at - UNDONE_WITHIN)
    stability.forget_old(tenant_id, at=at)
    events.forget_old(tenant_id, at=at)


def _apart(tenant_id: UUID, work: Callable[[], int | None]) -> int | None:
    """One short transaction; a customer whose work fails does not keep the others from theirs."""
    try:
        with tenant(tenant_id):
            return work()
    except Error:
        log.exception("Customer %s: left for the next run", tenant_id)
        return None


def _each_until_late(tenants: Iterable[UUID]) -> Iterable[UUID]:
    started = time.monotonic()
    for tenant_id in tenants:
        if time.monotonic() - started > LONGEST_RUN_S:
            return
        yield tenant_id


# Timers --------------------------------------------------------------------------------------------------------


def _watch_ended(timer: Timer, at: datetime) -> None:
    detection.evaluate_timer(timer.tenant_id, timer.subject, at=at)


def _watches_ended(many: list[Timer], at: datetime) -> None:
    detection.evaluate_timers(many[0].tenant_id, [timer.subject for timer in many], at=at)


def _close(timer: Timer, at: datetime) -> None:
    lifecycle.close_if_due(timer.tenant_id, UUID(timer.subject), at=at)


def _recheck(timer: Timer, at: datetime) -> None:
    detection.recheck(timer.tenant_id, UUID(timer.subject), at=at)


def _suppression_ended(timer: Timer, at: datetime) -> None:
    """The room's notice brings its tickets in line, in a transaction of its own: they are locked before rooms."""
    inventory.suppression_ended(timer, at)


def _room_changed(timer: Timer, at: datetime) -> None:
    suppression.follow_rooms(timer.tenant_id, [UUID(timer.subject)], at=at)


def _regrouped(timer: Timer, at: datetime) -> None:
    group_id, _, _ = timer.subject.partition(":")
    suppression.regrouped(timer.tenant_id, UUID(group_id), notices.rooms_of(timer), at=at)


def _rooms_moved(timer: Timer, at: datetime) -> None:
    suppression.moved(timer.tenant_id, notices.rooms_of(timer), at=at)


def _room_merged(timer: Timer, at: datetime) -> None:
    mergers.follow(timer.tenant_id, UUID(timer.subject), UUID(timer.payload["into"]), at=at)


def _room_retired(timer: Timer, at: datetime) -> None:
    recorded.room_retired(timer.tenant_id, UUID(timer.subject), at=at)


def _device_changed(timer: Timer, at: datetime) -> None:
    detection.evaluate_devices(timer.tenant_id, [UUID(timer.subject)], at=at)


def _fault_changed(timer: Timer, at: datetime) -> None:
    detection.evaluate_fault(timer.tenant_id, UUID(timer.subject), at=at)


def _release_held(timer: Timer, at: datetime) -> None:
    detection.release_held(timer.tenant_id, UUID(timer.subject), at=at)


def _quiet_turned(timer: Timer, at: datetime) -> None:
    suppression.turned(timer.tenant_id, timer.subject, at=at)


TIMERS.update(
    {
        watching.WATCH: _watch_ended,
        lifecycle.CLOSE: _close,
        lifecycle.RECHECK: _recheck,
        inventory.SUPPRESSION_ENDS: _suppression_ended,
        notices.ROOM_CHANGED: _room_changed,
        notices.REGROUPED: _regrouped,
        notices.ROOMS_MOVED: _rooms_moved,
        notices.ROOM_MERGED: _room_merged,
        notices.ROOM_RETIRED: _room_retired,
        notices.DEVICE_CHANGED: _device_changed,
        notices.FAULT_CHANGED: _fault_changed,
        lifecycle.RELEASE: _release_held,
        suppression.QUIET_TURNS: _quiet_turned,
    }
)
TIMERS_TOGETHER[watching.WATCH] = _watches_ended
