"""The rooms of tickets that are about several: which, who may decide for all of them, and how they join.

Of an entered tenant; times are aware, UTC.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from fleet import scope
from foundation.narrowing import is_narrowed
from incidents.models import Incident, IncidentRoom

RECORDED, FLAGGED = "recorded_issue", "event_flagged"
BY_PEOPLE = (RECORDED, FLAGGED)  # types whose rooms people choose


def rooms_now(incident: Incident) -> list[UUID]:
    """The rooms a ticket without a device is about, as far as they may be seen."""
    rows = IncidentRoom.objects.for_tenant(incident.tenant_id).filter(incident=incident, left_at=None)
    return list(rows.order_by("room__name", "room_id").values_list("room_id", flat=True))


def join_rooms(incident: Incident, room_ids: Iterable[UUID]) -> None:
    """Rooms come to a ticket that is held, or come back to it. Its counts are the caller's to bring in line."""
    wanted = set(room_ids)
    rows = IncidentRoom.objects.for_tenant(incident.tenant_id).filter(incident=incident, room_id__in=wanted)
    known = set(rows.values_list("room_id", flat=True))
    rows.update(left_at=None)
    IncidentRoom.objects.for_tenant(incident.tenant_id).bulk_create(
        IncidentRoom(tenant_id=incident.tenant_id, incident=incident, room_id=each)
        for each in sorted(wanted - known)
    )


def touch(incident: Incident, *, at: datetime, fields: Sequence[str] = ()) -> None:
    """A ticket that is held was changed: whoever looks at it sees that. A single room stands for itself."""
    incident.version, incident.updated_at = incident.version + 1, at
    names = ["version", "updated_at", *fields]
    if incident.signal in BY_PEOPLE:
        with scope.whole():
            rooms = rooms_now(incident)
        incident.room_id = rooms[0] if len(rooms) == 1 else None
        names.append("room")
    incident.save(update_fields=names)


def require_all_rooms(incident: Incident) -> None:
    """Raises NotAllowed for somebody whose role reaches some of the ticket's rooms only."""
    if incident.device_id is not None or not is_narrowed():
        return
    mine = set(rooms_now(incident))
    with scope.whole():
        every = set(rooms_now(incident))
    if mine != every:
        scope.refuse_part("This ticket is about more rooms and")
