"""Lists of devices and of the equipment attached to them: filters, search, saved views. Their address is their state."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.views.decorators.http import require_GET

from fleet import lists
from fleet.models import Device, Peripheral
from portal import htmx
from portal.access import TenantRequest, requires
from portal.paging import keyset_page
from portal.web import choices
from portal.web.listing import Asked, views_of
from portal.web.room_detail import KINDS, PERIPHERALS
from portal.web.standings import standings_of

PAGE = 50
STATUSES = {  # tone and label
    "enrolled": ("ok", "Reporting"),
    "onboarding": ("info", "Onboarding"),
    "pending": ("warn", "Waiting"),
    "quarantined": ("bad", "Quarantined"),
    "unenrolled": ("none", "Unenrolled"),
}


@require_GET
@requires("rooms.view")
def device_list(request: TenantRequest) -> HttpResponse:
    """Devices in use; those that left show where their status is asked for."""
    asked = Asked("devices", request.GET)
    rows = asked.rows()
    if "status" not in asked.query:
        rows = rows.exclude(status=Device.Status.UNENROLLED)
    page = keyset_page(
        rows,
        order_by=("name", "id"),
        after=request.GET.get("after"),
        before=request.GET.get("before"),
        size=PAGE,
        show=Device.objects.for_tenant(request.tenant).select_related("room").defer("document", "inventory"),
    )
    live = htmx.live(
        [
            (
                row.id,
                row.name,
                row.status,
                row.silent_since,
                row.room_id,
                row.app_version,
                row.make,
                row.model,
            )
            for row in page
        ]
    )
    if htmx.unchanged(request, live):
        return htmx.nothing_new()
    standings = standings_of(page)
    context = {
        "rows": [
            (row, KINDS[row.kind], *_status(row), standing)
            for row, standing in zip(page, standings, strict=True)
        ],
        "page": page,
        "asked": asked,
        "views": views_of(request, asked),
        "kinds": list(KINDS.items()),
        "statuses": [(key, label) for key, (_, label) in STATUSES.items()],
        **_offered(Device, asked),
    }
    return htmx.page(request, "devices/device_list.html", context, live=live)


@require_GET
@requires("rooms.view")
def peripheral_list(request: TenantRequest) -> HttpResponse:
    asked = Asked("peripherals", request.GET)
    page = keyset_page(
        asked.rows(),
        order_by=("make", "model", "id"),
        after=request.GET.get("after"),
        before=request.GET.get("before"),
        size=PAGE,
        show=Peripheral.objects.for_tenant(request.tenant)
        .select_related("device__room")
        .defer("device__document", "device__inventory"),
    )
    live = htmx.live(
        [(row.id, row.connected, row.firmware, row.device_id, row.device.room_id) for row in page]
    )
    if htmx.unchanged(request, live):
        return htmx.nothing_new()
    standings = standings_of(page)
    context = {
        "rows": [(row, *kind_of(row.kind), standing) for row, standing in zip(page, standings, strict=True)],
        "page": page,
        "asked": asked,
        "views": views_of(request, asked),
        "kinds": [(key, label) for key, (_, label) in PERIPHERALS.items()],
        **_offered(Peripheral, asked),
    }
    return htmx.page(request, "devices/peripheral_list.html", context, live=live)


def kind_of(kind: str) -> tuple[str, str]:
    """Icon and name of a kind of equipment."""
    return PERIPHERALS.get(kind, ("plug", kind.replace("_", " ").capitalize()))


def _status(row: Device) -> tuple[str, str]:
    return ("off", "Silent") if row.status == "enrolled" and row.silent_since else STATUSES[row.status]


def _offered(table: type[Device] | type[Peripheral], asked: Asked) -> dict[str, Any]:
    """Makes, the models of the chosen make, sites and groups."""
    models = lists.models_of(table)
    make = asked.one.get("make")
    return {
        "makes": list(dict.fromkeys(each for each, _ in models if each)),
        "models": list(dict.fromkeys(model for each, model in models if model and make in (None, each))),
        "sites": choices.sites(),
        "groups": choices.groups(),
    }
