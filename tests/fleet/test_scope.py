"""Somebody whose role covers some rooms only sees those, and what belongs to them, and nothing else."""

from __future__ import annotations

import pytest

from fleet import inventory, place_tree, room_groups, scope, search
from fleet.models import Device, Place, Room, RoomGroup, SignalState
from foundation.context import tenant
from foundation.errors import NotAllowed
from incidents.models import Incident, IncidentEntry
from tenancy.rights import EVERYWHERE, NOWHERE, Reach, Rights, granted
from tests.factories.fleet import make_device, make_place, make_room
from tests.factories.incidents import make_incident

pytestmark = pytest.mark.django_db


@pytest.fixture
def estate(customer, at):
    """Two rooms in two buildings, each with a device, a signal and a ticket; a group of the first."""
    with tenant(customer.id):
        near, far = (
            make_room(name, place=make_place(f"{name} House", at=at), at=at) for name in ("Near", "Far")
        )
        for room in (near, far):
            device = make_device(room, name=f"{room.name} device", at=at)
            make_incident(device, at=at)
        make_device(None, name="Arriving", status="onboarding", at=at)
        group = room_groups.add_group(name="Near rooms", at=at)
        room_groups.add_members(group.id, [near.id], at=at)
        yield near, far, group


def at_room(room):
    return Reach((frozenset({("room", room.id)}),))


def at_group(group):
    return Reach((frozenset({("group", group.id)}),))


def names(model, field="name"):
    return sorted(model.objects.values_list(field, flat=True))


@pytest.mark.parametrize("by", ["room", "group"])
def test_only_rooms_in_reach_and_what_belongs_to_them_are_there(estate, by):
    near, _far, group = estate
    reach = at_room(near) if by == "room" else at_group(group)
    with scope.within(granted(["rooms.view", "tickets.view"], reach), "rooms.view", reading=True):
        assert names(Room) == ["Near"]
        assert names(Device) == ["Near device"]
        assert names(Place) == ["Near House"]
        assert names(Incident, "room__name") == ["Near"]
        assert set(names(IncidentEntry, "incident__room__name")) == {"Near"}
        assert set(names(SignalState, "device__name")) == {"Near device"}
        assert list(search.matching(Room.objects.all(), "far")) == []
        assert names(RoomGroup) == (["Near rooms"] if by == "group" else [])
    assert names(Room) == ["Far", "Near"]


def test_places_around_a_room_in_reach_are_there_up_to_the_country(customer, at):
    with tenant(customer.id):
        country = place_tree.add_place(kind="country", name="Norway", at=at)
        city = place_tree.add_place(kind="city", name="Oslo", parent_id=country.id, at=at)
        place_tree.add_place(kind="city", name="Bergen", parent_id=country.id, at=at)
        room = make_room(place=city, at=at)
        with scope.within(granted(["rooms.view"], at_room(room)), "rooms.view"):
            assert names(Place) == ["Norway", "Oslo"]


def test_each_permission_has_a_reach_of_its_own(estate):
    _near, far, _ = estate
    rights = granted(["rooms.view"]) | granted(["rooms.modify"], at_room(far))
    with scope.within(rights, "rooms.view"):
        assert names(Room) == ["Far", "Near"]
    with scope.within(rights, "rooms.modify"):
        assert names(Room) == ["Far"]
    with scope.within(rights, "tickets.view"):
        assert names(Room) == []


def test_tickets_on_a_page_of_rooms_are_those_that_may_be_seen(estate):
    _near, far, _ = estate
    rights = granted(["rooms.view"]) | granted(["tickets.view"], at_room(far))
    with scope.within(rights, "rooms.view", reading=True):
        assert names(Room) == ["Far", "Near"]
        assert names(Incident, "room__name") == ["Far"]


def test_a_token_of_ones_own_reaches_what_both_reach(estate):
    near, far, group = estate
    own = granted(["rooms.view"], Reach((frozenset({("room", near.id), ("room", far.id)}),)))
    both = own & granted(["rooms.view"], at_group(group))
    with scope.within(both, "rooms.view"):
        assert names(Room) == ["Near"]


def test_writes_in_reach_work_and_others_find_nothing(estate, customer, at):
    near, far, _ = estate
    with scope.within(granted(["rooms.modify"], at_room(near)), "rooms.modify"):
        assert inventory.edit_room(near.id, {"capacity": 7}, at=at).capacity == 7
        assert Room.objects.filter(id=far.id).update(capacity=9) == 0
        assert SignalState.objects.filter(device__room=far).delete()[0] == 0
        locked = SignalState.objects.select_for_update().values_list("device__name", flat=True)
        assert set(locked) == {"Near device"}
        for what in (
            lambda: inventory.add_room(place_id=near.place_id, name="New", at=at),
            lambda: place_tree.add_place(kind="building", name="New", at=at),
            lambda: room_groups.add_group(name="New", at=at),
        ):
            with pytest.raises(NotAllowed, match="over all rooms"):
                what()


def test_what_belongs_to_no_room_is_as_it_was(estate):
    near, _, _ = estate
    from tenancy.models import Role

    with scope.within(granted(["rooms.view"], at_room(near)), "rooms.view"):
        assert Role.objects.count() > 0


def test_reaches_add_up_and_narrow():
    one, two = Reach((frozenset({("room", 1)}),)), Reach((frozenset({("group", 2)}),))
    assert (one | two) == Reach((frozenset({("room", 1), ("group", 2)}),))
    assert (one | EVERYWHERE) == EVERYWHERE
    assert (one & EVERYWHERE) == one
    assert (one | NOWHERE) == one
    assert (one & NOWHERE).nowhere
    rights = granted(["a"], one) | granted(["a", "b"])
    assert (rights.everywhere("a"), rights.may("c")) == (True, False)
    assert (Rights() & rights).permissions == frozenset()
    assert rights.covers(granted(["a"], two))
    assert not granted(["a"], one).covers(granted(["a"], two))
