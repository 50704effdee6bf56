"""What tickets change in the numbers of rooms and pages: gathered while tickets move, written once.

A ticket counts while it is open and not suppressed. Counters (scope = the tenant): `incidents.open`,
`incidents.<severity>`, `incidents.<state>`; in the room open faults and warnings; and its fault spans. All rooms of a
ticket count, whoever changes it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from uuid import UUID

from django.db.models import Count, Q

from fleet import counters, health, scope
from fleet.models import Room
from incidents.models import FaultSpan, Incident, IncidentRoom
from incidents.severity import Severity

PREFIX = "incidents."


Where = tuple[UUID, UUID]  # a ticket and a room it counts in


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
        self._was: dict[Where, int] = {}  # severity: if it changes, one span ends and another begins
        self._is: dict[Where, int] = {}

    def was(self, incidents: Iterable[Incident]) -> None:
        """As they were before the change."""
        self._note(incidents, self._was, -1)

    def now(self, incidents: Iterable[Incident]) -> None:
        """As they are after it."""
        self._note(incidents, self._is, 1)

    def _note(self, incidents: Iterable[Incident], places: dict[Where, int], amount: int) -> None:
        counted = [incident for incident in incidents if counts(incident)]
        many = rooms_of(self.tenant_id, counted)
        for incident in counted:
            for room_id in many.get(incident.id, ()):
                places[incident.id, room_id] = incident.severity
            for name in names_of(incident.state, incident.severity):
                self._figures[name] += amount

    @scope.whole()
    def write(self, *, at: datetime) -> None:
        """Rooms are locked in the order of their ids, counters after them."""
        ended = {key: heavy for key, heavy in self._was.items() if self._is.get(key) != heavy}
        begun = {key: heavy for key, heavy in self._is.items() if self._was.get(key) != heavy}
        if ended:
            running = FaultSpan.objects.for_tenant(self.tenant_id).filter(
                incident_id__in={incident_id for incident_id, _ in ended},
                room_id__in={room_id for _, room_id in ended},
                ended_at=None,
            )
            ids = [
                key
                for key, incident_id, room_id in running.values_list("id", "incident_id", "room_id")
                if (incident_id, room_id) in ended
            ]
            FaultSpan.objects.for_tenant(self.tenant_id).filter(id__in=ids).update(ended_at=at)
        if begun:
            FaultSpan.objects.for_tenant(self.tenant_id).bulk_create(
                FaultSpan(
                    tenant_id=self.tenant_id,
                    incident_id=incident_id,
                    room_id=room_id,
                    severity=heavy,
                    started_at=at,
                )
                for (incident_id, room_id), heavy in begun.items()
            )
        with counters.gathered():
            changes = _of_rooms(ended, begun)
            if changes:
                health.faults_changed(changes, at=at)
            counters.add(
                {
                    counters.Figure(self.tenant_id, self.tenant_id, name): amount
                    for name, amount in self._figures.items()
                    if amount
                }
            )


@scope.whole()
def rooms_of(tenant_id: UUID, incidents: Iterable[Incident]) -> dict[UUID, set[UUID]]:
    """The rooms each ticket is about now; a query only where some have no device."""
    found = {each.id: {each.room_id} - {None} for each in incidents if each.device_id is not None}
    many = [each.id for each in incidents if each.device_id is None]
    if many:
        rows = IncidentRoom.objects.for_tenant(tenant_id).filter(incident_id__in=many, left_at=None)
        for incident_id, room_id in rows.values_list("incident_id", "room_id"):
            found.setdefault(incident_id, set()).add(room_id)
    return {key: {room_id for room_id in rooms if room_id is not None} for key, rooms in found.items()}


def _of_rooms(ended: Mapping[Where, int], begun: Mapping[Where, int]) -> dict[UUID, health.FaultChange]:
    amounts: Counter[tuple[UUID, bool]] = Counter()
    for places, amount in ((ended, -1), (begun, 1)):
        for (_, room_id), severity in places.items():
            amounts[room_id, Severity(severity).makes_unhealthy] += amount
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
    own = Incident.objects.for_tenant(tenant_id).open().filter(suppressed=False)
    single = own.filter(room__isnull=False, device__isnull=False).order_by().values_list("room_id")
    several = IncidentRoom.objects.for_tenant(tenant_id).filter(
        left_at=None,
        incident__state__in=Incident.OPEN_STATES,
        incident__suppressed=False,
        incident__device=None,
    )
    heavy_of_many = Q(incident__severity__lte=Severity.IMPORTANT)
    for rows, is_heavy in ((single, heavy), (several.order_by().values_list("room_id"), heavy_of_many)):
        for room_id, faults, warnings in rows.annotate(
            faults=Count("id", filter=is_heavy), warnings=Count("id", filter=~is_heavy)
        ):
            known = found.get(room_id, health.FaultChange())
            found[room_id] = health.FaultChange(known.faults + faults, known.warnings + warnings)
    return found
