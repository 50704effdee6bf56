"""One ticket in the console, and what an operator does with it: take, answer, ask, hand over, resolve."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.core.exceptions import PermissionDenied
from django.http import FileResponse, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from foundation import clock
from foundation.errors import DomainError
from incidents import lifecycle, notes
from incidents.models import Incident
from incidents.states import Event, sources
from incidents.timeline import Author
from portal import htmx
from portal.access import TenantRequest, requires
from portal.web import console, ticket_actions, timeline
from portal.web.dialogs import confirm, form_view
from portal.web.forms import Form, choose, initial_choice, posted
from portal.web.queue import facts
from portal.web.ticket import about, acts
from tenancy.models import Membership, Person


class ReplyForm(Form):
    text = forms.CharField(label="Reply", widget=forms.Textarea(attrs={"rows": 3}))
    to = forms.ChoiceField(
        label="Kind",
        choices=[("reply", "Reply"), ("ask", "Ask the customer to act"), ("note", "Note, Operations only")],
    )


class HandOverForm(Form):
    to = forms.ChoiceField(label="To")
    text = forms.CharField(label="What to know", required=False, widget=forms.Textarea(attrs={"rows": 2}))


@require_GET
@requires("queue.work")
def console_ticket(request: TenantRequest, incident_id: UUID) -> HttpResponse:
    with console.ticket(request, incident_id) as (incident, _):
        return _shown(request, incident)


@require_POST
@requires("queue.work")
def console_take(request: TenantRequest, incident_id: UUID) -> HttpResponse:
    with console.ticket(request, incident_id) as (incident, person):
        try:
            lifecycle.take(incident, by=person, at=clock.now())
        except DomainError as error:
            return htmx.refused(request, error, to=_address(incident))
        return htmx.done_here(request, f"{incident.number} is yours", to=_address(incident))


@require_POST
@requires("queue.work")
def console_reply(request: TenantRequest, incident_id: UUID) -> HttpResponse:
    with console.ticket(request, incident_id) as (incident, person):
        form = ReplyForm(posted(request))
        entry = form.carry_out(lambda data: _write(incident, data, by=person))
        if entry is None:
            return htmx.mistaken(form) if htmx.wants_fragment(request) else _shown(request, incident, form)
        said = "Note kept" if form.cleaned_data["to"] == "note" else "Reply sent"
        return htmx.done_here(request, said, to=_address(incident))


def _write(incident: Incident, data: dict[str, Any], *, by: Person) -> Any:
    if data["to"] == "note":
        return notes.operator_note(incident, data["text"], by=by, at=clock.now())
    return notes.operator_comment(incident, data["text"], by=by, at=clock.now(), ask=data["to"] == "ask")


@form_view
@requires("queue.work")
def console_hand_over(request: TenantRequest, incident_id: UUID) -> HttpResponse:
    with console.ticket(request, incident_id) as (incident, person):
        if not facts(request, incident)["can_hand_over"]:
            raise PermissionDenied
        colleagues = _colleagues(incident, person)
        form = HandOverForm(posted(request))
        choose(form, "to", initial_choice("Choose", [(str(each.id), each.name) for each in colleagues]))
        if request.method == "POST":
            by_id = {str(each.id): each for each in colleagues}
            told = form.carry_out(
                lambda data: _hand_over(incident, by_id[data["to"]], by=person, text=data["text"])
            )
            if told is not None:
                return htmx.done_here(
                    request, f"{incident.number} is with {told.name}", to=_address(incident)
                )
        return htmx.dialog(
            request,
            f"Hand over {incident.number}",
            submit="Hand over",
            back=_address(incident),
            form=form,
            frame=htmx.CONSOLE_PAGE,
        )


def _hand_over(incident: Incident, to: Person, *, by: Person, text: str) -> Person:
    lifecycle.hand_over(incident, to=to, by=by, at=clock.now(), text=text)
    return to


def _colleagues(incident: Incident, person: Person) -> list[Person]:
    """The operator's other people who serve this customer."""
    serving = Membership.objects.filter(tenant_id=incident.tenant_id, kind=Membership.Kind.OPERATOR)
    people = Person.objects.for_tenant(incident.tenant_id).filter(
        user_id__in=list(serving.values_list("user_id", flat=True)), ended_at=None
    )
    return [
        each for each in people.order_by("name", "id") if each.id not in (person.id, incident.assignee_id)
    ] + ([person] if incident.assignee_id not in (None, person.id) else [])


