"""The rule of a room group, asked for as a form: what is filled in has to hold, any value of one line is enough."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.http import HttpResponse
from django.urls import reverse

from fleet import group_rules, room_groups
from fleet.models import Device, Room
from foundation import clock
from portal import htmx
from portal.access import TenantRequest, principal_of, requires
from portal.web import choices
from portal.web.dialogs import form_view
from portal.web.forms import Form, choose, posted

TEXTS = ("country", "label", "word", "device_make", "device_model")  # several values in one line
SEATS = ("seats_from", "seats_to")
CHOSEN = ("place", "room_type", "licence", "device_kind")


def _several(label: str, hint: str) -> forms.CharField:
    return forms.CharField(
        label=label,
        required=False,
        max_length=400,
        help_text=hint,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )


class RuleForm(Form):
    country = _several("Country", "Two letters each, such as NO, DE.")
    place = forms.MultipleChoiceField(
        label="Stands in", required=False, widget=forms.SelectMultiple(attrs={"size": 4})
    )
    room_type = forms.MultipleChoiceField(
        label="Type", required=False, choices=Room.Type.choices, widget=forms.CheckboxSelectMultiple
    )
    label = _several("Label", "Commas between several.")
    licence = forms.MultipleChoiceField(
        label="Licence", required=False, choices=Room.Licence.choices, widget=forms.CheckboxSelectMultiple
    )
    seats_from = forms.IntegerField(label="Seats, at least", required=False, min_value=0)
    seats_to = forms.IntegerField(label="Seats, at most", required=False, min_value=0)
    word = _several(
        "A word of the room begins with", "Of its name, account, place or devices; commas between several."
    )
    device_kind = forms.MultipleChoiceField(
        label="It has a",
        required=False,
        choices=[(each.value, each.label) for each in Device.Kind],
        widget=forms.CheckboxSelectMultiple,
    )
    device_make = _several("A device is made by", "Commas between several.")
    device_model = _several("A device's model is", "Commas between several.")

    def __init__(self, *args: Any, rule: list[group_rules.Clause], **kwargs: Any) -> None:
        super().__init__(*args, initial=_initial(rule), **kwargs)
        choose(self, "place", choices.places())

    def rule(self, data: dict[str, Any]) -> list[group_rules.Clause]:
        """As fleet.group_rules takes it."""
        values = {name: [each.strip() for each in data[name].split(",") if each.strip()] for name in TEXTS}
        values |= {name: [] if data[name] is None else [str(data[name])] for name in SEATS}
        values |= {name: list(data[name]) for name in CHOSEN}
        return [{"field": name, "values": values[name]} for name in group_rules.FIELDS if values.get(name)]


def _initial(rule: list[group_rules.Clause]) -> dict[str, Any]:
    held = {clause["field"]: clause["values"] for clause in rule}
    return {
        name: ", ".join(values) if name in TEXTS else values if name in CHOSEN else values[0]
        for name, values in held.items()
    }


@form_view
@requires("groups.modify")
def group_rule(request: TenantRequest, group_id: UUID) -> HttpResponse:
    group = room_groups.group(group_id)
    back = reverse("portal:group-detail", args=[group.id])
    form = RuleForm(posted(request), rule=group.rule)
    if request.method == "POST":
        user = principal_of(request).user
        changed = form.carry_out(
            lambda data: group_rules.set_rule(
                group.id, form.rule(data), requested_by=user.id if user else None, at=clock.now()
            )
        )
        if changed is not None:
            said = (
                f"Rooms of {changed.name} follow its rule"
                if changed.rule
                else f"{changed.name} has no rule now"
            )
            return htmx.done_here(request, said, to=back)
    return htmx.dialog(
        request,
        f"Rule of {group.name}",
        submit="Save rule",
        back=back,
        form=form,
        explain="Rooms come and go by themselves: in the group is what all the lines filled in hold for. "
        "Rooms put here by hand stay. Nothing filled in is no rule.",
    )
