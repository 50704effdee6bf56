"""Tickets that belong together: merged, linked, and the same fault before with what solved it.

Of an entered tenant; times are aware, UTC. Two tickets are locked in the order of their ids.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet

from foundation.errors import NotFound, NotValid
from incidents import rooms as of_rooms
from incidents.counting import Tally
from incidents.errors import IncidentClosed, NotInThisState
from incidents.lifecycle import CAUSES, CAUSES_OF_GREENROOM, MERGED, end_by_merging
from incidents.models import Incident, IncidentEntry, IncidentLink
from incidents.moves import held
from incidents.states import State
from incidents.timeline import Author, Line, write
from tenancy import audit

Kind = IncidentEntry.Kind
EARLIER = 5
NUMBER_LENGTH = 10


@dataclass(frozen=True)
class Earlier:
    """A ticket of the same fault. `solved`: what solved it, as told; "" where nobody did."""

    incident: Incident
    cause: str
    solved: str


def by_number(tenant_id: UUID, number: str, *, field: str) -> Incident:
    """A ticket as people name it. Raises NotFound."""
    named = number.strip().upper()[: NUMBER_LENGTH + 1]
    rows = Incident.objects.for_tenant(tenant_id)
    found = rows.filter(number=named).first() or rows.filter(number=f"INC-{named}"[:NUMBER_LENGTH]).first()
    if found is None:
        raise NotFound("There is no such ticket.", field=field)
    return found


def merge(incident: Incident, into: Incident, *, author: Author, at: datetime) -> None:
    """`incident` is a duplicate: it is resolved, and `into` goes on for its rooms too.

    A fault under it that turns again, or is still there when `into` is resolved, opens it again. Raises NotValid,
    NotInThisState, IncidentClosed, NotAllowed.
    """
    _require_two(incident, into)
    _hold_both(incident, into)
    if not into.is_open:
        raise NotInThisState(f"{into.number} is resolved. Merge into an open ticket.")
    if not incident.is_open:
        raise NotInThisState(f"{incident.number} is resolved already.")
    if into.parent_id == incident.id:
        raise NotValid(f"{into.number} is part of this ticket.", field="into")
    of_rooms.require_all_rooms(incident)
    of_rooms.require_all_rooms(into)
    rooms = _rooms(incident)
    grows = into.device_id is None and into.signal in of_rooms.BY_PEOPLE
    if not grows and not rooms <= _rooms(into):
        raise NotValid(f"{into.number} is about another room. Link the two instead.", field="into")
    if grows:
        tally = Tally(into.tenant_id)
        tally.was([into])
        of_rooms.join_rooms(into, rooms)
        of_rooms.touch(into, at=at)
        tally.now([into])
        tally.write(at=at)
    end_by_merging(incident, into, author=author, at=at)
    write(
        [Line(into, Kind.LINKED, f"merged {incident.number} into it")],
        tenant_id=into.tenant_id,
        at=at,
        author=author,
    )
    audit.record("incident.merge", incident, tenant_id=incident.tenant_id, at=at, after={"into": into.number})


def link(incident: Incident, other: Incident, *, author: Author, at: datetime) -> None:
    """The two belong together. Repeating it, from either side, changes nothing. Raises NotValid."""
    _require_two(incident, other)
    if _links(incident).filter(Q(incident=other) | Q(other=other)).exists():
        return
    _, new = IncidentLink.objects.for_tenant(incident.tenant_id).get_or_create(
        incident=incident, other=other, defaults={"at": at, "by": author.person}
    )
    if not new:
        return
    write(
        [
            Line(incident, Kind.LINKED, f"linked it to {other.number}"),
            Line(other, Kind.LINKED, f"linked it to {incident.number}"),
        ],
        tenant_id=incident.tenant_id,
        at=at,
        author=author,
    )
    _touch(incident, other, at=at)
    audit.record(
        "incident.link", incident, tenant_id=incident.tenant_id, at=at, after={"other": other.number}
    )


def unlink(incident: Incident, other: Incident, *, author: Author, at: datetime) -> None:
    """They do not belong together after all. Raises NotFound."""
    rows = _links(incident).filter(Q(incident=other) | Q(other=other))
    if not list(rows.select_for_update(no_key=True)):
        raise NotFound("These tickets are not linked.")
    rows.delete()
    write(
        [
            Line(incident, Kind.LINKED, f"unlinked it from {other.number}"),
            Line(other, Kind.LINKED, f"unlinked it from {incident.number}"),
        ],
        tenant_id=incident.tenant_id,
        at=at,
        author=author,
    )
    _touch(incident, other, at=at)
    audit.record(
        "incident.unlink", incident, tenant_id=incident.tenant_id, at=at, before={"other": other.number}
    )


def linked_to(incident: Incident) -> list[Incident]:
    """By number; from both sides."""
    pairs = _links(incident).values_list("incident_id", "other_id")
    ids = {key for pair in pairs for key in pair} - {incident.id}
    rows = Incident.objects.for_tenant(incident.tenant_id).filter(id__in=ids)
    return list(rows.select_related("room").order_by("number"))


def linked(incident: Incident, other_id: UUID) -> Incident:
    """Raises NotFound."""
    found = next((each for each in linked_to(incident) if each.id == other_id), None)
    if found is None:
        raise NotFound("These tickets are not linked.")
    return found


def merged_into(incident: Incident) -> list[Incident]:
    """Tickets that are duplicates of this one, or came to it as their cause."""
    rows = Incident.objects.for_tenant(incident.tenant_id).filter(parent=incident)
    return list(rows.select_related("room").order_by("-opened_at", "-id")[:50])


def same_fault_before(incident: Incident, *, limit: int = EARLIER) -> list[Earlier]:
    """Earlier tickets of this fault, the latest first: of its device, signal and instance; of the same cause; or, for
    what people recorded, of one of its rooms."""
    rows = Incident.objects.for_tenant(incident.tenant_id).filter(
        signal=incident.signal, opened_at__lt=incident.opened_at
    )
    if incident.device_id is not None:
        rows = rows.filter(device_id=incident.device_id, instance=incident.instance)
    elif incident.cause_key:
        rows = rows.filter(cause_key=incident.cause_key)
    else:
        rows = rows.of_rooms(id__in=of_rooms.rooms_now(incident))
    found = list(rows.order_by("-opened_at", "-id")[:limit])
    told = dict(
        IncidentEntry.objects.for_tenant(incident.tenant_id)
        .filter(incident_id__in=[each.id for each in found], kind=Kind.RESOLVED)
        .order_by("at", "id")
        .values_list("incident_id", "text")
    )  # the last one counts
    return [Earlier(each, cause_label(each.cause), told.get(each.id, "")) for each in found]


def cause_label(cause: str) -> str:
    return CAUSES.get(cause) or CAUSES_OF_GREENROOM.get(cause, "")


def was_merged(incident: Incident) -> bool:
    return incident.cause == MERGED and incident.parent_id is not None


def _rooms(incident: Incident) -> set[UUID]:
    if incident.device_id is None:
        return set(of_rooms.rooms_now(incident))
    return {incident.room_id} if incident.room_id is not None else set()


def _links(incident: Incident) -> QuerySet[IncidentLink]:
    rows: QuerySet[IncidentLink] = IncidentLink.objects.for_tenant(incident.tenant_id).filter(
        Q(incident=incident) | Q(other=incident)
    )
    return rows


def _require_two(incident: Incident, other: Incident) -> None:
    if incident.id == other.id:
        raise NotValid("This is the same ticket.", field="into")


def _hold_both(*incidents: Incident) -> None:
    tenant_id = incidents[0].tenant_id
    held(tenant_id, id__in=[each.id for each in incidents])
    for each in incidents:
        each.refresh_from_db(from_queryset=Incident.objects.for_tenant(tenant_id))
        if each.state == State.CLOSED:
            raise IncidentClosed(each.number)


def _touch(*incidents: Incident, at: datetime) -> None:
    held(incidents[0].tenant_id, id__in=[each.id for each in incidents])
    for each in incidents:
        each.refresh_from_db(fields=["version"], from_queryset=Incident.objects.for_tenant(each.tenant_id))
        each.version, each.updated_at = each.version + 1, at
        each.save(update_fields=["version", "updated_at"])
