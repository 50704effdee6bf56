from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connections

from fleet import counters, health, inventory
from fleet.errors import Missing
from fleet.health import FaultChange, Reporting
from fleet.models import Device, Room
from foundation.context import tenant
from tests.factories.fleet import make_device, make_place, make_room, state_of
from tests.factories.tenancy import make_customer


@pytest.fixture
def entered(customer):
    with tenant(customer.id):
        yield customer


ENROLLED, SILENT = Reporting("enrolled"), Reporting("enrolled", silent=True)


@pytest.mark.parametrize(
    ("devices", "suppressed", "faults", "state"),
    [
        ([], False, 0, "unenrolled"),
        ([], True, 3, "unenrolled"),
        ([Reporting("unenrolled")], False, 1, "unenrolled"),
        ([Reporting("onboarding")], True, 1, "onboarding"),
        ([Reporting("pending")], False, 0, "onboarding"),
        ([ENROLLED], True, 1, "suppressed"),
        ([SILENT], True, 0, "suppressed"),
        ([SILENT], False, 1, "unmonitored"),
        ([SILENT, Reporting("onboarding")], False, 0, "unmonitored"),
        ([SILENT, ENROLLED], False, 0, "healthy"),
        ([Reporting("quarantined")], False, 0, "unmonitored"),
        ([ENROLLED], False, 2, "unhealthy"),
        ([ENROLLED, Reporting("onboarding")], False, 0, "healthy"),
    ],
)
def test_the_first_state_that_matches_wins(devices, suppressed, faults, state):
    assert health.derive(devices, suppressed=suppressed, open_faults=faults) == state


def test_faults_make_a_room_unhealthy_and_warnings_do_not(entered, at):
    room = make_room(at=at)
    make_device(room, at=at)
    health.fault_opened(room.id, makes_unhealthy=False, at=at)
    assert state_of(room.id) == "healthy"
    health.fault_opened(room.id, makes_unhealthy=True, at=at + timedelta(minutes=1))
    health.fault_opened(room.id, makes_unhealthy=True, at=at + timedelta(minutes=2))
    health.fault_ended(room.id, makes_unhealthy=True, at=at + timedelta(minutes=3))
    shown = inventory.room(room.id)
    assert (shown.state, shown.state_since) == ("unhealthy", at + timedelta(minutes=1))
    assert (shown.open_faults, shown.open_warnings) == (1, 1)
    health.fault_ended(room.id, makes_unhealthy=True, at=at + timedelta(minutes=4))
    assert state_of(room.id) == "healthy"
    assert counters.of(entered.id) == {"rooms.healthy": 1, "rooms.unhealthy": 0, "rooms.unenrolled": 0}


def test_a_silent_device_makes_its_room_unmonitored_and_its_return_heals_it(entered, at):
    room = make_room(at=at)
    device = make_device(room, last_seen_at=at, at=at)
    Device.objects.for_tenant(entered).filter(id=device.id).update(silent_since=at)
    health.refresh(room.id, at=at)
    assert state_of(room.id) == "unmonitored"
    assert inventory.room(room.id).last_seen_at == at
    Device.objects.for_tenant(entered).filter(id=device.id).update(silent_since=None)
    health.refresh(room.id, at=at)
    assert state_of(room.id) == "healthy"


def test_many_rooms_change_at_once_with_their_numbers(entered, at, django_assert_max_num_queries):
    site = make_place(at=at)
    rooms = [make_room(place=site, at=at) for _ in range(30)]
    for room in rooms:
        make_device(room, at=at)
    changes = {room.id: FaultChange(faults=1) for room in rooms[:20]}
    with django_assert_max_num_queries(5):
        moved = health.faults_changed(changes, at=at)
    assert {(each.before, each.after) for each in moved} == {("healthy", "unhealthy")}
    expected = {"rooms.unhealthy": 20, "rooms.healthy": 10, "rooms.unenrolled": 0}
    assert counters.of(entered.id) == counters.of(entered.id, site.id) == expected
    assert health.faults_changed(dict.fromkeys(changes, FaultChange(faults=-1)), at=at)
    assert counters.recount_rooms(entered.id) == {}


def test_a_fault_that_ends_twice_does_not_break_the_room(entered, at):
    room = make_room(at=at)
    make_device(room, at=at)
    health.fault_ended(room.id, makes_unhealthy=True, at=at)
    assert inventory.room(room.id).open_faults == 0


def test_the_nightly_check_sets_the_true_numbers(entered, at):
    room = make_room(at=at)
    make_device(room, at=at)
    health.fault_opened(room.id, makes_unhealthy=True, at=at)
    moved = health.set_open_faults({room.id: FaultChange(faults=0, warnings=2)}, at=at)
    assert [(each.before, each.after) for each in moved] == [("unhealthy", "healthy")]
    assert inventory.room(room.id).open_warnings == 2


def test_a_room_of_another_customer_is_missing(entered, at):
    other = make_customer(at=at)
    with tenant(other.id):
        foreign = make_room(at=at)
    with pytest.raises(Missing):
        health.refresh(foreign.id, at=at)
    assert health.refresh_many([foreign.id], at=at) == []


def test_eight_workers_changing_the_same_rooms_lose_no_fault(committed_db, at):
    owner = make_customer(at=at)
    with tenant(owner.id):
        rooms = [make_room(place=make_place(at=at), at=at) for _ in range(4)]
        for room in rooms:
            make_device(room, at=at)
    ids = [room.id for room in rooms]

    def work(number: int) -> None:
        try:
            order = ids if number % 2 else list(reversed(ids))
            with tenant(owner.id):
                health.faults_changed({each: FaultChange(faults=1) for each in order}, at=at)
            for each in order:
                with tenant(owner.id):
                    health.fault_ended(each, makes_unhealthy=True, at=at)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    with tenant(owner.id):
        assert {room.open_faults for room in Room.objects.for_tenant(owner)} == {0}
        assert counters.of(owner.id)["rooms.healthy"] == 4
        assert counters.recount_rooms(owner.id) == {}
