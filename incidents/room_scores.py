"""What the health score of a room rests on, read for one room. Of an entered tenant."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db.models import Q

from fleet import days, health
from fleet.days import DayHealth
from fleet.models import Device, Room, RoomDay, SignalState
from incidents import flapping
from incidents.dependencies import FAMILIES, Family
from incidents.flapping import Stability
from incidents.models import FaultSpan, Incident, IncidentQuerySet, SignalStability
from incidents.rules import RULES
from incidents.score import HISTORY_DAYS, RoomFacts, Score, Ticket, score
from incidents.severity import Severity

ABOUT_SILENCE = {key for key, family in FAMILIES.items() if family is Family.SILENCE} | {Family.SILENCE.value}


def score_of(room: Room, *, at: datetime) -> Score:
    """Now. In five queries, in one where no device is watched."""
    devices = Device.objects.for_tenant(room.tenant_id).filter(
        room=room, retired_at=None, status__in=health.WATCHED
    )
    told = list(devices.values_list("id", "status", "silent_since"))
    if not told:
        return Score(None)
    silent = sum(status == Device.Status.QUARANTINED or since is not None for _, status, since in told)
    ids = [device_id for device_id, _, _ in told]
    tickets = _tickets(room)
    return score(
        RoomFacts(
            devices=len(told),
            silent=silent,
            tickets=[
                Ticket(each.id, Severity(each.severity), each.summary, each.signal in ABOUT_SILENCE)
                for each in tickets
            ],
            watched=_watched(room, ids),
            unsteady=_unsteady(room, ids, at=at),
            days=_days(room),
        )
    )


def today(room: Room, *, at: datetime) -> DayHealth:
    """Of the room's local day so far."""
    start, _ = days.counted_hours(at.astimezone(ZoneInfo(room.time_zone)).date(), room.time_zone)
    spans = FaultSpan.objects.for_tenant(room.tenant_id).filter(
        Q(ended_at=None) | Q(ended_at__gt=min(start, at)), room=room, severity__lte=Severity.IMPORTANT
    )
    return days.today(room, spans.values_list("started_at", "ended_at"), at=at)


def _tickets(room: Room) -> list[Incident]:
    rows: IncidentQuerySet = Incident.objects.for_tenant(room.tenant_id)
    found = rows.open().of_rooms(id=room.id).filter(suppressed=False)
    return list(found.order_by("severity", "opened_at", "id"))


def _watched(room: Room, devices: Sequence[UUID]) -> list[str]:
    """Unhealthy, in a watching period that has not ended; silence is counted by itself."""
    rows = SignalState.objects.for_tenant(room.tenant_id).filter(
        device_id__in=devices, state=SignalState.State.UNHEALTHY, watch_until__isnull=False
    )
    found = rows.order_by("signal", "instance").values_list("signal", "instance")
    return [_name(signal, instance) for signal, instance in found if signal not in ABOUT_SILENCE]


def _unsteady(room: Room, devices: Sequence[UUID], *, at: datetime) -> list[str]:
    rows = SignalStability.objects.for_tenant(room.tenant_id).filter(device_id__in=devices, flapping=True)
    return [
        _name(row.signal, row.instance)
        for row in rows.order_by("signal", "instance")
        if flapping.calm_at(Stability(row.score, row.scored_at, row.flapping)) > at
    ]


def _days(room: Room) -> list[bool]:
    rows = RoomDay.objects.for_tenant(room.tenant_id).filter(room=room, suppressed=False)
    return list(rows.order_by("-day").values_list("healthy", flat=True)[:HISTORY_DAYS])


def _name(signal: str, instance: str) -> str:
    rule = RULES.get(signal)
    return f"{rule.component if rule else signal} {instance}".strip()
