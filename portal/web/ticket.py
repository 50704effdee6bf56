"""One ticket as the customer sees it: who acts next, since when, what was found, what was said, what belongs to it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.http import FileResponse, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from fleet.models import Room
from foundation import clock
from foundation.errors import DomainError
from foundation.tenant_tables import TenantQuerySet
from incidents import attachments, attention, causes, lifecycle, notes, relations
from incidents.models import Incident, RoomEvent
from incidents.relations import cause_label
from incidents.rooms import BY_PEOPLE, FLAGGED, rooms_now
from incidents.rules import RULES
from incidents.states import Event, sources
from incidents.timeline import Author
from portal import htmx
from portal.access import TenantRequest, principal_of, requires
from portal.web import ticket_actions, timeline
from portal.web.dialogs import confirm, form_view
from portal.web.forms import Form, posted
from portal.web.lookup import found
from tenancy.models import Person

ACTS = (
    "resolve",
    "reopen",
    "merge",
    "link",
    "unlink",
    "impact",
    "usual_impact",
    "rooms",
    "attach",
    "detach",
    "attachment",
)
MEMBERS = 50  # rooms or faults a page names


class CommentForm(Form):
    text = forms.CharField(label="Reply", widget=forms.Textarea(attrs={"rows": 3}), strip=True)
    assign = forms.BooleanField(label="Assign to Operations", required=False)


@require_GET
@requires("tickets.view")
def incident_detail(request: TenantRequest, incident_id: UUID) -> HttpResponse:
    return _shown(request, _incident(request, incident_id))


@require_POST
@requires("tickets.modify")
def incident_comment(request: TenantRequest, incident_id: UUID) -> HttpResponse:
    incident = _incident(request, incident_id)
    form = CommentForm(posted(request))
    entry = form.carry_out(
        lambda data: notes.customer_comment(
            incident,
            data["text"],
            by=_person(request),
            at=clock.now(),
            assign_to_operator=data["assign"],
        )
    )
    if entry is None:
        return _shown(request, incident, form)
    return htmx.done(request, "Reply sent", to=_address(incident))


@require_POST
@requires("tickets.modify")
def incident_done(request: TenantRequest, incident_id: UUID) -> HttpResponse:
    """The customer did what was asked."""
    incident = _incident(request, incident_id)
    try:
        lifecycle.customer_done(incident, by=_person(request), at=clock.now())
    except DomainError as error:
        return htmx.refused(request, error, to=_address(incident))
    return htmx.done_here(request, "Operations goes on with it", to=_address(incident))


@form_view
@requires("tickets.modify")
def incident_reopen(request: TenantRequest, incident_id: UUID) -> HttpResponse:
    incident = _incident(request, incident_id)
    return confirm(
        request,
        f"Reopen {incident.number}?",
        submit="Reopen ticket",
        explain="Operations looks at it again.",
        back=_address(incident),
        to=_address(incident),
        change=lambda: lifecycle.reopen(incident, by=_person(request), by_operator=False, at=clock.now()),
        said=f"{incident.number} is open again",
        danger=False,
    )


@form_view
@requires("tickets.modify")
def incident_resolve(request: TenantRequest, incident_id: UUID) -> HttpResponse:
    return ticket_actions.resolve(request, _side(request, incident_id))


@form_view
@requires("tickets.modify")
def incident_merge(request: TenantRequest, incident_id: UUID) -> HttpResponse:
    return ticket_actions.merge(request, _side(request, incident_id))


@form_view
@requires("tickets.modify")
def incident_link(request: TenantRequest, incident_id: UUID) -> HttpResponse:
    return ticket_actions.link(request, _side(request, incident_id))


@require_POST
@requires("tickets.modify")
def incident_unlink(request: TenantRequest, incident_id: UUID, other_id: UUID) -> HttpResponse:
    return ticket_actions.unlink(request, _side(request, incident_id), other_id)


@form_view
@requires("tickets.modify")
def incident_impact(request: TenantRequest, incident_id: UUID) -> HttpResponse:
    return ticket_actions.impact(request, _side(request, incident_id))


@require_POST
@requires("tickets.modify")
def incident_usual_impact(request: TenantRequest, incident_id: UUID) -> HttpResponse:
    return ticket_actions.usual_impact(request, _side(request, incident_id))


@form_view
@requires("tickets.modify")
def incident_rooms(request: TenantRequest, incident_id: UUID) -> HttpResponse:
    return ticket_actions.rooms(request, _side(request, incident_id))


@form_view
@requires("tickets.modify")
def incident_attach(request: TenantRequest, incident_id: UUID) -> HttpResponse:
    return ticket_actions.attach(request, _side(request, incident_id))


@form_view
@requires("tickets.modify")
def incident_detach(request: TenantRequest, incident_id: UUID, attachment_id: UUID) -> HttpResponse:
    return ticket_actions.detach(request, _side(request, incident_id), attachment_id)


@require_GET
@requires("tickets.view")
def incident_attachment(request: TenantRequest, incident_id: UUID, attachment_id: UUID) -> FileResponse:
    return ticket_actions.download(_side(request, incident_id), attachment_id)


def _side(request: TenantRequest, incident_id: UUID) -> ticket_actions.Side:
    incident = _incident(request, incident_id)
    return ticket_actions.Side(incident, Author(_person(request)), _address(incident))


def _shown(request: TenantRequest, incident: Incident, form: CommentForm | None = None) -> HttpResponse:
    live = htmx.live(incident.version)
    if form is None and htmx.unchanged(request, live):
        return htmx.nothing_new()
    entries = notes.entries_of(incident, for_operator=False)
    customer = request.tenant.name
    context = {
        **about(incident),
        "next": attention.of(incident),
        "lines": timeline.lines(incident, entries, customer=customer, for_operator=False),
        "form": form or CommentForm(),
        "can_reopen": incident.state in sources(Event.REOPEN),
        "can_reply": incident.state != Incident.State.CLOSED,
        **acts(incident, may=principal_of(request).may("tickets.modify"), console=False),
    }
    status = 422 if form is not None and form.errors else 200
    return htmx.page(request, "incidents/incident_detail.html", context, live=live, status=status)


def about(incident: Incident) -> dict[str, Any]:
    """What both sides see of a ticket."""
    rule = RULES.get(incident.signal)
    several = incident.device_id is None
    rooms = Room.objects.for_tenant(incident.tenant_id).filter(id__in=rooms_now(incident))
    of_cause = several and bool(incident.cause_key)
    return {
        "incident": incident,
        "room": incident.room,
        "device": incident.device,
        "zone": incident.room.time_zone if incident.room else None,
        "signal": f"{rule.component if rule else incident.signal} {incident.instance}".strip(),
        "cause": cause_label(incident.cause),
        "recorded": incident.signal in BY_PEOPLE,
        "rooms": list(rooms.select_related("place").order_by("name", "id")[:MEMBERS]) if several else [],
        "members": list(causes.members_of(incident)[:MEMBERS]) if of_cause else [],
        "attachments": list(attachments.of(incident)),
        "linked": relations.linked_to(incident),
        "merged": relations.merged_into(incident),
        "events": list(_events(incident)[:MEMBERS]) if incident.signal == FLAGGED else [],
        "earlier": relations.same_fault_before(incident),
        "evidence": [
            (name.replace("_", " ").capitalize(), value) for name, value in incident.evidence.items()
        ],
    }


def _events(incident: Incident) -> TenantQuerySet[RoomEvent]:
    rows = RoomEvent.objects.for_tenant(incident.tenant_id).filter(incident=incident)
    return rows.select_related("room").order_by("-at", "-id")


def acts(incident: Incident, *, may: bool, console: bool) -> dict[str, Any]:
    """What may be done with it, and the names of the addresses of that side."""
    can = may and incident.state != Incident.State.CLOSED
    side = "console" if console else "incident"
    names = {each: f"portal:{side}-{each.replace('_', '-')}" for each in ACTS}
    names["detail"] = "portal:console-ticket" if console else "portal:incident-detail"
    return {"can_act": can, "can_attach": can, "names": names, "console": console}


def _incident(request: TenantRequest, incident_id: UUID) -> Incident:
    rows = Incident.objects.for_tenant(request.tenant).filter(id=incident_id)
    return found(rows.select_related("room__place", "device", "assignee", "recorded_by", "parent"))


def _person(request: TenantRequest) -> Person:
    person = principal_of(request).person
    assert person is not None  # pages are for people
    return person


def _address(incident: Incident) -> str:
    return reverse("portal:incident-detail", args=[incident.id])
