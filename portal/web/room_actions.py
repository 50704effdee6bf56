"""What people do to a room: add, edit, suppress, retire, and take its devices away."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.http import HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_POST

from fleet import expectations, inventory
from fleet.models import Device, Room
from foundation import clock
from portal import htmx
from portal.access import TenantRequest, requires
from portal.web import changes, choices
from portal.web.dialogs import confirm, form_view
from portal.web.forms import Form, LocalMoment, choose, initial_choice, posted
from portal.web.lookup import found

EXPECTED = "expected_"


class SuppressForm(Form):
    reason = forms.CharField(
        label="Reason", max_length=200, widget=forms.TextInput(attrs={"autocomplete": "off"})
    )

    def __init__(self, *args: Any, zone: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["until"] = LocalMoment(label="Until", zone=zone, help_text=f"Time in {zone}.")
        self.order_fields(["until", "reason"])


class RoomForm(Form):
    name = forms.CharField(
        label="Name", max_length=120, widget=forms.TextInput(attrs={"autocomplete": "off"})
    )
    place_id = forms.ChoiceField(label="Place")
    room_type = forms.ChoiceField(
        label="Type", required=False, choices=initial_choice("Not set", Room.Type.choices)
    )
    capacity = forms.IntegerField(label="Seats", required=False, min_value=0)
    licence = forms.ChoiceField(
        label="Licence", required=False, choices=initial_choice("Not known", Room.Licence.choices)
    )
    licence_ends = forms.DateField(
        label="Licence ends",
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )
    labels = forms.CharField(
        label="Labels",
        required=False,
        max_length=1_000,
        help_text="Free words, with a comma between.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    resource_account = forms.CharField(
        label="Resource account",
        required=False,
        max_length=254,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    time_zone = forms.ChoiceField(label="Time zone", required=False)
    version = forms.IntegerField(widget=forms.HiddenInput, required=False)

    def __init__(self, *args: Any, room: Room | None = None, **kwargs: Any) -> None:
        if room is not None:
            names = ("name", "place_id", "room_type", "capacity", "resource_account", "time_zone", "version")
            given = (*names, "licence", "licence_ends")
            kwargs["initial"] = {name: getattr(room, name) for name in given}
            kwargs["initial"]["labels"] = ", ".join(room.labels)
        super().__init__(*args, **kwargs)
        self.expected: list[str] = []
        choose(self, "place_id", choices.places())
        choose(
            self,
            "time_zone",
            initial_choice("As its place", choices.time_zones()) if room is None else choices.time_zones(),
        )
        if room is not None:
            self._offer_equipment(room)

    def _offer_equipment(self, room: Room) -> None:
        for key, label in expectations.EQUIPMENT.items():
            self.fields[f"{EXPECTED}{key}"] = forms.IntegerField(
                label=label,
                required=False,
                min_value=0,
                max_value=expectations.AT_MOST,
                initial=room.expected.get(key),
            )
            self.expected.append(f"{EXPECTED}{key}")

    @property
    def equipment_fields(self) -> list[Any]:
        return [self[name] for name in self.expected]

    def changes(self, data: dict[str, Any]) -> dict[str, Any]:
        """As fleet.inventory takes them."""
        kept = {
            name: data[name] for name in ("name", "room_type", "capacity", "resource_account", "time_zone")
        }
        kept |= {name: data[name] for name in ("licence", "licence_ends")}
        kept["labels"] = [each.strip() for each in data["labels"].split(",") if each.strip()]
        kept["place_id"] = UUID(data["place_id"])
        if self.expected:
            kept["expected"] = {name.removeprefix(EXPECTED): data[name] or 0 for name in self.expected}
        return kept


@form_view
@requires("rooms.modify")
def room_add(request: TenantRequest) -> HttpResponse:
    back = reverse("portal:room-list")
    form = RoomForm(posted(request))
    if request.method == "POST":
        made = form.carry_out(lambda data: inventory.add_room(**form.changes(data), at=clock.now()))
        if made is not None:
            return htmx.done(request, f"{made.name} added", to=reverse("portal:room-detail", args=[made.id]))
    return htmx.dialog(
        request, "Add a room", submit="Add room", back=back, form=form, template="rooms/room_form.html",
        explain="It is watched once a device is enrolled in it.",
    )  # fmt: skip


@form_view
@requires("rooms.modify")
def room_edit(request: TenantRequest, room_id: UUID) -> HttpResponse:
    room = inventory.room(room_id)
    back = reverse("portal:room-detail", args=[room.id])
    form = RoomForm(posted(request), room=room)
    if request.method == "POST":
        changed = form.carry_out(
            lambda data: inventory.edit_room(
                room.id, form.changes(data), if_version=data["version"], at=clock.now()
            )
        )
        if changed is not None:
            return htmx.done_here(request, f"{changed.name} changed", to=back)
    return htmx.dialog(
        request, f"Edit {room.name}", submit="Save", back=back, form=form, template="rooms/room_form.html"
    )


@form_view
@requires("rooms.modify")
def room_suppress(request: TenantRequest, room_id: UUID) -> HttpResponse:
    room = inventory.room(room_id)
    back = reverse("portal:room-detail", args=[room.id])
    tomorrow = (clock.now() + timedelta(days=1)).replace(minute=0)
    form = SuppressForm(posted(request), zone=room.time_zone, initial={"until": tomorrow})
    if request.method == "POST":
        quiet = form.carry_out(
            lambda data: changes.suppress(room.id, until=data["until"], reason=data["reason"], at=clock.now())
        )
        if quiet is not None:
            undo = reverse("portal:room-unsuppress", args=[room.id])
            return htmx.done_here(request, f"{room.name} suppressed", to=back, undo=undo)
    return htmx.dialog(
        request, f"Suppress {room.name}?", submit="Suppress room", back=back, form=form,
        explain="It stays watched, but faults open no tickets and do not count until then.",
    )  # fmt: skip


@require_POST
@requires("rooms.modify")
def room_unsuppress(request: TenantRequest, room_id: UUID) -> HttpResponse:
    room = changes.unsuppress(room_id, at=clock.now())
    back = reverse("portal:room-detail", args=[room.id])
    return htmx.done_here(request, f"{room.name} counts again", to=back)


@form_view
@requires("rooms.unenroll")
def room_retire(request: TenantRequest, room_id: UUID) -> HttpResponse:
    room = inventory.room(room_id)
    return confirm(
        request,
        f"Retire {room.name}?",
        submit="Retire room",
        explain="It leaves every list; its history stays. Its devices have to be unenrolled first.",
        back=reverse("portal:room-detail", args=[room.id]),
        to=reverse("portal:room-list"),
        change=lambda: inventory.retire_room(room.id, at=clock.now()),
        said=f"{room.name} retired",
    )


@form_view
@requires("rooms.unenroll")
def device_unenroll(request: TenantRequest, device_id: UUID) -> HttpResponse:
    device = found(Device.objects.for_tenant(request.tenant).filter(id=device_id, retired_at=None))
    back = reverse("portal:room-detail", args=[device.room_id]) if device.room_id else reverse("portal:join")
    return confirm(
        request,
        f"Unenroll {device.name}?",
        submit="Unenroll device",
        explain="It is no longer watched and its token ends now. To return it needs an enrollment key.",
        back=back,
        to=back,
        change=lambda: changes.unenroll(device, at=clock.now()),
        said=f"{device.name} unenrolled",
    )
