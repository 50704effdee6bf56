"""What is listed by hand in a room: add, edit, move, remove."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.urls import reverse

from fleet import assets, inventory
from fleet.models import Asset, Room
from foundation import clock
from portal import htmx
from portal.access import TenantRequest, requires
from portal.web.dialogs import confirm, form_view
from portal.web.forms import Form, posted

KINDS = {
    "projector": ("display", "Projector"),
    "screen": ("display", "Screen"),
    "dock": ("plug", "Dock"),
    "router": ("network", "Router"),
    "switch": ("network", "Switch"),
    "motion_sensor": ("bolt", "Motion sensor"),
    "whiteboard": ("columns", "Whiteboard"),
    "table": ("room", "Table"),
    "other": ("plug", "Other"),
}
QUIET = {"autocomplete": "off"}


class AssetForm(Form):
    kind = forms.ChoiceField(label="Kind", choices=[(key, label) for key, (_, label) in KINDS.items()])
    name = forms.CharField(label="Name", max_length=120, widget=forms.TextInput(attrs=QUIET))
    make = forms.CharField(label="Make", required=False, max_length=80)
    model = forms.CharField(label="Model", required=False, max_length=120)
    serial_number = forms.CharField(
        label="Serial number", required=False, max_length=64, widget=forms.TextInput(attrs=QUIET)
    )
    tag = forms.CharField(
        label="Inventory number", required=False, max_length=64, widget=forms.TextInput(attrs=QUIET)
    )
    note = forms.CharField(label="Note", required=False, max_length=300)
    version = forms.IntegerField(widget=forms.HiddenInput, required=False)

    def __init__(self, *args: Any, asset: Asset | None = None, **kwargs: Any) -> None:
        if asset is not None:
            kwargs["initial"] = {name: getattr(asset, name) for name in (*assets.CHECKS, "version")}
        super().__init__(*args, **kwargs)

    @staticmethod
    def changes(data: dict[str, Any]) -> dict[str, Any]:
        return {name: data[name] for name in assets.CHECKS}


class MoveForm(Form):
    room = forms.CharField(
        label="Room",
        max_length=254,
        help_text="Its name, or its resource account.",
        widget=forms.TextInput(attrs=QUIET),
    )

    def __init__(self, *args: Any, rooms: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._rooms = rooms

    def clean_room(self) -> UUID:
        wanted = self.cleaned_data["room"].strip()
        key = "resource_account" if "@" in wanted else "name"
        value = wanted.casefold() if "@" in wanted else wanted
        found = list(self._rooms.filter(**{key: value}).values_list("id", flat=True)[:2])
        if len(found) != 1:
            raise ValidationError(
                "Several rooms have this name. Give the account." if found else "There is no such room."
            )
        room_id: UUID = found[0]
        return room_id


@form_view
@requires("rooms.modify")
def asset_add(request: TenantRequest, room_id: UUID) -> HttpResponse:
    room = inventory.room(room_id)
    back = reverse("portal:room-detail", args=[room.id])
    form = AssetForm(posted(request))
    if request.method == "POST":
        made = form.carry_out(
            lambda data: assets.add_asset(room_id=room.id, at=clock.now(), **form.changes(data))
        )
        if made is not None:
            return htmx.done_here(request, f"{made.name} added", to=back)
    return htmx.dialog(request, f"Add an asset to {room.name}", submit="Add asset", back=back, form=form)


@form_view
@requires("rooms.modify")
def asset_edit(request: TenantRequest, asset_id: UUID) -> HttpResponse:
    asset = assets.asset(asset_id)
    back = reverse("portal:room-detail", args=[asset.room_id])
    form = AssetForm(posted(request), asset=asset)
    if request.method == "POST":
        changed = form.carry_out(
            lambda data: assets.edit_asset(
                asset.id, form.changes(data), if_version=data["version"], at=clock.now()
            )
        )
        if changed is not None:
            return htmx.done_here(request, f"{changed.name} changed", to=back)
    return htmx.dialog(request, f"Edit {asset.name}", submit="Save", back=back, form=form)


@form_view
@requires("rooms.modify")
def asset_move(request: TenantRequest, asset_id: UUID) -> HttpResponse:
    asset = assets.asset(asset_id)
    back = reverse("portal:room-detail", args=[asset.room_id])
    form = MoveForm(posted(request), rooms=Room.objects.for_tenant(request.tenant).current())
    if request.method == "POST":
        moved = form.carry_out(
            lambda data: assets.edit_asset(asset.id, {"room_id": data["room"]}, at=clock.now())
        )
        if moved is not None:
            return htmx.done_here(request, f"{moved.name} moved to {moved.room.name}", to=back)
    return htmx.dialog(
        request, f"Move {asset.name}", submit="Move asset", back=back, form=form,
        explain=f"It is in {asset.room.name} now. Both rooms keep the move in their history.",
    )  # fmt: skip


@form_view
@requires("rooms.modify")
def asset_remove(request: TenantRequest, asset_id: UUID) -> HttpResponse:
    asset = assets.asset(asset_id)
    back = reverse("portal:room-detail", args=[asset.room_id])
    return confirm(
        request,
        f"Remove {asset.name}?",
        submit="Remove asset",
        explain="It leaves the lists; the history of the room keeps it.",
        back=back,
        to=back,
        change=lambda: assets.remove_asset(asset.id, at=clock.now()),
        said=f"{asset.name} removed",
    )
