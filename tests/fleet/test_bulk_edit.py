"""One change for many rooms: previewed, carried out, undone but for what was changed since."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError

from fleet import bulk_edit, counters, inventory, room_groups, scope, search
from fleet.errors import Missing, WrongState
from fleet.models import BulkEdit, BulkEditRoom, Room, RoomHistory
from foundation.context import tenant
from foundation.errors import NotValid
from foundation.ids import new_id
from foundation.models import Job
from tenancy import assignments, audit, on_behalf, people, roles
from tenancy.audit import Actor
from tenancy.models import AuditEvent, Role, RoleAssignment
from tests.factories.fleet import make_device, make_place, make_room
from tests.factories.tenancy import make_customer, make_person


@pytest.fixture
def entered(customer):
    with tenant(customer.id):
        yield customer


def drafted(rooms: list[Room], at, **changes: Any) -> BulkEdit:
    edit = bulk_edit.draft(room_ids=[room.id for room in rooms], by=None, at=at)
    return bulk_edit.set_changes(edit.id, changes, at=at)


def carried_out(edit: BulkEdit, at, *, undo: bool = False) -> BulkEdit:
    (bulk_edit.undo if undo else bulk_edit.start)(edit.id, at=at)
    job = Job.objects.for_tenant(edit.tenant_id).filter(kind=bulk_edit.KIND).order_by("-id").first()
    while True:
        progress = bulk_edit.step(job, at)
        job.cursor, job.done, job.total = progress.cursor, progress.done, progress.total
        if progress.cursor is None:
            edit.refresh_from_db()
            return edit


def outcomes(edit: BulkEdit) -> dict[str, tuple[str, str]]:
    rows = BulkEditRoom.objects.for_tenant(edit.tenant_id).filter(edit=edit)
    return {
        name: (outcome, note) for name, outcome, note in rows.values_list("room__name", "outcome", "note")
    }


def now(room: Room) -> Room:
    return inventory.room(room.id)


def test_a_preview_says_what_changes_and_changes_nothing(entered, at):
    rooms = [make_room("Aurora", capacity=4, at=at), make_room("Bjerk", capacity=8, at=at)]
    edit = drafted(rooms, at, capacity=8)
    shown = bulk_edit.preview(edit, shown=10)
    assert (shown.changing, shown.same, shown.refused) == (1, 1, 0)
    assert [(plan.room.name, plan.before, plan.after) for plan in shown.shown] == [
        ("Aurora", {"capacity": 4}, {"capacity": 8})
    ]
    assert now(rooms[0]).capacity == 4


def test_an_edit_changes_rooms_and_undoing_restores_exactly_that(entered, at):
    old, new = (
        make_place("Old", time_zone="Europe/Oslo", at=at),
        make_place("New", time_zone="Asia/Tokyo", at=at),
    )
    group, left = room_groups.add_group(name="Came", at=at), room_groups.default_group()
    one = make_room("One", place=old, room_type="small", capacity=4, at=at)
    two = make_room("Two", place=old, room_type="large", time_zone="Europe/Paris", at=at)
    already = make_room("Already", place=new, room_type="large", at=at)
    room_groups.add_members(group.id, [already.id], at=at)
    before = {room.name: facts(room) for room in (one, two, already)}
    edit = drafted(
        [one, two, already],
        at,
        room_type="large",
        place_id=new.id,
        add_groups=[group.id],
        remove_groups=[left.id],
    )
    done = carried_out(edit, at)
    assert (done.state, done.changed, done.refused) == ("done", 3, 0)
    assert facts(one) == ("large", 4, new.id, new.id, "Asia/Tokyo", ["Came"])
    assert facts(two) == ("large", None, new.id, new.id, "Europe/Paris", ["Came"])
    assert set(search.matching(Room.objects.for_tenant(entered), "new")) == {one, two, already}
    assert counters.of(entered.id, new.id)["rooms.unenrolled"] == 3
    undone = carried_out(done, at, undo=True)
    assert (undone.state, undone.restored, undone.kept) == ("undone", 3, 0)
    assert {room.name: facts(room) for room in (one, two, already)} == before
    assert counters.recount_rooms(entered.id) == {}
    assert set(search.matching(Room.objects.for_tenant(entered), "new")) == {already}


def facts(room: Room) -> tuple:
    row = now(room)
    groups = [each.name for each in room_groups.groups_of(room.id)]
    return (row.room_type, row.capacity, row.place_id, row.site_id, row.time_zone, groups)


def test_what_was_changed_since_is_kept_and_named(entered, at):
    one, two, three = (
        make_room(name, capacity=4, room_type="small", at=at) for name in ("One", "Two", "Three")
    )
    group = room_groups.add_group(name="Board", at=at)
    edit = carried_out(
        drafted([one, two, three], at, capacity=8, room_type="large", add_groups=[group.id]), at
    )
    inventory.edit_room(two.id, {"capacity": 9}, at=at)
    room_groups.remove_members(group.id, [three.id], at=at)
    inventory.edit_room(three.id, {"name": "Renamed"}, at=at)  # no business of the edit
    undone = carried_out(edit, at, undo=True)
    assert (undone.restored, undone.kept) == (1, 2)
    assert outcomes(edit) == {
        "One": ("restored", ""),
        "Two": ("kept", "Changed since: seats."),
        "Renamed": ("kept", "Changed since: added groups."),
    }
    assert [(now(each).capacity, now(each).room_type) for each in (one, two, three)] == [
        (4, "small"),
        (9, "small"),
        (4, "small"),
    ]


def test_rooms_that_cannot_move_say_why_and_the_others_move(entered, at):
    there = make_place("There", at=at)
    make_room("Aurora", place=there, at=at)
    same, other = make_room("Aurora", at=at), make_room("Bjerk", at=at)
    twin = make_room("Bjerk", at=at)
    edit = drafted([same, other, twin], at, place_id=there.id)
    shown = bulk_edit.preview(edit, shown=10)
    assert (shown.changing, shown.refused) == (1, 2)
    done = carried_out(edit, at)
    assert (done.changed, done.refused) == (1, 2)
    assert Room.objects.for_tenant(entered).filter(place=there).count() == 2
    rows = BulkEditRoom.objects.for_tenant(entered).filter(edit=edit)
    assert set(rows.values_list("note", flat=True)) == {"", "There is already a room of this name."}


def test_rooms_with_devices_do_not_come_to_a_country_that_is_not_supported(entered, at, settings):
    settings.UNSUPPORTED_COUNTRIES = {"NO"}
    oslo = make_place("Oslo", country_code="NO", at=at)
    watched, empty = make_room("Watched", at=at), make_room("Empty", at=at)
    make_device(watched, at=at)
    done = carried_out(drafted([watched, empty], at, place_id=oslo.id), at)
    assert (done.changed, done.refused) == (1, 1)
    assert "Unenroll its devices first." in outcomes(edit=done)["Watched"][1]


def test_a_room_whose_former_place_is_taken_stays_where_it_is(entered, at):
    old, new = make_place("Old", at=at), make_place("New", at=at)
    room = make_room("Aurora", place=old, at=at)
    edit = carried_out(drafted([room], at, place_id=new.id), at)
    make_room("Aurora", place=old, at=at)
    undone = carried_out(edit, at, undo=True)
    assert (undone.kept, now(room).place_id) == (1, new.id)


def test_each_room_has_its_event_on_account_of_who_asked(entered, at):
    person = make_person(entered, at=at)
    rooms = [make_room(at=at) for _ in range(3)]
    edit = drafted(rooms, at, capacity=8)
    with audit.acting(audit.Actor("person", person.user_id)):
        bulk_edit.start(edit.id, at=at)
    bulk_edit.step(Job.objects.for_tenant(entered).get(kind=bulk_edit.KIND), at)
    events = AuditEvent.objects.for_tenant(entered).filter(action="room.update")
    assert {(event.actor_id, event.after["capacity"]) for event in events} == {(person.user_id, 8)}
    assert events.count() == 3
    assert AuditEvent.objects.for_tenant(entered).get(action="room.bulk_edit").after == {
        "rooms": 3,
        "capacity": 8,
    }


def test_labels_are_added_and_taken_away_and_come_back(entered, at):
    one, two = make_room(labels=["VIP", "Old"], at=at), make_room(labels=["board"], at=at)
    edit = carried_out(
        drafted([one, two], at, add_labels=["Board"], remove_labels=["old"], licence="pro"), at
    )
    assert [(now(each).labels, now(each).licence) for each in (one, two)] == [
        (["VIP", "Board"], "pro"),
        (["board"], "pro"),
    ]
    assert set(search.labelled(Room.objects.for_tenant(entered), ["board"])) == {one, two}
    inventory.edit_room(two.id, {"labels": ["board", "Mine"]}, at=at)
    undone = carried_out(edit, at, undo=True)
    assert (undone.restored, undone.kept) == (2, 0)  # its labels were none of the edit's business
    assert [now(each).labels for each in (one, two)] == [["VIP", "Old"], ["board", "Mine"]]


def test_moves_are_in_the_rooms_history(entered, at):
    old, new = make_place("Old", at=at), make_place("New", at=at)
    room = make_room("Aurora", place=old, at=at)
    carried_out(drafted([room], at, place_id=new.id), at)
    assert [(row.kind, row.what) for row in RoomHistory.objects.for_tenant(entered).filter(room=room)] == [
        ("moved", "Old")
    ]


def test_all_that_a_filter_shows(entered, at):
    large = [make_room(room_type="large", at=at) for _ in range(3)]
    make_room(room_type="small", at=at)
    edit = bulk_edit.draft(query={"room_type": ["large"]}, by=None, at=at)
    assert edit.rooms == 3
    later = make_room(room_type="large", at=at)  # not looked at, so not changed
    bulk_edit.set_changes(edit.id, {"capacity": 20}, at=at)
    carried_out(edit, at)
    assert [now(each).capacity for each in (*large, later)] == [20, 20, 20, None]


def test_many_rooms_go_in_steps_with_as_many_statements_each(entered, at, monkeypatch):
    monkeypatch.setattr(bulk_edit, "ROOMS_A_STEP", 2)
    place = make_place(at=at)
    rooms = [make_room(place=place, at=at) for _ in range(5)]
    edit = drafted(rooms, at, capacity=8)
    bulk_edit.start(edit.id, at=at)
    job = Job.objects.for_tenant(entered).get(kind=bulk_edit.KIND)
    seen = []
    while True:
        progress = bulk_edit.step(job, at)
        job.cursor, job.done, job.total = progress.cursor, progress.done, progress.total
        seen.append((progress.done, progress.total))
        if progress.cursor is None:
            break
    assert seen == [(2, 5), (4, 5), (5, 5)]
    assert {now(each).capacity for each in rooms} == {8}


def test_statements_do_not_grow_with_the_rooms(entered, at):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    old, new = make_place(at=at), make_place(at=at)
    group = room_groups.add_group(name="Board", at=at)
    spent = []
    for number in (2, 12):
        rooms = [make_room(place=old, at=at) for _ in range(number)]
        edit = drafted(rooms, at, capacity=8, place_id=new.id, add_groups=[group.id])
        bulk_edit.start(edit.id, at=at)
        job = Job.objects.for_tenant(entered).filter(kind=bulk_edit.KIND).order_by("-id").first()
        with CaptureQueriesContext(connection) as queries:
            bulk_edit.step(job, at)
        spent.append(len(queries))
    assert spent[0] == spent[1]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": "All the same"}, "name"),
        ({"room_type": "huge"}, "room_type"),
        ({"capacity": -1}, "capacity"),
        ({"time_zone": "Oslo"}, "time_zone"),
        ({"place_id": new_id()}, "place_id"),
        ({"add_groups": [new_id()]}, "add_groups"),
        ({"add_groups": [new_id()] * 1 + [new_id() for _ in range(20)]}, "add_groups"),
    ],
)
def test_what_cannot_be_changed_is_refused_naming_the_field(entered, at, changes, field):
    edit = bulk_edit.draft(room_ids=[make_room(at=at).id], by=None, at=at)
    with pytest.raises((NotValid, Missing)) as refused:
        bulk_edit.set_changes(edit.id, changes, at=at)
    assert refused.value.field == field


def test_none_too_many_and_foreign_rooms_are_refused(entered, at, monkeypatch):
    other = make_customer(at=at)
    with tenant(other.id):
        foreign = make_room(at=at)
    with pytest.raises(Missing):
        bulk_edit.draft(room_ids=[foreign.id], by=None, at=at)
    with pytest.raises(NotValid):
        bulk_edit.draft(room_ids=[], by=None, at=at)
    monkeypatch.setattr(bulk_edit, "MOST_ROOMS", 2)
    for _ in range(3):
        make_room(at=at)
    with pytest.raises(NotValid):
        bulk_edit.draft(query={}, by=None, at=at)


def test_each_step_has_its_time(entered, at):
    edit = drafted([make_room(at=at)], at, capacity=4)
    with pytest.raises(WrongState):
        bulk_edit.undo(edit.id, at=at)
    done = carried_out(edit, at)
    with pytest.raises(WrongState):
        bulk_edit.start(done.id, at=at)
    with pytest.raises(WrongState):
        bulk_edit.set_changes(done.id, {"capacity": 5}, at=at)
    empty = bulk_edit.draft(room_ids=[make_room(at=at).id], by=None, at=at)
    with pytest.raises(NotValid):
        bulk_edit.start(empty.id, at=at)


def test_rooms_taken_from_the_scope_of_whoever_asked_stay_as_they_are(entered, at):
    rooms = [make_room(name, capacity=4, at=at) for name in ("Aurora", "Bjerk")]
    make_person(entered, at=at)
    person = make_person(entered, "", at=at)
    role = Role.objects.for_tenant(entered).get(key="site_lead")
    for room in rooms:
        assignments.give(person, role_id=role.id, everywhere=False, scope=[("room", room.id)], by=None, at=at)
    actor = Actor("person", person.user_id, person.name)
    with audit.acting(actor), scope.within(roles.rights_of(person), "rooms.modify"):
        edit = drafted(rooms, at, capacity=8)
        bulk_edit.start(edit.id, at=at)
    given = RoleAssignment.objects.for_tenant(entered).get(scope_id=rooms[1].id)
    assignments.withdraw(given.id, person=person, at=at)
    job = Job.objects.for_tenant(entered).get(kind=bulk_edit.KIND)
    assert bulk_edit.step(job, at).cursor is None
    assert outcomes(edit) == {
        "Aurora": ("changed", ""),
        "Bjerk": ("refused", "Whoever asked may no longer change it."),
    }
    assert now(rooms[1]).capacity == 4
    people.end(person.id, at=at)
    with pytest.raises(on_behalf.Ended):
        bulk_edit.step(job, at)


def test_an_edit_whose_job_fails_is_done_as_far_as_it_came_and_can_be_undone(entered, at, monkeypatch):
    rooms = [make_room(name, capacity=4, at=at) for name in ("Aurora", "Bjerk")]
    edit = drafted(rooms, at, capacity=8)
    bulk_edit.start(edit.id, at=at)
    monkeypatch.setattr(bulk_edit, "ROOMS_A_STEP", 1)
    job = Job.objects.for_tenant(entered).get(kind=bulk_edit.KIND)
    bulk_edit.step(job, at)
    bulk_edit.broke_down(job, OSError("disk full"), at)
    edit.refresh_from_db()
    assert (edit.state, edit.changed, edit.refused) == ("done", 1, 1)
    assert sorted(outcomes(edit).values()) == [
        ("changed", ""),
        ("refused", "It broke down before this room."),
    ]
    monkeypatch.undo()
    assert carried_out(edit, at, undo=True).state == "undone"
    assert {now(room).capacity for room in rooms} == {4}


def test_numbers_of_a_batch_that_is_tried_again_room_by_room_count_once(entered, at, monkeypatch):
    old, new = make_place("Old", at=at), make_place("New", at=at)
    rooms = [make_room(name, place=old, at=at) for name in ("Aurora", "Bjerk")]
    edit = drafted(rooms, at, place_id=new.id)
    write = bulk_edit._follow

    def taken_meanwhile(tenant_id: Any, plans: Any, *, at: Any) -> None:
        write(tenant_id, plans, at=at)
        if len(plans) > 1:
            raise IntegrityError("a name was taken at this very moment")

    monkeypatch.setattr(bulk_edit, "_follow", taken_meanwhile)
    assert carried_out(edit, at).changed == 2
    assert counters.of(entered.id, new.id)["rooms.unenrolled"] == 2
    assert counters.recount_rooms(entered.id) == {}


def test_a_room_that_stays_takes_no_name_where_others_go(entered, at):
    old, other, new = (make_place(name, at=at) for name in ("Old", "Other", "New"))
    gone = make_room("Aurora", place=old, at=at)
    goes = make_room("Aurora", place=other, at=at)
    edit = drafted([gone, goes], at, place_id=new.id)
    inventory.retire_room(gone.id, at=at)
    assert carried_out(edit, at).changed == 1
    assert now(goes).place_id == new.id


def test_edits_are_forgotten_after_a_while_but_for_those_under_way(entered, at):
    done = carried_out(drafted([make_room(at=at)], at, capacity=4), at)
    running = drafted([make_room(at=at)], at, capacity=4)
    bulk_edit.start(running.id, at=at)
    assert bulk_edit.forget_old(before=at) == 0
    assert bulk_edit.forget_old(before=at + timedelta(days=1)) == 1
    assert set(BulkEdit.objects.for_tenant(entered)) == {running}
    assert not BulkEditRoom.objects.for_tenant(entered).filter(edit_id=done.id).exists()
