"""Groups by rule: who is in, why, and that they follow what changes, for whoever uses groups."""

from __future__ import annotations

from datetime import timedelta

import pytest

from enrollment import registration
from fleet import group_rules, inventory, place_tree, room_groups
from fleet.errors import StillInUse
from fleet.models import Room, RoomGroup
from foundation import jobs, timers
from foundation.context import tenant
from foundation.errors import NotAllowed, NotValid
from foundation.models import Job
from incidents import suppression
from incidents.models import Incident
from tenancy.models import AuditEvent
from tests.factories.fleet import make_device, make_place, make_room
from tests.factories.incidents import make_incident
from workers.effects import JOB_STEPS, TIMERS
from workers.tasks import detection  # noqa: F401 - registers the timers


@pytest.fixture
def entered(customer):
    with tenant(customer.id):
        yield customer


def clause(field: str, *values: str) -> dict:
    return {"field": field, "values": list(values)}


def make_group(*rule: dict, at, name: str = "By rule") -> RoomGroup:
    group = room_groups.add_group(name=name, at=at)
    return group_rules.set_rule(group.id, list(rule), at=at)


def members(group: RoomGroup) -> set[str]:
    return set(Room.objects.for_tenant(group.tenant_id).in_group(group.id).values_list("name", flat=True))


def why(room: Room, group: RoomGroup) -> tuple[bool, list[dict]] | None:
    return next(
        ((each.by_hand, each.clauses) for each in group_rules.memberships(room.id) if each.group == group),
        None,
    )


def test_every_clause_has_to_hold_and_any_of_its_values_is_enough(entered, at):
    berlin = make_place("Berlin", kind="city", country_code="DE", at=at)
    paris = make_place("Paris", kind="city", country_code="FR", at=at)
    make_room("Large in Berlin", place=berlin, room_type="large", at=at)
    make_room("Small in Berlin", place=berlin, room_type="small", at=at)
    make_room("Large in Paris", place=paris, room_type="large", at=at)
    make_room("Large elsewhere", room_type="large", at=at)
    rule = [clause("country", "de", "FR"), clause("room_type", "large")]
    group = make_group(*rule, at=at)
    assert members(group) == {"Large in Berlin", "Large in Paris"}
    assert group.rule == [clause("country", "DE", "FR"), clause("room_type", "large")]
    assert group_rules.sentence(group.rule) == "country is DE or FR, and type is large"


@pytest.mark.parametrize(
    ("rule", "found"),
    [
        (clause("seats_from", "8"), {"Big"}),
        (clause("seats_to", "8"), {"Big", "Little"}),
        (clause("label", "BOARD", "vip"), {"Little"}),
        (clause("licence", "pro"), {"Big"}),
        (clause("word", "lit"), {"Little"}),
        (clause("word", "house"), {"Big", "Little", "Unknown"}),
        (clause("device_kind", "panel", "console"), {"Big"}),
        (clause("device_make", "acme"), {"Big"}),
        (clause("device_model", "ONE"), {"Big"}),
    ],
)
def test_what_a_clause_can_be_about(entered, at, rule, found):
    house = make_place("House", at=at)
    big = make_room("Big", place=house, capacity=8, licence="pro", at=at)
    make_room("Little", place=house, capacity=4, labels=["Board"], at=at)
    make_room("Unknown", place=house, at=at)
    make_device(big, kind="panel", make="Acme", model="One", at=at)
    assert members(make_group(rule, at=at)) == found


def test_rooms_come_and_go_as_they_change(entered, at):
    labelled = make_group(clause("label", "board"), at=at, name="Labelled")
    group = make_group(clause("room_type", "large"), clause("seats_from", "10"), at=at)
    room = make_room("Aurora", room_type="large", capacity=12, at=at)
    assert members(group) == {"Aurora"}
    inventory.edit_room(room.id, {"capacity": 6}, at=at)
    assert members(group) == set()
    inventory.edit_room(room.id, {"capacity": 10}, at=at)
    assert members(group) == {"Aurora"}
    inventory.edit_room(room.id, {"room_type": "small"}, at=at)
    assert members(group) == set()
    inventory.edit_room(room.id, {"labels": ["Board"]}, at=at)
    assert members(labelled) == {"Aurora"}
    inventory.edit_room(room.id, {"labels": []}, at=at)
    assert members(labelled) == set()
    events = AuditEvent.objects.for_tenant(entered).filter(action="group.members")
    assert [event.after["by"] for event in events] == ["its rule"] * 6


