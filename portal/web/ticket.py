"""One ticket as the customer sees it: who acts next, since when, what was found, what was said."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.http import HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from foundation import clock
from foundation.errors import DomainError
from incidents import attention, lifecycle, notes
from incidents.lifecycle import CAUSES, CAUSES_OF_GREENROOM
from incidents.models import Incident
from incidents.rules import RULES
from incidents.states import Event, sources
from portal import htmx
from portal.access import TenantRequest, principal_of, requires
from portal.web import timeline
from portal.web.dialogs import confirm, form_view
from portal.web.forms import Form, posted
from portal.web.lookup import found
from tenancy.models import Person

EARLIER = 5  # tickets of the same fault


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
    }
    status = 422 if form is not None and form.errors else 200
    return htmx.page(request, "incidents/incident_detail.html", context, live=live, status=status)


def about(incident: Incident) -> dict[str, Any]:
    """What both sides see of a ticket."""
    rule = RULES.get(incident.signal)
    same = Incident.objects.for_tenant(incident.tenant_id).filter(
        device=incident.device, signal=incident.signal, instance=incident.instance
    )
    cause = CAUSES.get(incident.cause) or CAUSES_OF_GREENROOM.get(incident.cause, "")
    return {
        "incident": incident,
        "room": incident.room,
        "device": incident.device,
        "zone": incident.room.time_zone if incident.room else None,
        "signal": f"{rule.component if rule else incident.signal} {incident.instance}".strip(),
        "cause": cause,
        "evidence": [
            (name.replace("_", " ").capitalize(), value) for name, value in incident.evidence.items()
        ],
        "earlier": list(
            same.filter(opened_at__lt=incident.opened_at).order_by("-opened_at", "-id")[:EARLIER]
        ),
    }


def _incident(request: TenantRequest, incident_id: UUID) -> Incident:
    rows = Incident.objects.for_tenant(request.tenant).filter(id=incident_id)
    return found(rows.select_related("room__place", "device", "assignee"))


def _person(request: TenantRequest) -> Person:
    person = principal_of(request).person
    assert person is not None  # pages are for people
    return person


def _address(incident: Incident) -> str:
    return reverse("portal:incident-detail", args=[incident.id])
