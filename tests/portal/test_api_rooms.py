from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from fleet import room_groups
from fleet.models import Room, RoomGroup
from foundation import clock
from foundation.context import tenant
from foundation.ids import new_id
from tests.factories.api import Api, make_api_token
from tests.factories.fleet import make_device, make_place, make_room
from tests.factories.tenancy import make_customer


@pytest.fixture
def now(db):
    return clock.now()


@pytest.fixture
def api(customer, now):
    return Api(make_api_token(customer, at=now))


@pytest.fixture
def site(customer, now):
    with tenant(customer.id):
        norway = make_place("Norway", kind="country", time_zone="Europe/Oslo", at=now)
        return make_place("Oslo HQ", parent_id=norway.id, at=now)


@pytest.fixture
def room(customer, site, now):
    with tenant(customer.id):
        return make_room("Aurora", place=site, resource_account="aurora@example.com", capacity=8, at=now)


def test_a_room_is_shown_with_its_place_group_and_state(customer, api, room, site):
    shown = api.get(f"/rooms/{room.id}").json()
    with tenant(customer.id):
        group = RoomGroup.objects.for_tenant(customer).get()
    assert shown["id"] == str(room.id)
    assert (shown["name"], shown["state"], shown["capacity"]) == ("Aurora", "unenrolled", 8)
    assert (shown["site"], shown["site_name"]) == (str(site.id), "Norway › Oslo HQ")
    assert shown["groups"] == [str(group.id)]
    assert api.get("/rooms").json() == {"results": [shown], "next": None}


def test_a_room_is_added_once_per_idempotency_key(customer, api, site):
    body = {"name": "Borealis", "site": str(site.id), "expected": {"camera_room": 1}, "room_type": "small"}
    first = api.post("/rooms", body, Idempotency_Key="k1")
    again = api.post("/rooms", body, Idempotency_Key="k1")
    assert first.status_code == again.status_code == 201
    assert first.json() == again.json()
    assert (first.json()["time_zone"], first.json()["expected"]) == ("Europe/Oslo", {"camera_room": 1})
    other = api.post("/rooms", {**body, "name": "Corona"}, Idempotency_Key="k1")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert api.names("/rooms") == ["Borealis"]


def test_a_refused_request_may_be_sent_again_under_its_idempotency_key(api, site):
    assert api.post("/rooms", {"name": "", "site": str(site.id)}, Idempotency_Key="k").status_code == 400
    assert api.post("/rooms", {"name": "A", "site": str(new_id())}, Idempotency_Key="k").status_code == 400
    assert api.post("/rooms", {"name": "A", "site": str(site.id)}, Idempotency_Key="k").status_code == 201


@pytest.mark.parametrize("key", ["", "x" * 129, "a\tb"])
def test_an_idempotency_key_has_a_form(api, site, key):
    assert api.post("/rooms", {"name": "A", "site": str(site.id)}, Idempotency_Key=key).status_code == 400


def test_racing_posts_with_one_idempotency_key_make_one_room(committed_db):
    at = clock.now()
    owner = make_customer(at=at)
    token = make_api_token(owner, at=at)
    with tenant(owner.id):
        site = make_place(at=at)

    def post(number: int) -> tuple[int, str]:
        try:
            body = {"name": "Aurora", "site": str(site.id)}
            answer = Api(token).post("/rooms", body, Idempotency_Key="same")
            return answer.status_code, answer.json()["id"]
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as pool:
        answers = set(pool.map(post, range(6)))
    assert len(answers) == 1
    assert answers.pop()[0] == 201


def test_an_etag_keeps_two_people_from_overwriting_each_other(api, room):
    path = f"/rooms/{room.id}"
    tag = api.get(path).headers["ETag"]
    first = api.patch(path, {"capacity": 12}, If_Match=tag)
    assert (first.status_code, first.json()["capacity"], first.json()["version"]) == (200, 12, 2)
    assert first.headers["ETag"] != tag
    second = api.patch(path, {"capacity": 20}, If_Match=tag)
    assert (second.status_code, second.json()["code"]) == (412, "version_conflict")
    assert second.headers["Content-Type"] == "application/problem+json"
    assert api.get(path).json()["capacity"] == 12
    for good in (first.headers["ETag"], "*", f'"other", {first.headers["ETag"]}'):
        assert api.patch(path, {"capacity": 12}, If_Match=good).status_code == 200
    for bad in ("W/" + first.headers["ETag"], "v2", "", '"'):
        assert api.patch(path, {"capacity": 13}, If_Match=bad).status_code == 412
    assert api.patch(path, {"capacity": 14}).status_code == 200


