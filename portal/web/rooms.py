"""The list of rooms: filters, search, saved views by state. Its address is its state."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.views.decorators.http import require_GET

from fleet import counters, search
from fleet.lists import NEEDS_ATTENTION
from fleet.models import Device, Room, RoomDay
from foundation import clock
from incidents.models import Incident, IncidentRoom
from portal import htmx
from portal.access import TenantRequest, principal_of, requires
from portal.numbers import shown_to
from portal.paging import keyset_page
from portal.web import choices
from portal.web.listing import Asked, views_of
from portal.web.words import JUST_NOW_S, ROOM_STATES

PAGE = 50
STRIP_DAYS = 30
TABS = ("unhealthy", "unmonitored", "suppressed", "onboarding", "healthy")
SILENT_DAY_S = 20 * 60  # a day silent for longer is drawn as offline


@dataclass
class Row:
    room: Room
    reason: str
    system: str
    app: str
    seen_at: Any
    silent: bool
    days: str


@require_GET
@requires("rooms.view")
def room_list(request: TenantRequest) -> HttpResponse:
    asked = Asked("rooms", request.GET)
    found = keyset_page(
        asked.rows(),
        order_by=("name", "id"),
        after=request.GET.get("after"),
        before=request.GET.get("before"),
        size=PAGE,
        show=Room.objects.for_tenant(request.tenant).select_related("place"),
    )
    rows = _rows(found.rows)
    numbers = shown_to(principal_of(request))
    live = htmx.live(sorted(numbers.items()), [_facts(row) for row in rows])
    if htmx.unchanged(request, live):
        return htmx.nothing_new()
    days = _days(request.tenant.id, [row.room.id for row in rows])
    for row in rows:
        row.days = days.get(row.room.id, "-" * STRIP_DAYS)
    by_state = {
        name.removeprefix(counters.ROOMS): n for name, n in numbers.items() if name.startswith(counters.ROOMS)
    }
    context = {
        "rows": rows,
        "page": found,
        "asked": asked,
        "views": views_of(request, asked),
        "state": asked.one.get("state", ""),
        "types": Room.Type.choices,
        "licences": Room.Licence.choices,
        "labels": [(each, each) for each in search.labels_in_use()],
        "total": sum(by_state.values()),
        "by_state": by_state,
        "tabs": [
            ("", "All", sum(by_state.values())),
            ("attention", "Needs attention", sum(by_state.get(state, 0) for state in NEEDS_ATTENTION)),
            *((state, ROOM_STATES[state][1], by_state.get(state, 0)) for state in TABS),
        ],
        "sites": choices.sites(),
        "groups": choices.groups(),
    }
    return htmx.page(request, "rooms/room_list.html", context, live=live)


def _rows(rooms: Iterable[Room]) -> list[Row]:
    rooms = list(rooms)
    if not rooms:
        return []
    ids = [room.id for room in rooms]
    tenant_id = rooms[0].tenant_id
    worst: dict[UUID, str] = {}
    faults = Incident.objects.for_tenant(tenant_id).open().filter(room_id__in=ids, suppressed=False)
    for room_id, summary in faults.order_by("severity", "opened_at").values_list("room_id", "summary"):
        worst.setdefault(room_id, summary)
    unexplained = [
        room.id for room in rooms if (room.open_faults or room.open_warnings) and room.id not in worst
    ]
    if unexplained:
        among = IncidentRoom.objects.for_tenant(tenant_id).filter(
            room_id__in=unexplained,
            left_at=None,
            incident__state__in=Incident.OPEN_STATES,
            incident__suppressed=False,
        )
        ordered = among.order_by("incident__severity", "incident__opened_at")
        for room_id, summary in ordered.values_list("room_id", "incident__summary"):
            worst.setdefault(room_id, summary)
    devices: dict[UUID | None, list[Device]] = defaultdict(list)
    attached = (
        Device.objects.for_tenant(tenant_id).filter(room_id__in=ids, retired_at=None).order_by("created_at")
    )
    for device in attached.only(
        "room_id", "tenant_id", "make", "model", "versions", "last_seen_at", "silent_since"
    ):
        devices[device.room_id].append(device)
    return [_row(room, devices[room.id], worst.get(room.id, "")) for room in rooms]


def _row(room: Room, devices: list[Device], fault: str) -> Row:
    seen = [device.last_seen_at for device in devices if device.last_seen_at]
    main = devices[0] if devices else None
    return Row(
        room=room,
        reason=room.suppressed_reason if room.state == Room.State.SUPPRESSED else fault,
        system=f"{main.make} {main.model}".strip() if main else "",
        app=str((main.versions or {}).get("app", "")) if main else "",
        seen_at=max(seen, default=None),
        silent=any(device.silent_since for device in devices),
        days="",
    )


def _facts(row: Row) -> tuple[object, ...]:
    room = row.room
    quiet = row.silent or row.seen_at is None or row.seen_at < clock.now() - timedelta(seconds=JUST_NOW_S)
    return (
        *(room.id, room.version, room.state, room.open_warnings, room.suppressed_until),
        *(row.reason, row.system, row.app, row.seen_at if quiet else ""),
    )


def _days(tenant_id: UUID, room_ids: list[UUID]) -> dict[UUID, str]:
    """Each room's last days as letters for {% strip %}, oldest first."""
    if not room_ids:
        return {}
    last = clock.now().date() - timedelta(days=1)
    wanted = [last - timedelta(days=back) for back in range(STRIP_DAYS - 1, -1, -1)]
    kept: dict[UUID, dict[Any, str]] = defaultdict(dict)
    rows = RoomDay.objects.for_tenant(tenant_id).filter(room_id__in=room_ids, day__gte=wanted[0])
    for room_id, day, healthy, silent_s, suppressed in rows.values_list(
        "room_id", "day", "healthy", "silent_s", "suppressed"
    ):
        kept[room_id][day] = day_letter(healthy=healthy, silent_s=silent_s, suppressed=suppressed)
    return {room_id: "".join(days.get(day, "-") for day in wanted) for room_id, days in kept.items()}


def day_letter(*, healthy: bool, silent_s: int, suppressed: bool) -> str:
    if suppressed:
        return "m"
    if not healthy:
        return "b"
    return "f" if silent_s > SILENT_DAY_S else "o"
