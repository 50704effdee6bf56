"""What devices say, told the way a batch of heartbeats tells it, and tickets that come of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from fleet import signal_states
from fleet.heartbeats import Changes, Returned
from fleet.models import Device, SignalState
from fleet.signal_states import SignalChange, Written
from incidents import detection
from incidents.evaluation import Outcome
from incidents.models import Incident, IncidentEntry
from incidents.rules.hardware import camera_room
from tests.factories.fleet import make_device, make_room

CAMERA_WATCH = camera_room.watch


def said(
    device: Device,
    signal: str = "camera_room",
    state: str = "unhealthy",
    *,
    instance: str = "",
    at: datetime,
    detail: str = "",
) -> SignalChange:
    """One change of a signal, stored as ingest stores it. The device's tenant is entered."""
    known = SignalState.objects.for_tenant(device.tenant_id).filter(
        device=device, signal=signal, instance=instance
    )
    before = known.values_list("state", flat=True).first() or "unknown"
    signal_states.write([Written(device.tenant_id, device.id, signal, instance, state, detail, at)])
    return SignalChange(
        device.tenant_id, device.id, device.room_id, signal, instance, before, state, detail, at
    )


def no_longer_said(device: Device, signal: str, *, instance: str, at: datetime) -> SignalChange:
    """An instance a list left out."""
    signal_states.write([Written(device.tenant_id, device.id, signal, instance, None, "", at)])
    return SignalChange(
        device.tenant_id, device.id, device.room_id, signal, instance, "unhealthy", "unknown", "", at
    )


def heard(
    *changes: SignalChange,
    returned: Sequence[Device] = (),
    at: datetime,
    silent_since: datetime | None = None,
) -> Outcome:
    """A batch with these changes is evaluated at `at`."""
    back = [Returned(each.tenant_id, each.id, each.room_id, silent_since or at, at) for each in returned]
    return detection.evaluate(Changes(signals=list(changes), returned=back), at=at)


def fall_silent(device: Device, *, at: datetime) -> Outcome:
    """The silence sweep claims the device."""
    Device.objects.for_tenant(device.tenant_id).filter(id=device.id).update(silent_since=at)
    device.refresh_from_db()
    return detection.evaluate_silence([device], at=at)


def come_back(device: Device, *, at: datetime) -> Outcome:
    """A heartbeat after silence."""
    since = device.silent_since
    Device.objects.for_tenant(device.tenant_id).filter(id=device.id).update(
        silent_since=None, last_seen_at=at
    )
    device.refresh_from_db()
    return heard(returned=[device], at=at, silent_since=since)


def make_watched_device(*, at: datetime, **given: Any) -> Device:
    """Enrolled, in a room of its own."""
    return make_device(make_room(at=at), at=at, **given)


def make_incident(
    device: Device | None = None, signal: str = "camera_room", *, at: datetime, instance: str = ""
) -> Incident:
    """Opened by a fault whose watching period ends at `at`."""
    device = device or make_watched_device(at=at)
    begun = at - detection.RULES[signal].watch
    heard(said(device, signal, instance=instance, at=begun), at=begun)
    if at != begun:
        detection.evaluate_timer(device.tenant_id, f"{device.id}:{signal}:{instance}", at=at)
    return the_incident(device, signal, instance)


def heal(device: Device, signal: str = "camera_room", *, instance: str = "", at: datetime) -> Outcome:
    return heard(said(device, signal, "healthy", instance=instance, at=at), at=at)


def incidents_of(device: Device) -> list[Incident]:
    """Newest last."""
    return list(
        Incident.objects.for_tenant(device.tenant_id).filter(device=device).order_by("opened_at", "id")
    )


def the_incident(device: Device, signal: str = "camera_room", instance: str = "") -> Incident:
    """The only one of this fault."""
    return Incident.objects.for_tenant(device.tenant_id).get(device=device, signal=signal, instance=instance)


def kinds_of(incident: Incident) -> list[str]:
    """Kinds of the timeline's lines, in order."""
    lines = IncidentEntry.objects.for_tenant(incident.tenant_id).filter(incident=incident)
    return list(lines.order_by("at", "id").values_list("kind", flat=True))


def watch_ends(device: Device, signal: str = "camera_room", instance: str = "", *, at: datetime) -> Outcome:
    """The timer of a watching period fires at `at`."""
    return detection.evaluate_timer(device.tenant_id, f"{device.id}:{signal}:{instance}", at=at)
