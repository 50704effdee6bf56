"""When rooms raise nothing: suppressions of a room, a group or a signal, and maintenance windows.

A fault under one is watched to its end: only what is still bad then opens a ticket. Tickets that are open already
are marked and count nowhere meanwhile. Times are aware, UTC; the tenant is entered.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from fleet.models import Place, Room, RoomGroupMember
from incidents.models import MaintenanceWindow, Suppression


@dataclass(frozen=True)
class Span:
    """One reason for quiet: of a room, a group, a place and what lies below it, or (all None) everywhere."""

    until: datetime
    signal: str = ""  # "": every signal
    room_id: UUID | None = None
    group_id: UUID | None = None
    place_id: UUID | None = None
    reason: str = ""


@dataclass
class Quiet:
    """What is quiet at one moment, for the rooms it was read for."""

    spans: list[Span] = field(default_factory=list)
    groups_of: dict[UUID, set[UUID]] = field(default_factory=dict)  # by room
    places_of: dict[UUID, set[UUID]] = field(default_factory=dict)  # by room: its place and those above

    def until(self, room_id: UUID | None, signal: str) -> datetime | None:
        """The last moment up to which this signal of the room is quiet; None: it is not."""
        ends = [span.until for span in self.covering(room_id, signal)]
        return max(ends) if ends else None

    def covering(self, room_id: UUID | None, signal: str) -> list[Span]:
        return [span for span in self.spans if span.signal in ("", signal) and self._reaches(span, room_id)]

    def _reaches(self, span: Span, room_id: UUID | None) -> bool:
        if span.room_id is None and span.group_id is None and span.place_id is None:
            return True
        if room_id is None:
            return False
        return (
            span.room_id == room_id
            or span.group_id in self.groups_of.get(room_id, ())
            or span.place_id in self.places_of.get(room_id, ())
        )


def quiet_in(tenant_id: UUID, room_ids: Iterable[UUID], *, at: datetime) -> Quiet:
    """Two queries where nothing is quiet; one more each where groups or places are."""
    quiet = Quiet(_running(tenant_id, at=at))
    rooms = set(room_ids)
    groups = {span.group_id for span in quiet.spans} - {None}
    if groups and rooms:
        members = RoomGroupMember.objects.for_tenant(tenant_id).filter(group_id__in=groups, room_id__in=rooms)
        for room_id, group_id in members.values_list("room_id", "group_id"):
            quiet.groups_of.setdefault(room_id, set()).add(group_id)
    if rooms and any(span.place_id for span in quiet.spans):
        places = Room.objects.for_tenant(tenant_id).filter(id__in=rooms)
        for room_id, path in places.values_list("id", "place__path"):
            quiet.places_of[room_id] = set(path)
    return quiet


def rooms_of(tenant_id: UUID, span: Span) -> set[UUID]:
    """The rooms a span reaches."""
    rooms = Room.objects.for_tenant(tenant_id).current()
    if span.room_id is not None:
        rooms = rooms.filter(id=span.room_id)
    elif span.group_id is not None:
        rooms = rooms.in_group(span.group_id)
    elif span.place_id is not None:
        below = Place.objects.for_tenant(tenant_id).filter(path__contains=[span.place_id])
        rooms = rooms.filter(place_id__in=list(below.values_list("id", flat=True)))
    return set(rooms.values_list("id", flat=True))


def span_of(row: Suppression | MaintenanceWindow) -> Span:
    if isinstance(row, Suppression):
        return Span(row.until, row.signal, row.room_id, row.group_id, None, row.reason)
    return Span(row.ends_at, "", row.room_id, row.group_id, row.place_id, row.reason)


def _running(tenant_id: UUID, *, at: datetime) -> list[Span]:
    suppressed = Suppression.objects.for_tenant(tenant_id).filter(ended_at=None, until__gt=at)
    windows = MaintenanceWindow.objects.for_tenant(tenant_id).filter(
        ended_at=None, starts_at__lte=at, ends_at__gt=at
    )
    return [span_of(row) for row in suppressed] + [span_of(row) for row in windows]
