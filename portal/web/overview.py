"""Overview: is all well, where not, and what waits on this organisation."""

from __future__ import annotations

from collections import Counter as Tally
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import wraps
from typing import Any
from uuid import UUID

from django.db.models import Count, Q
from django.http import HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.views.decorators.http import require_GET

from fleet import counters
from fleet.models import Device, Place, Room, RoomDay
from foundation import clock
from incidents.models import Incident
from portal import htmx, landing
from portal.access import TenantRequest, View, principal_of, requires
from portal.numbers import kept_ones_hold, shown_to
from portal.templatetags.greenroom_ui import plural
from portal.web.charts import Point, line_chart
from portal.web.words import SEVERITIES
from tenancy.models import BreakGlass, PendingAction

MAPPED_ROOMS = 2_000  # more are drawn as one bar a site
TREND_ROOMS = 2_000  # more room-days than a page should add up
TREND_DAYS = 30
SITES_SHOWN = 40
NOTICES_SHOWN = 3
TICKETS_SHOWN = 6
CELLS = {
    "unhealthy": "bad",
    "unmonitored": "off",
    "suppressed": "mute",
    "onboarding": "info",
    "unenrolled": "none",
}
STATE_ORDER = ("healthy", "unhealthy", "unmonitored", "suppressed", "onboarding")


@dataclass
class Site:
    """One line of the fleet map."""

    id: UUID
    name: str
    numbers: dict[str, int]
    cells: list[str] = field(
        default_factory=list
    )  # class of each room's cell; empty where there are too many

    @property
    def total(self) -> int:
        return sum(self.numbers.values())

    @property
    def counted(self) -> int:
        return self.total - self.numbers.get("unenrolled", 0) - self.numbers.get("onboarding", 0)

    @property
    def unwell(self) -> int:
        return self.numbers.get("unhealthy", 0) + self.numbers.get("unmonitored", 0)

    @property
    def share(self) -> str:
        return f"{100 * (self.counted - self.unwell) / self.counted:.0f}%" if self.counted else ""

    @property
    def parts(self) -> list[tuple[str, int]]:
        return [(CELLS.get(state, "ok"), self.numbers.get(state, 0)) for state in STATE_ORDER]


def _operators_go_to_the_console(view: View) -> View:
    """Somebody without a customer's portal has no overview: the console is where he works."""

    @wraps(view)
    def checked(request: TenantRequest) -> HttpResponseBase:
        principal = request.principal
        nothing_here = principal is None or (principal.by_operator and not principal.may("rooms.view"))
        if request.user.is_authenticated and (nothing_here or (principal is not None and principal.house)):
            return HttpResponseRedirect(landing.of_operator(request.user))
        return view(request)

    return checked


@require_GET
@_operators_go_to_the_console
@requires("rooms.view")
def overview(request: TenantRequest) -> HttpResponse:
    principal = principal_of(request)
    numbers = shown_to(principal)
    rooms = {
        name.removeprefix(counters.ROOMS): n for name, n in numbers.items() if name.startswith(counters.ROOMS)
    }
    total = sum(rooms.values())
    open_tickets = _open_tickets(request) if principal.may("tickets.view") else []
    sites = _sites(request, mapped=total <= MAPPED_ROOMS or not kept_ones_hold(principal))
    notices = _notices(request) if principal.may("roles.view") else []
    live = htmx.live(
        notices,
        sorted(numbers.items()),
        [(each.id, each.version) for each in open_tickets],
        [(site.id, site.name, site.cells) for site in sites],
    )
    if htmx.unchanged(request, live):
        return htmx.nothing_new()
    waiting = [ticket for ticket in open_tickets if ticket.state == Incident.State.NEEDS_ACTION]
    severities = [
        (level, numbers.get(f"incidents.{word.lower()}", 0)) for level, (_, word) in SEVERITIES.items()
    ]
    context = {
        "notices": notices,
        "total": total,
        "tiles": [(state, rooms.get(state, 0), _note(state, rooms, total)) for state in STATE_ORDER],
        "attention": rooms.get("unhealthy", 0) + rooms.get("unmonitored", 0),
        "healthy": rooms.get("healthy", 0),
        "sites": sites[:SITES_SHOWN],
        "more_sites": max(len(sites) - SITES_SHOWN, 0),
        "waiting": waiting[:TICKETS_SHOWN],
        "waiting_total": numbers.get("incidents.needs_action", 0),
        "tickets": sorted(open_tickets, key=lambda each: (each.severity, each.opened_at))[:TICKETS_SHOWN],
        "open_total": numbers.get("incidents.open", 0),
        "severities": severities,
        "severity_parts": [(SEVERITIES[level][0], number) for level, number in severities],
        "trend": _trend(request) if total <= TREND_ROOMS else None,
        "arriving": Device.objects.for_tenant(request.tenant).onboarding().count(),
    }
    return htmx.page(request, "overview/overview.html", context, live=live)


