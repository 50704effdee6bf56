"""The list of a customer's incidents: what waits on them first."""

from __future__ import annotations

from django.db.models import Q
from django.http import HttpResponse
from django.views.decorators.http import require_GET

from fleet import search
from fleet.models import Room
from incidents import attention
from incidents.models import Incident, IncidentQuerySet
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
        "severities": [(level, label) for level, (_, label) in SEVERITIES.items()],
    }
    return htmx.page(request, "incidents/incident_list.html", context, live=live)


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

    @property
    def narrowed(self) -> bool:
        return bool(self.q or self.severity or self.site)

    def incidents(self, request: TenantRequest) -> IncidentQuerySet:
        rows: IncidentQuerySet = Incident.objects.for_tenant(request.tenant)
        rows = rows.filter(state__in=VIEWS[self.view][1])
        if self.severity:
            rows = rows.filter(severity=self.severity)
        if self.site:
            rows = rows.filter(room__site_id=self.site)
        if self.q:
            rooms = search.matching(Room.objects.for_tenant(request.tenant), self.q)
            rows = rows.filter(Q(number=self.q.upper()) | Q(room_id__in=rooms.values("id")))
        return rows
