"""Heartbeat streams into PostgreSQL, silence, and the rollups of what was told."""

from __future__ import annotations

import logging
import time
from datetime import timedelta

from celery import shared_task
from kombu.exceptions import OperationalError as BrokerAway
from redis.exceptions import RedisError

from fleet import rollups, silence, stream, telemetry
from foundation import clock, slots
from foundation.context import tenant
from incidents import detection
from tenancy.models import Tenant
from workers.drains import Drain, is_drained

log = logging.getLogger(__name__)
RING_EXPIRES_S = 10
LONGEST_SWEEP_S = 8.0
LONGEST_ROLLUP_S = 30.0
DAY = timedelta(days=1)


@shared_task(name="heartbeats.drain", ignore_result=True)
def drain(shard: int) -> None:
    """Take one stream into PostgreSQL for a while, then ask for a successor. Alone on its shard, whoever else runs."""
    if shard not in stream.shards():
        return
    done = Drain(shard).run()
    if done.held:
        if done.stored or done.buried:
            log.info(
                "Shard %d: %d stored, %d repeated, %d buried", shard, done.stored, done.covered, done.buried
            )
        _ring(shard)


@shared_task(name="heartbeats.ring_drains", ignore_result=True)
def ring_drains() -> None:
    """Start the drains whose successor was lost with Redis or a worker."""
    for shard in stream.shards():
        if not is_drained(shard):
            _ring(shard)


@shared_task(name="heartbeats.sweep_silence", ignore_result=True)
def sweep_silence() -> int:
    """Mark devices silent whose deadline has passed; returns how many. Claimed once, however many sweeps run."""
    at = clock.now()
    ends = time.monotonic() + LONGEST_SWEEP_S
    silent = 0
    for tenant_id in silence.tenants_with_overdue(at=at):
        while time.monotonic() < ends:
            with tenant(tenant_id):
                devices = silence.claim_overdue(tenant_id, at=at)
                detection.evaluate_silence(devices, at=at)
            silent += len(devices)
            if len(devices) < silence.BATCH:
                break
    return silent


@shared_task(name="rollups.roll_up", ignore_result=True)
def roll_up() -> int:
    """Compute hours and days that are due, one short transaction at a time; returns how many."""
    at = clock.now()
    ends = time.monotonic() + LONGEST_ROLLUP_S
    computed = 0
    for tenant_id in rollups.tenants_with_due(at=at):
        while time.monotonic() < ends:
            with tenant(tenant_id):
                now = rollups.roll_up(tenant_id, at=at)
            computed += now
            if now < rollups.AT_ONCE:
                break
    return computed


@shared_task(name="housekeeping.forget_telemetry", ignore_result=True)
def forget_telemetry() -> None:
    """Once a day: days past their keep, and watermarks of spools nobody uses. Points and hours go with their partitions."""
    at = clock.now()
    if not slots.claim("housekeeping.forget_telemetry", slots.slot_of(at, DAY), at=at):
        return
    for tenant_id in Tenant.objects.order_by("id").values_list("id", flat=True):
        with tenant(tenant_id):
            rollups.forget_old(tenant_id, at=at)
            telemetry.forget_epochs(tenant_id, at=at)


def _ring(shard: int) -> None:
    """A hint: where it is lost, the schedule rings in a few seconds."""
    try:
        drain.apply_async((shard,), retry=False, expires=RING_EXPIRES_S)
    except (BrokerAway, RedisError, OSError) as error:
        log.warning("No successor for the drain of shard %d: %s", shard, error)
