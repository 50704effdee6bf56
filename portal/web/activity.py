"""What happened in a room, newest first: signals that turned, tickets, what people did, what came and went.

Of a room others were merged into, theirs too.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from fleet.models import Asset, Device, Room, RoomHistory, SignalTransition
from incidents.models import Incident, IncidentQuerySet, RoomEvent
from incidents.rules import RULES
from portal.web.words import SIGNAL_STATES
from tenancy.audit_log import Names
from tenancy.models import AuditEvent

SHOWN = 20
MOST_ASSETS = 100  # whose events are looked for, those removed among them
DID = {  # action: icon and words; others are not for this page
    "room.create": ("room", "added this room"),
    "room.update": ("settings", "changed this room"),
    "room.suppress": ("belloff", "suppressed this room"),
    "room.unsuppress": ("bell", "ended the suppression"),
    "room.asset_left": ("forward", "moved"),
    "asset.create": ("plus", "added"),
    "asset.update": ("settings", "changed"),
    "asset.move": ("forward", "moved"),
    "asset.remove": ("x", "removed"),
    "device.accept": ("check", "accepted"),
    "device.enroll": ("key", "enrolled"),
    "device.unenroll": ("x", "unenrolled"),
}
Kind = RoomHistory.Kind
BECAME = {  # what the history tells: icon, words before and after what it is about
    Kind.MOVED: ("forward", "The room", "moved here from {what}"),
    Kind.MERGED_IN: ("groups", "{other}", "was merged into this room"),
    Kind.MERGED_AWAY: ("groups", "The room", "became part of {other}"),
    Kind.RETIRED: ("x", "The room", "was retired"),
    Kind.DEVICE_CAME: ("plug", "{what}", "came here{from_other}"),
    Kind.DEVICE_LEFT: ("forward", "{what}", "left{to_other}"),
    Kind.PERIPHERAL_CAME: ("swap", "{what}", "came here{from_other}"),
    Kind.PERIPHERAL_LEFT: ("swap", "{what}", "turned up{in_other}"),
}

WITH_CHANGES = ("room.update", "room.suppress", "asset.update")


@dataclass(frozen=True)
class Line:
    at: datetime
    icon: str
    tone: str
    who: str
    text: str
    note: str = ""
    incident_id: UUID | None = None


def of_room(room: Room, devices: list[Device]) -> list[Line]:
    """At most SHOWN lines; the room's tenant is entered."""
    rooms = [room.id, *merged_into(room)]
    lines = [*_turned(room, devices), *_tickets(room, rooms), *_events(room, rooms)]
    lines += [*_done(room, rooms, devices), *_became(room, rooms)]
    return sorted(lines, key=lambda line: line.at, reverse=True)[:SHOWN]


def merged_into(room: Room) -> list[UUID]:
    """Rooms that became part of it."""
    rows = Room.objects.for_tenant(room.tenant_id).filter(merged_into=room)
    return list(rows.order_by("id").values_list("id", flat=True)[:SHOWN])


def _became(room: Room, rooms: list[UUID]) -> list[Line]:
    rows = (
        RoomHistory.objects.for_tenant(room.tenant_id)
        .filter(room_id__in=rooms)
        .select_related("other_room", "by")
    )
    lines = []
    for row in rows.order_by("-at", "-id")[:SHOWN]:
        icon, who, text = BECAME[Kind(row.kind)]
        other = row.other_room.name if row.other_room else ""
        told = {
            "what": row.what,
            "other": other or row.what,
            "from_other": f" from {other}" if other else "",
            "to_other": f" for {other}" if other else "",
            "in_other": f" in {other}" if other else " elsewhere",
        }
        note = f"by {row.by.name}" if row.by else ""
        lines.append(Line(row.at, icon, "", who.format(**told), text.format(**told), note))
    return lines


def _turned(room: Room, devices: list[Device]) -> list[Line]:
    rows = SignalTransition.objects.for_tenant(room.tenant_id).filter(
        device_id__in=[each.id for each in devices]
    )
    lines = []
    for row in rows.order_by("-at", "-id")[:SHOWN]:
        if row.before == "unknown" and row.after == "healthy":
            continue  # the first report of a signal is no news
        rule = RULES.get(row.signal)
        tone, label = SIGNAL_STATES[row.after]
        name = f"{rule.component if rule else row.signal} {row.instance}".strip()
        note = row.detail if row.after == "unhealthy" else ""
        lines.append(
            Line(
                row.at,
                "incident",
                "" if tone in ("ok", "none") else tone,
                name,
                f"turned {label.lower()}",
                note,
            )
        )
    return lines


def _tickets(room: Room, rooms: list[UUID]) -> list[Line]:
    tickets: IncidentQuerySet = Incident.objects.for_tenant(room.tenant_id)
    rows = tickets.of_rooms(id__in=rooms).order_by("-opened_at", "-id")[:SHOWN]
    lines = []
    for row in rows:
        lines.append(Line(row.opened_at, "incident", "bad", row.number, "opened", row.summary, row.id))
        if row.resolved_at:
            lines.append(Line(row.resolved_at, "check", "ok", row.number, "resolved", row.summary, row.id))
    return lines


def _events(room: Room, rooms: list[UUID]) -> list[Line]:
    found = RoomEvent.objects.for_tenant(room.tenant_id).filter(room_id__in=rooms)
    rows = found.order_by("-at", "-id")[:SHOWN]
    return [
        Line(
            row.at,
            "bolt",
            "",
            row.source,
            f"told: {RoomEvent.Kind(row.kind).label.lower()}",
            row.text,
            row.incident_id,
        )
        for row in rows
    ]


def _done(room: Room, rooms: list[UUID], devices: list[Device]) -> list[Line]:
    listed = Asset.objects.for_tenant(room.tenant_id).filter(room=room).order_by("-id")
    things = listed.values_list("id", flat=True)[:MOST_ASSETS]
    ids = [*rooms, *(each.id for each in devices), *things]
    rows = AuditEvent.objects.for_tenant(room.tenant_id).filter(
        object_kind__in=["room", "device", "asset"],
        object_id__in=ids,
        action__in=list(DID),
        result="successful",
    )
    found = list(rows.order_by("-id")[:SHOWN])
    names = Names(found)
    return [_deed(row, names) for row in found]


def _deed(event: Any, names: Names) -> Line:
    icon, words = DID[event.action]
    after = event.after or {}
    about = event.object_name if event.object_kind in ("device", "asset") else str(after.get("asset", ""))
    note = ", ".join(_changed(after)) if event.action in WITH_CHANGES else ""
    if event.action in ("asset.move", "room.asset_left"):
        about += f" to {after.get('to') or after.get('room')}"
    return Line(event.at, icon, "", names.actor(event) or "Greenroom", f"{words} {about}".strip(), note)


def _changed(after: dict[str, Any] | None) -> list[str]:
    return [
        f"{name.replace('_', ' ')}: {value}"
        for name, value in (after or {}).items()
        if name != "until" and value
    ]
