from __future__ import annotations

from datetime import timedelta

import pytest

from fleet.errors import Missing
from fleet.models import Device, Room
from foundation.errors import NotValid
from incidents import events
from incidents.events import FlaggedAlready, Happening
from incidents.models import IncidentEntry, RoomEvent
from incidents.rooms import FLAGGED
from incidents.timeline import Author
from tenancy.models import AuditEvent
from tests.factories.incidents import make_watched_device
from tests.factories.tenancy import make_person

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


@pytest.fixture
def author(customer, at):
    return Author(make_person(customer, at=at))


@pytest.fixture
def device(author, inside, at):
    return make_watched_device(at=at)


def test_what_a_device_tells_twice_is_kept_once_and_never_lies_in_the_future(device, at):
    told = [
        Happening("poor_call", at - MINUTE, "42 % of packets lost", "call-1"),
        Happening("room_report", at + DAY, "No sound", "report-1"),
        Happening("poor_call", at - 40 * DAY, "", "call-0"),
    ]
    assert events.take_in(device, told, at=at) == 2
    assert events.take_in(device, told, at=at + MINUTE) == 0
    kept = RoomEvent.objects.filter(room=device.room).order_by("at")
    assert [(each.kind, each.at) for each in kept] == [("poor_call", at - MINUTE), ("room_report", at)]
    assert not AuditEvent.objects.filter(object_kind="room_event").exists()  # telemetry


def test_a_device_that_is_not_watched_has_nothing_to_tell(device, at):
    device.status = Device.Status.ONBOARDING
    assert events.take_in(device, [Happening("poor_call", at)], at=at) == 0


def test_a_device_may_tell_so_much_an_hour(device, at, monkeypatch):
    monkeypatch.setattr(events, "MOST_AN_HOUR", 2)
    events.take_in(device, [Happening("other", at), Happening("other", at)], at=at)
    assert not events.has_room_for(device, at=at + MINUTE)
    assert events.has_room_for(device, at=at + timedelta(hours=2))


def test_flagged_events_make_one_critical_ticket_about_their_rooms(device, author, inside, at):
    other = make_watched_device(at=at)
    for each in (device, other):
        events.take_in(each, [Happening("poor_call", at, "42 % of packets lost")], at=at)
    ids = list(RoomEvent.objects.values_list("id", flat=True))
    incident = events.flag(inside.id, ids, author=author, at=at + MINUTE)
    assert (incident.signal, incident.severity) == (FLAGGED, 1)
    assert incident.summary == "Poor call: 42 % of packets lost"
    assert [Room.objects.get(id=each.room_id).open_faults for each in (device, other)] == [1, 1]
    told = IncidentEntry.objects.get(incident=incident, kind="comment").text
    assert told.count("poor call") == 2
    assert set(RoomEvent.objects.values_list("incident_id", flat=True)) == {incident.id}
    with pytest.raises(FlaggedAlready):
        events.flag(inside.id, ids[:1], author=author, at=at)


def test_what_cannot_be_an_event_is_refused(device, author, inside, at):
    room = device.room_id
    for wrong, error in (
        ({"room_id": inside.id}, Missing),
        ({"kind": "party"}, NotValid),
        ({"source": " "}, NotValid),
        ({"happened_at": at + DAY}, NotValid),
        ({"happened_at": at - 31 * DAY}, NotValid),
    ):
        with pytest.raises(error):
            events.add_event(
                inside.id, **{"room_id": room, "kind": "poor_call", "source": "Calls", **wrong}, at=at
            )
    with pytest.raises(Missing):
        events.flag(inside.id, [inside.id], author=author, at=at)


def test_events_go_after_their_keep_unless_they_are_in_a_ticket(device, author, inside, at):
    events.take_in(device, [Happening("other", at), Happening("poor_call", at)], at=at)
    kept = RoomEvent.objects.get(kind="poor_call")
    events.flag(inside.id, [kept.id], author=author, at=at)
    assert events.forget_old(inside.id, at=at + 91 * DAY) == 1
    assert list(RoomEvent.objects.all()) == [kept]