def _notices(request: TenantRequest) -> list[tuple[str, str]]:
    """What concerns the organisation's people: tone and sentence. Looked after on the page of partners."""
    waiting = PendingAction.objects.for_tenant(request.tenant).filter(state=PendingAction.State.WAITING)
    number = waiting.count()
    told = (
        [("warn", f"{plural(number, 'action')} of partners wait{'s' * (number == 1)} for you")]
        if number
        else []
    )
    broken = BreakGlass.objects.for_tenant(request.tenant).filter(ended_at=None, expires_at__gt=clock.now())
    for access in broken.select_related("person").order_by("started_at", "id")[:NOTICES_SHOWN]:
        told.append(("info", f"{access.person.name} of Operations has emergency access: {access.reason}"))
    return told


def _open_tickets(request: TenantRequest) -> list[Incident]:
    """The most severe, and those that wait on the customer, oldest first."""
    rows = (
        Incident.objects.for_tenant(request.tenant)
        .open()
        .filter(suppressed=False)
        .select_related("room__place")
    )
    waiting = rows.waiting_on_customer().order_by("opened_at", "id")[:TICKETS_SHOWN]
    severe = rows.order_by("severity", "opened_at", "id")[:TICKETS_SHOWN]
    return list({each.id: each for each in [*waiting, *severe]}.values())


def _sites(request: TenantRequest, *, mapped: bool) -> list[Site]:
    """Those with rooms, worst first."""
    tenant_id = request.tenant.id
    rooms = Room.objects.for_tenant(tenant_id).current().filter(site_id__isnull=False).order_by("name", "id")
    cells: dict[UUID | None, list[str]] = {}
    numbers: dict[UUID | None, Tally[str]] = {}
    if mapped:
        for site_id, state, warnings in rooms.values_list("site_id", "state", "open_warnings"):
            cell = CELLS.get(state, "warn" if warnings else "")
            cells.setdefault(site_id, []).append(cell)
            numbers.setdefault(site_id, Tally())[state] += 1
    places = Place.objects.for_tenant(tenant_id).filter(retired_at=None)
    if mapped:
        names = dict(places.filter(id__in=list(numbers)).values_list("id", "name"))
        sites = [Site(key, name, dict(numbers[key]), cells[key]) for key, name in names.items()]
    else:
        names = dict(places.values_list("id", "name"))
        counted = counters.by_scope(tenant_id, names)
        sites = [Site(key, names[key], held) for key, held in counted.items() if any(held.values())]
    return sorted(sites, key=lambda site: (-site.unwell, site.name))


def _note(state: str, rooms: dict[str, int], total: int) -> str:
    if state == "healthy" and total:
        return f"{100 * rooms.get('healthy', 0) / total:.1f}%"
    return ""


def _trend(request: TenantRequest) -> dict[str, Any] | None:
    """Healthy room-days of counted ones, by day; None before there are two days."""
    since = clock.now().date() - timedelta(days=TREND_DAYS)
    days = (
        RoomDay.objects.for_tenant(request.tenant).filter(day__gte=since).order_by("day").values_list("day")
    )
    points = [
        Point(_day(day), 100 * healthy / counted)
        for day, counted, healthy in days.annotate(
            counted=Count("id"), healthy=Count("id", filter=Q(healthy=True))
        )
    ]
    if len(points) < 2:
        return None
    change = points[-1].value - points[0].value
    low = min(points, key=lambda point: point.value)
    title = (
        f"Healthy rooms by day, {points[0].label} to {points[-1].label}: {points[0].value:.1f}% at first, "
        f"{points[-1].value:.1f}% at last, lowest {low.value:.1f}% on {low.label}."
    )
    return {"chart": line_chart(points, title=title), "change": change, "up": change >= 0, "points": points}


def _day(day: date) -> str:
    return f"{day.day} {day:%b}"
