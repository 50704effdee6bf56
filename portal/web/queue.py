"""The operator's queue over all customers served: views, list, and a preview of one ticket."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.views.decorators.http import require_GET

from foundation import clock
from incidents import attention, notes, queue
from incidents.models import Incident
from portal import htmx
from portal.access import TenantRequest, principal_of, requires
from portal.middleware import provider_access
from portal.web import choices, console
from portal.web.words import SEVERITIES

PAGE = 50
LATEST = 3  # comments in the preview
VIEWS = {
    queue.View.MINE: "Mine",
    queue.View.OPEN: "Open",
    queue.View.UNASSIGNED: "Unassigned",
    queue.View.PAST_DUE: "Past due",
    queue.View.WAITING: "Waiting on customer",
}


@require_GET
@requires("queue.work")
def queue_list(request: TenantRequest) -> HttpResponse:
    principal, at = principal_of(request), clock.now()
    asked = _Asked(request)
    served = principal.tenant_ids
    user_id = console.user_of(principal).id
    provider_access.visit(request, *served)
    counts = queue.counts(served, user_id=user_id, at=at)
    page = queue.page(
        [asked.customer] if asked.customer else served,
        asked.view,
        user_id=user_id,
        at=at,
        severity=asked.severity,
        after=asked.after,
        size=PAGE,
    )
    live = htmx.live(
        sorted(counts.views.items()),
        sorted(counts.customers.items()),
        [(each.id, each.version) for each in page.incidents],
        every_s=htmx.FEW_SECONDS,
    )
    if htmx.unchanged(request, live):
        return htmx.nothing_new()
    context = {
        "asked": asked,
        "title": asked.title(served_names := {each.id: each.name for each in principal.tenants}),
        "rows": page.incidents,
        "after": page.after,
        "first": asked.after is None,
        "views": [(view.value, label, counts.views[view]) for view, label in VIEWS.items()],
        "severities": [(level, counts.severities[level]) for level in SEVERITIES],
        "customers": [(key, name, counts.customers[key]) for key, name in served_names.items()],
        "served": len(served),
    }
    return htmx.page(request, "operations/queue.html", context, live=live, frame=htmx.CONSOLE)


class _Asked:
    """What the address asks for. A customer not served is as good as none named."""

    def __init__(self, request: TenantRequest) -> None:
        view = request.GET.get("view", "")
        self.view = queue.View(view) if view in list(queue.View) else queue.View.OPEN
        severity = request.GET.get("severity", "")
        self.severity = int(severity) if severity in {str(level) for level in SEVERITIES} else None
        customer = choices.as_id(request.GET.get("customer"))
        self.customer = customer if customer in principal_of(request).tenant_ids else None
        after = request.GET.get("after", "")
        self.after = queue.cursor_of(after) if after else None

    def title(self, names: dict[UUID, str]) -> str:
        parts = [VIEWS[self.view]]
        if self.severity:
            parts.append(SEVERITIES[self.severity][1].lower())
        if self.customer:
            parts.append(names[self.customer])
        return ", ".join(parts)


@require_GET
@requires("queue.work")
def queue_preview(request: TenantRequest, incident_id: UUID) -> HttpResponse:
    with console.ticket(request, incident_id) as (incident, _):
        live = htmx.live(incident.version, every_s=htmx.FEW_SECONDS)
        if htmx.unchanged(request, live):
            return htmx.nothing_new()
        comments = notes.entries_of(incident, for_operator=True).filter(kind__in=["comment", "note"])
        context: dict[str, Any] = {
            **facts(request, incident),
            "latest": list(comments.order_by("-at", "-id")[:LATEST]),
            "live": live,
        }
        return htmx.page(request, "operations/_preview.html", context, live=live)


def facts(request: TenantRequest, incident: Incident) -> dict[str, Any]:
    """What list, preview and page of a ticket say of it to the operator."""
    mine = incident.assignee_user_id == console.user_of(principal_of(request)).id
    return {
        "incident": incident,
        "room": incident.room,
        "customer": incident.tenant,
        "zone": incident.room.time_zone if incident.room else incident.tenant.time_zone,
        "local_time": clock.now(),
        "next": attention.of(incident, for_operator=True),
        "mine": mine,
        "can_take": incident.is_open and incident.assignee_id is None,
        "can_hand_over": incident.is_open and (mine or principal_of(request).may("queue.assign")),
        "console": True,
    }
