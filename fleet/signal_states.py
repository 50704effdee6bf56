"""Signal states and their transitions in PostgreSQL, for many devices of the tenants entered at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection

from fleet.signal_reports import UNKNOWN, Known
from foundation.ids import id_at, new_id


@dataclass(frozen=True, slots=True)
class SignalChange:
    """A signal of a device that is watched has another state. `after` "unknown" too where it is no longer reported."""

    tenant_id: UUID
    device_id: UUID
    room_id: UUID | None
    signal: str
    instance: str
    before: str
    after: str
    detail: str
    at: datetime  # when it happened, by the device's clock as far as it is plausible


@dataclass(frozen=True, slots=True)
class Written:
    """The row of one state is to be this; `state` None: it is to go."""

    tenant_id: UUID
    device_id: UUID
    signal: str
    instance: str
    state: str | None
    detail: str
    since: datetime


def read(devices: Sequence[tuple[UUID, UUID]]) -> dict[UUID, Known]:
    """What is known of devices given as (tenant id, device id); empty for one that has reported nothing."""
    known: dict[UUID, Known] = {device: {} for _, device in devices}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT state.device_id, state.signal, state.instance, state.state, state.detail "
            "FROM unnest(%s::uuid[], %s::uuid[]) AS wanted (tenant_id, device_id) "
            "JOIN fleet_signalstate AS state USING (tenant_id, device_id)",
            [[str(tenant) for tenant, _ in devices], [str(device) for _, device in devices]],
        )
        for device, signal, instance, state, detail in cursor.fetchall():
            known[device][signal, instance] = state, detail
    return known


def write(rows: Iterable[Written]) -> None:
    """Bring rows up to date; each (device, signal, instance) at most once. `since` moves only with the state."""
    rows = list(rows)
    kept = [row for row in rows if row.state is not None]
    gone = [row for row in rows if row.state is None]
    with connection.cursor() as cursor:
        if gone:
            cursor.execute(
                "DELETE FROM fleet_signalstate AS state "
                "USING unnest(%s::uuid[], %s::uuid[], %s::text[], %s::text[]) "
                "AS gone (tenant_id, device_id, signal, instance) "
                "WHERE state.tenant_id = gone.tenant_id AND state.device_id = gone.device_id "
                "AND state.signal = gone.signal AND state.instance = gone.instance",
                _names(gone),
            )
        if kept:
            cursor.execute(
                "INSERT INTO fleet_signalstate AS state "
                "(tenant_id, device_id, signal, instance, id, state, detail, since) "
                "SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::uuid[], %s::text[], "
                "%s::text[], %s::timestamptz[]) "
                "ON CONFLICT (tenant_id, device_id, signal, instance) DO UPDATE SET "
                "state = excluded.state, detail = excluded.detail, "
                "since = CASE WHEN state.state = excluded.state THEN state.since ELSE excluded.since END",
                [
                    *_names(kept),
                    [str(new_id()) for _ in kept],
                    [row.state for row in kept],
                    [row.detail for row in kept],
                    [row.since for row in kept],
                ],
            )


def record(transitions: Sequence[SignalChange]) -> None:
    """Write one row for each change of a state."""
    if not transitions:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO fleet_signaltransition "
            "(tenant_id, device_id, signal, instance, id, before, after, detail, at) "
            "SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::uuid[], %s::text[], "
            "%s::text[], %s::text[], %s::timestamptz[]) ON CONFLICT DO NOTHING",
            [
                *_names(transitions),
                [str(id_at(change.at)) for change in transitions],
                [change.before for change in transitions],
                [change.after for change in transitions],
                [change.detail for change in transitions],
                [change.at for change in transitions],
            ],
        )


def unhealthy(tenant_id: UUID, device_id: UUID, room_id: UUID | None) -> list[SignalChange]:
    """The faults a device has now, as changes from unknown: of one that is watched from now on."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT signal, instance, detail, since FROM fleet_signalstate "
            "WHERE tenant_id = %s AND device_id = %s AND state = 'unhealthy' ORDER BY signal, instance",
            [tenant_id, device_id],
        )
        return [
            SignalChange(tenant_id, device_id, room_id, signal, instance, UNKNOWN, "unhealthy", detail, since)
            for signal, instance, detail, since in cursor.fetchall()
        ]


def _names(rows: Sequence[Written] | Sequence[SignalChange]) -> list[list[str]]:
    return [
        [str(row.tenant_id) for row in rows],
        [str(row.device_id) for row in rows],
        [row.signal for row in rows],
        [row.instance for row in rows],
    ]
