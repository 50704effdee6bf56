from __future__ import annotations

from datetime import timedelta

import pytest

from enrollment import keys
from enrollment.models import EnrollmentKey
from fleet import room_groups
from foundation import clock
from foundation.context import tenant
from foundation.models import IdempotencyRecord
from tests.factories.api import Api, make_api_token
from tests.factories.fleet import make_place, make_room


@pytest.fixture
def now(db):
    return clock.now()


@pytest.fixture
def api(customer, now):
    return Api(make_api_token(customer, at=now))


def test_a_group_is_made_filled_emptied_and_deleted(customer, api, now):
    with tenant(customer.id):
        rooms = [str(make_room(f"Room {number}", at=now).id) for number in range(3)]
    made = api.post("/groups", {"name": "Boards", "description": "Top floor"})
    assert (made.status_code, made.json()["is_default"]) == (201, False)
    path = f"/groups/{made.json()['id']}"
    assert api.post(f"{path}/members", {"rooms": rooms[:2]}).json() == {"added": 2}
    assert api.post(f"{path}/members", {"rooms": rooms}).json() == {"added": 1}
    assert api.delete(f"{path}/members/{rooms[0]}").status_code == 204
    assert api.delete(f"{path}/members/{rooms[0]}").status_code == 204
    assert api.names(f"{path}/members") == ["Room 1", "Room 2"]
    assert api.patch(path, {"name": "Board rooms"}).json()["description"] == "Top floor"
    assert api.names("/groups") == ["All new rooms", "Board rooms"]
    assert api.names("/groups?name=Board%20rooms") == ["Board rooms"]
    assert api.delete(path).status_code == 204
    assert api.get(path).status_code == 404


def test_the_default_group_and_one_a_key_names_stay(customer, api, now):
    with tenant(customer.id):
        default, other = room_groups.default_group(), room_groups.add_group(name="Other", at=now)
        keys.issue(label="Key", group=other, at=now)
    for group in (default, other):
        answer = api.delete(f"/groups/{group.id}")
        assert (answer.status_code, answer.json()["code"]) == (409, "in_use")


@pytest.mark.parametrize(
    "body", [{}, {"rooms": []}, {"rooms": ["x"]}, {"rooms": "x"}, {"rooms": [None]}, {"room": "x"}]
)
def test_bad_members_are_refused(customer, api, body):
    with tenant(customer.id):
        group = room_groups.default_group()
    assert api.post(f"/groups/{group.id}/members", body).status_code == 400


def test_sites_form_a_tree(customer, api):
    norway = api.post("/sites", {"name": "Norway", "kind": "country", "country_code": "NO"}).json()
    oslo = api.post("/sites", {"name": "Oslo HQ", "kind": "building", "parent": norway["id"]}).json()
    assert (oslo["full_name"], oslo["country_code"], oslo["time_zone"]) == (
        "Norway › Oslo HQ",
        "NO",
        "Europe/Oslo",
    )
    sweden = api.post("/sites", {"name": "Sweden", "kind": "country", "time_zone": "Europe/Stockholm"}).json()
    moved = api.patch(f"/sites/{oslo['id']}", {"parent": sweden["id"], "name": "HQ"}).json()
    assert moved["full_name"] == "Sweden › HQ"
    assert api.patch(f"/sites/{oslo['id']}", {"parent": None}).json()["full_name"] == "HQ"
    assert api.names(f"/sites?site={norway['id']}") == ["Norway"]
    assert api.names("/sites?kind=building") == ["HQ"]
    below = api.patch(f"/sites/{norway['id']}", {"parent": oslo["id"]})
    assert (below.status_code, below.json()["errors"][0]["field"]) == (400, "parent")
    taken = api.post("/sites", {"name": "Norway", "kind": "country"})
    assert (taken.status_code, taken.json()["errors"][0]["field"]) == (409, "name")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": "building"}, "name"),
        ({"name": "A"}, "kind"),
        ({"name": "A", "kind": "moon"}, "kind"),
        ({"name": "A", "kind": "city", "time_zone": "Nowhere"}, "time_zone"),
        ({"name": "A", "kind": "city", "country_code": "N0"}, "country_code"),
        ({"name": "A", "kind": "city", "parent": "x"}, "parent"),
        ({"name": "A", "kind": "city", "path": []}, "path"),
    ],
)
def test_a_bad_site_is_refused_naming_its_field(api, body, field):
    answer = api.post("/sites", body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, field)


