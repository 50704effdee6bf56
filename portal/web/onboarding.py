"""Devices as they arrive, and what becomes of them: accepted to a room, or refused."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.db.models import Q
from django.http import HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET

from enrollment.models import EnrollmentKey
from fleet import inventory
from fleet.models import Device, Room
from foundation import clock
from foundation.errors import NotValid
from portal import htmx
from portal.access import TenantRequest, requires
from portal.web import changes, choices
from portal.web.dialogs import confirm, form_view
from portal.web.forms import Form, choose, initial_choice, posted
from portal.web.lookup import found
from portal.web.room_detail import KINDS

SHOWN = 50
RECENT = timedelta(hours=1)  # an accepted device stays in sight for a while
WAITING = (Device.Status.ONBOARDING, Device.Status.PENDING, Device.Status.QUARANTINED)


@require_GET
@requires("rooms.modify")
def join(request: TenantRequest) -> HttpResponse:
    at = clock.now()
    devices = Device.objects.for_tenant(request.tenant).filter(retired_at=None)
    waiting = list(
        devices.filter(status__in=WAITING).select_related("room").order_by("created_at", "id")[:SHOWN]
    )
    joined = list(
        devices.filter(status=Device.Status.ENROLLED, status_since__gt=at - RECENT)
        .select_related("room")
        .order_by("-status_since", "-id")[:SHOWN]
    )
    live = htmx.live(
        [(each.id, each.status, each.last_seen_at is not None) for each in waiting],
        [(each.id, each.status, each.room_id, each.room.state if each.room else "") for each in joined],
        every_s=htmx.FEW_SECONDS,
    )
    if htmx.unchanged(request, live):
        return htmx.nothing_new()
    usable = EnrollmentKey.objects.for_tenant(request.tenant).usable(at=at)
    context = {
        "waiting": [(each, KINDS[each.kind]) for each in waiting],
        "joined": [(each, KINDS[each.kind]) for each in joined],
        "keys": list(usable.order_by("-created_at", "-id")[:3]),
    }
    return htmx.page(request, "enrollment/join.html", context, live=live)


class AcceptForm(Form):
    room = forms.ChoiceField(label="Room", required=False)
    name = forms.CharField(
        label="Name of the new room",
        required=False,
        max_length=120,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    place = forms.ChoiceField(label="Place of the new room", required=False)

    def __init__(self, *args: Any, tenant: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rooms = Room.objects.for_tenant(tenant).current().select_related("place").order_by("name", "id")
        offered = [(str(room.id), f"{room.name}, {room.place.name}") for room in rooms[: choices.OFFERED]]
        choose(self, "room", initial_choice("A new room", offered))
        choose(self, "place", initial_choice("Not sorted in yet", choices.places()))

    def target(self, data: dict[str, Any]) -> Room:
        """The room chosen, or the new one. Raises NotValid, and what fleet.inventory raises."""
        if data["room"]:
            return inventory.room(UUID(data["room"]))
        if not data["name"]:
            raise NotValid("Choose a room, or name a new one.", field="name")
        at = clock.now()
        place_id = UUID(data["place"]) if data["place"] else inventory.arrivals(at=at).id
        return inventory.add_room(place_id=place_id, name=data["name"], at=at)


@form_view
@requires("rooms.modify")
def device_accept(request: TenantRequest, device_id: UUID) -> HttpResponse:
    device = found(Device.objects.for_tenant(request.tenant).filter(id=device_id, retired_at=None))
    back = reverse("portal:join")
    form = AcceptForm(posted(request), tenant=request.tenant, initial=_guess(device))
    if request.method == "POST":
        room = form.carry_out(lambda data: _accept(device, form.target(data)))
        if room is not None:
            return htmx.done_here(request, f"{device.name} watches {room.name}", to=back)
    return htmx.dialog(
        request,
        f"Accept {device.name}?",
        submit="Accept device",
        back=back,
        form=form,
        explain="From now on it is watched and its faults open tickets.",
    )


def _accept(device: Device, room: Room) -> Room:
    changes.accept(device, room=room, at=clock.now())
    return room


def _guess(device: Device) -> dict[str, str]:
    """The room the device named: by its account, else by a name only one has; else a new one of that name."""
    rooms = Room.objects.for_tenant(device.tenant_id).current()
    by_account = Q(resource_account=device.wanted_account) if device.wanted_account else Q(pk=None)
    wanted = list(rooms.filter(by_account | Q(name=device.wanted_room or device.name))[:2])
    if device.room_id:
        return {"room": str(device.room_id)}
    if len(wanted) == 1:
        return {"room": str(wanted[0].id)}
    return {"room": "", "name": device.wanted_room or device.name}


@form_view
@requires("rooms.modify")
def device_refuse(request: TenantRequest, device_id: UUID) -> HttpResponse:
    device = found(Device.objects.for_tenant(request.tenant).filter(id=device_id, status__in=WAITING))
    back = reverse("portal:join")
    return confirm(
        request,
        f"Refuse {device.name}?",
        submit="Refuse device",
        explain="Its token ends now. To return it needs an enrollment key.",
        back=back,
        to=back,
        change=lambda: changes.unenroll(device, at=clock.now()),
        said=f"{device.name} refused",
    )
