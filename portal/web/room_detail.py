"""One room: what is wrong, its signals, equipment, history, and what happened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.views.decorators.http import require_GET

from fleet import assets, catalog, days, expectations, group_rules, inventory, licences
from fleet.models import Device, Peripheral, Room, RoomGroup
from foundation import clock
from incidents import room_scores, signal_values
from incidents.models import Incident
from portal import htmx
from portal.access import TenantRequest, principal_of, requires
from portal.web import activity, asset_pages, signals
from portal.web.rooms import day_letter
from portal.web.standings import standings_of

KINDS = {"room_system": "Room system", "video_bar": "Video bar", "console": "Touch console", "panel": "Panel"}
PERIPHERALS = {
    "camera": ("camera", "Camera"),
    "content_camera": ("camera", "Content camera"),
    "microphone": ("mic", "Microphone"),
    "speaker": ("speaker", "Speaker"),
    "speakerphone": ("speaker", "Speakerphone"),
    "display": ("display", "Display"),
    "display_console": ("tablet", "Console display"),
    "hdmi_ingest": ("cable", "HDMI ingest"),
}


@require_GET
@requires("rooms.view")
def room_detail(request: TenantRequest, room_id: UUID) -> HttpResponse:
    room = inventory.room_or_former(room_id)
    devices = list(
        Device.objects.for_tenant(request.tenant)
        .filter(room=room, retired_at=None)
        .exclude(status=Device.Status.UNENROLLED)
        .order_by("kind", "name", "id")
    )
    tickets = list(
        Incident.objects.for_tenant(request.tenant)
        .open()
        .of_rooms(id=room.id)
        .order_by("severity", "opened_at", "id")
    )
    shown = signals.cards(devices, signal_values.effective(request.tenant.id), tickets)
    listed = assets.of_room(room)
    score = room_scores.score_of(room, at=clock.now())
    live = htmx.live(
        (room.version, room.state, room.suppressed_until, room.open_warnings),
        [
            (device.id, device.status, device.last_seen_at, device.silent_since, device.versions)
            for device in devices
        ],
        [(ticket.id, ticket.version) for ticket in tickets],
        shown,
        [(each.id, each.version) for each in listed],
        score,
    )
    if htmx.unchanged(request, live):
        return htmx.nothing_new()
    sees_tickets = principal_of(request).may("tickets.view")
    peripherals = list(
        Peripheral.objects.for_tenant(request.tenant)
        .filter(device_id__in=[device.id for device in devices])
        .order_by("kind", "make", "model", "id")
    )
    standings = standings_of([*devices, *peripherals], {device.id: device for device in devices})
    context = {
        "room": room,
        "former": room.retired_at is not None,
        "zone": room.time_zone,
        "other_zone": room.time_zone if room.time_zone != request.tenant.time_zone else "",
        "local_time": clock.now(),
        "place": room.place,
        "devices": [
            (device, KINDS[device.kind], standing)
            for device, standing in zip(devices, standings, strict=False)
        ],
        "peripherals": [
            (each, *PERIPHERALS.get(each.kind, ("plug", each.kind.replace("_", " ").capitalize())), standing)
            for each, standing in zip(peripherals, standings[len(devices) :], strict=True)
        ],
        "licence": _licence(room),
        "assets": [(each, *asset_pages.KINDS[each.kind]) for each in listed],
        "expected": [
            (expectations.EQUIPMENT[key], count)
            for key, count in room.expected.items()
            if key in expectations.EQUIPMENT
        ],
        "signals": shown,
        "unwell": [card for card in shown if card.state in ("unhealthy", "watching")],
        "tickets": [ticket for ticket in tickets if sees_tickets and not ticket.suppressed],
        "history": _history(room),
        "score": score,
        "activity": activity.of_room(room, devices),
        "groups": _groups(room),
        "last_seen": max((device.last_seen_at for device in devices if device.last_seen_at), default=None),
    }
    return htmx.page(request, "rooms/room_detail.html", context, live=live)


def _licence(room: Room) -> tuple[str, str, str]:
    """Name, tone ("" where all is well) and what is to be said of it."""
    name = licences.NAMES.get(room.licence, "Not known")
    held = licences.of(room, on=clock.now().date())
    until = catalog.day_text(held.until) if held.until else ""
    match held.standing:
        case licences.Standing.GRACE:
            return name, "warn", f"Over, in its time of grace until {until}"
        case licences.Standing.LAPSED:
            return name, "bad", f"Over since {until}"
        case licences.Standing.NONE:
            return name, "warn", ""
        case licences.Standing.VALID if room.licence not in licences.MONITORED:
            return name, "", "Monitoring asks for Pro or Premium"
        case licences.Standing.VALID if until:
            return name, "", f"Until {until}"
    return name, "", ""


def _groups(room: Room) -> list[tuple[RoomGroup, str]]:
    """Its groups, each with why it is there by a rule."""
    found = group_rules.memberships(room.id)
    names = group_rules.place_names(each.clauses for each in found)
    return [(each.group, group_rules.sentence(each.clauses, names)) for each in found]


@dataclass(frozen=True)
class History:
    letters: str
    first: Any
    share: str  # of counted days


def _history(room: Room) -> History:
    kept = days.history(room, at=clock.now())
    letters = "".join(
        "-"
        if day is None
        else day_letter(healthy=day.healthy, silent_s=day.silent_s, suppressed=day.suppressed)
        for _, day in kept
    )
    counted = [day for _, day in kept if day is not None]
    share = f"{100 * sum(day.healthy for day in counted) / len(counted):.1f}% healthy" if counted else ""
    return History(letters, f"{kept[0][0].day} {kept[0][0]:%b}", share)