def test_rooms_follow_their_places(entered, at):
    germany = make_place("Germany", kind="country", country_code="DE", at=at)
    berlin = make_place("Berlin", kind="city", parent_id=germany.id, at=at)
    room = make_room("Spree", place=berlin, at=at)
    by_country = make_group(clause("country", "AT"), at=at, name="Austria")
    by_place = make_group(clause("place", str(germany.id)), at=at, name="Below Germany")
    assert (members(by_country), members(by_place)) == (set(), {"Spree"})
    place_tree.edit_place(germany.id, country_code="AT", at=at)
    assert members(by_country) == {"Spree"}
    place_tree.move_place(berlin.id, parent_id=None, at=at)
    assert members(by_place) == set()
    inventory.edit_room(room.id, {"place_id": germany.id}, at=at)
    assert members(by_place) == {"Spree"}


def test_rooms_follow_their_devices(entered, at):
    group = make_group(clause("device_make", "Acme"), at=at)
    room, other = make_room("Aurora", at=at), make_room("Bjerk", at=at)
    device = make_device(None, status="onboarding", make="Acme", at=at)
    registration.accept(device, room=room, at=at)
    assert members(group) == {"Aurora"}
    registration.move(device, room=other, at=at)
    assert members(group) == {"Bjerk"}
    registration.unenroll(device, at=at)
    assert members(group) == set()


def test_why_a_room_is_in_a_group_is_told(entered, at):
    room = make_room("Aurora", room_type="large", at=at)
    rule = clause("room_type", "large")
    group = make_group(rule, at=at)
    assert why(room, group) == (False, [rule])
    room_groups.add_members(group.id, [room.id], at=at)
    assert why(room, group) == (True, [rule])
    inventory.edit_room(room.id, {"room_type": "small"}, at=at)
    assert why(room, group) == (True, [])
    room_groups.remove_members(group.id, [room.id], at=at)
    assert why(room, group) is None
    assert why(room, room_groups.default_group()) == (True, [])


def test_what_a_rule_puts_there_is_not_taken_out_by_hand(entered, at):
    room = make_room("Aurora", room_type="large", at=at)
    group = make_group(clause("room_type", "large"), at=at)
    with pytest.raises(StillInUse):
        room_groups.remove_members(group.id, [room.id], at=at)
    room_groups.add_members(group.id, [room.id], at=at)
    assert room_groups.remove_members(group.id, [room.id], at=at) == 0  # the rule keeps it
    assert members(group) == {"Aurora"}


def test_a_rule_taken_away_leaves_what_was_put_there_by_hand(entered, at):
    hand, rule = make_room("By hand", at=at), make_room("By rule", room_type="large", at=at)
    group = make_group(clause("room_type", "large"), at=at)
    room_groups.add_members(group.id, [hand.id], at=at)
    assert members(group) == {"By hand", "By rule"}
    group_rules.set_rule(group.id, [], at=at)
    assert members(group) == {"By hand"}
    assert why(rule, group) is None


def test_a_rule_reaches_many_rooms_in_steps(entered, at, monkeypatch):
    monkeypatch.setattr(group_rules, "ROOMS_A_STEP", 2)
    house = make_place(at=at)
    for number in range(5):
        make_room(f"Room {number}", place=house, room_type="large", at=at)
    group = make_group(clause("room_type", "large"), at=at)
    assert len(members(group)) == 2
    assert group_rules.is_being_worked_out(group)
    job = Job.objects.for_tenant(entered).get(kind=group_rules.KIND)
    for _ in range(3):
        progress: jobs.Progress = JOB_STEPS[group_rules.KIND](job, at)
        job.cursor, job.done = progress.cursor, progress.done
        if progress.cursor is None:
            break
    assert len(members(group)) == 5
    assert job.done == 5


