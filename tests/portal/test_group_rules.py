"""Rules of groups as pages and API."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from fleet import room_groups
from fleet.models import RoomGroup
from foundation import clock
from foundation.context import tenant
from tests.factories.api import Api, make_api_token
from tests.factories.fleet import make_place, make_room
from tests.factories.tenancy import make_person


@pytest.fixture
def now(db):
    return clock.now()


@pytest.fixture
def group(customer, now) -> RoomGroup:
    with tenant(customer.id):
        berlin = make_place("Berlin", country_code="DE", at=now)
        make_room("Spree", place=berlin, room_type="large", at=now)
        make_room("Havel", place=berlin, room_type="small", at=now)
        return room_groups.add_group(name="Large in Germany", at=now)


def test_a_rule_is_set_on_the_page_and_says_why_rooms_are_there(customer, group, now):
    client = Client()
    client.force_login(make_person(customer, at=now).user)
    address = reverse("portal:group-rule", args=[group.id])
    wrong = client.post(address, {"country": "Germany"})
    assert (wrong.status_code, b"two letters" in wrong.content) == (422, True)
    assert (
        client.post(address, {"country": "de", "room_type": ["large"], "seats_from": ""}).status_code == 302
    )
    page = client.get(reverse("portal:group-detail", args=[group.id]))
    assert [(room.name, by_hand, by_rule) for room, by_hand, by_rule in page.context["rows"]] == [
        ("Spree", False, True)
    ]
    assert b"Country is DE, and type is large." in page.content
    room = page.context["rows"][0][0]
    detail = client.get(reverse("portal:room-detail", args=[room.id]))
    assert b"Large in Germany by its rule: country is DE, and type is large." in detail.content
    again = client.get(address)
    assert again.context["form"].initial == {"country": "DE", "room_type": ["large"]}
    taken = client.post(
        reverse("portal:group-remove-room", args=[group.id]), {"room": str(room.id)}, follow=True
    )
    assert b"Change the rule, or the room." in taken.content
    client.post(address, {})
    assert client.get(reverse("portal:group-detail", args=[group.id])).context["rows"] == []


def test_programs_set_rules_and_ask_why(customer, group, now):
    api = Api(make_api_token(customer, at=now))
    rule = [{"field": "country", "values": ["DE"]}, {"field": "seats_from", "values": ["1"]}]
    changed = api.patch(f"/groups/{group.id}", {"rule": rule})
    assert (changed.status_code, changed.json()["rule"]) == (200, rule)
    rule = [{"field": "room_type", "values": ["large"]}]
    made = api.post("/groups", {"name": "Large", "rule": rule})
    assert made.status_code == 201
    (room,) = api.get(f"/groups/{made.json()['id']}/members").json()["results"]
    assert room["name"] == "Spree"
    why = {each["group_name"]: each for each in api.get(f"/rooms/{room['id']}/groups").json()["results"]}
    assert (why["Large"]["by_hand"], why["Large"]["clauses"]) == (False, rule)
    assert (why["All new rooms"]["by_hand"], why["All new rooms"]["clauses"]) == (True, [])
    assert api.delete(f"/groups/{made.json()['id']}/members/{room['id']}").status_code == 409
    for wrong in ([{"field": "colour", "values": ["red"]}], [{"field": "country", "values": []}], "x", [1]):
        assert api.patch(f"/groups/{group.id}", {"rule": wrong}).status_code == 400, wrong
