"""Rooms and places that become one, places that go; what is left of them; things that turn up elsewhere."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from enrollment import registration
from fleet import counters, inventory, merging, peripherals, place_tree, room_groups, search
from fleet.errors import AlreadyThere, Missing, StillInUse
from fleet.models import Device, Peripheral, Place, Room, RoomHistory
from foundation.context import tenant
from foundation.errors import NotValid
from incidents import detection, mergers, recorded
from incidents.models import Incident
from incidents.timeline import GREENROOM
from tenancy import audit
from tenancy.models import AuditEvent
from tests.factories.fleet import make_device, make_place, make_room
from tests.factories.incidents import make_incident
from tests.factories.tenancy import make_person

HOUR = timedelta(hours=1)


@pytest.fixture
def entered(customer):
    with tenant(customer.id):
        yield customer


def history(room: Room) -> list[tuple[str, str, str]]:
    rows = RoomHistory.objects.for_tenant(room.tenant_id).filter(room=room).select_related("other_room")
    return [
        (row.kind, row.what, row.other_room.name if row.other_room else "")
        for row in rows.order_by("at", "id")
    ]


def test_a_room_that_is_merged_brings_its_devices_groups_and_tickets(entered, at):
    twice, kept = make_room("Aurora (2)", at=at), make_room("Aurora", at=at)
    incident = make_incident(make_device(twice, at=at), at=at)
    group = room_groups.add_group(name="Board", at=at)
    room_groups.add_members(group.id, [twice.id], at=at)
    merging.merge_rooms(twice.id, into_id=kept.id, at=at)
    detection.evaluate_devices(entered.id, [incident.device_id], at=at)
    assert Device.objects.for_tenant(entered).get().room_id == kept.id
    assert Incident.objects.for_tenant(entered).get().room_id == kept.id
    assert [each.name for each in room_groups.groups_of(kept.id)] == ["All new rooms", "Board"]
    assert inventory.room(kept.id).state == "unhealthy"
    assert list(search.matching(Room.objects.for_tenant(entered), "aurora")) == [kept]
    assert counters.recount_rooms(entered.id) == {}
    gone = inventory.room_or_former(twice.id)
    assert (gone.retired_at, gone.merged_into_id) == (at, kept.id)
    assert ("merged_in", "Aurora (2)", "Aurora (2)") in history(kept)
    assert ("merged_away", "Aurora", "Aurora") in history(gone)
    assert AuditEvent.objects.for_tenant(entered).filter(action="room.merge").count() == 1
    with pytest.raises(Missing):
        inventory.room(twice.id)


def test_open_tickets_of_the_room_itself_go_along_and_closed_ones_stay(entered, at):
    twice, kept = make_room("Two", at=at), make_room("One", at=at)
    opened = recorded.record_issue(entered.id, recorded.Issue([twice.id], "Stains"), author=GREENROOM, at=at)
    both = recorded.record_issue(
        entered.id, recorded.Issue([twice.id, kept.id], "Noise"), author=GREENROOM, at=at
    )
    closed = recorded.record_issue(entered.id, recorded.Issue([twice.id], "Smell"), author=GREENROOM, at=at)
    Incident.objects.for_tenant(entered).filter(id=closed.id).update(state="closed", closed_at=at)
    merging.merge_rooms(twice.id, into_id=kept.id, at=at)
    assert mergers.follow(entered.id, twice.id, kept.id, at=at) == 2
    assert mergers.follow(entered.id, twice.id, kept.id, at=at) == 0
    tickets = Incident.objects.for_tenant(entered)
    assert set(tickets.of_rooms(id=kept.id)) == {opened, both}
    assert set(tickets.of_rooms(id=twice.id)) == {closed}


def test_a_room_is_not_merged_into_itself_or_what_is_gone(entered, at):
    one, gone = make_room(at=at), make_room(at=at)
    inventory.retire_room(gone.id, at=at)
    with pytest.raises(NotValid):
        merging.merge_rooms(one.id, into_id=one.id, at=at)
    for pair in ((one.id, gone.id), (gone.id, one.id), (entered.id, one.id)):
        with pytest.raises(Missing):
            merging.merge_rooms(pair[0], into_id=pair[1], at=at)


def test_a_place_that_is_merged_brings_what_stands_in_it(entered, at):
    twice, kept = make_place("Oslo HQ (2)", at=at), make_place("Oslo HQ", at=at)
    floor = make_place("Floor 1", kind="floor", parent_id=twice.id, at=at)
    rooms = [make_room("Aurora", place=twice, at=at), make_room("Bjerk", place=floor, at=at)]
    merging.merge_places(twice.id, into_id=kept.id, at=at)
    assert [inventory.room(each.id).site_id for each in rooms] == [kept.id, kept.id]
    assert Place.objects.for_tenant(entered).get(id=floor.id).full_name == "Oslo HQ › Floor 1"
    assert counters.recount_rooms(entered.id) == {}
    assert set(search.matching(Room.objects.for_tenant(entered), "2")) == set()
    assert history(rooms[0]) == [("moved", "Oslo HQ (2)", "")]
    with pytest.raises(Missing):
        place_tree.place(twice.id)


def test_places_that_hold_rooms_of_one_name_are_not_merged_and_the_names_are_told(entered, at):
    one, two = make_place("One", at=at), make_place("Two", at=at)
    for place in (one, two):
        make_room("Aurora", place=place, at=at)
    with pytest.raises(AlreadyThere, match="Aurora"):
        merging.merge_places(one.id, into_id=two.id, at=at)


def test_places_are_merged_where_the_levels_fit(entered, at):
    city = make_place("Oslo", kind="city", at=at)
    house = make_place("House", parent_id=city.id, at=at)
    make_place("Floor", kind="floor", parent_id=house.id, at=at)
    other = make_place("Other floor", kind="floor", at=at)
    with pytest.raises(NotValid):
        merging.merge_places(city.id, into_id=house.id, at=at)
    with pytest.raises(NotValid):
        merging.merge_places(house.id, into_id=other.id, at=at)


def test_an_empty_place_is_retired_and_its_name_is_free_again(entered, at):
    house = make_place("House", at=at)
    floor = make_place("Floor", kind="floor", parent_id=house.id, at=at)
    room = make_room(place=floor, at=at)
    for busy in (house, floor):
        with pytest.raises(StillInUse):
            merging.retire_place(busy.id, at=at)
    inventory.retire_room(room.id, at=at)
    merging.retire_place(floor.id, at=at)
    merging.retire_place(house.id, at=at)
    assert make_place("House", at=at).id != house.id


def test_moves_and_the_end_of_a_room_are_in_its_history_with_who_did_it(entered, at):
    person = make_person(entered, at=at)
    old, new = make_place("Old", at=at), make_place("New", at=at)
    room = make_room("Aurora", place=old, at=at)
    with audit.acting(audit.Actor("person", person.user_id)):
        inventory.edit_room(room.id, {"place_id": new.id}, at=at)
        inventory.retire_room(room.id, at=at + HOUR)
    assert history(room) == [("moved", "Old", ""), ("retired", "", "")]
    assert set(RoomHistory.objects.for_tenant(entered).values_list("by", flat=True)) == {person.id}


def test_a_device_is_in_the_history_of_every_room_it_was_in(entered, at):
    one, two = make_room("One", at=at), make_room("Two", at=at)
    device = make_device(None, status="onboarding", name="Bar", at=at)
    registration.accept(device, room=one, at=at)
    registration.move(device, room=two, at=at + HOUR)
    registration.unenroll(device, at=at + 2 * HOUR)
    assert history(one) == [("device_came", "Bar", ""), ("device_left", "Bar", "Two")]
    assert history(two) == [("device_came", "Bar", "One"), ("device_left", "Bar", "")]


CAMERA = {"kind": "camera", "make": "Halyard", "model": "E70", "vendor_id": "2e7e", "serial": "HY-0042"}


def told(device: Device, *things: dict[str, Any], at) -> None:
    peripherals.store_inventory(device, {"peripherals": list(things)}, digest="d", at=at)


def where(serial: str = "HY-0042") -> list[str]:
    rows = Peripheral.objects.filter(serial=serial).order_by("device__name")
    return list(rows.values_list("device__name", flat=True))


@pytest.fixture
def two(entered, at) -> tuple[Device, Device]:
    return make_device(make_room("One", at=at), name="A", at=at), make_device(
        make_room("Two", at=at), name="B", at=at
    )


def test_a_camera_that_turns_up_elsewhere_has_moved_and_both_rooms_know(two, at):
    a, b = two
    told(a, CAMERA, at=at)
    told(b, {**CAMERA, "firmware": "2.2"}, at=at + HOUR)
    camera = Peripheral.objects.get(serial="HY-0042")
    assert (camera.device_id, camera.connected, camera.firmware) == (b.id, True, "2.2")
    assert camera.first_seen_at == at
    assert history(a.room) == [("peripheral_left", "Halyard E70", "Two")]
    assert history(b.room) == [("peripheral_came", "Halyard E70", "One")]
    event = AuditEvent.objects.get(action="peripheral.move")
    assert (event.before, event.after) == ({"device": "A"}, {"device": "B"})
    told(a, at=at + 2 * HOUR)  # it is no longer there, which is no news
    assert where() == ["B"]
    told(a, CAMERA, at=at + 3 * HOUR)  # and comes back
    assert where() == ["A"]


def test_two_things_with_one_serial_are_told_apart_after_they_went_to_and_fro(two, at):
    a, b = two
    told(a, CAMERA, at=at)
    told(b, CAMERA, at=at + HOUR)
    told(a, CAMERA, at=at + 2 * HOUR)
    told(b, CAMERA, at=at + 3 * HOUR)
    assert where() == ["A", "B"]
    told(a, CAMERA, at=at + 4 * HOUR)
    assert where() == ["A", "B"]


@pytest.mark.parametrize("serial", ["", "0000000001", "0123", "123456789"])
def test_what_makers_leave_as_a_number_tells_nothing(two, at, serial):
    a, b = two
    told(a, {**CAMERA, "serial": serial}, at=at)
    told(b, {**CAMERA, "serial": serial}, at=at + HOUR)
    assert where(serial) == ["A", "B"]


def test_another_model_with_the_same_number_is_another_thing(two, at):
    a, b = two
    told(a, CAMERA, at=at)
    told(b, {**CAMERA, "model": "E90"}, at=at + HOUR)
    assert where() == ["A", "B"]
