from __future__ import annotations

from datetime import time

import pytest

from fleet import room_groups
from fleet.errors import AlreadyThere, ChangedMeanwhile, Missing, StillInUse
from foundation.context import tenant
from foundation.errors import NotValid
from foundation.ids import new_id
from tenancy.models import AuditEvent
from tests.factories.fleet import make_place, make_room
from updates import rings
from updates.errors import TooManyDays
from updates.models import Ring
from updates.windows import InstallWindow


def named(at) -> dict[str, Ring]:
    return {row.name: row for row in rings.all_rings(at=at)}


def test_every_customer_has_three_rings_in_order_and_asking_twice_makes_no_more(customer, at):
    rings.set_up_customer(customer, at=at)
    with tenant(customer.id):
        assert [(row.name, row.position, row.rollout_days) for row in rings.all_rings(at=at)] == [
            ("Staging", 1, 1),
            ("General", 5, 5),
            ("Executive", 9, 2),
        ]
        Ring.objects.for_tenant(customer).filter(name="Staging").delete()
        assert len(rings.all_rings(at=at)) == 3


def test_own_rings_fill_the_sixty_days_and_no_more(inside, at):
    assert rings.days_of(rings.all_rings(at=at)) == 23
    early = rings.add_ring(name="Early", position=3, rollout_days=7, test_days=30, at=at)
    assert rings.days_of(rings.all_rings(at=at)) == 60
    with pytest.raises(TooManyDays) as refused:
        rings.edit_ring(early.id, test_days=31, at=at)
    assert "37 are left" in refused.value.message
    with pytest.raises(TooManyDays):
        rings.add_ring(name="More", position=2, rollout_days=1, test_days=0, at=at)


def test_names_and_orders_of_rings_are_taken_once(inside, at):
    for given, field in (
        ({"name": "General", "position": 3}, "name"),
        ({"name": "Mine", "position": 5}, "position"),
    ):
        with pytest.raises(AlreadyThere) as refused:
            rings.add_ring(**given, rollout_days=1, test_days=1, at=at)
        assert refused.value.field == field
    with pytest.raises(NotValid) as wrong:
        rings.add_ring(name="Far", position=10, rollout_days=1, test_days=1, at=at)
    assert wrong.value.field == "position"


def test_a_change_of_terms_is_on_record_and_minds_the_one_before(inside, at):
    row = named(at)["Staging"]
    rings.edit_ring(row.id, revision=row.revision, at_once=4, building_limit=2, at=at)
    event = AuditEvent.objects.for_tenant(inside).get(action="ring.update")
    assert (event.before, event.after) == (
        {"at_once": 10, "building_limit": None},
        {"at_once": 4, "building_limit": 2},
    )
    with pytest.raises(ChangedMeanwhile):
        rings.edit_ring(row.id, revision=row.revision, at_once=5, at=at)


def test_a_room_is_in_its_own_ring_else_its_groups_last_else_general(inside, at):
    place = make_place(at=at)
    alone, grouped, both, own = (make_room(place=place, at=at) for _ in range(4))
    lab, board = (room_groups.add_group(name=name, at=at) for name in ("Lab", "Board"))
    room_groups.add_members(lab.id, [grouped.id, both.id, own.id], at=at)
    room_groups.add_members(board.id, [both.id], at=at)
    by = named(at)
    rings.move_group(by["Staging"].id, lab.id, at=at)
    rings.move_group(by["Executive"].id, board.id, at=at)
    rings.move_rooms(by["General"].id, [own.id], at=at)
    expected = {alone.id: "General", grouped.id: "Staging", both.id: "Executive", own.id: "General"}
    found = rings.rings_of(expected, at=at)
    assert {key: row.name for key, row in found.items()} == expected
    assert {key: row.name for key, row in rings.rings_of(at=at).items()} == expected
    rings.move_rooms(None, [own.id], at=at)
    assert rings.rings_of([own.id], at=at)[own.id].name == "Staging"
    with pytest.raises(Missing):
        rings.move_rooms(by["General"].id, [new_id()], at=at)


def test_only_own_rings_go_and_their_rooms_fall_back(inside, at):
    room = make_room(at=at)
    early = rings.add_ring(name="Early", position=3, rollout_days=1, test_days=1, at=at)
    rings.move_rooms(early.id, [room.id], at=at)
    rings.delete_ring(early.id, at=at)
    assert rings.rings_of([room.id], at=at)[room.id].name == "General"
    with pytest.raises(StillInUse):
        rings.delete_ring(named(at)["Executive"].id, at=at)


def test_hours_of_a_group_count_before_those_of_all(inside, at):
    room, other = make_room(at=at), make_room(at=at)
    late, always = (room_groups.add_group(name=name, at=at) for name in ("B late", "A first"))
    room_groups.add_members(late.id, [room.id], at=at)
    rings.set_window(None, rings.window(time(22), time(4)), at=at)
    rings.set_window(late.id, rings.window(time(1), time(3)), at=at)
    windows = rings.Windows([room.id, other.id])
    assert windows.of(room.id) == InstallWindow(time(1), time(3))
    assert windows.of(other.id) == InstallWindow(time(22), time(4))
    room_groups.add_members(always.id, [room.id], at=at)
    rings.set_window(always.id, rings.window(time(2), time(5)), at=at)
    assert rings.Windows([room.id]).of(room.id) == InstallWindow(time(2), time(5))
    rings.set_window(None, None, at=at)
    assert rings.Windows([other.id]).of(other.id) == InstallWindow()
    with pytest.raises(NotValid):
        rings.window(time(1), time(1))
