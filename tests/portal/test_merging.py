"""Merging rooms and places on the pages and by the API; what is left of a room that is gone."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from fleet import inventory, merging
from fleet.models import Place
from foundation import clock
from foundation.context import tenant
from tests.factories.api import Api, make_api_token
from tests.factories.fleet import make_device, make_place, make_room
from tests.factories.incidents import make_incident
from tests.factories.tenancy import make_person


@pytest.fixture
def now(db):
    return clock.now()


@pytest.fixture
def manager(customer, now) -> Client:
    client = Client()
    client.force_login(make_person(customer, at=now).user)
    return client


@pytest.fixture
def rooms(customer, now):
    with tenant(customer.id):
        house = make_place("House", at=now)
        twice = make_room("Aurora (2)", place=house, at=now)
        make_incident(make_device(twice, name="Bar", at=now), at=now)
        return twice, make_room("Aurora", place=house, resource_account="aurora@example.com", at=now)


def test_a_room_is_merged_and_both_histories_tell(manager, rooms):
    twice, kept = rooms
    address = reverse("portal:room-merge", args=[twice.id])
    wrong = manager.post(address, {"into": "Nowhere"})
    assert (wrong.status_code, b"There is no such room." in wrong.content) == (422, True)
    assert manager.post(address, {"into": "aurora@example.com"}).status_code == 302
    page = manager.get(reverse("portal:room-detail", args=[kept.id]))
    told = [(line.who, line.text) for line in page.context["activity"]]
    assert ("Aurora (2)", "was merged into this room") in told
    assert ("Bar", "came here from Aurora (2)") in told
    gone = manager.get(reverse("portal:room-detail", args=[twice.id]))
    assert b"This room became part of another." in gone.content
    assert reverse("portal:room-edit", args=[twice.id]).encode() not in gone.content
    assert manager.get(reverse("portal:room-edit", args=[twice.id])).status_code == 404


def test_a_retired_room_is_still_there_to_be_looked_at(manager, customer, now):
    with tenant(customer.id):
        room = make_room("Aurora", at=now)
        inventory.retire_room(room.id, at=now)
    page = manager.get(reverse("portal:room-detail", args=[room.id]))
    assert (page.status_code, b"This room was retired." in page.content) == (200, True)
    assert ("The room", "was retired") in [(line.who, line.text) for line in page.context["activity"]]


def test_places_are_moved_merged_and_retired(manager, customer, now):
    with tenant(customer.id):
        city = make_place("Oslo", kind="city", at=now)
        one, two = make_place("One", at=now), make_place("Two", at=now)
        make_room("Aurora", place=one, at=now)
    manager.post(reverse("portal:site-move", args=[one.id]), {"into": str(city.id)})
    assert name_of(customer, one) == "Oslo › One"
    refused = manager.post(reverse("portal:site-retire", args=[one.id]))
    assert (refused.status_code, b"rooms in it first" in refused.content) == (422, True)
    assert manager.post(reverse("portal:site-merge", args=[one.id]), {"into": str(two.id)}).status_code == 302
    assert manager.post(reverse("portal:site-retire", args=[city.id])).status_code == 302
    listed = manager.get(reverse("portal:site-list")).context["lines"]
    assert [(line.place.name, line.rooms) for line in listed] == [("Two", 1)]


def name_of(customer, place) -> str:
    with tenant(customer.id):
        return Place.objects.for_tenant(customer).get(id=place.id).full_name


def test_programs_merge_rooms_and_sites(customer, rooms, now):
    twice, kept = rooms
    api = Api(make_api_token(customer, at=now))
    assert api.post(f"/rooms/{twice.id}/merge", {"into": str(twice.id)}).status_code == 400
    merged = api.post(f"/rooms/{twice.id}/merge", {"into": str(kept.id)})
    assert (merged.status_code, merged.json()["id"]) == (200, str(kept.id))
    assert api.get(f"/rooms/{twice.id}").status_code == 404
    with tenant(customer.id):
        other = make_place("Other", at=now)
    site = str(merged.json()["site"])
    assert api.delete(f"/sites/{site}").status_code == 409
    assert api.post(f"/sites/{site}/merge", {"into": str(other.id)}).json()["id"] == str(other.id)
    assert api.get(f"/rooms/{kept.id}").json()["site"] == str(other.id)
    assert api.get(f"/sites/{site}").status_code == 404


def test_tickets_of_a_merged_room_show_in_the_one_that_stays(manager, customer, rooms, now):
    twice, kept = rooms
    with tenant(customer.id):
        merging.merge_rooms(twice.id, into_id=kept.id, at=now)
    page = manager.get(reverse("portal:room-detail", args=[kept.id]))
    assert "opened" in [line.text for line in page.context["activity"]]
