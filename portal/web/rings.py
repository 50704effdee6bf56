"""Rings: their order and days, who is in which, and the hours rooms are updated in."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.db.models import Count
from django.http import HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from fleet import room_groups, search
from fleet.models import Room
from foundation import clock
from portal import htmx
from portal.access import TenantRequest, requires
from portal.paging import keyset_page
from portal.web import choices
from portal.web.dialogs import confirm, form_view
from portal.web.forms import Form, choose, initial_choice, posted
from updates import rings
from updates.models import Ring, RingMembership
from updates.windows import InstallWindow

PAGE = 50
OFFERED = 12


class RingForm(Form):
    name = forms.CharField(label="Name", max_length=80, widget=forms.TextInput(attrs={"autocomplete": "off"}))
    description = forms.CharField(
        label="For",
        required=False,
        max_length=300,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    position = forms.IntegerField(label="Order", help_text="1 to 9; 1 comes first.")
    rollout_days = forms.IntegerField(
        label="Rollout days", help_text="Its rooms are spread over so many nights."
    )
    test_days = forms.IntegerField(
        label="Test days", help_text="Then it is watched before the next ring begins."
    )
    at_once = forms.IntegerField(label="Rooms at a time", initial=10)
    building_limit = forms.IntegerField(label="Of those in one building", required=False)
    model_limit = forms.IntegerField(label="And of one model", required=False)
    failure_limit_pct = forms.IntegerField(
        label="Failures allowed, in percent", initial=5, help_text="More, and the next ring waits for you."
    )
    needs_approval = forms.BooleanField(label="Begins only after somebody's yes", required=False)


class WindowForm(Form):
    starts = forms.TimeField(label="From", widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"))
    ends = forms.TimeField(
        label="To",
        widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
        help_text="In the time of each room. An end before the start lies on the next day.",
    )


class NewWindowForm(WindowForm):
    group = forms.ChoiceField(label="Room group", required=False)
    field_order = ("group", "starts", "ends")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choose(self, "group", initial_choice("All rooms", choices.groups()))


class GroupForm(Form):
    group = forms.ChoiceField(label="Room group")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choose(self, "group", choices.groups())


class MoveForm(Form):
    ring = forms.ChoiceField(label="Ring", required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rows = rings.all_rings(at=clock.now())
        choose(self, "ring", initial_choice("As its groups say", [(str(row.id), row.name) for row in rows]))


@require_GET
@requires("updates.view")
def ring_list(request: TenantRequest) -> HttpResponse:
    rows = rings.all_rings(at=clock.now())
    members = RingMembership.objects.for_tenant(request.tenant).order_by()
    rooms = dict(members.exclude(room=None).values_list("ring_id").annotate(number=Count("id")))
    named = members.exclude(group=None).order_by("group__name").values_list("ring_id", "group__name")
    groups: dict[UUID, list[str]] = {}
    for ring_id, name in named:
        groups.setdefault(ring_id, []).append(name)
    used = rings.days_of(rows)
    windows = rings.windows_of_groups()
    live = htmx.live([(row.id, row.revision) for row in rows], sorted(rooms.items()), groups, windows)
    if htmx.unchanged(request, live):
        return htmx.nothing_new()
    deferment, shown = 0, []
    for row in rows:
        shown.append((row, rooms.get(row.id, 0), groups.get(row.id, []), deferment))
        deferment += row.rollout_days + row.test_days
    context = {
        "rows": shown,
        "used": used,
        "most": rings.MOST_DAYS,
        "left": rings.MOST_DAYS - used,
        "windows": windows,
        "default_window": next((window for group, window in windows if group is None), InstallWindow()),
    }
    return htmx.page(request, "updates/ring_list.html", context, live=live)


@require_GET
@requires("updates.view")
def ring_detail(request: TenantRequest, ring_id: UUID) -> HttpResponse:
    ring = rings.ring(ring_id)
    own = RingMembership.objects.for_tenant(request.tenant).filter(ring=ring)
    page = keyset_page(
        Room.objects.for_tenant(request.tenant)
        .current()
        .filter(id__in=own.exclude(room=None).values("room_id")),
        order_by=("name", "id"),
        after=request.GET.get("after"),
        before=request.GET.get("before"),
        size=PAGE,
        show=Room.objects.for_tenant(request.tenant).select_related("place"),
    )
    groups = list(own.exclude(group=None).select_related("group").order_by("group__name"))
    q = request.GET.get("q", "").strip()[:200]
    offered = _offered(request, ring, q) if q else []
    live = htmx.live(
        ring.revision,
        q,
        [(room.id, room.state) for room in page],
        [row.group_id for row in groups],
        [room.id for room in offered],
    )
    if htmx.unchanged(request, live):
        return htmx.nothing_new()
    context = {
        "ring": ring,
        "page": page,
        "groups": [row.group for row in groups],
        "q": q,
        "offered": offered,
        "is_general": ring.kind == Ring.Kind.GENERAL,
        "is_own": ring.kind == Ring.Kind.OWN,
    }
    return htmx.page(request, "updates/ring_detail.html", context, live=live)


def _offered(request: TenantRequest, ring: Ring, q: str) -> list[Room]:
    matching = search.matching(Room.objects.for_tenant(request.tenant).current().select_related("place"), q)
    there = RingMembership.objects.for_tenant(request.tenant).filter(ring=ring).exclude(room=None)
    return list(matching.exclude(id__in=there.values("room_id")).order_by("name", "id")[:OFFERED])


@form_view
@requires("updates.create")
def ring_add(request: TenantRequest) -> HttpResponse:
    form = RingForm(posted(request))
    if request.method == "POST":
        made = form.carry_out(lambda data: rings.add_ring(**data, at=clock.now()))
        if made is not None:
            return htmx.done(request, f"{made.name} added", to=reverse("portal:ring-detail", args=[made.id]))
    return _ring_dialog(request, "Add a ring", "Add ring", reverse("portal:ring-list"), form, None)


@form_view
@requires("updates.create")
def ring_edit(request: TenantRequest, ring_id: UUID) -> HttpResponse:
    ring = rings.ring(ring_id)
    back = reverse("portal:ring-detail", args=[ring.id])
    form = RingForm(posted(request), initial={name: getattr(ring, name) for name in RingForm.base_fields})
    if request.method == "POST":
        changed = form.carry_out(lambda data: rings.edit_ring(ring.id, **data, at=clock.now()))
        if changed is not None:
            return htmx.done_here(request, f"{changed.name} changed", to=back)
    return _ring_dialog(request, f"Edit {ring.name}", "Save", back, form, ring)


def _ring_dialog(
    request: TenantRequest, question: str, submit: str, back: str, form: RingForm, ring: Ring | None
) -> HttpResponse:
    others = [row for row in rings.all_rings(at=clock.now()) if ring is None or row.id != ring.id]
    used = rings.days_of(others)
    left = rings.MOST_DAYS - used
    return htmx.dialog(
        request,
        question,
        submit=submit,
        back=back,
        form=form,
        explain=f"The other rings take {used} of {rings.MOST_DAYS} days; {left} are left for this one.",
        template="updates/release_form.html",
    )


@form_view
@requires("updates.create")
def ring_delete(request: TenantRequest, ring_id: UUID) -> HttpResponse:
    ring = rings.ring(ring_id)
    return confirm(
        request,
        f"Delete {ring.name}?",
        submit="Delete ring",
        explain="Its rooms fall back to the ring of their groups, or to General.",
        back=reverse("portal:ring-detail", args=[ring.id]),
        to=reverse("portal:ring-list"),
        change=lambda: rings.delete_ring(ring.id, at=clock.now()),
        said=f"{ring.name} deleted",
    )


@require_POST
@requires("updates.modify")
def ring_add_room(request: TenantRequest, ring_id: UUID) -> HttpResponse:
    """The room is named in the body, or in the address for Undo."""
    ring = rings.ring(ring_id)
    room_id = choices.as_id(request.POST.get("room") or request.GET.get("room"))
    rings.move_rooms(ring.id, [room_id] if room_id else [], at=clock.now())
    undo = f"{reverse('portal:ring-remove-room', args=[ring.id])}?room={room_id}" if room_id else ""
    return htmx.done_here(
        request, f"Room moved to {ring.name}", to=reverse("portal:ring-detail", args=[ring.id]), undo=undo
    )


@require_POST
@requires("updates.modify")
def ring_remove_room(request: TenantRequest, ring_id: UUID) -> HttpResponse:
    ring = rings.ring(ring_id)
    room_id = choices.as_id(request.POST.get("room") or request.GET.get("room"))
    own = RingMembership.objects.for_tenant(request.tenant).filter(ring=ring).exclude(room=None)
    here = own.filter(room_id__in=[room_id] if room_id else []).values_list("room_id", flat=True)
    rings.move_rooms(None, [each for each in here if each], at=clock.now())
    undo = f"{reverse('portal:ring-add-room', args=[ring.id])}?room={room_id}" if room_id else ""
    return htmx.done_here(
        request, "Room removed", to=reverse("portal:ring-detail", args=[ring.id]), undo=undo
    )


@form_view
@requires("updates.modify")
def ring_add_group(request: TenantRequest, ring_id: UUID) -> HttpResponse:
    ring = rings.ring(ring_id)
    back = reverse("portal:ring-detail", args=[ring.id])
    form = GroupForm(posted(request))
    if request.method == "POST":
        done = form.carry_out(
            lambda data: rings.move_group(ring.id, UUID(data["group"]), at=clock.now()) or True
        )
        if done:
            return htmx.done_here(request, f"Group moved to {ring.name}", to=back)
    return htmx.dialog(
        request,
        f"Add a group to {ring.name}",
        submit="Add group",
        back=back,
        form=form,
        explain="All its rooms, but those with a ring of their own or a group in a later ring.",
    )


@require_POST
@requires("updates.modify")
def ring_remove_group(request: TenantRequest, ring_id: UUID, group_id: UUID) -> HttpResponse:
    ring = rings.ring(ring_id)
    own = RingMembership.objects.for_tenant(request.tenant).filter(ring=ring, group_id=group_id)
    if own.exists():
        rings.move_group(None, group_id, at=clock.now())
    return htmx.done_here(request, "Group removed", to=reverse("portal:ring-detail", args=[ring.id]))


@form_view
@requires("updates.create")
def hours_set(request: TenantRequest) -> HttpResponse:
    """Hours of a group, or of all rooms."""
    form = NewWindowForm(posted(request), initial={"starts": "00:00", "ends": "05:00"})
    back = reverse("portal:ring-list")
    if request.method == "POST" and form.carry_out(_set_window):
        return htmx.done_here(request, "Install hours set", to=back)
    return htmx.dialog(
        request,
        "Set install hours",
        submit="Save",
        back=back,
        form=form,
        explain="When rooms may be updated. Of several groups that say different, the first by name counts.",
    )


def _set_window(data: dict[str, Any]) -> bool:
    hours = rings.window(data["starts"], data["ends"])
    rings.set_window(choices.as_id(data["group"]), hours, at=clock.now())
    return True


@form_view
@requires("updates.create")
def hours_remove(request: TenantRequest, group_id: UUID) -> HttpResponse:
    group = room_groups.group(group_id)
    back = reverse("portal:ring-list")
    return confirm(
        request,
        f"Remove the install hours of {group.name}?",
        submit="Remove",
        explain="Its rooms are updated in the hours of all rooms then.",
        back=back,
        to=back,
        change=lambda: rings.set_window(group.id, None, at=clock.now()),
        said="Install hours removed",
        danger=False,
    )
