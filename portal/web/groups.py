"""Room groups: list, members, name."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.db.models import Count
from django.http import HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from fleet import group_rules, room_groups, search
from fleet.models import Room, RoomGroup, RoomGroupMember
from foundation import clock
from portal import htmx
from portal.access import TenantRequest, requires
from portal.paging import keyset_page
from portal.web import changes, choices
from portal.web.dialogs import confirm, form_view
from portal.web.forms import Form, posted

PAGE = 50
OFFERED = 12  # rooms a search for new members shows


class GroupForm(Form):
    name = forms.CharField(label="Name", max_length=80, widget=forms.TextInput(attrs={"autocomplete": "off"}))
    description = forms.CharField(
        label="What it is for",
        required=False,
        max_length=300,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )


@require_GET
@requires("groups.view")
def group_list(request: TenantRequest) -> HttpResponse:
    page = keyset_page(
        RoomGroup.objects.for_tenant(request.tenant),
        order_by=("name", "id"),
        after=request.GET.get("after"),
        before=request.GET.get("before"),
        size=PAGE,
    )
    members = RoomGroupMember.objects.for_tenant(request.tenant).filter(
        group_id__in=[group.id for group in page], room__retired_at=None
    )
    counted = dict(members.order_by().values_list("group_id").annotate(number=Count("id")))
    rows = [(group, counted.get(group.id, 0)) for group in page]
    live = htmx.live([(group.id, group.name, group.description, number) for group, number in rows])
    if htmx.unchanged(request, live):
        return htmx.nothing_new()
    return htmx.page(request, "groups/group_list.html", {"page": page, "rows": rows}, live=live)


@require_GET
@requires("groups.view")
def group_detail(request: TenantRequest, group_id: UUID) -> HttpResponse:
    group = room_groups.group(group_id)
    page = keyset_page(
        Room.objects.for_tenant(request.tenant).current().in_group(group.id),
        order_by=("name", "id"),
        after=request.GET.get("after"),
        before=request.GET.get("before"),
        size=PAGE,
        show=Room.objects.for_tenant(request.tenant).select_related("place"),
    )
    q = request.GET.get("q", "").strip()[:200]
    offered = _offered(request, group, q) if q else []
    members = RoomGroupMember.objects.for_tenant(request.tenant).filter(
        group=group, room_id__in=[room.id for room in page]
    )
    how = {key: (hand, rule) for key, hand, rule in members.values_list("room_id", "by_hand", "by_rule")}
    rows = [(room, *how.get(room.id, (True, False))) for room in page]
    working = bool(group.rule) and group_rules.is_being_worked_out(group)
    shown = [(room.id, room.name, room.state, *how.get(room.id, ())) for room in page]
    live = htmx.live(
        group.name, group.description, group.rule, working, q, shown, [room.id for room in offered]
    )
    if htmx.unchanged(request, live):
        return htmx.nothing_new()
    context = {
        "group": group,
        "page": page,
        "rows": rows,
        "q": q,
        "offered": offered,
        "rule": group_rules.sentence(group.rule, group_rules.place_names([group.rule])),
        "working": working,
    }
    return htmx.page(request, "groups/group_detail.html", context, live=live)


def _offered(request: TenantRequest, group: RoomGroup, q: str) -> list[Room]:
    """Rooms that match and are not put into the group yet."""
    matching = search.matching(Room.objects.for_tenant(request.tenant).current().select_related("place"), q)
    there = RoomGroupMember.objects.for_tenant(request.tenant).filter(group=group).values("room_id")
    return list(matching.exclude(id__in=there).order_by("name", "id")[:OFFERED])


@form_view
@requires("groups.create")
def group_add(request: TenantRequest) -> HttpResponse:
    form = GroupForm(posted(request))
    if request.method == "POST":
        made = form.carry_out(lambda data: room_groups.add_group(**data, at=clock.now()))
        if made is not None:
            return htmx.done(request, f"{made.name} added", to=reverse("portal:group-detail", args=[made.id]))
    return htmx.dialog(
        request, "Add a group", submit="Add group", back=reverse("portal:group-list"), form=form
    )


@form_view
@requires("groups.modify")
def group_edit(request: TenantRequest, group_id: UUID) -> HttpResponse:
    group = room_groups.group(group_id)
    back = reverse("portal:group-detail", args=[group.id])
    form = GroupForm(posted(request), initial={"name": group.name, "description": group.description})
    if request.method == "POST":
        changed = form.carry_out(lambda data: room_groups.edit_group(group.id, **data, at=clock.now()))
        if changed is not None:
            return htmx.done_here(request, f"{changed.name} changed", to=back)
    return htmx.dialog(request, f"Edit {group.name}", submit="Save", back=back, form=form)


@form_view
@requires("groups.modify")
def group_delete(request: TenantRequest, group_id: UUID) -> HttpResponse:
    group = room_groups.group(group_id)
    return confirm(
        request,
        f"Delete {group.name}?",
        submit="Delete group",
        explain="Its rooms stay.",
        back=reverse("portal:group-detail", args=[group.id]),
        to=reverse("portal:group-list"),
        change=lambda: changes.delete_group(group.id, at=clock.now()),
        said=f"{group.name} deleted",
    )


@require_POST
@requires("groups.modify")
def group_add_room(request: TenantRequest, group_id: UUID) -> HttpResponse:
    return _change_member(request, group_id, changes.add_members, "added", "portal:group-remove-room")


@require_POST
@requires("groups.modify")
def group_remove_room(request: TenantRequest, group_id: UUID) -> HttpResponse:
    return _change_member(request, group_id, changes.remove_members, "removed", "portal:group-add-room")


def _change_member(
    request: TenantRequest, group_id: UUID, change: Any, did: str, inverse: str
) -> HttpResponse:
    """The room is named in the body, or in the address for Undo."""
    room_id = choices.as_id(request.POST.get("room") or request.GET.get("room"))
    change(group_id, [room_id] if room_id else [], at=clock.now())
    back = reverse("portal:group-detail", args=[group_id])
    undo = f"{reverse(inverse, args=[group_id])}?room={room_id}"
    return htmx.done_here(request, f"Room {did}", to=back, undo=undo if room_id else "")
