"""Events: what happened in rooms, newest first, and making a ticket of some."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.http import HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET

from fleet import search
from fleet.models import Room
from foundation import clock
from foundation.tenant_tables import TenantQuerySet
from incidents import events
from incidents.models import RoomEvent
from incidents.recorded import LONGEST_TITLE
from incidents.timeline import Author
from portal import htmx
from portal.access import TenantRequest, principal_of, requires
from portal.paging import keyset_page
from portal.web import choices
from portal.web.dialogs import form_view
from portal.web.forms import Form, choose, posted
from portal.web.lookup import found
from portal.web.words import moment_text, zone_of

PAGE = 50
KINDS = {
    RoomEvent.Kind.POOR_CALL: ("warn", "Poor call"),
    RoomEvent.Kind.ROOM_REPORT: ("info", "Report from the room"),
    RoomEvent.Kind.APP_RESTART: ("none", "Meeting app restarted"),
    RoomEvent.Kind.OTHER: ("none", "Other"),
}


@require_GET
@requires("tickets.view")
def event_list(request: TenantRequest) -> HttpResponse:
    asked = _Asked(request)
    page = keyset_page(
        asked.events(request),
        order_by=("-at", "-id"),
        after=request.GET.get("after"),
        before=request.GET.get("before"),
        size=PAGE,
        show=RoomEvent.objects.for_tenant(request.tenant).select_related("room__place", "incident"),
    )
    rows = [(each, *KINDS[RoomEvent.Kind(each.kind)]) for each in page]
    live = htmx.live([(each.id, each.incident_id) for each in page])
    if htmx.unchanged(request, live):
        return htmx.nothing_new()
    context = {
        "rows": rows,
        "page": page,
        "asked": asked,
        "kinds": [(kind.value, label) for kind, (_, label) in KINDS.items()],
        "sites": choices.sites(),
    }
    return htmx.page(request, "incidents/event_list.html", context, live=live)


class _Asked:
    """What the address asks for. Values no event can have are as good as absent."""

    def __init__(self, request: TenantRequest) -> None:
        self.q = request.GET.get("q", "").replace("\0", "").strip()[:200]
        kind = request.GET.get("kind", "")
        self.kind = kind if kind in RoomEvent.Kind.values else ""
        self.site = choices.as_id(request.GET.get("site"))

    @property
    def narrowed(self) -> bool:
        return bool(self.q or self.kind or self.site)

    def events(self, request: TenantRequest) -> TenantQuerySet[RoomEvent]:
        rows = RoomEvent.objects.for_tenant(request.tenant)
        if self.kind:
            rows = rows.filter(kind=self.kind)
        if self.site:
            rows = rows.filter(room__site_id=self.site)
        if self.q:
            rows = rows.filter(
                room_id__in=search.matching(Room.objects.for_tenant(request.tenant), self.q).values("id")
            )
        return rows


class FlagForm(Form):
    title = forms.CharField(
        label="What is wrong",
        max_length=LONGEST_TITLE,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    others = forms.MultipleChoiceField(
        label="Together with", required=False, widget=forms.CheckboxSelectMultiple
    )


@form_view
@requires("tickets.modify")
def event_flag(request: TenantRequest, event_id: UUID) -> HttpResponse:
    """The room is unhealthy: a ticket of this event, and of others of its room around it that are chosen."""
    rows = RoomEvent.objects.for_tenant(request.tenant).filter(id=event_id)
    event = found(rows.select_related("room"))
    form = FlagForm(posted(request), initial={"title": events.usual_title([event])})
    zone = zone_of({"zone": event.room.time_zone})
    near = [
        (str(each.id), f"{moment_text(each.at, zone)}, {KINDS[RoomEvent.Kind(each.kind)][1].lower()}")
        for each in events.near(event)
    ]
    if near:
        choose(form, "others", near)
    else:
        del form.fields["others"]
    if request.method == "POST":
        made = form.carry_out(lambda data: _flag(request, event, data))
        if made is not None:
            return htmx.done(
                request,
                f"{made.number} made of it",
                to=reverse("portal:incident-detail", args=[made.id]),
            )
    return htmx.dialog(
        request,
        f"Flag {event.room.name} as unhealthy",
        submit="Make ticket",
        back=reverse("portal:event-list"),
        form=form,
        explain="The room counts as unhealthy until the ticket is closed.",
    )


def _flag(request: TenantRequest, event: RoomEvent, data: dict[str, Any]) -> Any:
    return events.flag(
        request.tenant.id,
        [event.id, *map(UUID, data.get("others", ()))],
        author=Author(principal_of(request).person),
        at=clock.now(),
        title=data["title"],
    )
