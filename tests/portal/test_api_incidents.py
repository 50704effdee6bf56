from __future__ import annotations

from datetime import timedelta
from urllib.parse import quote

import pytest

from foundation import clock
from foundation.context import tenant
from incidents.models import Incident, IncidentEntry
from tests.factories.api import Api, make_api_token
from tests.factories.fleet import make_device, make_room
from tests.factories.tenancy import make_person


@pytest.fixture
def now(db):
    return clock.now()


@pytest.fixture
def person(customer, now):
    return make_person(customer, at=now)


@pytest.fixture
def api(customer, person, now):
    return Api(make_api_token(customer, at=now, by=person))


@pytest.fixture
def room(customer, now):
    with tenant(customer.id):
        return make_room("Aurora", at=now)


def make_incident(owner, room, number, *, at, **given):
    with tenant(owner.id):
        return Incident.objects.for_tenant(owner).create(
            **{
                "number": f"INC-{number}",
                "device": make_device(room, at=at),
                "room": room,
                "signal": "camera_room",
                "severity": 2,
                "summary": "No camera",
                "state": "pending_investigation",
                "opened_at": at,
                "fault_at": at,
                "updated_at": at,
                **given,
            }
        )


def numbers(api, query=""):
    answer = api.get(f"/incidents{query}")
    assert answer.status_code == 200, answer.content
    return [row["number"] for row in answer.json()["results"]]


def test_an_incident_is_shown_with_at_least_what_the_contract_names(customer, api, room, now):
    incident = make_incident(customer, room, "AAAAAA", at=now)
    shown = api.get(f"/incidents/{incident.id}").json()
    assert {
        "id": str(incident.id),
        "number": "INC-AAAAAA",
        "state": "pending_investigation",
        "signal": "camera_room",
        "instance": "",
        "severity": "important",
        "room": str(room.id),
        "device": str(incident.device_id),
        "resolved_at": None,
    }.items() <= shown.items()
    assert shown["opened_at"].endswith("Z")
    assert api.get("/incidents").json()["results"] == [shown]


def test_incidents_are_filtered_by_the_names_of_their_members(customer, api, room, now):
    old = now - timedelta(days=3)
    one = make_incident(customer, room, "AAAAAA", at=old, state="resolved", resolved_at=now, severity=1)
    two = make_incident(customer, room, "BBBBBB", at=now, signal="offline", instance="2", severity=3)
    assert numbers(api) == ["INC-BBBBBB", "INC-AAAAAA"]
    between = quote((now - timedelta(days=1)).isoformat())
    for query, wanted in (
        (f"?id={one.id}", [one]),
        ("?number=INC-BBBBBB", [two]),
        ("?state=resolved", [one]),
        ("?state=resolved&state=pending_investigation", [two, one]),
        ("?open=true", [two]),
        ("?open=false", [one]),
        ("?signal=offline", [two]),
        ("?instance=2", [two]),
        ("?severity=critical", [one]),
        ("?severity=critical&severity=warning", [two, one]),
        (f"?device={two.device_id}", [two]),
        (f"?room={room.id}", [two, one]),
        (f"?opened_after={between}", [two]),
        (f"?opened_before={between}", [one]),
        (f"?opened_at={quote(old.isoformat())}", [one]),
        (f"?resolved_after={between}", [one]),
        (f"?resolved_before={between}", []),
        (f"?site={room.place_id}&open=true", [two]),
    ):
        assert numbers(api, query) == [each.number for each in wanted], query


@pytest.mark.parametrize(
    "query",
    [
        "severity=2",
        "severity=high",
        "state=done",
        "open=maybe",
        "open=True",
        "opened_after=yesterday",
        "opened_after=2026-13-01T00:00:00Z",
        "opened_after=99999-01-01T00:00:00Z",
        "room=1",
        "number=INC-BBBBBBBB",
        "unknown=1",
    ],
)
def test_a_bad_filter_is_named(api, query):
    answer = api.get(f"/incidents?{query}")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == query.split("=")[0]


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-14:00"])
def test_a_moment_at_the_end_of_time_is_no_error_of_ours(api, moment):
    assert api.get(f"/incidents?opened_after={moment}").status_code in (200, 400)


def test_incidents_page_newest_first(customer, api, room, now):
    for number in range(5):
        make_incident(customer, room, f"AAAAA{number}", at=now - timedelta(minutes=number))
    first = api.get("/incidents?limit=2").json()
    second = api.get(first["next"]).json()
    third = api.get(second["next"]).json()
    shown = [row["number"] for page in (first, second, third) for row in page["results"]]
    assert shown == [f"INC-AAAAA{number}" for number in range(5)]
    assert third["next"] is None


def test_a_comment_is_on_the_timeline_once_and_may_hand_the_ticket_to_operations(
    customer, api, person, room, now
):
    incident = make_incident(customer, room, "AAAAAA", at=now, state="needs_action")
    path = f"/incidents/{incident.id}"
    body = {"text": "Cable replaced.\nWorks now?", "assign_to_operator": True}
    first = api.post(f"{path}/comments", body, Idempotency_Key="k")
    again = api.post(f"{path}/comments", body, Idempotency_Key="k")
    assert (first.status_code, first.json()["state"]) == (201, "assigned_to_soc")
    assert first.json() == again.json()
    lines = api.get(f"{path}/timeline").json()["results"]
    comments = [(line["author"], line["text"]) for line in lines if line["kind"] == "comment"]
    assert comments == [(person.name, "Cable replaced.\nWorks now?")]


def test_the_operators_own_notes_are_not_shown(customer, api, room, now):
    incident = make_incident(customer, room, "AAAAAA", at=now)
    with tenant(customer.id):
        entries = IncidentEntry.objects.for_tenant(customer)
        entries.create(incident=incident, kind="note", at=now, text="Between us", by_operator=True)
        entries.create(incident=incident, kind="comment", at=now, text="To you", by_operator=True)
    lines = api.get(f"/incidents/{incident.id}/timeline").json()["results"]
    assert [line["text"] for line in lines] == ["To you"]


def test_a_customer_says_done_and_reopens(customer, api, room, now):
    incident = make_incident(customer, room, "AAAAAA", at=now, state="needs_action")
    path = f"/incidents/{incident.id}"
    assert api.post(f"{path}/done").json()["state"] == "assigned_to_soc"
    assert api.post(f"{path}/done").status_code == 409
    assert api.post(f"{path}/reopen").status_code == 409
    with tenant(customer.id):
        Incident.objects.for_tenant(customer).filter(id=incident.id).update(
            state="resolved", state_before="assigned_to_soc", resolved_at=now
        )
    assert api.post(f"{path}/reopen").json()["state"] == "assigned_to_soc"


def test_a_token_nobody_stands_behind_cannot_write(customer, room, now):
    incident = make_incident(customer, room, "AAAAAA", at=now)
    answer = Api(make_api_token(customer, at=now)).post(f"/incidents/{incident.id}/comments", {"text": "Hi"})
    assert answer.status_code == 403


@pytest.mark.parametrize(
    "body",
    [{}, {"text": ""}, {"text": " "}, {"text": "x" * 10_001}, {"text": 5}, {"text": "x", "kind": "note"}],
)
def test_a_bad_comment_is_refused(customer, api, room, now, body):
    incident = make_incident(customer, room, "AAAAAA", at=now)
    assert api.post(f"/incidents/{incident.id}/comments", body).status_code == 400
    with tenant(customer.id):
        assert not IncidentEntry.objects.for_tenant(customer).exists()