def test_a_key_shows_its_secret_once_and_may_be_revoked_and_reset(customer, api, now):
    made = api.post("/enrollment-keys", {"label": "Oslo", "max_uses": 5, "kinds": ["room_system"]})
    assert made.status_code == 201
    key = made.json()
    assert key["key"].startswith("grek_")
    assert key["public_id"] in key["key"]
    shown = api.get(f"/enrollment-keys/{key['id']}").json()
    assert "key" not in shown
    assert shown == {name: value for name, value in key.items() if name != "key"}
    assert api.get("/enrollment-keys").json()["results"] == [shown]
    fresh = api.post(f"/enrollment-keys/{key['id']}/reset").json()
    assert fresh["key"] != key["key"]
    assert (fresh["label"], fresh["max_uses"], fresh["uses"]) == ("Oslo", 5, 0)
    assert api.get(f"/enrollment-keys/{key['id']}").json()["revoked_at"] is not None
    assert api.post(f"/enrollment-keys/{fresh['id']}/revoke").json()["revoked_at"] is not None
    assert [row["id"] for row in api.get("/enrollment-keys?revoked=false").json()["results"]] == []
    assert keys.find(key["key"], at=now) is None


def test_a_repeated_request_shows_the_same_key_again_which_is_kept_encrypted(customer, api):
    first = api.post("/enrollment-keys", {"label": "Oslo"}, Idempotency_Key="k").json()
    assert api.post("/enrollment-keys", {"label": "Oslo"}, Idempotency_Key="k").json() == first
    with tenant(customer.id):
        assert EnrollmentKey.objects.for_tenant(customer).count() == 1
        record = IdempotencyRecord.objects.for_tenant(customer).get()
        assert first["key"] not in str(record.body)
        assert first["key"].split("_")[2] not in str(record.body)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "label"),
        ({"label": "x" * 81}, "label"),
        ({"label": "a", "max_uses": 0}, "max_uses"),
        ({"label": "a", "max_uses": 10**9}, "max_uses"),
        ({"label": "a", "kinds": ["robot"]}, "kinds"),
        ({"label": "a", "kinds": "panel"}, "kinds"),
        ({"label": "a", "approval": "always"}, "approval"),
        ({"label": "a", "simple_clients": "true"}, "simple_clients"),
        ({"label": "a", "allowed_cidrs": ["300.1.1.1/8"]}, "allowed_cidrs"),
        ({"label": "a", "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"label": "a", "expires_at": "2999-01-01T00:00:00Z"}, "expires_at"),
        ({"label": "a", "expires_at": "2027-01-01"}, "expires_at"),
        ({"label": "a", "digest": "x"}, "digest"),
    ],
)
def test_a_bad_key_is_refused_naming_its_field(customer, api, body, field):
    answer = api.post("/enrollment-keys", body)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"].split(".")[0] == field
    with tenant(customer.id):
        assert not EnrollmentKey.objects.for_tenant(customer).exists()


def test_keys_page_newest_first(customer, api, now):
    with tenant(customer.id):
        group = room_groups.default_group()
        for age in range(3):
            keys.issue(label=f"Key {age}", group=group, at=now - timedelta(hours=age))
        make_place(at=now)
    first = api.get("/enrollment-keys?limit=2").json()
    second = api.get(first["next"]).json()
    assert [row["label"] for row in first["results"] + second["results"]] == ["Key 0", "Key 1", "Key 2"]
