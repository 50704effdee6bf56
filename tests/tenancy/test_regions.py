"""Home regions, and countries in which no room can be enrolled."""

from __future__ import annotations

import io

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from enrollment import registration
from enrollment.errors import EnrollmentRefused
from fleet import inventory, place_tree
from fleet.models import Device, Place, Room
from foundation import clock
from foundation.context import tenant
from foundation.errors import NotValid
from tenancy import regions
from tenancy.models import Tenant
from tenancy.tenants import create_tenant
from tests.factories.api import Api, make_api_token
from tests.factories.enrollment import Candidate, make_key
from tests.factories.fleet import make_device, make_place, make_room
from tests.factories.tenancy import make_person


def test_every_country_belongs_to_a_region_or_is_not_supported():
    known = regions.countries()
    assert len(known) == 249
    assert {each.region for each in known.values()} == {"", *Tenant.Region.values}
    assert {"NO", "US", "JP", "GB", "BR"} <= {each.code for each in known.values() if each.supported}
    assert regions.refusal("NO") == regions.refusal("") == ""
    assert regions.refusal("CU") == "Rooms in Cuba cannot be enrolled: the service is not offered there."
    assert "Antarctica" in regions.refusal("AQ")


def test_the_countries_left_out_are_a_setting(settings):
    settings.UNSUPPORTED_COUNTRIES = ["NO"]
    assert regions.refusal("CU") == ""
    assert "Norway" in [each.name for each in regions.unsupported()]


def test_a_customer_has_a_home_region_out_of_those_served(db, at, settings):
    assert create_tenant("A", at=at).home_region == "eu"
    assert create_tenant("B", home_region="apac", at=at).home_region == "apac"
    settings.REGIONS = {"us": "Ashburn, Virginia"}
    made = create_tenant("C", at=at)
    assert regions.home_of(made) == regions.Region("us", "Americas", "Ashburn, Virginia")
    with pytest.raises(NotValid, match="serves us"):
        create_tenant("D", home_region="eu", at=at)


def test_the_command_takes_the_region(db):
    run = {"administrator": "a@b.example", "stdout": io.StringIO()}
    call_command("organisation", "add", "Fjord", region="apac", **run)
    assert Tenant.objects.get(name="Fjord").home_region == "apac"
    with pytest.raises(CommandError, match="serves eu, apac, us"):
        call_command("organisation", "add", "Moon", region="moon", **run)


def test_the_privacy_page_and_the_api_say_where_the_data_lives(db, settings):
    now = clock.now()
    settings.REGIONS = {"eu": "Frankfurt", "us": "Ashburn"}
    owner = create_tenant("Halden", home_region="us", at=now)
    client = Client()
    client.force_login(make_person(owner, at=now).user)
    shown = client.get("/settings/privacy").content.decode()
    assert "Ashburn" in shown
    assert "Cuba" in shown
    told = Api(make_api_token(owner, at=now)).get("/regions").json()
    assert told["home"] == {"key": "us", "name": "Americas", "data_lives": "Ashburn"}
    assert [each["key"] for each in told["served"]] == ["eu", "us"]
    assert {each["code"]: each["supported"] for each in told["countries"]}["CU"] is False


@pytest.fixture
def entered(customer):
    with tenant(customer.id):
        yield customer


@pytest.fixture
def havana(entered, at):
    cuba = make_place("Cuba", kind="country", country_code="CU", at=at)
    return make_room("Havana", place=make_place("Office", parent_id=cuba.id, at=at), at=at)


@pytest.mark.parametrize("approval", ["manual", "auto"])
def test_a_room_in_an_unsupported_country_is_refused_at_enrollment_with_the_reason(
    customer, havana, approval, at
):
    key = make_key(customer, at=at, approval=approval)[1]
    with pytest.raises(EnrollmentRefused) as refused:
        Candidate(room={"name": "Havana"}).enroll(key, at=at)
    assert (refused.value.code, refused.value.field) == ("country", "room")
    assert "Cuba" in refused.value.message
    assert Candidate(room={"name": "Elsewhere"}).enroll(key, at=at).device.wanted_room == "Elsewhere"


def test_nobody_accepts_or_moves_a_device_into_an_unsupported_country(havana, at):
    waiting, enrolled = make_device(status="onboarding", at=at), make_device(make_room(at=at), at=at)
    for attempt in (registration.accept, registration.move):
        with pytest.raises(NotValid) as refused:
            attempt(waiting if attempt is registration.accept else enrolled, room=havana, at=at)
        assert refused.value.field == "room"
    assert Device.objects.get(id=waiting.id).status == "onboarding"


def test_an_enrolled_room_does_not_move_to_an_unsupported_country_and_an_empty_one_may(havana, at):
    watched, empty = make_room(at=at), make_room(at=at)
    make_device(watched, at=at)
    with pytest.raises(NotValid) as refused:
        inventory.edit_room(watched.id, {"place_id": havana.place_id}, at=at)
    assert refused.value.field == "place_id"
    assert inventory.edit_room(empty.id, {"place_id": havana.place_id}, at=at).place_id == havana.place_id
    assert Room.objects.get(id=watched.id).place_id == watched.place_id


def test_places_with_enrolled_rooms_do_not_come_to_an_unsupported_country(entered, havana, at):
    norway = make_place("Norway", kind="country", country_code="NO", at=at)
    oslo = make_place("Oslo", kind="city", parent_id=norway.id, at=at)
    hq = make_place("HQ", parent_id=oslo.id, at=at)
    make_device(make_room(place=hq, at=at), at=at)
    for attempt in (
        lambda: place_tree.edit_place(norway.id, country_code="IR", at=at),
        lambda: place_tree.move_place(oslo.id, parent_id=havana.place.path[0], at=at),
    ):
        with pytest.raises(NotValid, match="Unenroll the devices"):
            attempt()


def test_the_country_follows_the_tree(entered, at):
    norway = make_place("Norway", kind="country", at=at)
    hq = make_place("HQ", parent_id=norway.id, at=at)
    place_tree.edit_place(norway.id, country_code="NO", at=at)
    assert Place.objects.get(id=hq.id).country_code == "NO"
    sweden = make_place("Sweden", kind="country", country_code="SE", at=at)
    place_tree.move_place(hq.id, parent_id=sweden.id, at=at)
    assert Place.objects.get(id=hq.id).country_code == "SE"
    with pytest.raises(NotValid) as refused:
        place_tree.edit_place(hq.id, country_code="XX", at=at)
    assert refused.value.field == "country_code"
