"""Events as devices tell them, programs tell them, and people flag them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from foundation import clock
from foundation.context import tenant
from incidents import events
from incidents.models import Incident, RoomEvent
from tests.factories.api import Api, make_api_token
from tests.factories.enrollment import make_token
from tests.factories.incidents import make_watched_device
from tests.factories.tenancy import make_person


@pytest.fixture
def now(db: None) -> Any:
    return clock.now()


@pytest.fixture
def device(customer: Any, now: Any) -> Any:
    with tenant(customer.id):
        return make_watched_device(at=now)


@pytest.fixture
def ingrid(customer: Any, now: Any) -> Any:
    return make_person(customer, "pro_manager", at=now)


def told(device: Any, body: Any, *, now: Any) -> Any:
    with tenant(device.tenant_id):
        token = make_token(device, None, at=now)
    return Client().post(
        "/device/v1/events",
        body,
        content_type="application/json",
        headers={"Authorization": f"Device {token}"},
    )


def test_a_device_tells_and_tells_again(device, now):
    body = {"events": [{"id": "c1", "kind": "poor_call", "at": now.isoformat(), "text": "Echo"}]}
    assert told(device, body, now=now).json() == {"stored": 1}
    assert told(device, body, now=now).json() == {"stored": 0}
    for wrong in ([], {}, {"events": [{"kind": "party", "at": now.isoformat()}]}, {"events": [{}] * 51}):
        assert told(device, wrong, now=now).status_code == 400


def test_a_device_that_tells_too_much_is_told_to_wait(device, now, monkeypatch):
    monkeypatch.setattr(events, "MOST_AN_HOUR", 0)
    answer = told(device, {"events": [{"kind": "other", "at": now.isoformat()}]}, now=now)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "3600")


def test_events_are_listed_and_flagged_on_the_page(customer, device, ingrid, now):
    with tenant(customer.id):
        for text in ("Echo", "Noise"):
            told_of = {"room_id": device.room_id, "kind": "room_report", "source": "Panel", "text": text}
            events.add_event(customer.id, **told_of, at=now)
        echo = RoomEvent.objects.get(text="Echo")
        noise = RoomEvent.objects.get(text="Noise")
    manager = Client()
    manager.force_login(ingrid.user)
    address = reverse("portal:event-list")
    assert "Echo" in manager.get(address, {"kind": "room_report"}).content.decode()
    assert "Echo" not in manager.get(address, {"kind": "poor_call"}).content.decode()
    assert "Echo" in manager.get(address, {"q": device.room.name}).content.decode()
    flag = reverse("portal:event-flag", args=[echo.id])
    offered = manager.get(flag).context["form"].fields["others"].choices
    assert [key for key, _ in offered] == [str(noise.id)]
    manager.post(flag, {"title": "Sound is bad", "others": [str(noise.id)]})
    with tenant(customer.id):
        incident = Incident.objects.get(signal="event_flagged")
        assert incident.events.count() == 2
    shown = manager.get(address).content.decode()
    assert incident.number in shown
    assert "Flag as unhealthy" not in shown
    ticket = manager.get(reverse("portal:incident-detail", args=[incident.id])).content.decode()
    assert "Sound is bad" in ticket
    assert "Panel" in ticket
    again = manager.post(flag, {"title": "Sound is bad"})
    assert again.status_code == 422


def test_programs_tell_list_and_flag(customer, device, ingrid, now):
    api = Api(make_api_token(customer, at=now, by=ingrid))
    room = str(device.room_id)
    sent = {"room": room, "kind": "poor_call", "source": "Call quality", "text": "Echo"}
    made = api.post("/events", {**sent, "at": (now - timedelta(hours=1)).isoformat()})
    assert (made.status_code, made.json()["kind"]) == (201, "poor_call")
    late = api.post("/events", {**sent, "at": (now - timedelta(days=31)).isoformat()})
    assert (late.status_code, late.json()["errors"][0]["field"]) == (400, "at")
    (listed,) = api.get(f"/events?room={room}&kind=poor_call&flagged=false").json()["results"]
    assert api.get(f"/events/{listed['id']}").json() == listed
    flagged = api.post("/events/flag", {"events": [listed["id"]]})
    assert (flagged.status_code, flagged.json()["signal"]) == (201, "event_flagged")
    assert api.get("/events?flagged=false").json()["results"] == []
    assert api.post("/events/flag", {"events": [listed["id"]]}).status_code == 409


def test_programs_read_the_health_of_a_room_and_tell_of_its_account(customer, device, ingrid, now):
    api = Api(make_api_token(customer, at=now, by=ingrid))
    address = f"/rooms/{device.room_id}"
    assert api.get(f"{address}/health").json() | {"today": None} == {
        "room": str(device.room_id),
        "state": "healthy",
        "score": 100,
        "label": "Good",
        "parts": [],
        "today": None,
    }
    event = api.post("/events", {"room": str(device.room_id), "kind": "poor_call", "source": "Calls"})
    incident = api.post("/events/flag", {"events": [event.json()["id"]]}).json()
    ill = api.get(f"{address}/health").json()
    assert (ill["score"], ill["parts"][0]["incident"]) == (60, incident["id"])
    told = api.put(f"{address}/sign-in", {"signed_in_at": now.isoformat()})
    assert (told.status_code, told.json()["room"]) == (200, str(device.room_id))
    late = (now + timedelta(days=1)).isoformat()
    assert api.put(f"{address}/sign-in", {"signed_in_at": late}).status_code == 400