def test_work_grows_with_what_changed_and_not_with_the_rooms(entered, at, django_assert_num_queries):
    house = make_place(at=at)
    rooms = [make_room(place=house, room_type="small", at=at) for _ in range(6)]
    make_group(clause("room_type", "large"), at=at)
    make_group(clause("room_type", "small"), at=at, name="Small")
    with django_assert_num_queries(3):  # groups, facts, members
        assert group_rules.follow([rooms[0].id], at=at) == 0
    with django_assert_num_queries(3):
        assert group_rules.follow([each.id for each in rooms], at=at) == 0


@pytest.mark.parametrize(
    "rule",
    [
        "large",
        [{"field": "room_type"}],
        [clause("colour", "red")],
        [clause("room_type")],
        [clause("room_type", "huge")],
        [clause("country", "Norway")],
        [clause("place", "nowhere")],
        [clause("place", "01a22682-a479-71c3-a854-d7ae6cfaf8a3")],
        [clause("seats_from", "many")],
        [clause("seats_from", "99999")],
        [clause("word", "two words")],
        [clause("device_make", "")],
        [clause("label", "")],
        [clause("licence", "gold")],
        [clause("room_type", "large")] * 9,
        [{"field": "room_type", "values": [1]}],
        [{"field": ["room_type"], "values": ["large"]}],
    ],
)
def test_what_is_no_rule_is_refused(entered, at, rule):
    group = room_groups.add_group(name="By rule", at=at)
    with pytest.raises(NotValid) as refused:
        group_rules.set_rule(group.id, rule, at=at)
    assert refused.value.field == "rule"


def test_the_default_group_has_no_rule(entered, at):
    with pytest.raises(NotValid):
        group_rules.set_rule(room_groups.default_group().id, [clause("room_type", "large")], at=at)


def test_whoever_sees_some_rooms_sets_no_rule(entered, at):
    from foundation.narrowing import narrowed

    group = room_groups.add_group(name="By rule", at=at)
    with narrowed(lambda rows: rows), pytest.raises(NotAllowed):
        group_rules.set_rule(group.id, [clause("room_type", "large")], at=at)


def test_quiet_of_a_group_reaches_a_room_its_rule_brings_and_leaves_with_it(customer, at):
    with tenant(customer.id):
        room = make_room("Aurora", room_type="small", at=at)
        incident = make_incident(make_device(room, at=at), at=at)
        group = make_group(clause("room_type", "large"), at=at)
        until = at + timedelta(days=1)
        suppression.suppress(customer.id, group_id=group.id, until=until, reason="Refit", at=at)
        inventory.edit_room(room.id, {"room_type": "large"}, at=at)
        fire(customer, at)
        assert is_quiet(incident)
        inventory.edit_room(room.id, {"room_type": "small"}, at=at)
        fire(customer, at)
        assert not is_quiet(incident)


def test_maintenance_of_a_place_reaches_a_room_that_moves_there(customer, at):
    with tenant(customer.id):
        refit = make_place("Refit", at=at)
        room = make_room("Aurora", at=at)
        incident = make_incident(make_device(room, at=at), at=at)
        until = at + timedelta(days=1)
        suppression.plan_window(
            customer.id, place_id=refit.id, starts_at=at, ends_at=until, reason="Refit", at=at
        )
        home = room.place_id
        inventory.edit_room(room.id, {"place_id": refit.id}, at=at)
        fire(customer, at)
        assert is_quiet(incident)
        inventory.edit_room(room.id, {"place_id": home}, at=at)
        fire(customer, at)
        assert not is_quiet(incident)


def fire(customer, at) -> None:
    """What is due now of the notices, without the sweep's own connection."""
    from foundation.models import Timer

    kinds = ("group.regrouped", "rooms.moved")
    for timer in Timer.objects.for_tenant(customer).filter(kind__in=kinds, due_at__lte=at):
        assert timers._fire(TIMERS[timer.kind], timer, at=at) == 1


def is_quiet(incident: Incident) -> bool:
    incident.refresh_from_db()
    return incident.suppressed
