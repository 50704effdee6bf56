"""Tickets of rooms that are kept quiet: marked, and counted nowhere until the quiet ends."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from fleet.models import Room
from incidents.counting import Tally
from incidents.models import Incident, IncidentEntry
from incidents.moves import held
from incidents.states import OPEN
from incidents.timeline import Line, write

Kind = IncidentEntry.Kind


def follow_rooms(tenant_id: UUID, room_ids: Iterable[UUID], *, at: datetime) -> int:
    """Bring the mark of open tickets in line with their rooms, of an entered tenant.

    Returns how many tickets changed; repeating it changes nothing. Tickets are locked before rooms.
    """
    rooms = Room.objects.for_tenant(tenant_id).filter(id__in=list(room_ids))
    quiet = {
        room_id: until is not None and until > at
        for room_id, until in rooms.values_list("id", "suppressed_until")
    }
    known = held(tenant_id, room_id__in=list(quiet), state__in=OPEN)
    changed = [each for each in known if each.room_id and each.suppressed != quiet[each.room_id]]
    if not changed:
        return 0
    tally = Tally(tenant_id)
    tally.was(changed)
    for incident in changed:
        incident.suppressed, incident.updated_at = not incident.suppressed, at
        incident.version += 1
    Incident.objects.for_tenant(tenant_id).bulk_update(changed, ["suppressed", "updated_at", "version"])
    write(
        [Line(each, Kind.SUPPRESSED if each.suppressed else Kind.COUNTED) for each in changed],
        tenant_id=tenant_id,
        at=at,
    )
    tally.now(changed)
    tally.write(at=at)
    return len(changed)
