from __future__ import annotations

from datetime import timedelta

import pytest

from fleet import counters, inventory, search
from fleet.errors import AlreadyThere, ChangedMeanwhile, Missing, StillInUse
from fleet.models import Device, Room, RoomGroup, RoomWord
from foundation import timers
from foundation.context import tenant
from foundation.errors import NotValid
from foundation.models import Timer
from tenancy.models import AuditEvent
from tests.factories.fleet import make_device, make_place, make_room
from tests.factories.tenancy import make_customer


@pytest.fixture
def entered(customer):
    with tenant(customer.id):
        yield customer


def events(owner) -> list[str]:
    """In no order: they share their moment."""
    return sorted(AuditEvent.objects.for_tenant(owner).values_list("action", flat=True))


def words(room: Room) -> set[str]:
    return set(RoomWord.objects.for_tenant(room.tenant_id).filter(room=room).values_list("word", flat=True))


def test_a_place_takes_zone_and_country_from_its_parent(entered, at):
    norway = make_place("Norway", kind="country", time_zone="Europe/Oslo", country_code="no", at=at)
    oslo = make_place("Oslo HQ", parent_id=norway.id, at=at)
    assert (oslo.full_name, oslo.time_zone, oslo.country_code) == ("Norway › Oslo HQ", "Europe/Oslo", "NO")
    assert oslo.path == [norway.id, oslo.id]
    assert events(entered).count("place.create") == 2


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": " \t "}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "safe\u202egnp"}, "name"),
        ({"name": "x" * 121}, "name"),
        ({"name": "A", "time_zone": "Oslo"}, "time_zone"),
        ({"name": "A", "time_zone": "../../etc/passwd"}, "time_zone"),
        ({"name": "A", "time_zone": "localtime"}, "time_zone"),
        ({"name": "A", "country_code": "NOR"}, "country_code"),
        ({"name": "A", "kind": "planet"}, "kind"),
    ],
)
def test_a_bad_place_is_refused_naming_its_field(entered, at, given, field):
    with pytest.raises(NotValid) as refused:
        inventory.add_place(**{"kind": "building", **given}, at=at)
    assert refused.value.field == field


def test_places_of_one_parent_have_different_names(entered, at):
    make_place("Oslo HQ", at=at)
    with pytest.raises(AlreadyThere):
        make_place("Oslo HQ", at=at)


def test_a_level_cannot_stand_below_a_lower_one_or_below_itself(entered, at):
    campus = make_place("Campus", kind="campus", at=at)
    house = make_place("House", parent_id=campus.id, at=at)
    with pytest.raises(NotValid):
        make_place("City", kind="city", parent_id=house.id, at=at)
    with pytest.raises(NotValid):
        inventory.move_place(campus.id, parent_id=house.id, at=at)
    with pytest.raises(Missing):
        make_place("Wing", parent_id=entered.id, at=at)


def test_renaming_a_place_renames_and_reindexes_everything_below_it(entered, at):
    city = make_place("Kristiania", kind="city", at=at)
    house = make_place("House", parent_id=city.id, at=at)
    room = make_room("Aurora", place=house, at=at)
    inventory.edit_place(city.id, name="Oslo", at=at)
    house.refresh_from_db()
    assert house.full_name == "Oslo › House"
    assert words(room) == {"aurora", "oslo", "house"}


def test_a_new_zone_of_a_place_reaches_the_rooms_that_had_the_old_one(entered, at):
    city = make_place("City", kind="city", time_zone="Europe/Oslo", at=at)
    house = make_place("House", parent_id=city.id, at=at)
    follows, own = make_room(place=house, at=at), make_room(place=house, time_zone="Asia/Tokyo", at=at)
    inventory.edit_place(city.id, time_zone="Europe/Paris", at=at)
    assert [inventory.room(each.id).time_zone for each in (follows, own)] == ["Europe/Paris", "Asia/Tokyo"]


def test_moving_a_floor_to_another_building_moves_its_rooms_on_the_map_and_in_the_numbers(entered, at):
    old, new = make_place("Old", at=at), make_place("New", at=at)
    floor = make_place("Floor 1", kind="floor", parent_id=old.id, at=at)
    room = make_room("Aurora", place=floor, at=at)
    assert room.site_id == old.id
    inventory.move_place(floor.id, parent_id=new.id, at=at)
    assert inventory.room(room.id).site_id == new.id
    assert counters.of(entered.id, old.id) == {"rooms.unenrolled": 0}
    assert counters.of(entered.id, new.id) == {"rooms.unenrolled": 1}
    assert counters.recount_rooms(entered.id) == {}
    assert words(room) == {"aurora", "new", "floor", "1"}


