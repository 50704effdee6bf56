"""One search over everything there is of rooms: each word begins a word of what is found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.http import HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET

from fleet import lists
from fleet.models import Asset, Device, Peripheral, Room
from portal import htmx
from portal.access import TenantRequest, requires
from portal.web.listing import NOUNS, PAGES
from portal.web.room_detail import KINDS

SHOWN = 8  # of each kind; the rest is in its list
LONGEST = lists.LONGEST_VALUE


@dataclass(frozen=True)
class Hits:
    """The first of one kind. `more`: the list of all, where there are more."""

    listing: str
    label: str
    rows: list[Any]
    more: str


@require_GET
@requires("rooms.view")
def search(request: TenantRequest) -> HttpResponse:
    q = request.GET.get("q", "").replace("\0", "").strip()[:LONGEST]
    found = hits(request.tenant.id, q, shown=SHOWN) if q else []
    context = {
        "q": q,
        "found": [each for each in found if each.rows],
        "device_kinds": KINDS,
        "number": sum(len(each.rows) for each in found),
    }
    return htmx.page(request, "search/search.html", context)


def hits(tenant_id: Any, q: str, *, shown: int) -> list[Hits]:
    """By kind, at most `shown` of each; two queries a kind, whatever there is."""
    return [_hits(listing, order, show, q, shown) for listing, order, show in _kinds(tenant_id)]


def _kinds(tenant_id: Any) -> list[tuple[str, tuple[str, ...], QuerySet[Any]]]:
    devices = Device.objects.for_tenant(tenant_id).select_related("room").defer("document", "inventory")
    peripherals = Peripheral.objects.for_tenant(tenant_id).select_related("device__room")
    return [
        ("rooms", ("name", "id"), Room.objects.for_tenant(tenant_id).select_related("place")),
        ("devices", ("name", "id"), devices),
        (
            "peripherals",
            ("make", "model", "id"),
            peripherals.defer("device__document", "device__inventory"),
        ),
        ("assets", ("name", "id"), Asset.objects.for_tenant(tenant_id).select_related("room")),
    ]


def _hits(listing: str, order: tuple[str, ...], show: QuerySet[Any], q: str, shown: int) -> Hits:
    found = lists.filtered(listing, {"q": [q]}).order_by(*order)
    ids = list(found.values_list("id", flat=True)[: shown + 1])
    rows = list(show.filter(id__in=ids[:shown]).order_by(*order)) if ids else []
    page = PAGES.get(listing)
    more = f"{reverse(page)}?{urlencode({'q': q})}" if page and len(ids) > shown else ""
    return Hits(listing, NOUNS.get(listing, "Assets"), rows, more)
