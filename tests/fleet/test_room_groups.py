from __future__ import annotations

import pytest
from django.db import transaction

from fleet import bulk_edit, group_rules, room_groups, scope
from fleet.errors import AlreadyThere, Missing, StillInUse
from fleet.models import MonitoringSettings, Room, RoomGroup
from foundation.context import tenant
from foundation.errors import NotAllowed, NotValid
from tenancy import assignments, custom_roles
from tenancy.models import AuditEvent
from tenancy.rights import granted
from tests.factories.fleet import make_room
from tests.factories.tenancy import make_customer, make_person


@pytest.fixture
def entered(customer):
    with tenant(customer.id):
        yield customer


def test_setting_a_customer_up_twice_leaves_one_default_group_and_one_row_of_settings(customer, at):
    with transaction.atomic():
        first = room_groups.set_up_customer(customer, at=at)
        again = room_groups.set_up_customer(customer, at=at)
    with tenant(customer.id):
        assert first == again == room_groups.default_group()
        assert MonitoringSettings.objects.for_tenant(customer).get().heartbeat_interval_s == 60


def test_members_come_and_go_and_each_change_is_on_record(entered, at):
    group = room_groups.add_group(name="Board rooms", at=at)
    one, two = make_room("One", at=at), make_room("Two", at=at)
    assert room_groups.add_members(group.id, [one.id, two.id, one.id], at=at) == 2
    assert room_groups.add_members(group.id, [one.id], at=at) == 0
    assert set(Room.objects.for_tenant(entered).in_group(group.id)) == {one, two}
    assert [each.name for each in room_groups.groups_of(one.id)] == ["All new rooms", "Board rooms"]
    assert room_groups.remove_members(group.id, [one.id], at=at) == 1
    assert room_groups.remove_members(group.id, [one.id], at=at) == 0
    assert list(Room.objects.for_tenant(entered).in_group(group.id)) == [two]
    assert AuditEvent.objects.for_tenant(entered).filter(action="group.members").count() == 2


def test_a_group_is_renamed_and_its_name_is_taken_once(entered, at):
    group = room_groups.add_group(name="Board rooms", at=at)
    room_groups.edit_group(group.id, name="Boards", description="Top floor", at=at)
    assert room_groups.group(group.id).name == "Boards"
    with pytest.raises(AlreadyThere):
        room_groups.add_group(name="Boards", at=at)
    with pytest.raises(AlreadyThere):
        room_groups.edit_group(group.id, name=room_groups.DEFAULT_NAME, at=at)
    with pytest.raises(NotValid):
        room_groups.edit_group(group.id, name="\x00", at=at)


def test_deleting_a_group_keeps_its_rooms_the_default_group_cannot_be_deleted(entered, at):
    group = room_groups.add_group(name="Board rooms", at=at)
    room = make_room(at=at)
    room_groups.add_members(group.id, [room.id], at=at)
    room_groups.delete_group(group.id, at=at)
    assert [each.is_default for each in RoomGroup.objects.for_tenant(entered)] == [True]
    assert Room.objects.for_tenant(entered).count() == 1
    with pytest.raises(StillInUse):
        room_groups.delete_group(room_groups.default_group().id, at=at)


def test_rooms_and_groups_of_another_customer_are_missing(entered, at):
    other = make_customer(at=at)
    with tenant(other.id):
        foreign_room, foreign_group = make_room(at=at), room_groups.default_group()
    own = room_groups.default_group()
    with pytest.raises(Missing):
        room_groups.add_members(own.id, [foreign_room.id], at=at)
    with pytest.raises(Missing):
        room_groups.add_members(foreign_group.id, [], at=at)
    with pytest.raises(Missing):
        room_groups.edit_group(foreign_group.id, name="X", at=at)


def test_too_many_rooms_at_once_are_refused(entered, at):
    with pytest.raises(NotValid):
        room_groups.add_members(
            room_groups.default_group().id, [entered.id.__class__(int=n) for n in range(1001)], at=at
        )


def test_rooms_of_a_group_that_is_somebodys_scope_are_changed_only_by_who_may_change_roles(entered, at):
    group, free = (room_groups.add_group(name=name, at=at) for name in ("Europe", "Lobby"))
    room = make_room(at=at)
    person = make_person(entered, "", at=at)
    role = custom_roles.add_role(name="Keeper", permissions=["rooms.modify"], by=None, at=at)
    assignments.give(person, role_id=role.id, everywhere=False, scope=[("group", group.id)], by=None, at=at)
    keeper = granted(["groups.modify"])
    with scope.within(keeper, "groups.modify"):
        assert room_groups.add_members(free.id, [room.id], at=at) == 1
        for refused in (
            lambda: room_groups.add_members(group.id, [room.id], at=at),
            lambda: room_groups.remove_members(group.id, [room.id], at=at),
            lambda: room_groups.delete_group(group.id, at=at),
            lambda: group_rules.set_rule(group.id, [{"field": "room_type", "values": ["small"]}], at=at),
            lambda: bulk_edit.validated({"add_groups": [str(group.id)]}),
        ):
            with pytest.raises(NotAllowed):
                refused()
    with scope.within(keeper | granted(["roles.modify"]), "groups.modify"):
        assert room_groups.add_members(group.id, [room.id], at=at) == 1
