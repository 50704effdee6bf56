"""Devices that missed their deadlines: found by the sweep, claimed by a conditional update.

What we could not receive counts against nobody: outages of ours, the time devices then need to come back, and
heartbeats that were accepted and still wait in their stream.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.db import connection

from fleet import health, stream
from fleet.liveness import Outage, outages, time_receiving
from fleet.models import Device, MonitoringSettings
from foundation.sweep import tenants_due
from tenancy.models import Tenant

BATCH = 5000  # devices of a customer in one transaction
# After an outage devices come back spread out: they were told to wait up to two minutes, or wait ever longer by
# themselves, up to ten.
LEAST_RETURN, MOST_RETURN = timedelta(minutes=2), timedelta(minutes=10)
_LOOK_BACK = timedelta(days=2)  # a device silent for longer is silent whatever our outages were


@dataclass(frozen=True)
class _Overdue:
    device_key: int
    seen_at: datetime


def tenants_with_overdue(*, at: datetime) -> list[UUID]:
    """Customers with a device whose deadline has passed, read by the sweep role. The most overdue first."""
    heard = tenants_due("fleet_watermark", at=at)
    never_heard = tenants_due(
        Device._meta.db_table, at=at, column="next_due_at", where="silent_since IS NULL"
    )
    return list(dict.fromkeys([*heard, *never_heard]))


def claim_overdue(tenant_id: UUID, *, at: datetime) -> list[Device]:
    """Mark devices of the entered tenant silent, at most BATCH, and return them: each is claimed once, whoever races.

    A deadline that our outages moved is written down, so that nobody looks again before it.
    """
    until = min(at, _drained_until(tenant_id))
    patience = _patience(tenant_id)
    our_own = [longer(each) for each in outages(since=at - _LOOK_BACK, at=at)]
    overdue: list[_Overdue] = []
    later: dict[_Overdue, datetime | None] = {}
    for each in _past_deadline(tenant_id, at=at):
        received = time_receiving(each.seen_at, until, our_own)
        if received > patience:
            overdue.append(each)
            later[each] = None
        else:
            later[each] = at + max(patience - received, timedelta(seconds=1))
    claimed = _claim(tenant_id, overdue) + _claim_never_heard(tenant_id, patience, until, our_own)
    _set_due(tenant_id, later)
    devices = list(Device.objects.for_tenant(tenant_id).filter(id__in=claimed).order_by("id"))
    health.refresh_many({device.room_id for device in devices if device.room_id is not None}, at=at)
    return devices


def longer(outage: Outage) -> Outage:
    """An outage with the time devices need to come back after it."""
    lasted = outage.ended_at - outage.started_at
    grace = min(max(4 * lasted, LEAST_RETURN), MOST_RETURN)
    return Outage(outage.started_at, outage.ended_at + grace)


def drained(shard: int, until: datetime) -> None:
    """Everything a stream accepted up to `until` is in PostgreSQL. Called by the one drain of the shard."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO fleet_drain (shard, drained_until) VALUES (%s, %s) "
            "ON CONFLICT (shard) DO UPDATE SET drained_until = excluded.drained_until",
            [shard, until],
        )


def _drained_until(tenant_id: UUID) -> datetime:
    """A stream nobody has drained yet tells nothing, so nobody is silent."""
    shard = stream.shard_of(Tenant.objects.values_list("placement", flat=True).get(id=tenant_id))
    with connection.cursor() as cursor:
        cursor.execute("SELECT drained_until FROM fleet_drain WHERE shard = %s", [shard])
        found = cursor.fetchone()
    until: datetime = found[0] if found else datetime.min.replace(tzinfo=UTC)
    return until


def _patience(tenant_id: UUID) -> timedelta:
    found = MonitoringSettings.objects.for_tenant(tenant_id).first() or MonitoringSettings()
    return timedelta(seconds=found.heartbeat_interval_s * found.missed_heartbeats)


def _past_deadline(tenant_id: UUID, *, at: datetime) -> list[_Overdue]:
    """Devices by the latest of their epochs. Rows a batch of heartbeats holds at this moment are left to it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT device_key FROM fleet_watermark WHERE tenant_id = %s AND due_at <= %s "
            "ORDER BY device_key, epoch LIMIT %s FOR NO KEY UPDATE SKIP LOCKED",
            [tenant_id, at, BATCH],
        )
        keys = sorted({key for (key,) in cursor.fetchall()})
        if not keys:
            return []
        cursor.execute(
            "SELECT device_key, max(seen_at) FROM fleet_watermark "
            "WHERE tenant_id = %s AND device_key = ANY(%s) GROUP BY device_key ORDER BY device_key",
            [tenant_id, keys],
        )
        return [_Overdue(key, seen_at) for key, seen_at in cursor.fetchall()]


def _claim(tenant_id: UUID, overdue: Sequence[_Overdue]) -> list[UUID]:
    if not overdue:
        return []
    keys = [each.device_key for each in overdue]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM fleet_device WHERE tenant_id = %s AND key = ANY(%s) ORDER BY id FOR NO KEY UPDATE",
            [tenant_id, keys],
        )
        cursor.execute(
            "UPDATE fleet_device AS device SET silent_since = late.seen_at, next_due_at = NULL, "
            "last_seen_at = greatest(device.last_seen_at, late.seen_at) "
            "FROM unnest(%s::bigint[], %s::timestamptz[]) AS late (key, seen_at) "
            "WHERE device.tenant_id = %s AND device.key = late.key "
            "AND device.status = 'enrolled' AND device.silent_since IS NULL RETURNING device.id",
            [keys, [each.seen_at for each in overdue], tenant_id],
        )
        return [device_id for (device_id,) in cursor.fetchall()]


def _claim_never_heard(
    tenant_id: UUID, patience: timedelta, until: datetime, our_own: Iterable[Outage]
) -> list[UUID]:
    """Devices that were accepted and have not been heard since: watched from `patience` before their deadline."""
    due = (
        Device.objects.for_tenant(tenant_id)
        .filter(next_due_at__lte=until, silent_since=None, status=Device.Status.ENROLLED)
        .order_by("id")
        .select_for_update(no_key=True, skip_locked=True)
    )
    claimed = []
    for device in due.only("id", "tenant_id", "next_due_at")[:BATCH]:
        assert device.next_due_at is not None
        since = device.next_due_at - patience
        if time_receiving(since, until, our_own) >= patience:
            own = Device.objects.for_tenant(tenant_id).filter(id=device.id)
            own.update(silent_since=since, next_due_at=None)
            claimed.append(device.id)
    return claimed


def _set_due(tenant_id: UUID, later: dict[_Overdue, datetime | None]) -> None:
    """The deadline of a device is that of its latest epoch; None: it has none until it is heard."""
    if not later:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE fleet_watermark AS mark "
            "SET due_at = CASE WHEN mark.seen_at >= later.seen_at THEN later.due_at END "
            "FROM unnest(%s::bigint[], %s::timestamptz[], %s::timestamptz[]) AS later (device_key, seen_at, due_at) "
            "WHERE mark.tenant_id = %s AND mark.device_key = later.device_key AND mark.due_at IS NOT NULL",
            [
                [each.device_key for each in later],
                [each.seen_at for each in later],
                list(later.values()),
                tenant_id,
            ],
        )