def test_a_new_room_is_in_the_default_group_the_search_and_the_numbers(entered, at):
    room = make_room("Aurora", resource_account="Aurora@Example.com", at=at)
    group = RoomGroup.objects.for_tenant(entered).get(is_default=True)
    assert list(Room.objects.for_tenant(entered).in_group(group.id)) == [room]
    assert list(search.matching(Room.objects.for_tenant(entered), "auro exam")) == [room]
    assert counters.of(entered.id) == {"rooms.unenrolled": 1}
    assert room.resource_account == "aurora@example.com"
    assert "room.create" in events(entered)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"name": "\x07"}, "name"),
        ({"resource_account": "no account"}, "resource_account"),
        ({"capacity": -1}, "capacity"),
        ({"capacity": 40_000}, "capacity"),
        ({"room_type": "huge"}, "room_type"),
        ({"time_zone": "Mars/Base"}, "time_zone"),
        ({"expected": {"camera_room": 99}}, "expected"),
        ({"expected": {"camera_room": True}}, "expected"),
        ({"expected": {"coffee": 1}}, "expected"),
    ],
)
def test_a_bad_room_is_refused_naming_its_field(entered, at, given, field):
    where = make_place(at=at)
    with pytest.raises(NotValid) as refused:
        inventory.add_room(**{"place_id": where.id, "name": "Aurora", **given}, at=at)
    assert refused.value.field == field
    assert not Room.objects.for_tenant(entered).exists()


def test_names_and_accounts_are_taken_once(entered, at):
    house = make_place(at=at)
    make_room("Aurora", place=house, resource_account="a@example.com", at=at)
    with pytest.raises(AlreadyThere) as refused:
        make_room("Aurora", place=house, at=at)
    assert refused.value.field == "name"
    with pytest.raises(AlreadyThere) as refused:
        make_room("Borealis", place=house, resource_account="A@EXAMPLE.COM", at=at)
    assert refused.value.field == "resource_account"


def test_an_edit_with_an_old_version_is_refused_and_one_that_changes_nothing_leaves_no_event(entered, at):
    room = make_room("Aurora", at=at)
    changed = inventory.edit_room(room.id, {"name": "Borealis", "capacity": 8}, if_version=1, at=at)
    assert (changed.version, changed.name, changed.capacity) == (2, "Borealis", 8)
    with pytest.raises(ChangedMeanwhile):
        inventory.edit_room(room.id, {"name": "Corona"}, if_version=1, at=at)
    before = events(entered)
    assert inventory.edit_room(room.id, {"name": "Borealis"}, at=at).version == 2
    assert events(entered) == before
    event = AuditEvent.objects.for_tenant(entered).get(action="room.update")
    assert event.before == {"name": "Aurora", "capacity": None}
    assert event.after == {"name": "Borealis", "capacity": 8}


def test_an_unknown_property_of_a_room_cannot_be_changed(entered, at):
    room = make_room(at=at)
    with pytest.raises(NotValid) as refused:
        inventory.edit_room(room.id, {"state": "healthy"}, at=at)
    assert refused.value.field == "state"


def test_a_room_that_moves_takes_the_zone_of_its_new_place(entered, at):
    oslo, tokyo = make_place("Oslo", at=at), make_place("Tokyo", time_zone="Asia/Tokyo", at=at)
    room = make_room("Aurora", place=oslo, at=at)
    inventory.edit_room(room.id, {"place_id": tokyo.id}, at=at)
    moved = inventory.room(room.id)
    assert (moved.time_zone, moved.site_id) == ("Asia/Tokyo", tokyo.id)
    assert words(room) == {"aurora", "tokyo"}
    assert counters.of(entered.id, tokyo.id) == {"rooms.unenrolled": 1}
    assert "room.move" in events(entered)


def test_a_room_with_devices_cannot_be_retired_an_empty_one_leaves_every_list(entered, at):
    room = make_room("Aurora", at=at)
    device = make_device(room, at=at)
    with pytest.raises(StillInUse):
        inventory.retire_room(room.id, at=at)
    Device.objects.for_tenant(entered).filter(id=device.id).update(status="unenrolled", retired_at=at)
    inventory.retire_room(room.id, at=at)
    inventory.retire_room(room.id, at=at)
    assert events(entered).count("room.retire") == 1
    assert words(room) == set()
    assert sum(counters.of(entered.id).values()) == 0
    with pytest.raises(Missing):
        inventory.room(room.id)
    make_room("Aurora", place=room.place, at=at)  # its name is free again


