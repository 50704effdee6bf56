"""Suppressions: what is kept quiet, where, until when and why; begun, and ended early."""

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
from incidents import suppression
from incidents.models import Suppression
from incidents.rules import RULES
from portal import htmx
from portal.access import TenantRequest, principal_of, requires
from portal.paging import keyset_page
from portal.web import choices
from portal.web.dialogs import confirm, form_view
from portal.web.forms import Form, LocalMoment, choose, initial_choice, posted

PAGE = 50
WEEK = timedelta(days=7)


class SuppressionForm(Form):
    """`room`: the room it is for, where the page came from one; otherwise a group is chosen."""

    group = forms.ChoiceField(label="Where", required=False)
    signal = forms.ChoiceField(label="Signal", required=False)
    reason = forms.CharField(
        label="Reason", max_length=200, widget=forms.TextInput(attrs={"autocomplete": "off"})
    )

    def __init__(self, *args: Any, zone: str, room: Room | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["until"] = LocalMoment(label="Until", zone=zone, help_text=f"Time in {zone}.")
        self.order_fields(["group", "signal", "until", "reason"])
        signals = [(key, f"{rule.component}: {rule.name}") for key, rule in RULES.items() if not rule.raised]
        choose(self, "signal", initial_choice("Every signal", sorted(signals, key=lambda each: each[1])))
        if room is not None:
            del self.fields["group"]
        else:
            choose(self, "group", initial_choice("All rooms", choices.groups()))


@require_GET
@requires("rooms.view")
def suppression_list(request: TenantRequest) -> HttpResponse:
    page = keyset_page(
        Suppression.objects.for_tenant(request.tenant).select_related("room", "group", "created_by"),
        order_by=("-created_at", "-id"),
        after=request.GET.get("after"),
        before=request.GET.get("before"),
        size=PAGE,
    )
    rows = [(each, _signal_name(each.signal)) for each in page]
    live = htmx.live([(each.id, each.ended_at) for each in page])
    if htmx.unchanged(request, live):
        return htmx.nothing_new()
    return htmx.page(request, "quiet/suppression_list.html", {"page": page, "rows": rows}, live=live)


def _signal_name(key: str) -> str:
    if not key:
        return "Every signal"
    return RULES[key].component if key in RULES else key


@form_view
@requires("rooms.modify")
def suppression_add(request: TenantRequest) -> HttpResponse:
    """For a group or all rooms; for one room where the address names it (`?room=`)."""
    room = choices.named_room(request.GET.get("room"))
    zone = room.time_zone if room else request.tenant.time_zone
    until = clock.now() + WEEK
    form = SuppressionForm(posted(request), zone=zone, room=room, initial={"until": until})
    if request.method == "POST":
        made = form.carry_out(
            lambda data: suppression.suppress(
                request.tenant.id,
                room_id=room.id if room else None,
                group_id=choices.as_id(data.get("group")),
                signal=data["signal"],
                until=data["until"],
                reason=data["reason"],
                by=principal_of(request).person,
                at=clock.now(),
            )
        )
        if made is not None:
            return htmx.done(request, "Kept quiet", to=reverse("portal:suppression-list"))
    return htmx.dialog(
        request,
        f"Keep {room.name} quiet" if room else "Keep a signal quiet",
        submit="Suppress",
        back=reverse("portal:suppression-list"),
        form=form,
        explain="No new ticket meanwhile. What is still unhealthy at the end opens one then.",
    )


@form_view
@requires("rooms.modify")
def suppression_end(request: TenantRequest, suppression_id: UUID) -> HttpResponse:
    row = Suppression.objects.for_tenant(request.tenant).filter(id=suppression_id).first()
    if row is None:
        raise NotFound("This does not exist.")
    back = reverse("portal:suppression-list")
    return confirm(
        request,
        "End this suppression now?",
        submit="End now",
        explain="What is still unhealthy opens a ticket.",
        back=back,
        to=back,
        change=lambda: suppression.end_suppression(request.tenant.id, row.id, at=clock.now()),
        said="Suppression ended",
        danger=False,
    )
