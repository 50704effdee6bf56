"""What the lists of rooms, devices and equipment share: filters out of the address, and saved views of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.http import QueryDict
from django.urls import reverse

from fleet import lists
from portal.access import TenantRequest, principal_of
from tenancy import saved_views
from tenancy.models import SavedView

PAGES = {
    "rooms": "portal:room-list",
    "devices": "portal:device-list",
    "peripherals": "portal:peripheral-list",
}
NOUNS = {"rooms": "Rooms", "devices": "Devices", "peripherals": "Equipment"}
VIEW = "view"  # names the saved view an address came from
SHOWN = 12  # views beside the tabs; people have few


@dataclass(frozen=True)
class Tab:
    """A saved view among the tabs of its list."""

    id: UUID
    name: str
    address: str
    shared: bool
    current: bool


class Asked:
    """What the address of a list asks for. Values nothing can have are as good as absent."""

    def __init__(self, listing: str, given: QueryDict) -> None:
        self.listing = listing
        self.query = lists.cleaned(listing, dict(given.lists()), strictly=False)
        self.view = given.get(VIEW, "")
        self.one = {
            name: values[0] for name, values in self.query.items()
        }  # for forms that offer one of each

    @property
    def q(self) -> str:
        return self.one.get("q", "")

    @property
    def narrowed(self) -> bool:
        return bool(self.query.keys() - {"state"})

    def rows(self) -> Any:
        return lists.filtered(self.listing, self.query)

    @property
    def encoded(self) -> str:
        return urlencode(self.query, doseq=True)


def address(listing: str, query: dict[str, list[str]], view: SavedView | None = None) -> str:
    """The list with these filters; `view` marks its tab."""
    named = {**query, VIEW: [str(view.id)]} if view is not None else query
    page = reverse(PAGES[listing])
    return f"{page}?{urlencode(named, doseq=True)}" if named else page


@dataclass(frozen=True)
class Views:
    """Saved views of one list for one person, and the one this address is."""

    tabs: list[Tab]
    current: Tab | None
    changeable: bool  # the current one is the person's to change
    save: str  # where these filters are saved; "" where there is nothing to save


def views_of(request: TenantRequest, asked: Asked) -> Views:
    """One query."""
    principal = principal_of(request)
    rows = saved_views.visible_to(principal.person).filter(listing=asked.listing).order_by("name", "id")
    found = list(rows[:SHOWN])
    tabs = [
        Tab(
            row.id,
            row.name,
            address(asked.listing, row.query, row),
            row.shared,
            str(row.id) == asked.view and row.query == asked.query,
        )
        for row in found
    ]
    current = next((tab for tab in tabs if tab.current), None)
    row = next((row for row in found if current is not None and row.id == current.id), None)
    manages = principal.may_everywhere("settings.modify")
    changeable = row is not None and saved_views.may_change(row, principal.person, manages=manages)
    save = ""
    if asked.query and current is None and principal.person is not None:
        save = f"{reverse('portal:view-add')}?{urlencode({'list': asked.listing})}&{asked.encoded}"
    return Views(tabs, current, changeable, save)
