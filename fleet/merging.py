"""Two rooms that turned out to be one, two places that did, and places nobody needs any more.

What is merged away is retired and points to what it became part of: its history, days and closed tickets stay and are
shown there too. All functions work in the one tenant entered and leave an audit event.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db.models import F

from fleet import (
    assets,
    counters,
    group_rules,
    health,
    history,
    notices,
    place_tree,
    room_groups,
    scope,
    search,
)
from fleet.errors import AlreadyThere, Missing, StillInUse
from fleet.models import Device, Place, Room, RoomGroupMember
from fleet.models.places import RoomQuerySet
from foundation.context import current_tenant
from foundation.errors import NotValid
from tenancy import audit, regions
from tenancy.audit import Written

MOST_NAMED = 5  # names a refusal lists


def merge_rooms(gone_id: UUID, *, into_id: UUID, at: datetime) -> Room:
    """Make one room part of another: devices with what is attached to them, assets, groups and open tickets go there.

    Raises Missing for a room that is not there or retired, NotValid for one room merged into itself.
    """
    if gone_id == into_id:
        raise NotValid("A room cannot be merged into itself.", field="into")
    tenant_id = current_tenant()
    rows = Room.objects.for_tenant(tenant_id).current().filter(id__in=[gone_id, into_id])
    locked = {room.id: room for room in rows.select_for_update(no_key=True).order_by("id")}
    if gone_id not in locked:
        raise Missing("room")
    if into_id not in locked:
        raise Missing("room", field="into")
    gone, into = locked[gone_id], locked[into_id]
    _refuse_country(into.place, Room.objects.for_tenant(tenant_id).filter(id=gone.id))
    devices = _move_devices(gone, into, at=at)
    _move_memberships(gone, into, at=at)
    assets.follow_merger(gone, into, at=at)
    counters.add(counters.room_change(tenant_id, before=(gone.state, gone.site_id), after=None))
    gone.retired_at, gone.merged_into = at, into
    gone.version += 1
    gone.save(update_fields=["retired_at", "merged_into", "version"])
    health.refresh(into.id, at=at)
    search.index_rooms([gone.id, into.id])
    group_rules.follow([into.id], at=at)
    notices.room_merged(gone.id, into.id, tenant_id=tenant_id, at=at)
    kinds = history.Kind
    history.write(
        [
            history.Event(gone.id, kinds.MERGED_AWAY, into.name, into.id),
            history.Event(into.id, kinds.MERGED_IN, gone.name, gone.id),
        ],
        tenant_id=tenant_id,
        at=at,
    )
    after = {"into": into.name, "devices": [device.name for device in devices]}
    audit.record("room.merge", gone, tenant_id=tenant_id, at=at, after=after)
    into.refresh_from_db()
    return into


def merge_places(gone_id: UUID, *, into_id: UUID, at: datetime) -> Place:
    """Make one place part of another: rooms and places in it stand there from now on; their time zones stay.

    Raises Missing, NotValid for a place merged into itself or below itself, or where a level would not fit, and
    AlreadyThere where both hold rooms or places of one name, which it names.
    """
    scope.refuse_part("Merging places")
    tenant_id = current_tenant()
    place_tree.lock(tenant_id)
    gone, into = place_tree.place(gone_id), place_tree.place(into_id, field="into")
    if gone.id in into.path:
        raise NotValid("A place cannot be merged into itself or into what stands in it.", field="into")
    children = list(Place.objects.for_tenant(tenant_id).filter(parent=gone, retired_at=None).order_by("name"))
    for child in children:
        if place_tree.DEPTH[into.kind] >= place_tree.DEPTH[child.kind]:
            raise NotValid(f"{child.name} is a {child.kind}: it cannot stand in a {into.kind}.", field="into")
    _refuse_twins(gone, into)
    _refuse_country(into, Room.objects.for_tenant(tenant_id).filter(place_id__in=place_tree.below(gone.id)))
    with counters.gathered():
        for child in children:
            place_tree.move_place(child.id, parent_id=into.id, at=at)
        rooms = _move_rooms(gone, into, at=at)
    gone.retired_at = at
    gone.save(update_fields=["retired_at"])
    after = {"into": into.full_name, "rooms": len(rooms), "places": [each.name for each in children]}
    audit.record("place.merge", gone, tenant_id=tenant_id, at=at, after=after)
    return into


def retire_place(place_id: UUID, *, at: datetime) -> Place:
    """Take an empty place out of the tree; what stood in it keeps it in its history.

    Raises Missing, and StillInUse while rooms or places are in it.
    """
    scope.refuse_part("Retiring a place")
    tenant_id = current_tenant()
    place_tree.lock(tenant_id)
    gone = place_tree.place(place_id)
    if Place.objects.for_tenant(tenant_id).filter(parent=gone, retired_at=None).exists():
        raise StillInUse("Move or retire the places in it first.")
    if Room.objects.for_tenant(tenant_id).current().filter(place=gone).exists():
        raise StillInUse("Move or retire the rooms in it first.")
    gone.retired_at = at
    gone.save(update_fields=["retired_at"])
    audit.record("place.retire", gone, tenant_id=tenant_id, at=at)
    return gone


def _move_devices(gone: Room, into: Room, *, at: datetime) -> list[Device]:
    """Those in use; one that left stays in the history of the room it left."""
    tenant_id = gone.tenant_id
    rows = Device.objects.for_tenant(tenant_id).filter(room=gone, retired_at=None)
    used = rows.exclude(status=Device.Status.UNENROLLED).defer("document", "inventory")
    devices = list(used.select_for_update(no_key=True, of=("self",)).order_by("id"))
    if not devices:
        return []
    ids = [device.id for device in devices]
    Device.objects.for_tenant(tenant_id).filter(id__in=ids).update(room=into)
    notices.devices_changed(ids, tenant_id=tenant_id, at=at)
    before, after = {"room": gone.name}, {"room": into.name}
    audit.record_many(
        [Written("device.move", device, before, after) for device in devices], tenant_id=tenant_id, at=at
    )
    events = [
        event for device in devices for event in history.went(device.name, from_room=gone.id, to_room=into.id)
    ]
    history.write(events, tenant_id=tenant_id, at=at)
    return devices


def _move_memberships(gone: Room, into: Room, *, at: datetime) -> None:
    """The room that stays is also in the groups the other was put into."""
    members = RoomGroupMember.objects.for_tenant(gone.tenant_id)
    theirs = set(members.filter(room=gone, by_hand=True).values_list("group_id", flat=True))
    own = set(members.filter(room=into, by_hand=True).values_list("group_id", flat=True))
    for group_id in sorted(theirs - own):
        room_groups.change_members(group_id, added=[into.id], at=at)


def _move_rooms(gone: Place, into: Place, *, at: datetime) -> list[Room]:
    tenant_id, site = gone.tenant_id, place_tree.site_of(into)
    rows = Room.objects.for_tenant(tenant_id).filter(place=gone).order_by("id")
    rooms = list(rows.select_for_update(no_key=True, of=("self",)))
    current = [room for room in rooms if room.retired_at is None]
    for room in current:
        if room.site_id != site:
            counters.add(
                counters.room_change(tenant_id, before=(room.state, room.site_id), after=(room.state, site))
            )
    ids = [room.id for room in current]
    Room.objects.for_tenant(tenant_id).filter(id__in=ids).update(
        place=into, site_id=site, version=F("version") + 1
    )
    audit.record_many(
        [
            Written("room.move", room, {"place": gone.full_name}, {"place": into.full_name})
            for room in current
        ],
        tenant_id=tenant_id,
        at=at,
    )
    history.write(
        [history.Event(key, history.Kind.MOVED, gone.full_name) for key in ids], tenant_id=tenant_id, at=at
    )
    search.index_rooms(ids)
    group_rules.follow(ids, at=at)
    notices.rooms_moved(ids, tenant_id=tenant_id, at=at)
    return current


def _refuse_country(into: Place, rooms: RoomQuerySet) -> None:
    """Raises NotValid where devices would come to a country that is not supported."""
    reason = regions.refusal(into.country_code)
    if not reason:
        return
    devices = Device.objects.for_tenant(into.tenant_id).filter(room__in=rooms, retired_at=None)
    if devices.exclude(status=Device.Status.UNENROLLED).exists():
        raise NotValid(f"{reason} Unenroll the devices first.", field="into")


def _refuse_twins(gone: Place, into: Place) -> None:
    rooms = Room.objects.for_tenant(gone.tenant_id).current()
    places = Place.objects.for_tenant(gone.tenant_id).filter(retired_at=None)
    names = [
        *rooms.filter(place=gone, name__in=rooms.filter(place=into).values("name")).values_list(
            "name", flat=True
        ),
        *places.filter(parent=gone, name__in=places.filter(parent=into).values("name")).values_list(
            "name", flat=True
        ),
    ]
    if names:
        some = ", ".join(sorted(names)[:MOST_NAMED]) + (" and others" if len(names) > MOST_NAMED else "")
        raise AlreadyThere(f"Both hold {some}. Rename or merge these first.", field="into")
