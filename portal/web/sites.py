"""Places as a tree with what stands in them; adding and naming them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django import forms
from django.db.models import Count
from django.http import HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET

from fleet import inventory
from fleet.models import Place, Room
from foundation import clock
from portal import htmx
from portal.access import TenantRequest, requires
from portal.web import choices
from portal.web.dialogs import form_view
from portal.web.forms import Form, choose, initial_choice, posted

SHOWN = 500


@dataclass(frozen=True)
class Line:
    place: Place
    depth: int
    rooms: int  # in it and below
    unwell: int


@require_GET
@requires("rooms.view")
def site_list(request: TenantRequest) -> HttpResponse:
    places = list(
        Place.objects.for_tenant(request.tenant)
        .filter(retired_at=None)
        .order_by("full_name", "id")[: SHOWN + 1]
    )
    held = _held(request)
    lines = [_line(place, places, held) for place in places[:SHOWN]]
    live = htmx.live(
        [
            (line.place.id, line.place.full_name, line.place.time_zone, line.rooms, line.unwell)
            for line in lines
        ]
    )
    if htmx.unchanged(request, live):
        return htmx.nothing_new()
    context = {
        "lines": lines,
        "more": len(places) > SHOWN,
        "buildings": sum(place.kind == "building" for place in places),
    }
    return htmx.page(request, "sites/site_list.html", context, live=live)


def _held(request: TenantRequest) -> dict[UUID, tuple[int, int]]:
    """Rooms directly in a place, and how many of them are unhealthy or offline."""
    counted: dict[UUID, tuple[int, int]] = {}
    rooms = Room.objects.for_tenant(request.tenant).current().order_by().values_list("place_id", "state")
    for place_id, state, number in rooms.annotate(number=Count("id")):
        rooms_so_far, unwell = counted.get(place_id, (0, 0))
        bad = number if state in (Room.State.UNHEALTHY, Room.State.UNMONITORED) else 0
        counted[place_id] = (rooms_so_far + number, unwell + bad)
    return counted


def _line(place: Place, places: list[Place], held: dict[UUID, tuple[int, int]]) -> Line:
    below = [held[each.id] for each in places if each.id in held and place.id in each.path]
    return Line(
        place, len(place.path) - 1, sum(rooms for rooms, _ in below), sum(unwell for _, unwell in below)
    )


class PlaceForm(Form):
    kind = forms.ChoiceField(label="Kind", choices=Place.Kind.choices, initial=Place.Kind.BUILDING)
    parent = forms.ChoiceField(label="Stands in", required=False)
    name = forms.CharField(
        label="Name", max_length=120, widget=forms.TextInput(attrs={"autocomplete": "off"})
    )
    time_zone = forms.ChoiceField(label="Time zone", required=False, help_text="Rooms in it take this zone.")
    country_code = forms.ChoiceField(label="Country", required=False)

    def __init__(self, *args: Any, place: Place | None = None, **kwargs: Any) -> None:
        if place is not None:
            names = ("name", "time_zone", "country_code")
            kwargs["initial"] = {name: getattr(place, name) for name in names}
        super().__init__(*args, **kwargs)
        if place is None:
            choose(self, "parent", initial_choice("Nothing, it is the top", choices.places()))
            choose(self, "time_zone", initial_choice("As what it stands in", choices.time_zones()))
            choose(self, "country_code", initial_choice("As what it stands in", choices.countries()))
        else:
            del self.fields["kind"], self.fields["parent"]
            choose(self, "time_zone", choices.time_zones())
            choose(self, "country_code", initial_choice("Not known", choices.countries()))


@form_view
@requires("rooms.modify")
def site_add(request: TenantRequest) -> HttpResponse:
    back = reverse("portal:site-list")
    form = PlaceForm(posted(request), initial={"parent": request.GET.get("in", "")})
    if request.method == "POST":
        made = form.carry_out(
            lambda data: inventory.add_place(
                kind=data["kind"],
                name=data["name"],
                parent_id=choices.as_id(data["parent"]),
                time_zone=data["time_zone"],
                country_code=data["country_code"],
                at=clock.now(),
            )
        )
        if made is not None:
            return htmx.done_here(request, f"{made.name} added", to=back)
    return htmx.dialog(request, "Add a place", submit="Add place", back=back, form=form)


@form_view
@requires("rooms.modify")
def site_edit(request: TenantRequest, place_id: UUID) -> HttpResponse:
    place = inventory.place(place_id)
    back = reverse("portal:site-list")
    form = PlaceForm(posted(request), place=place)
    if request.method == "POST":
        changed = form.carry_out(lambda data: inventory.edit_place(place.id, **data, at=clock.now()))
        if changed is not None:
            return htmx.done_here(request, f"{changed.name} changed", to=back)
    return htmx.dialog(request, f"Edit {place.name}", submit="Save", back=back, form=form)
