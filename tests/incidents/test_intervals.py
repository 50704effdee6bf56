from __future__ import annotations

from datetime import timedelta

from fleet.models import Room
from incidents.intervals import faults_between, silences_between
from incidents.suppression import follow_rooms
from tests.factories.fleet import make_device, make_room
from tests.factories.incidents import (
    come_back,
    fall_silent,
    heal,
    kinds_of,
    make_incident,
    make_watched_device,
)

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def test_a_ticket_that_was_resolved_and_reopened_is_two_intervals(inside, at):
    device = make_watched_device(at=at)
    make_incident(device, at=at)
    heal(device, at=at + HOUR)
    make_incident(device, at=at + 3 * HOUR)
    found = faults_between(inside.id, at, at + 24 * HOUR)
    assert found == {device.room_id: [(at, at + HOUR), (at + 3 * HOUR, None)]}
    assert faults_between(inside.id, at + HOUR, at + 2 * HOUR) == {}
    assert faults_between(inside.id, at - HOUR, at) == {}


def test_warnings_are_no_fault_of_the_day(inside, at):
    make_incident(make_watched_device(at=at), "time_drift", at=at)
    assert faults_between(inside.id, at, at + HOUR) == {}


def test_time_in_a_suppressed_room_does_not_count_and_the_end_counts_again(inside, at):
    device = make_watched_device(at=at)
    incident = make_incident(device, at=at)
    rooms = Room.objects.filter(id=device.room_id)
    rooms.update(suppressed_until=at + 2 * HOUR)
    assert follow_rooms(inside.id, [device.room_id], at=at + HOUR) == 1
    assert follow_rooms(inside.id, [device.room_id], at=at + HOUR) == 0
    assert rooms.get().open_faults == 0
    assert follow_rooms(inside.id, [device.room_id], at=at + 2 * HOUR) == 1
    assert rooms.get().open_faults == 1
    assert kinds_of(incident)[-2:] == ["suppressed", "counted"]
    assert faults_between(inside.id, at, at + 24 * HOUR) == {
        device.room_id: [(at, at + HOUR), (at + 2 * HOUR, None)]
    }


def test_a_room_is_silent_while_none_of_its_devices_is_heard(inside, at):
    room = make_room(at=at)
    first, second = make_device(room, at=at), make_device(room, at=at)
    fall_silent(first, at=at)
    fall_silent(second, at=at + HOUR)
    come_back(first, at=at + 2 * HOUR)
    found = silences_between(inside.id, at - HOUR, at + 3 * HOUR)
    assert found == {room.id: [(at + HOUR, at + 2 * HOUR)]}


def test_silence_that_began_before_or_goes_on_is_cut_at_the_edges(inside, at):
    device = make_watched_device(at=at)
    fall_silent(device, at=at)
    assert silences_between(inside.id, at + HOUR, at + 2 * HOUR) == {
        device.room_id: [(at + HOUR, at + 2 * HOUR)]
    }
    come_back(device, at=at + 3 * HOUR)
    assert silences_between(inside.id, at + HOUR, at + 2 * HOUR) == {
        device.room_id: [(at + HOUR, at + 2 * HOUR)]
    }
    assert silences_between(inside.id, at + 3 * HOUR, at + 4 * HOUR) == {}