def test_racing_changes_with_one_etag_succeed_once(committed_db):
    at = clock.now()
    owner = make_customer(at=at)
    token = make_api_token(owner, at=at)
    with tenant(owner.id):
        room = make_room(at=at)

    def patch(number: int) -> int:
        try:
            return (
                Api(token).patch(f"/rooms/{room.id}", {"capacity": number + 1}, If_Match='"v1"').status_code
            )
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(patch, range(6))) == [200] + [412] * 5


def test_a_room_is_moved_renamed_suppressed_and_retired(customer, api, room, now):
    with tenant(customer.id):
        bergen = make_place("Bergen", time_zone="Europe/Paris", at=now)
        make_device(room, at=now)
    path = f"/rooms/{room.id}"
    moved = api.patch(path, {"site": str(bergen.id), "name": "Bryggen"}).json()
    assert (moved["site_name"], moved["name"], moved["time_zone"]) == ("Bergen", "Bryggen", "Europe/Paris")
    until = (now + timedelta(days=2)).isoformat()
    quiet = api.put(f"{path}/suppression", {"until": until, "reason": "Rebuilding"})
    assert (quiet.status_code, quiet.json()["state"]) == (200, "suppressed")
    assert api.delete(f"{path}/suppression").json()["state"] == "healthy"
    still = api.delete(path)
    assert (still.status_code, still.json()["code"]) == (409, "in_use")
    with tenant(customer.id):
        empty = make_room(at=now)
    assert api.delete(f"/rooms/{empty.id}").status_code == 204
    assert api.get(f"/rooms/{empty.id}").status_code == 404


def test_a_taken_name_or_account_is_a_conflict_that_names_the_field(api, room, site):
    for body, field in (
        ({"name": "Aurora"}, "name"),
        ({"name": "B", "resource_account": "AURORA@example.com"}, "resource_account"),
    ):
        answer = api.post("/rooms", {"site": str(site.id), **body})
        assert (answer.status_code, answer.json()["code"]) == (409, "already_exists")
        assert answer.json()["errors"][0]["field"] == field


BAD_BODIES = [
    b"",
    b"{",
    b"null",
    b"[]",
    b'"x"',
    b"1",
    b"\xff\xfe",
    b'{"name": "A", "name": "B"}',
    b'{"name": NaN}',
    b'{"name": "a\\u0000b"}',
    b'{"name": "\\ud800"}',
    b'{"name": ' + b"[" * 50 + b"]" * 50 + b"}",
    b'{"capacity": 1e999}',
    b'{"capacity": ' + b"9" * 400 + b"}",
    *(
        json.dumps(body).encode()
        for body in (
            {"name": 5},
            {"name": True},
            {"name": None},
            {"name": ["A"]},
            {"name": ""},
            {"name": "   "},
            {"name": "x" * 121},
            {"name": "a\nb"},
            {"name": "a\u202eb"},
            {"capacity": "8"},
            {"capacity": 8.5},
            {"capacity": True},
            {"capacity": -1},
            {"capacity": 2**53},
            {"room_type": "huge"},
            {"room_type": 1},
            {"site": "x"},
            {"site": 5},
            {"site": None},
            {"site": "urn:uuid:018f0000-0000-7000-8000-000000000000"},
            {"time_zone": "Mars/Base"},
            {"time_zone": "../../etc/passwd"},
            {"time_zone": ""},
            {"expected": {"camera_room": "1"}},
            {"expected": {"camera_room": -1}},
            {"expected": {"coffee": 1}},
            {"expected": []},
            {"resource_account": "no account"},
            {"state": "healthy"},
            {"tenant": "x"},
            {"id": "018f0000-0000-7000-8000-000000000000"},
            {"": 1},
            {"x" * 3000: 1},
        )
    ),
]


@pytest.mark.parametrize("raw", BAD_BODIES, ids=lambda raw: repr(raw[:40]))
def test_a_bad_body_is_refused_and_changes_nothing(customer, api, room, site, raw):
    answers = [api.patch(f"/rooms/{room.id}", raw)] if raw != b"" else []
    given = raw
    if raw.startswith(b'{"') and b"name" not in raw[:8]:
        given = b'{"name": "New", "site": "%s", ' % str(site.id).encode() + raw[1:]
    answers.append(api.post("/rooms", given))
    for answer in answers:
        assert answer.status_code == 400, answer.content
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["detail"]
    with tenant(customer.id):
        kept = Room.objects.for_tenant(customer).get()
        assert (kept.name, kept.version) == ("Aurora", 1)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"until": "2026-01-01T00:00:00Z", "reason": "x"}, 400),
        ({"until": "2999-01-01T00:00:00Z", "reason": "x"}, 400),
        ({"until": "2027-01-01T00:00:00", "reason": "x"}, 400),
        ({"until": "0001-01-01T00:00:00+14:00", "reason": "x"}, 400),
        ({"until": "9999-12-31T23:59:59-14:00", "reason": "x"}, 400),
        ({"until": "tomorrow", "reason": "x"}, 400),
        ({"until": 5, "reason": "x"}, 400),
        ({"reason": "x"}, 400),
    ],
)
def test_a_suppression_without_a_good_end_is_refused(api, room, body, status):
    assert api.put(f"/rooms/{room.id}/suppression", body).status_code == status


