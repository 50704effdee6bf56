"""Tickets of a room that became part of another: open ones go on there, closed ones stay in its history."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from fleet import scope
from incidents.counting import Tally
from incidents.models import Incident, IncidentEntry, IncidentRoom
from incidents.moves import held
from incidents.states import OPEN
from incidents.timeline import Line, write


@scope.whole()
def follow(tenant_id: UUID, gone_id: UUID, into_id: UUID, *, at: datetime) -> int:
    """Open tickets without a device, such as people record, go along; those of devices follow their devices.

    The tenant is entered; repeating it changes nothing. Returns how many moved.
    """
    rows = IncidentRoom.objects.for_tenant(tenant_id).filter(left_at=None)
    named = list(rows.filter(room_id=gone_id).values_list("incident_id", flat=True))
    own = Incident.objects.for_tenant(tenant_id).filter(room_id=gone_id, device=None)
    wanted = {*named, *own.values_list("id", flat=True)}
    known = held(tenant_id, id__in=sorted(wanted), device__isnull=True, state__in=OPEN)
    if not known:
        return 0
    tally = Tally(tenant_id)
    tally.was(known)
    _replace(tenant_id, [each.id for each in known], gone_id, into_id, at=at)
    for incident in known:
        if incident.room_id == gone_id:
            incident.room_id = into_id
        incident.updated_at = at
        incident.version += 1
    Incident.objects.for_tenant(tenant_id).bulk_update(known, ["room_id", "updated_at", "version"])
    write([Line(each, IncidentEntry.Kind.MOVED) for each in known], tenant_id=tenant_id, at=at)
    tally.now(known)
    tally.write(at=at)
    return len(known)


def _replace(
    tenant_id: UUID, incident_ids: list[UUID], gone_id: UUID, into_id: UUID, *, at: datetime
) -> None:
    """Among the rooms of the tickets; one that names both already keeps the one that stays."""
    rows = IncidentRoom.objects.for_tenant(tenant_id).filter(incident_id__in=incident_ids)
    leaving = list(rows.filter(room_id=gone_id, left_at=None).values_list("incident_id", flat=True))
    there = rows.filter(room_id=into_id, incident_id__in=leaving)
    there.update(left_at=None)
    known = set(there.values_list("incident_id", flat=True))
    rows.filter(room_id=gone_id, left_at=None).update(left_at=at)
    IncidentRoom.objects.for_tenant(tenant_id).bulk_create(
        IncidentRoom(tenant_id=tenant_id, incident_id=each, room_id=into_id)
        for each in leaving
        if each not in known
    )
