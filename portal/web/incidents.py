"""The list of a customer's incidents: what waits on them first."""

from __future__ import annotations

from uuid import UUID

from django.db.models import Q
from django.http import HttpResponse
from django.views.decorators.http import require_GET

from fleet import search
from fleet.models import Room, RoomGroupMember
from incidents import attention
from incidents.models import Incident, IncidentQuerySet, IncidentRoom
from incidents.rules import ReportCategory, signals_of
from portal import htmx
from portal.access import TenantRequest, principal_of, requires
from portal.numbers import shown_to
from portal.paging import keyset_page
from portal.web import choices
from portal.web.words import SEVERITIES

PAGE = 50
YOURS = Incident.State.NEEDS_ACTION
VIEWS = {
    "": ("Open", Incident.OPEN_STATES),
    "you": ("Waiting on you", (YOURS,)),
    "operations": (
        "With Operations",
        tuple(state for state in Incident.OPEN_STATES if state != YOURS),
    ),
    "resolved": ("Resolved", (Incident.State.RESOLVED,)),
    "closed": ("Closed", (Incident.State.CLOSED,)),
}


@require_GET
@requires("tickets.view")
def incident_list(request: TenantRequest) -> HttpResponse:
    asked = _Asked(request)
    incidents = asked.incidents(request).select_related("room__place")
    first = not (request.GET.get("after") or request.GET.get("before"))
    on_top = asked.view == ""  # of all open ones, those that wait on the reader stand first
    page = keyset_page(
        incidents.filter(~Q(state=YOURS)) if on_top else incidents,
        order_by=("-opened_at", "-id"),
        after=request.GET.get("after"),
        before=request.GET.get("before"),
        size=PAGE,
    )
    yours = list(incidents.filter(state=YOURS).order_by("opened_at", "id")[:PAGE]) if on_top and first else []
    shown = [*yours, *page]
    numbers = shown_to(principal_of(request))
    live = htmx.live(_numbers(numbers), [(each.id, each.version) for each in shown])
    if htmx.unchanged(request, live):
        return htmx.nothing_new()
    _name_rooms(shown)
    waiting = numbers.get("incidents.needs_action", 0)
    opened = numbers.get("incidents.open", 0)
    context = {
        "rows": [(each, attention.of(each)) for each in shown],
        "page": page,
        "asked": asked,
        "tabs": [
            (key, label, {"": opened, "you": waiting, "operations": opened - waiting}.get(key))
            for key, (label, _) in VIEWS.items()
        ],
        "open_total": opened,
        "waiting_total": waiting,
        "sites": choices.sites(),
        "groups": choices.groups(),
        "categories": list(ReportCategory),
        "severities": [(level, label) for level, (_, label) in SEVERITIES.items()],
    }
    return htmx.page(request, "incidents/incident_list.html", context, live=live)


def _name_rooms(incidents: list[Incident]) -> None:
    """Of those about several rooms: the first, and how many more (`places`)."""
    several = [each for each in incidents if each.room_id is None]
    if not several:
        return
    rows = IncidentRoom.objects.for_tenant(several[0].tenant_id).filter(
        incident_id__in=[each.id for each in several], left_at=None
    )
    names: dict[UUID, list[str]] = {}
    for incident_id, name in rows.order_by("room__name").values_list("incident_id", "room__name"):
        names.setdefault(incident_id, []).append(name)
    for each in several:
        of = names.get(each.id, [])
        each.places = of[0] + (f" and {len(of) - 1} more" if len(of) > 1 else "") if of else ""  # type: ignore[attr-defined]  # for the template


def _numbers(numbers: dict[str, int]) -> list[tuple[str, int]]:
    return sorted((name, number) for name, number in numbers.items() if name.startswith("incidents."))


class _Asked:
    """What the address asks for. Values no incident can have are as good as absent."""

    def __init__(self, request: TenantRequest) -> None:
        self.q = request.GET.get("q", "").replace("\0", "").strip()[:200]
        view = request.GET.get("view", "")
        self.view = view if view in VIEWS else ""
        severity = request.GET.get("severity", "")
        self.severity = int(severity) if severity in {str(level) for level in SEVERITIES} else None
        self.site = choices.as_id(request.GET.get("site"))
        self.group = choices.as_id(request.GET.get("group"))
        category = request.GET.get("category", "")
        self.category = category if category in list(ReportCategory) else ""

    @property
    def narrowed(self) -> bool:
        return bool(self.q or self.severity or self.site or self.group or self.category)

    def incidents(self, request: TenantRequest) -> IncidentQuerySet:
        rows: IncidentQuerySet = Incident.objects.for_tenant(request.tenant)
        rows = rows.filter(state__in=VIEWS[self.view][1])
        if self.severity:
            rows = rows.filter(severity=self.severity)
        if self.site:
            rows = rows.of_rooms(site_id=self.site)
        if self.group:
            members = RoomGroupMember.objects.for_tenant(request.tenant).filter(group_id=self.group)
            rows = rows.of_rooms(id__in=members.values("room_id"))
        if self.category:
            rows = rows.filter(signal__in=signals_of(ReportCategory(self.category)))
        if self.q:
            rooms = search.matching(Room.objects.for_tenant(request.tenant), self.q)
            rows = rows.filter(number=self.q.upper()) | rows.of_rooms(id__in=rooms.values("id"))
        return rows
