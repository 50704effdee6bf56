from __future__ import annotations

import pytest

from fleet.models import Device, Peripheral, SignalState
from foundation import clock
from foundation.context import tenant
from foundation.ids import new_id
from tenancy.models import AuditEvent
from tests.factories.api import Api, make_api_token
from tests.factories.fleet import make_device, make_place, make_room


@pytest.fixture
def now(db):
    return clock.now()


@pytest.fixture
def api(customer, now):
    return Api(make_api_token(customer, at=now))


@pytest.fixture
def room(customer, now):
    with tenant(customer.id):
        return make_room("Aurora", at=now)


def test_a_waiting_device_is_accepted_moved_and_unenrolled(customer, api, room, now):
    with tenant(customer.id):
        device = make_device(None, status="onboarding", wanted_room="Aurora", at=now)
        other = make_room("Borealis", at=now)
    path = f"/devices/{device.id}"
    assert [row["id"] for row in api.get("/devices?status=onboarding").json()["results"]] == [str(device.id)]
    accepted = api.post(f"{path}/accept", {"room": str(room.id)})
    assert (accepted.status_code, accepted.json()["status"]) == (200, "enrolled")
    assert (accepted.json()["room"], accepted.json()["room_name"]) == (str(room.id), "Aurora")
    assert api.get(f"/rooms/{room.id}").json()["state"] == "healthy"
    assert api.post(f"{path}/move", {"room": str(other.id)}).json()["room_name"] == "Borealis"
    assert api.get(f"/rooms/{room.id}").json()["state"] == "unenrolled"
    gone = api.post(f"{path}/unenroll")
    assert (gone.status_code, gone.json()["status"]) == (200, "unenrolled")
    assert api.post(f"{path}/unenroll").status_code == 200
    again = api.post(f"{path}/accept", {"room": str(room.id)})
    assert (again.status_code, again.json()["code"]) == (409, "wrong_state")
    with tenant(customer.id):
        actions = AuditEvent.objects.for_tenant(customer).filter(object_id=device.id)
        assert set(actions.values_list("action", flat=True)) >= {
            "device.accept",
            "device.move",
            "device.unenroll",
        }


def test_a_device_is_shown_with_its_signals_and_peripherals(customer, api, room, now):
    with tenant(customer.id):
        device = make_device(room, at=now, versions={"os": "10.0.26100"}, serial_number="SN-1")
        SignalState.objects.for_tenant(customer).create(
            device=device, signal="camera_room", state="unhealthy", detail="no video device", since=now
        )
        Peripheral.objects.for_tenant(customer).create(
            device=device,
            kind="camera",
            make="Acme",
            identity="camera:1",
            first_seen_at=now,
            last_seen_at=now,
        )
    shown = api.get(f"/devices/{device.id}").json()
    assert shown["versions"] == {"os": "10.0.26100"}
    assert [(row["signal"], row["state"], row["detail"]) for row in shown["signals"]] == [
        ("camera_room", "unhealthy", "no video device")
    ]
    assert [(row["kind"], row["make"], row["connected"]) for row in shown["peripherals"]] == [
        ("camera", "Acme", True)
    ]
    assert "signals" not in api.get("/devices").json()["results"][0]


def test_devices_are_filtered(customer, api, room, now):
    with tenant(customer.id):
        one = make_device(room, at=now, name="One", kind="video_bar", platform="android", serial_number="A")
        make_device(
            make_room(place=make_place(at=now), at=now), at=now, name="Two", serial_number="B", make="Other"
        )
        make_device(None, status="onboarding", at=now, name="Three", serial_number="C")
        assert Device.objects.for_tenant(customer).count() == 3
    for query in (
        f"room={room.id}",
        "kind=video_bar",
        "platform=android",
        "serial_number=A",
        f"site={room.place_id}",
        "status=enrolled&kind=video_bar",
    ):
        assert [row["id"] for row in api.get(f"/devices?{query}").json()["results"]] == [str(one.id)], query
    assert api.names("/devices?make=Other") == ["Two"]


@pytest.mark.parametrize(
    "query", ["status=dead", "kind=robot", "room=x", "serial_number=" + "x" * 65, "name=One"]
)
def test_a_bad_filter_is_refused(api, query):
    answer = api.get(f"/devices?{query}")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == query.split("=")[0]


@pytest.mark.parametrize(
    "body", [None, {}, {"room": "x"}, {"room": None}, {"room": 5}, {"place": "x"}, [], "x"]
)
def test_a_bad_room_is_refused(customer, api, now, body):
    with tenant(customer.id):
        device = make_device(None, status="onboarding", at=now)
    for action in ("accept", "move"):
        assert api.post(f"/devices/{device.id}/{action}", body).status_code == 400
    unknown = api.post(f"/devices/{device.id}/accept", {"room": str(new_id())})
    assert (unknown.status_code, unknown.json()["errors"][0]["field"]) == (400, "room")
