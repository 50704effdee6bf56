"""Rooms and places that turned out to be one; places moved and retired."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.urls import reverse

from fleet import inventory, merging, place_tree
from fleet.models import Room
from foundation import clock
from foundation.context import current_tenant
from portal import htmx
from portal.access import TenantRequest, requires
from portal.web import choices
from portal.web.dialogs import confirm, form_view
from portal.web.forms import Form, choose, initial_choice, posted


class RoomMergeForm(Form):
    """The other room by its name: lists of a hundred thousand are no choice."""

    into = forms.CharField(
        label="Room that stays",
        max_length=254,
        help_text="Its name, or its resource account.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    def clean_into(self) -> UUID:
        named = self.cleaned_data["into"].strip()
        rooms = Room.objects.for_tenant(current_tenant()).current()
        by_account = rooms.filter(resource_account=named.casefold()) if "@" in named else rooms.none()
        found = list(
            (by_account if by_account.exists() else rooms.filter(name=named)).values_list("id", flat=True)[:2]
        )
        if len(found) != 1:
            why = "Several rooms have this name: give the account" if found else "There is no such room"
            raise ValidationError(f"{why}.")
        return found[0]


@form_view
@requires("rooms.modify")
def room_merge(request: TenantRequest, room_id: UUID) -> HttpResponse:
    room = inventory.room(room_id)
    form = RoomMergeForm(posted(request))
    if request.method == "POST":
        into = form.carry_out(lambda data: merging.merge_rooms(room.id, into_id=data["into"], at=clock.now()))
        if into is not None:
            said = f"{room.name} is part of {into.name} now"
            return htmx.done(request, said, to=reverse("portal:room-detail", args=[into.id]))
    return htmx.dialog(
        request,
        f"Merge {room.name} into another room?",
        submit="Merge room",
        back=reverse("portal:room-detail", args=[room.id]),
        form=form,
        danger=True,
        explain="Its devices, groups and open tickets go to the room that stays. It is retired itself; "
        "its history is shown there too. This cannot be undone.",
    )


class WhereForm(Form):
    """Another place."""

    into = forms.ChoiceField(label="Place")

    def __init__(self, *args: Any, but: str, first: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        offered = [(key, name) for key, name in choices.places() if key != but]
        choose(self, "into", initial_choice(first, offered) if first else offered)
        self.fields["into"].required = not first


@form_view
@requires("rooms.modify")
def site_move(request: TenantRequest, place_id: UUID) -> HttpResponse:
    place = inventory.place(place_id)
    back = reverse("portal:site-list")
    form = WhereForm(
        posted(request),
        but=str(place.id),
        first="Nothing, it is the top",
        initial={"into": str(place.parent_id or "")},
    )
    form.fields["into"].label = "Stands in"
    if request.method == "POST":
        moved = form.carry_out(
            lambda data: place_tree.move_place(
                place.id, parent_id=choices.as_id(data["into"]), at=clock.now()
            )
        )
        if moved is not None:
            return htmx.done_here(request, f"{moved.name} moved", to=back)
    return htmx.dialog(
        request,
        f"Move {place.name}",
        submit="Move place",
        back=back,
        form=form,
        explain="With everything in it. Time zones stay.",
    )


@form_view
@requires("rooms.modify")
def site_merge(request: TenantRequest, place_id: UUID) -> HttpResponse:
    place = inventory.place(place_id)
    back = reverse("portal:site-list")
    form = WhereForm(posted(request), but=str(place.id))
    form.fields["into"].label = "Place that stays"
    if request.method == "POST":
        into = form.carry_out(
            lambda data: merging.merge_places(place.id, into_id=UUID(data["into"]), at=clock.now())
        )
        if into is not None:
            return htmx.done_here(request, f"{place.name} is part of {into.name} now", to=back)
    return htmx.dialog(
        request,
        f"Merge {place.name} into another place?",
        submit="Merge place",
        back=back,
        form=form,
        danger=True,
        explain="Rooms and places in it stand in the one that stays from now on. This cannot be undone.",
    )


@form_view
@requires("rooms.modify")
def site_retire(request: TenantRequest, place_id: UUID) -> HttpResponse:
    place = inventory.place(place_id)
    back = reverse("portal:site-list")
    return confirm(
        request,
        f"Retire {place.name}?",
        submit="Retire place",
        explain="It leaves the tree. What stood in it has to be moved or retired first.",
        back=back,
        to=back,
        change=lambda: merging.retire_place(place.id, at=clock.now()),
        said=f"{place.name} retired",
    )
