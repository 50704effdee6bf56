"""The moments detection waits for, from the row to the ticket, as the workers run them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from enrollment import registration
from fleet import inventory
from fleet.models import Counter, Room, RoomDay
from foundation import clock
from foundation.context import tenant
from foundation.models import Timer
from incidents.models import Incident
from tests.factories.fleet import make_device, make_place, make_room
from tests.factories.incidents import (
    CAMERA_WATCH,
    heal,
    heard,
    make_incident,
    said,
    the_incident,
)
from tests.factories.tenancy import make_customer
from workers.tasks.detection import daily_health, fire_timers, recount

AT = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


@pytest.fixture
def owner(committed_db):
    return make_customer(at=AT, time_zone="UTC")


@pytest.fixture
def device(owner):
    with tenant(owner.id):
        place = make_place(at=AT, time_zone="UTC")
        return make_device(make_room(place=place, at=AT - 2 * DAY), at=AT - 2 * DAY)


def at_moment(moment, task):
    with clock.read_once(moment):
        return task()


def test_a_fault_opens_resolves_and_closes_by_timers_alone(owner, device):
    with tenant(owner.id):
        heard(said(device, at=AT), at=AT)
    at_moment(AT + CAMERA_WATCH - MINUTE, fire_timers)
    with tenant(owner.id):
        assert not Incident.objects.exists()
    at_moment(AT + CAMERA_WATCH, fire_timers)
    at_moment(AT + CAMERA_WATCH, fire_timers)
    with tenant(owner.id):
        incident = the_incident(device)
        heal(device, at=AT + DAY)
    at_moment(AT + 8 * DAY, fire_timers)
    with tenant(owner.id):
        incident.refresh_from_db()
        assert incident.state == "closed"
        assert not Timer.objects.exists()


def test_many_watching_periods_that_end_at_once_open_their_tickets_together(owner, device):
    with tenant(owner.id):
        others = [make_device(make_room(at=AT), at=AT) for _ in range(3)]
        heard(*[said(each, at=AT) for each in (device, *others)], said(device, "mic_conf", at=AT), at=AT)
        heal(others[0], at=AT + MINUTE)
    at_moment(AT + CAMERA_WATCH, fire_timers)
    with tenant(owner.id):
        found = Incident.objects.values_list("device_id", "signal")
        assert set(found) == {
            (device.id, "camera_room"),
            (device.id, "mic_conf"),
            (others[1].id, "camera_room"),
            (others[2].id, "camera_room"),
        }


def test_tickets_follow_rooms_and_devices_through_their_notices(owner, device):
    with tenant(owner.id):
        incident = make_incident(device, at=AT)
        inventory.suppress_room(device.room_id, until=AT + DAY, reason="Works", at=AT)
    at_moment(AT, fire_timers)
    with tenant(owner.id):
        incident.refresh_from_db()
        assert incident.suppressed
        assert Room.objects.get(id=device.room_id).open_faults == 0
    at_moment(AT + DAY, fire_timers)  # the suppression ends and leaves a notice
    at_moment(AT + DAY, fire_timers)
    with tenant(owner.id):
        incident.refresh_from_db()
        assert not incident.suppressed
        assert Room.objects.get(id=device.room_id).state == "unhealthy"
        registration.unenroll(device, at=AT + DAY)
    at_moment(AT + DAY, fire_timers)
    with tenant(owner.id):
        incident.refresh_from_db()
        assert (incident.state, incident.cause) == ("resolved", "unenrolled")


def test_the_day_of_a_room_is_computed_once_its_local_midnight_has_passed(owner, device):
    with tenant(owner.id):
        make_incident(device, at=AT)
        heal(device, at=AT + 21 * MINUTE)
        room = Room.objects.get(id=device.room_id)
    for _ in range(2):
        at_moment(AT + DAY, daily_health)
    with tenant(owner.id):
        day = RoomDay.objects.get(room=room, day=date(2026, 11, 22))
        assert (day.healthy, day.fault_s) == (False, 21 * 60)


def test_numbers_that_went_wrong_are_right_after_the_recount(owner, device):
    with tenant(owner.id):
        make_incident(device, at=AT)
        Counter.objects.filter(name="incidents.open").update(value=7)
        Room.objects.filter(id=device.room_id).update(open_faults=0, state="healthy")
    at_moment(AT, recount)
    with tenant(owner.id):
        assert Counter.objects.get(name="incidents.open").value == 1
        room = Room.objects.get(id=device.room_id)
        assert (room.open_faults, room.state) == (1, "unhealthy")