@form_view
@requires("queue.work")
def console_resolve(request: TenantRequest, incident_id: UUID) -> HttpResponse:
    with console.ticket(request, incident_id) as (incident, person):
        return ticket_actions.resolve(request, _side(incident, person))


@form_view
@requires("queue.work")
def console_merge(request: TenantRequest, incident_id: UUID) -> HttpResponse:
    with console.ticket(request, incident_id) as (incident, person):
        return ticket_actions.merge(request, _side(incident, person))


@form_view
@requires("queue.work")
def console_link(request: TenantRequest, incident_id: UUID) -> HttpResponse:
    with console.ticket(request, incident_id) as (incident, person):
        return ticket_actions.link(request, _side(incident, person))


@require_POST
@requires("queue.work")
def console_unlink(request: TenantRequest, incident_id: UUID, other_id: UUID) -> HttpResponse:
    with console.ticket(request, incident_id) as (incident, person):
        return ticket_actions.unlink(request, _side(incident, person), other_id)


@form_view
@requires("queue.work")
def console_impact(request: TenantRequest, incident_id: UUID) -> HttpResponse:
    with console.ticket(request, incident_id) as (incident, person):
        return ticket_actions.impact(request, _side(incident, person))


@require_POST
@requires("queue.work")
def console_usual_impact(request: TenantRequest, incident_id: UUID) -> HttpResponse:
    with console.ticket(request, incident_id) as (incident, person):
        return ticket_actions.usual_impact(request, _side(incident, person))


@form_view
@requires("queue.work")
def console_rooms(request: TenantRequest, incident_id: UUID) -> HttpResponse:
    with console.ticket(request, incident_id) as (incident, person):
        return ticket_actions.rooms(request, _side(incident, person))


@form_view
@requires("queue.work")
def console_attach(request: TenantRequest, incident_id: UUID) -> HttpResponse:
    with console.ticket(request, incident_id) as (incident, person):
        return ticket_actions.attach(request, _side(incident, person))


@form_view
@requires("queue.work")
def console_detach(request: TenantRequest, incident_id: UUID, attachment_id: UUID) -> HttpResponse:
    with console.ticket(request, incident_id) as (incident, person):
        return ticket_actions.detach(request, _side(incident, person), attachment_id)


@require_GET
@requires("queue.work")
def console_attachment(request: TenantRequest, incident_id: UUID, attachment_id: UUID) -> FileResponse:
    with console.ticket(request, incident_id) as (incident, person):
        return ticket_actions.download(_side(incident, person), attachment_id)


@form_view
@requires("queue.work")
def console_reopen(request: TenantRequest, incident_id: UUID) -> HttpResponse:
    with console.ticket(request, incident_id) as (incident, person):
        return confirm(
            request,
            f"Reopen {incident.number}?",
            submit="Reopen ticket",
            explain="It returns to where it was.",
            back=_address(incident),
            to=_address(incident),
            change=lambda: lifecycle.reopen(incident, by=person, by_operator=True, at=clock.now()),
            said=f"{incident.number} is open again",
            danger=False,
            frame=htmx.CONSOLE_PAGE,
        )


def _shown(request: TenantRequest, incident: Incident, form: ReplyForm | None = None) -> HttpResponse:
    live = htmx.live(incident.version)
    if form is None and htmx.unchanged(request, live):
        return htmx.nothing_new()
    entries = notes.entries_of(incident, for_operator=True)
    context = {
        **about(incident),
        **facts(request, incident),
        "lines": timeline.lines(incident, entries, customer=incident.tenant.name, for_operator=True),
        "form": form or ReplyForm(initial={"to": "reply"}),
        "can_reopen": incident.state in sources(Event.REOPEN),
        "can_reply": incident.state != Incident.State.CLOSED,
        **acts(incident, may=True, console=True),
    }
    status = 422 if form is not None and form.errors else 200
    return htmx.page(
        request, "operations/ticket.html", context, live=live, frame=htmx.CONSOLE_PAGE, status=status
    )


def _side(incident: Incident, person: Person) -> ticket_actions.Side:
    author = Author(person, by_operator=True)
    return ticket_actions.Side(incident, author, _address(incident), htmx.CONSOLE_PAGE)


def _address(incident: Incident) -> str:
    return reverse("portal:console-ticket", args=[incident.id])
