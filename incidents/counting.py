"""What tickets change in the numbers of rooms and pages: gathered while tickets move, written once.

A ticket counts while it is open and not suppressed. Counters (scope = the tenant): `incidents.open`,
`incidents.<severity>`, `incidents.<state>`; in the room open faults and warnings; and its fault spans.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Count, Q

from fleet import counters, health
from fleet.models import Room
from incidents.models import FaultSpan, Incident
from incidents.severity import Severity

PREFIX = "incidents."


@dataclass(frozen=True)
class _Place:
    """Where and how heavily a ticket counted: if this changes, one span ends and another begins."""

    room_id: UUID | None
    severity: int


def counts(incident: Incident) -> bool:
    return incident.is_open and not incident.suppressed


def names_of(state: str, severity: int) -> tuple[str, str, str]:
    """The counters one ticket is in."""
    return f"{PREFIX}open", f"{PREFIX}{Severity(severity).name.lower()}", f"{PREFIX}{state}"


class Tally:
    """Tickets as they were and as they are now, of one entered tenant. `write` may be called once."""

    def __init__(self, tenant_id: UUID) -> None:
        self.tenant_id = tenant_id
        self._figures: Counter[str] = Counter()
        self._was: dict[UUID, _Place] = {}
        self._is: dict[UUID, _Place] = {}

    def was(self, incidents: Iterable[Incident]) -> None:
        """As they were before the change."""
        self._note(incidents, self._was, -1)

    def now(self, incidents: Iterable[Incident]) -> None:
        """As they are after it."""
        self._note(incidents, self._is, 1)

    def _note(self, incidents: Iterable[Incident], places: dict[UUID, _Place], amount: int) -> None:
        for incident in incidents:
            if counts(incident):
                places[incident.id] = _Place(incident.room_id, incident.severity)
                for name in names_of(incident.state, incident.severity):
                    self._figures[name] += amount

    def write(self, *, at: datetime) -> None:
        """Rooms are locked in the order of their ids, counters after them."""
        ended = {key: place for key, place in self._was.items() if self._is.get(key) != place}
        begun = {key: place for key, place in self._is.items() if self._was.get(key) != place}
        if ended:
            running = FaultSpan.objects.for_tenant(self.tenant_id).filter(incident_id__in=list(ended))
            running.filter(ended_at=None).update(ended_at=at)
        spans = [
            FaultSpan(
                tenant_id=self.tenant_id,
                incident_id=key,
                room_id=place.room_id,
                severity=place.severity,
                started_at=at,
            )
            for key, place in begun.items()
            if place.room_id is not None
        ]
        if spans:
            FaultSpan.objects.for_tenant(self.tenant_id).bulk_create(spans)
        with counters.gathered():
            changes = _of_rooms(ended.values(), begun.values())
            if changes:
                health.faults_changed(changes, at=at)
            counters.add(
                {
                    counters.Figure(self.tenant_id, self.tenant_id, name): amount
                    for name, amount in self._figures.items()
                    if amount
                }
            )


def _of_rooms(ended: Iterable[_Place], begun: Iterable[_Place]) -> dict[UUID, health.FaultChange]:
    amounts: Counter[tuple[UUID, bool]] = Counter()
    for places, amount in ((ended, -1), (begun, 1)):
        for place in places:
            if place.room_id is not None:
                amounts[place.room_id, Severity(place.severity).makes_unhealthy] += amount
    rooms = {room_id for (room_id, _), amount in amounts.items() if amount}
    return {
        room_id: health.FaultChange(faults=amounts[room_id, True], warnings=amounts[room_id, False])
        for room_id in rooms
    }


def recount(tenant_id: UUID, *, at: datetime) -> dict[tuple[UUID, str], int]:
    """The nightly check of an entered tenant's counters and rooms; returns the counters that were wrong."""
    with counters.gathered():
        health.set_open_faults(_true_faults(tenant_id), at=at)
        return counters.recount(tenant_id, PREFIX, lambda: _true_figures(tenant_id))


def _true_figures(tenant_id: UUID) -> Mapping[tuple[UUID, str], int]:
    figures: Counter[tuple[UUID, str]] = Counter()
    rows = Incident.objects.for_tenant(tenant_id).open().filter(suppressed=False).order_by()
    for state, severity, number in rows.values_list("state", "severity").annotate(number=Count("id")):
        for name in names_of(state, severity):
            figures[tenant_id, name] += number
    return figures


def _true_faults(tenant_id: UUID) -> dict[UUID, health.FaultChange]:
    """Of every room that has an open fault, or says so."""
    rooms = Room.objects.for_tenant(tenant_id).filter(~Q(open_faults=0) | ~Q(open_warnings=0))
    found = {room_id: health.FaultChange() for room_id in rooms.values_list("id", flat=True)}
    heavy = Q(severity__lte=Severity.IMPORTANT)
    rows = Incident.objects.for_tenant(tenant_id).open().filter(suppressed=False, room__isnull=False)
    for room_id, faults, warnings in (
        rows.order_by()
        .values_list("room_id")
        .annotate(faults=Count("id", filter=heavy), warnings=Count("id", filter=~heavy))
    ):
        found[room_id] = health.FaultChange(faults=faults, warnings=warnings)
    return found
