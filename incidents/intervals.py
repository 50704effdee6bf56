"""When rooms were at fault or silent, for the health of their days (fleet.days)."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db.models import Q

from fleet.models import Device, SignalState, SignalTransition
from incidents.facts import UNHEALTHY
from incidents.models import FaultSpan
from incidents.rules import RULES
from incidents.severity import Severity

Interval = tuple[datetime, datetime | None]  # aware; None: still going on
DERIVED = [key for key, rule in RULES.items() if rule.derived]


def faults_between(tenant_id: UUID, start: datetime, end: datetime) -> dict[UUID, list[Interval]]:
    """By room: when a Critical or Important ticket counted, overlapping [start, end), in the order they began.

    Of an entered tenant. Intervals of different tickets may overlap and are not cut at the edges.
    """
    spans = FaultSpan.objects.for_tenant(tenant_id).filter(
        Q(ended_at=None) | Q(ended_at__gt=start), severity__lte=Severity.IMPORTANT, started_at__lt=end
    )
    by_room: dict[UUID, list[Interval]] = {}
    for room_id, began, ended in spans.order_by("started_at").values_list(
        "room_id", "started_at", "ended_at"
    ):
        by_room.setdefault(room_id, []).append((began, ended))
    return by_room


def silences_between(tenant_id: UUID, start: datetime, end: datetime) -> dict[UUID, list[Interval]]:
    """By room: when none of its watched devices was heard, within [start, end). Of an entered tenant."""
    devices = Device.objects.for_tenant(tenant_id).filter(
        status=Device.Status.ENROLLED, room__isnull=False, retired_at=None
    )
    rooms = dict(devices.values_list("id", "room_id"))
    silent = _silent_devices(tenant_id, start, end)
    by_room: dict[UUID, list[list[tuple[datetime, datetime]]]] = {}
    for device_id, room_id in rooms.items():
        by_room.setdefault(room_id, []).append(silent.get(device_id, []))
    found: dict[UUID, list[Interval]] = {}
    for room_id, of_devices in by_room.items():
        common = of_devices[0]
        for other in of_devices[1:]:
            common = _both(common, other)
        if common:
            found[room_id] = list(common)
    return found


def _silent_devices(
    tenant_id: UUID, start: datetime, end: datetime
) -> dict[UUID, list[tuple[datetime, datetime]]]:
    """By device, in order, cut at the edges. What a device was at `start` its next change tells, else its state."""
    changes = SignalTransition.objects.for_tenant(tenant_id).filter(signal__in=DERIVED, at__gt=start)
    by_device: dict[UUID, list[tuple[datetime, str, str]]] = {}
    for device_id, at, before, after in changes.order_by("at", "id").values_list(
        "device_id", "at", "before", "after"
    ):
        by_device.setdefault(device_id, []).append((at, before, after))
    silent = {device_id: _spans(steps, start, end) for device_id, steps in by_device.items()}
    still = SignalState.objects.for_tenant(tenant_id).filter(signal__in=DERIVED, state=UNHEALTHY)
    for device_id in still.values_list("device_id", flat=True):
        silent.setdefault(device_id, [(start, end)])
    return silent


def _spans(
    steps: list[tuple[datetime, str, str]], start: datetime, end: datetime
) -> list[tuple[datetime, datetime]]:
    spans: list[tuple[datetime, datetime]] = []
    began = start if steps[0][1] == UNHEALTHY else None
    for at, _, after in steps:
        if at >= end:
            break
        if after == UNHEALTHY:
            began = began or at
        elif began is not None:
            spans.append((began, at))
            began = None
    if began is not None:
        spans.append((began, end))
    return spans


def _both(
    some: list[tuple[datetime, datetime]], others: list[tuple[datetime, datetime]]
) -> list[tuple[datetime, datetime]]:
    common = [
        (max(began, other_began), min(ended, other_ended))
        for began, ended in some
        for other_began, other_ended in others
    ]
    return [(began, ended) for began, ended in common if began < ended]
