"""Licences with their time of grace, and labels: kept, searched, filtered, shown."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from django.test import Client
from django.urls import reverse

from fleet import inventory, licences, room_groups, search
from fleet.licences import Standing
from fleet.models import Room
from foundation import clock
from foundation.context import tenant
from foundation.errors import NotValid
from tenancy.models import AuditEvent
from tests.factories.api import Api, make_api_token
from tests.factories.fleet import make_place, make_room
from tests.factories.tenancy import make_person

END = date(2026, 11, 22)


@pytest.fixture
def entered(customer):
    with tenant(customer.id):
        yield customer


@pytest.mark.parametrize(
    ("licence", "ends", "on", "standing", "until"),
    [
        ("", None, END, Standing.UNKNOWN, None),
        ("syncing", END, END, Standing.UNKNOWN, None),
        ("unlicensed", None, END, Standing.NONE, None),
        ("pro", None, END, Standing.VALID, None),
        ("pro", END, END, Standing.VALID, END),
        ("premium", END, END + timedelta(days=1), Standing.GRACE, date(2026, 12, 22)),
        ("standard", END, END + timedelta(days=30), Standing.GRACE, date(2026, 12, 22)),
        ("basic", END, END + timedelta(days=31), Standing.LAPSED, END),
    ],
)
def test_a_licence_holds_to_its_last_day_and_thirty_days_of_grace(licence, ends, on, standing, until):
    held = licences.of(Room(licence=licence, licence_ends=ends), on=on)
    assert (held.standing, held.until) == (standing, until)


def test_licence_and_labels_are_kept_with_their_event(entered, at):
    room = make_room(licence="pro", labels=[" North wing ", "VIP", "vip"], at=at)
    assert (room.licence, room.labels) == ("pro", ["North wing", "VIP"])
    inventory.edit_room(room.id, {"licence": "basic", "licence_ends": END, "labels": ["VIP"]}, at=at)
    event = AuditEvent.objects.for_tenant(entered).get(action="room.update")
    assert event.before == {"licence": "pro", "licence_ends": None, "labels": ["North wing", "VIP"]}
    assert event.after == {"licence": "basic", "licence_ends": "2026-11-22", "labels": ["VIP"]}


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"licence": "gold"}, "licence"),
        ({"labels": ["x" * 41]}, "labels"),
        ({"labels": [str(number) for number in range(21)]}, "labels"),
        ({"labels": ["  "]}, "labels"),
    ],
)
def test_what_cannot_be_is_refused_by_its_field(entered, at, wrong, field):
    room = make_room(at=at)
    with pytest.raises(NotValid) as refused:
        inventory.edit_room(room.id, wrong, at=at)
    assert refused.value.field == field


def test_rooms_are_found_by_words_of_labels_and_by_whole_labels(entered, at):
    place = make_place(at=at)
    wing = make_room("Aurora", place=place, labels=["Nörth Wing", "VIP"], licence="unlicensed", at=at)
    other = make_room("Bjerk", place=place, labels=["North"], at=at)
    rooms = Room.objects.for_tenant(entered)

    def found(query: str) -> set[str]:
        return {room.name for room in search.matching(rooms, query)}

    def labelled(*labels: str) -> set[str]:
        return {room.name for room in search.labelled(rooms, labels)}

    assert found("north") == {"Aurora", "Bjerk"}
    assert found("wing vip") == found("unlic") == {"Aurora"}
    assert labelled("north wing") == labelled("NORTH  WING") == {"Aurora"}
    assert labelled("north") == {"Bjerk"}
    assert labelled("north", "vip") == {"Aurora", "Bjerk"}
    assert labelled("wing") == found("#vip x") == set()
    assert search.labels_in_use() == ["north", "north wing", "vip"]
    inventory.edit_room(wing.id, {"labels": []}, at=at)
    inventory.retire_room(other.id, at=at)
    assert search.labels_in_use() == []


def test_the_page_edits_and_shows_them(customer, at):
    now = clock.now()
    with tenant(customer.id):
        room = make_room("Aurora", at=now)
    client = Client()
    client.force_login(make_person(customer, at=now).user)
    edit = reverse("portal:room-edit", args=[room.id])
    sent = {
        "name": "Aurora",
        "place_id": str(room.place_id),
        "time_zone": room.time_zone,
        "version": room.version,
    }
    ended = now.date() - timedelta(days=3)
    sent |= {"licence": "pro", "licence_ends": ended.isoformat(), "labels": "North wing, VIP"}
    assert client.post(edit, sent).status_code == 302
    assert "North wing, VIP" in client.get(edit).content.decode()
    shown = client.get(reverse("portal:room-detail", args=[room.id])).content.decode()
    assert "Over, in its time of grace until" in shown
    assert "North wing" in shown


def test_the_api_takes_tells_and_filters_them(customer, at):
    now = clock.now()
    api = Api(make_api_token(customer, at=now))
    with tenant(customer.id):
        room = make_room("Aurora", at=now)
        make_room("Bjerk", at=now)
        assert room_groups.default_group()
    path = f"/rooms/{room.id}"
    told = api.patch(path, {"licence": "pro", "licence_ends": "2020-01-31", "labels": ["VIP"]}).json()
    assert (told["licence"], told["licence_state"], told["labels"]) == ("pro", "lapsed", ["VIP"])
    assert (
        api.names("/rooms?licence=pro")
        == api.names("/rooms?label=vip")
        == api.names("/rooms?q=vip")
        == ["Aurora"]
    )
    assert api.names("/rooms?label=vi") == []
    for wrong, field in (
        ({"licence": "gold"}, "licence"),
        ({"licence_ends": "soon"}, "licence_ends"),
        ({"labels": "VIP"}, "labels"),
    ):
        refused = api.patch(path, wrong)
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, field)


def test_the_list_of_rooms_filters_by_them_and_shows_them(customer, at):
    now = clock.now()
    with tenant(customer.id):
        place = make_place(at=now)
        make_room("Aurora", place=place, licence="pro", labels=["North wing"], at=now)
        make_room("Bjerk", place=place, licence="basic", at=now)
    client = Client()
    client.force_login(make_person(customer, at=now).user)
    for query in ("licence=pro", "label=north+wing", "label=North+Wing", "q=wing"):
        shown = client.get(f"/rooms?{query}").content.decode()
        assert "Aurora" in shown, query
        assert "Bjerk" not in shown, query
    assert "North wing" in client.get("/rooms").content.decode()