def test_a_body_too_large_or_of_another_kind_is_refused(api, room):
    path = f"/rooms/{room.id}"
    large = api.patch(path, {"name": "x" * 70_000})
    assert (large.status_code, large.headers["Content-Type"]) == (413, "application/problem+json")
    client, token = api._client, api._headers
    form = client.patch(
        f"/api/v1{path}", data="name=x", content_type="application/x-www-form-urlencoded", headers=token
    )
    assert form.status_code == 415


def test_lists_are_filtered_by_state_site_group_and_words(customer, api, room, now):
    with tenant(customer.id):
        tokyo = make_place("Tokyo", time_zone="Asia/Tokyo", at=now)
        floor = make_place("Floor 2", kind="floor", parent_id=tokyo.id, at=now)
        sakura = make_room("Sakura", place=floor, at=now)
        make_device(sakura, at=now, make="Yealink")
        group = room_groups.add_group(name="Boards", at=now)
        room_groups.add_members(group.id, [sakura.id], at=now)
    assert api.names("/rooms") == ["Aurora", "Sakura"]
    assert api.names("/rooms?state=healthy") == ["Sakura"]
    assert api.names("/rooms?state=healthy&state=unenrolled") == ["Aurora", "Sakura"]
    assert api.names(f"/rooms?site={tokyo.id}") == api.names(f"/rooms?site={floor.id}") == ["Sakura"]
    assert api.names(f"/rooms?group={group.id}") == ["Sakura"]
    assert api.names("/rooms?q=yea%20tok") == ["Sakura"]
    assert api.names("/rooms?q=") == ["Aurora", "Sakura"]
    assert api.names("/rooms?resource_account=AURORA@example.com") == ["Aurora"]
    assert api.names(f"/groups/{group.id}/members?state=healthy") == ["Sakura"]


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("colour=red", "colour"),
        ("state=happy", "state"),
        ("state=", "state"),
        ("state=healthy&state=happy", "state"),
        ("site=x", "site"),
        ("site=00000000", "site"),
        ("group=5", "group"),
        ("q=" + "x" * 201, "q"),
        ("q=%00", "q"),
        ("q=a&q=b", "q"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=-1", "limit"),
        ("limit=ten", "limit"),
        ("limit=%D9%A3", "limit"),
        ("limit=10&limit=20", "limit"),
        ("after=x", "after"),
        ("after=%00", "after"),
        ("offset=5", "offset"),
        ("%00=1", "\x00"),
        ("a" * 300 + "=1", "a" * 80),
    ],
)
def test_a_filter_that_is_none_is_named(api, room, query, name):
    answer = api.get(f"/rooms?{query}")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == name


def test_following_next_shows_every_room_once(customer, api, site, now):
    with tenant(customer.id):
        for number in range(25):
            make_room(f"Room {number:02d}", place=site, at=now)
    shown, path = [], "/rooms?limit=10&state=unenrolled"
    while path:
        answer = api.get(path).json()
        shown += [row["name"] for row in answer["results"]]
        path = answer["next"]
        assert path is None or path.startswith("http://testserver/api/v1/rooms?")
    assert shown == [f"Room {number:02d}" for number in range(25)]


def test_a_page_costs_the_same_queries_for_3_and_60_rooms(customer, api, site, now):
    counts = []
    api.get("/rooms")  # the token's first use is written
    for many in (3, 60):
        with tenant(customer.id):
            for number in range(many):
                room = make_room(f"{many} {number}", place=site, at=now)
                make_device(room, at=now)
        for path in ("/rooms?limit=200", "/devices?limit=200", f"/rooms?q=oslo&site={site.id}"):
            with CaptureQueriesContext(connection) as captured:
                assert api.get(path).status_code == 200
            counts.append((path, len(captured)))
    assert counts[:3] == counts[3:]
    assert max(number for _, number in counts) <= 20
