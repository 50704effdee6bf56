"""Recording an issue: rooms by name, what is wrong, pictures and logs."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.http import HttpResponse
from django.urls import reverse

from foundation import clock
from incidents import attachments, recorded
from incidents.models import Incident
from incidents.timeline import Author
from portal import htmx
from portal.access import TenantRequest, principal_of, requires
from portal.web import choices
from portal.web.dialogs import form_view
from portal.web.forms import FilesField, Form, files_of, posted
from portal.web.scopes import rooms_named


class RecordForm(Form):
    rooms = forms.CharField(
        label="Rooms",
        widget=forms.Textarea(attrs={"rows": 2, "autocomplete": "off"}),
        help_text="Names of rooms, one a line.",
    )
    title = forms.CharField(
        label="What is wrong",
        max_length=recorded.LONGEST_TITLE,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    text = forms.CharField(label="More about it", required=False, widget=forms.Textarea(attrs={"rows": 3}))
    high_impact = forms.CharField(
        label="High impact because",
        required=False,
        max_length=recorded.LONGEST_REASON,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        help_text="Leave empty unless it matters more than other faults.",
    )
    file = FilesField(label="Files", required=False, help_text=attachments.ACCEPTED)

    def clean_rooms(self) -> list[UUID]:
        return rooms_named(self.cleaned_data["rooms"])


@form_view
@requires("tickets.modify")
def incident_record(request: TenantRequest) -> HttpResponse:
    """For the room the address names (`?room=`), or those written down."""
    back = reverse("portal:incident-list")
    room = choices.named_room(request.GET.get("room"))
    initial = {"rooms": room.name if room else ""}
    form = RecordForm(posted(request), files_of(request), initial=initial)
    if request.method == "POST":
        made = form.carry_out(lambda data: _record(request, data))
        if made is not None:
            return htmx.done(
                request, f"{made.number} recorded", to=reverse("portal:incident-detail", args=[made.id])
            )
    return htmx.dialog(
        request,
        "Record an issue",
        submit="Record issue",
        back=back,
        form=form,
        explain="The rooms count as unhealthy until the issue is closed. Operations answers in the ticket.",
    )


def _record(request: TenantRequest, data: dict[str, Any]) -> Incident:
    author, at = Author(principal_of(request).person), clock.now()
    issue = recorded.Issue(data["rooms"], data["title"], data["text"], data["high_impact"])
    incident = recorded.record_issue(request.tenant.id, issue, author=author, at=at)
    named = [(file, file.name or "file") for file in data["file"]]
    attachments.attach_all(incident, named, author=author, at=at)
    return incident
