"""What people do with a ticket beside writing in it, the same for the customer and the operator on the console."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django import forms
from django.http import FileResponse, HttpResponse

from foundation import clock
from foundation.errors import DomainError
from incidents import attachments, lifecycle, recorded, relations
from incidents.models import Incident
from incidents.rooms import rooms_now
from incidents.timeline import Author
from portal import htmx
from portal.access import TenantRequest
from portal.web import downloads
from portal.web.dialogs import confirm
from portal.web.forms import FilesField, Form, files_of, initial_choice, posted
from portal.web.scopes import names_of_rooms, rooms_named
from tenancy.models import Person


@dataclass(frozen=True)
class Side:
    """A ticket, who acts on it, and the page he comes from."""

    incident: Incident
    author: Author
    back: str
    frame: str = htmx.PORTAL

    @property
    def person(self) -> Person:
        assert self.author.person is not None
        return self.author.person


class ResolveForm(Form):
    cause = forms.ChoiceField(label="Cause", choices=initial_choice("Choose", list(lifecycle.CAUSES.items())))
    text = forms.CharField(label="What fixed it", required=False, widget=forms.Textarea(attrs={"rows": 2}))


class NumberForm(Form):
    into = forms.CharField(
        label="Ticket number",
        max_length=12,
        widget=forms.TextInput(attrs={"autocomplete": "off", "placeholder": "INC-"}),
    )


class ImpactForm(Form):
    reason = forms.CharField(
        label="Why it matters",
        max_length=recorded.LONGEST_REASON,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )


class RoomsForm(Form):
    rooms = forms.CharField(
        label="Rooms", widget=forms.Textarea(attrs={"rows": 4}), help_text="Names of rooms, one a line."
    )

    def clean_rooms(self) -> list[UUID]:
        return rooms_named(self.cleaned_data["rooms"])


class AttachForm(Form):
    file = FilesField(label="Files", help_text=attachments.ACCEPTED)


def resolve(request: TenantRequest, side: Side) -> HttpResponse:
    watched = side.incident.device_id is not None
    explain = "If the signal is still unhealthy after its watching period, the ticket opens again."
    form = ResolveForm(posted(request))
    return _dialog(
        request,
        side,
        form,
        f"Resolve {side.incident.number}?",
        "Resolve ticket",
        f"{side.incident.number} resolved",
        lambda data: lifecycle.resolve(
            side.incident,
            cause=data["cause"],
            by=side.person,
            by_operator=side.author.by_operator,
            at=clock.now(),
            text=data["text"],
        ),
        explain=explain if watched else "It can be reopened as long as it is not closed.",
    )


def merge(request: TenantRequest, side: Side) -> HttpResponse:
    return _dialog(
        request,
        side,
        NumberForm(posted(request)),
        f"Merge {side.incident.number} into another ticket",
        "Merge",
        f"{side.incident.number} is merged",
        lambda data: relations.merge(side.incident, _other(side, data), author=side.author, at=clock.now()),
        explain="This one is resolved as a duplicate; the other goes on, for its rooms too.",
    )


def link(request: TenantRequest, side: Side) -> HttpResponse:
    return _dialog(
        request,
        side,
        NumberForm(posted(request)),
        f"Link {side.incident.number} to another ticket",
        "Link",
        "Linked",
        lambda data: relations.link(side.incident, _other(side, data), author=side.author, at=clock.now()),
    )


def unlink(request: TenantRequest, side: Side, other_id: UUID) -> HttpResponse:
    """Raises NotFound where the two are not linked."""
    other = relations.linked(side.incident, other_id)
    relations.unlink(side.incident, other, author=side.author, at=clock.now())
    return htmx.done_here(request, f"No longer linked to {other.number}", to=side.back)


def impact(request: TenantRequest, side: Side) -> HttpResponse:
    return _dialog(
        request,
        side,
        ImpactForm(posted(request), initial={"reason": side.incident.high_impact_reason}),
        f"Mark {side.incident.number} as of high impact",
        "Mark ticket",
        "Marked as of high impact",
        lambda data: recorded.set_high_impact(
            side.incident, data["reason"], author=side.author, at=clock.now()
        ),
    )


def usual_impact(request: TenantRequest, side: Side) -> HttpResponse:
    try:
        recorded.set_high_impact(side.incident, "", author=side.author, at=clock.now())
    except DomainError as error:
        return htmx.refused(request, error, to=side.back)
    return htmx.done_here(request, "No longer of high impact", to=side.back)


def rooms(request: TenantRequest, side: Side) -> HttpResponse:
    form = RoomsForm(posted(request), initial={"rooms": names_of_rooms(rooms_now(side.incident))})
    return _dialog(
        request,
        side,
        form,
        f"Rooms of {side.incident.number}",
        "Save",
        "Rooms changed",
        lambda data: recorded.change_rooms(side.incident, data["rooms"], author=side.author, at=clock.now()),
    )


def attach(request: TenantRequest, side: Side) -> HttpResponse:
    return _dialog(
        request,
        side,
        AttachForm(posted(request), files_of(request)),
        f"Attach to {side.incident.number}",
        "Attach",
        "Attached",
        lambda data: attachments.attach_all(
            side.incident,
            [(file, file.name) for file in data["file"]],
            author=side.author,
            at=clock.now(),
        ),
    )


def detach(request: TenantRequest, side: Side, attachment_id: UUID) -> HttpResponse:
    found = attachments.attachment(side.incident, attachment_id)
    return confirm(
        request,
        f"Remove {found.file.name}?",
        submit="Remove file",
        explain="Its content is deleted. That it was there stays in the timeline.",
        back=side.back,
        to=side.back,
        change=lambda: attachments.detach(side.incident, found.id, author=side.author, at=clock.now()),
        said=f"{found.file.name} removed",
        frame=side.frame,
    )


def download(side: Side, attachment_id: UUID) -> FileResponse:
    """Raises NotFound."""
    return downloads.download(attachments.attachment(side.incident, attachment_id).file)


def _other(side: Side, data: dict[str, Any]) -> Incident:
    return relations.by_number(side.incident.tenant_id, data["into"], field="into")


def _dialog(
    request: TenantRequest,
    side: Side,
    form: Form,
    question: str,
    submit: str,
    said: str,
    change: Any,
    *,
    explain: str = "",
) -> HttpResponse:
    if request.method == "POST" and form.carry_out(lambda data: (change(data),)) is not None:
        return htmx.done_here(request, said, to=side.back)
    return htmx.dialog(
        request, question, submit=submit, back=side.back, form=form, explain=explain, frame=side.frame
    )
