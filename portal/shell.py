"""What the frame around every page shows: the organisation, the sections this person may open, counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.http import HttpRequest

from fleet import counters
from portal.access import HOUSE, HOUSE_PAGES, Principal
from portal.numbers import shown_to
from tenancy.models import Tenant


@dataclass(frozen=True)
class Section:
    """An entry of the menu. `names` are the beginnings of the URL names that belong to it."""

    url: str
    label: str
    icon: str
    permission: str
    names: tuple[str, ...]
    key: str = ""  # pressed after G
    counted: tuple[str, ...] = ()  # counters whose sum stands beside it
    manage: bool = False


SECTIONS = (
    Section("portal:overview", "Overview", "overview", "rooms.view", ("overview",), "o"),
    Section("portal:room-list", "Rooms", "room", "rooms.view", ("room", "bulk", "asset"), "r", ("rooms.",)),
    Section(
        "portal:incident-list",
        "Incidents",
        "incident",
        "tickets.view",
        ("incident",),
        "i",
        ("incidents.open",),
    ),
    Section("portal:event-list", "Events", "bolt", "tickets.view", ("event",)),
    Section(
        "portal:update-board",
        "Updates",
        "updates",
        "updates.view",
        ("update", "rollout", "release", "ring", "version", "target", "hours", "compliance"),
        "u",
    ),
    Section("portal:device-list", "Devices", "display", "rooms.view", ("device-list", "peripheral"), "d"),
    Section("portal:site-list", "Sites", "building", "rooms.view", ("site",), "s", manage=True),
    Section("portal:catalogue-list", "Catalogue", "star", "inventory.view", ("catalogue",), "c", manage=True),
    Section("portal:group-list", "Room groups", "groups", "groups.view", ("group",), manage=True),
    Section("portal:import-list", "Imports", "forward", "rooms.modify", ("import",), manage=True),
    Section("portal:export-list", "Exports", "download", "rooms.view", ("export",), manage=True),
    Section(
        "portal:key-list",
        "Enrollment",
        "key",
        "keys.download",
        ("key", "join", "device-accept", "device-refuse"),
        "e",
        manage=True,
    ),
)
SETTINGS = (  # pages behind one entry of the menu, as tabs
    Section("portal:person-list", "People", "users", "roles.view", ("person", "invitation"), "p"),
    Section("portal:role-list", "Roles", "lock", "roles.view", ("role",)),
    Section("portal:assignment-list", "Assignments", "groups", "roles.view", ("assignment",)),
    Section("portal:partner-list", "Partners", "link", "roles.view", ("partner", "action", "access")),
    Section("portal:token-list", "API tokens", "key", "rooms.view", ("token",)),
    Section("portal:directory", "Sign-in", "lock", "roles.modify", ("directory",)),
    Section("portal:signal-settings", "Signals", "settings", "settings.view", ("signal",)),
    Section("portal:suppression-list", "Suppressions", "settings", "rooms.view", ("suppression",)),
    Section("portal:window-list", "Maintenance", "calendar", "rooms.view", ("window",)),
    Section("portal:audit-log", "Audit log", "history", "audit.export", ("audit",)),
    Section("portal:privacy", "Privacy", "eye", "rooms.view", ("privacy",)),
)
CUSTOMERS_ONLY = {"portal:directory"}
CONSOLE_SECTIONS = (
    Section("portal:queue", "Queue", "incident", "queue.work", ("queue",), "q"),
    Section("portal:console-tenants", "Tenants", "users", "queue.work", ("console-tenants",), "t"),
    Section("portal:console-serving", "Who serves", "groups", "tenants.delegate", ("console-serv",), "w"),
)


def shell(request: HttpRequest) -> dict[str, Any]:
    """Context of every page. Counters are read only by a page that shows the frame."""
    principal: Principal | None = getattr(request, "principal", None)
    if principal is None:
        return {"principal": None}
    known = cache(lambda: shown_to(principal))
    return {
        "principal": principal,
        "organisations": getattr(request, "organisations", []),
        "may": {
            permission.replace(".", "_"): True
            for permission in principal.permissions
            if not principal.house or permission in HOUSE
        },
        "menu": lambda: [*_menu(request, principal, SECTIONS, known), *_settings(request, principal, known)],
        "settings_tabs": lambda: _menu(request, principal, SETTINGS, known),
        "console_menu": lambda: _menu(request, principal, CONSOLE_SECTIONS, known),
        "rooms_total": lambda: None if principal.house else _total(known(), (counters.ROOMS,)),
        "console_page": _console(principal),
        "demo": principal.tenant.is_demo,
    }


def _menu(
    request: HttpRequest,
    principal: Principal,
    sections: tuple[Section, ...],
    known: Callable[[], dict[str, int]],
) -> list[dict[str, Any]]:
    match = request.resolver_match
    current = (match.url_name or "") if match else ""
    return [
        {
            "url": section.url,
            "label": section.label,
            "icon": section.icon,
            "key": section.key,
            "manage": section.manage,
            "current": current.startswith(section.names),
            "count": _total(known(), section.counted) if section.counted else None,
        }
        for section in sections
        if principal.may(section.permission) and (not principal.house or _of_house(section))
        if section.url not in CUSTOMERS_ONLY or principal.tenant.kind == Tenant.Kind.CUSTOMER
    ]


def _of_house(section: Section) -> bool:
    return section in CONSOLE_SECTIONS or section.url.partition(":")[2].startswith(HOUSE_PAGES)


def _console(principal: Principal) -> str:
    """The first page of the console this person may open, "" for none."""
    pages = (each.url for each in CONSOLE_SECTIONS if principal.may(each.permission))
    return next(pages, "") if principal.by_operator else ""


def _settings(
    request: HttpRequest, principal: Principal, known: Callable[[], dict[str, int]]
) -> list[dict[str, Any]]:
    """The one entry for all settings: it leads to the first page this person may open."""
    pages = _menu(request, principal, SETTINGS, known)
    if not pages:
        return []
    current = any(page["current"] for page in pages)
    return [
        {**pages[0], "label": "Settings", "icon": "settings", "key": "", "manage": True, "current": current}
    ]


def _total(held: dict[str, int], names: tuple[str, ...]) -> int:
    return sum(value for name, value in held.items() if name.startswith(names))