def test_a_suppressed_room_is_quiet_until_the_moment_named(entered, at):
    room = make_room(at=at)
    make_device(room, at=at)
    until = at + timedelta(days=2)
    quiet = inventory.suppress_room(room.id, until=until, reason="Rebuilding", at=at)
    assert quiet.state == "suppressed"
    timer = Timer.objects.for_tenant(entered).get(kind=inventory.SUPPRESSION_ENDS)
    assert (timer.kind, timer.due_at) == (inventory.SUPPRESSION_ENDS, until)
    inventory.suppression_ended(timer, until - timedelta(seconds=1))
    assert inventory.room(room.id).state == "suppressed"
    inventory.suppression_ended(timer, until)
    inventory.suppression_ended(timer, until)
    after = inventory.room(room.id)
    assert (after.state, after.suppressed_until, after.suppressed_reason) == ("healthy", None, "")
    assert (events(entered).count("room.suppress"), events(entered).count("room.unsuppress")) == (1, 1)


def test_a_suppression_can_be_moved_and_ended_early(entered, at):
    room = make_room(at=at)
    make_device(room, at=at)
    inventory.suppress_room(room.id, until=at + timedelta(days=1), reason="Rebuilding", at=at)
    inventory.suppress_room(room.id, until=at + timedelta(days=3), reason="Rebuilding", at=at)
    assert Timer.objects.for_tenant(entered).get(kind=inventory.SUPPRESSION_ENDS).due_at == at + timedelta(
        days=3
    )
    assert inventory.unsuppress_room(room.id, at=at).state == "healthy"
    assert not Timer.objects.for_tenant(entered).filter(kind=inventory.SUPPRESSION_ENDS).exists()
    inventory.unsuppress_room(room.id, at=at)
    assert events(entered).count("room.unsuppress") == 1


@pytest.mark.parametrize(
    ("offset", "reason", "field"),
    [
        (timedelta(0), "x", "until"),
        (timedelta(days=-1), "x", "until"),
        (timedelta(days=400), "x", "until"),
        (timedelta(days=1), "", "reason"),
        (timedelta(days=1), "x" * 201, "reason"),
    ],
)
def test_a_suppression_needs_an_end_and_a_reason(entered, at, offset, reason, field):
    room = make_room(at=at)
    with pytest.raises(NotValid) as refused:
        inventory.suppress_room(room.id, until=at + offset, reason=reason, at=at)
    assert refused.value.field == field


def test_the_end_of_a_suppression_fires_as_a_timer(committed_db, at):
    owner = make_customer(at=at)
    with tenant(owner.id):
        room = make_room(at=at)
        make_device(room, at=at)
        inventory.suppress_room(room.id, until=at + timedelta(hours=1), reason="Rebuilding", at=at)
    handlers = {inventory.SUPPRESSION_ENDS: inventory.suppression_ended}
    timers.fire_due(handlers, at=at + timedelta(hours=2))
    with tenant(owner.id):
        assert inventory.room(room.id).state == "healthy"


def test_a_device_finds_its_room_by_account_then_by_an_unmistakable_name(entered, at):
    here, there = make_place(at=at), make_place(at=at)
    aurora = make_room("Aurora", place=here, resource_account="aurora@example.com", at=at)
    make_room("Twin", place=here, at=at)
    make_room("Twin", place=there, at=at)
    assert inventory.find_or_add_room(name="Other", resource_account="AURORA@example.com", at=at) == (
        aurora,
        False,
    )
    assert inventory.find_or_add_room(name="Aurora", at=at) == (aurora, False)
    new, is_new = inventory.find_or_add_room(name="Twin", at=at)
    assert is_new
    assert new.place.name == "New rooms"
    assert inventory.find_or_add_room(name="Borealis", resource_account="b@example.com", at=at)[1]
    assert inventory.find_or_add_room(name="Borealis", resource_account="b@example.com", at=at)[1] is False
    second, is_new = inventory.find_or_add_room(name="Borealis", resource_account="c@example.com", at=at)
    assert (second.name, is_new) == ("Borealis (2)", True)


def test_what_another_customer_has_is_missing(entered, at):
    other = make_customer(at=at)
    with tenant(other.id):
        foreign_place = make_place(at=at)
        foreign_room = make_room(place=foreign_place, at=at)
    own = make_room(at=at)
    for attempt in (
        lambda: inventory.room(foreign_room.id),
        lambda: inventory.edit_room(foreign_room.id, {"name": "X"}, at=at),
        lambda: inventory.edit_room(own.id, {"place_id": foreign_place.id}, at=at),
        lambda: inventory.retire_room(foreign_room.id, at=at),
        lambda: inventory.add_room(place_id=foreign_place.id, name="X", at=at),
        lambda: inventory.edit_place(foreign_place.id, name="X", at=at),
        lambda: make_place(parent_id=foreign_place.id, at=at),
    ):
        with pytest.raises(Missing):
            attempt()
