"""Maintenance windows: planned for a room, a group or a site, listed, ended early."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.http import HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET

from fleet.models import Room
from foundation import clock
from foundation.errors import NotFound
from foundation.narrowing import is_narrowed
from incidents import suppression
from incidents.models import MaintenanceWindow
from portal import htmx
from portal.access import TenantRequest, principal_of, requires
from portal.paging import keyset_page
from portal.web import choices
from portal.web.dialogs import confirm, form_view
from portal.web.forms import Form, LocalMoment, choose, initial_choice, posted

PAGE = 50
USUAL = timedelta(hours=4)
GROUP, PLACE = "group:", "place:"


class WindowForm(Form):
    """`room`: the room it is for, where the page came from one; otherwise a group or a place is chosen."""

    where = forms.ChoiceField(label="Where")
    reason = forms.CharField(
        label="Reason", max_length=200, widget=forms.TextInput(attrs={"autocomplete": "off"})
    )

    def __init__(self, *args: Any, zone: str, room: Room | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["starts_at"] = LocalMoment(label="From", zone=zone)
        self.fields["ends_at"] = LocalMoment(label="Until", zone=zone, help_text=f"Times in {zone}.")
        self.order_fields(["where", "starts_at", "ends_at", "reason"])
        if room is not None:
            del self.fields["where"]
        else:
            choose(self, "where", initial_choice("Choose", self._places()))

    @staticmethod
    def _places() -> list[tuple[str, str]]:
        groups = [(f"{GROUP}{key}", f"Group {name}") for key, name in choices.groups()]
        if is_narrowed():  # a place is more than the rooms a scope names
            return groups
        return groups + [(f"{PLACE}{key}", name) for key, name in choices.places()]

    @staticmethod
    def ids(data: dict[str, Any], room: Room | None) -> dict[str, UUID | None]:
        """As the domain names them."""
        where = data.get("where", "")
        return {
            "room_id": room.id if room else None,
            "group_id": choices.as_id(where.removeprefix(GROUP)) if where.startswith(GROUP) else None,
            "place_id": choices.as_id(where.removeprefix(PLACE)) if where.startswith(PLACE) else None,
        }


@require_GET
@requires("rooms.view")
def window_list(request: TenantRequest) -> HttpResponse:
    page = keyset_page(
        MaintenanceWindow.objects.for_tenant(request.tenant).select_related(
            "room", "group", "place", "created_by"
        ),
        order_by=("-starts_at", "-id"),
        after=request.GET.get("after"),
        before=request.GET.get("before"),
        size=PAGE,
    )
    at = clock.now()
    rows = [(each, _state(each, at)) for each in page]
    live = htmx.live([(each.id, state) for each, state in rows])
    if htmx.unchanged(request, live):
        return htmx.nothing_new()
    return htmx.page(request, "quiet/window_list.html", {"page": page, "rows": rows}, live=live)


def _state(window: MaintenanceWindow, at: Any) -> tuple[str, str]:
    """Tone and word."""
    if window.ended_at is not None:
        return "off", "Ended" if window.ended_at >= window.starts_at else "Taken back"
    return ("mute", "Running") if window.starts_at <= at else ("none", "Planned")


@form_view
@requires("rooms.modify")
def window_add(request: TenantRequest) -> HttpResponse:
    """For a group or a place; for one room where the address names it (`?room=`)."""
    room = choices.named_room(request.GET.get("room"))
    zone = room.time_zone if room else request.tenant.time_zone
    start = clock.now()
    form = WindowForm(
        posted(request), zone=zone, room=room, initial={"starts_at": start, "ends_at": start + USUAL}
    )
    back = reverse("portal:window-list")
    if request.method == "POST":
        made = form.carry_out(
            lambda data: suppression.plan_window(
                request.tenant.id,
                **WindowForm.ids(data, room),
                starts_at=data["starts_at"],
                ends_at=data["ends_at"],
                reason=data["reason"],
                by=principal_of(request).person,
                at=clock.now(),
            )
        )
        if made is not None:
            return htmx.done(request, "Maintenance planned", to=back)
    return htmx.dialog(
        request,
        f"Plan maintenance of {room.name}" if room else "Plan maintenance",
        submit="Plan maintenance",
        back=back,
        form=form,
        explain="Its rooms raise nothing meanwhile. At the end only what is still unhealthy opens a ticket.",
    )


@form_view
@requires("rooms.modify")
def window_end(request: TenantRequest, window_id: UUID) -> HttpResponse:
    row = MaintenanceWindow.objects.for_tenant(request.tenant).filter(id=window_id).first()
    if row is None:
        raise NotFound("This does not exist.")
    back = reverse("portal:window-list")
    begun = row.starts_at <= clock.now()
    return confirm(
        request,
        "End this maintenance now?" if begun else "Take this maintenance back?",
        submit="End now" if begun else "Take back",
        explain="What is still unhealthy opens a ticket." if begun else "It does not take place.",
        back=back,
        to=back,
        change=lambda: suppression.end_window(request.tenant.id, row.id, at=clock.now()),
        said="Maintenance ended" if begun else "Maintenance taken back",
        danger=False,
    )
