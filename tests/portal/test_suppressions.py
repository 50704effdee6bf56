"""Suppressions and maintenance windows as pages and API: made, shown, ended; a role over some rooms stays in them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.urls import reverse

from fleet import room_groups
from foundation import clock
from foundation.context import tenant
from incidents.models import Incident, Suppression
from tenancy import assignments
from tenancy.models import Role, Tenant
from tenancy.tenants import add_person
from tests.factories.api import Api, make_api_token
from tests.factories.incidents import make_incident, make_watched_device
from tests.factories.tenancy import make_person, make_user

FRIDAY = f"{datetime.now(UTC) + timedelta(days=5):%Y-%m-%dT17:00}"


@pytest.fixture
def now(db: None) -> Any:
    return clock.now()


@pytest.fixture
def things(customer: Tenant, now: Any) -> Any:
    with tenant(customer.id):
        device = make_watched_device(at=now)
        group = room_groups.add_group(name="Refit", at=now)
        room_groups.add_members(group.id, [device.room_id], at=now)
        return device, group, make_incident(device, at=now)


@pytest.fixture
def manager(customer: Tenant, now: Any) -> Client:
    client = Client()
    client.force_login(make_person(customer, "pro_manager", at=now).user)
    return client


def is_quiet(incident: Incident) -> bool:
    with tenant(incident.tenant_id):
        incident.refresh_from_db()
    return incident.suppressed


def test_a_signal_of_a_group_is_suppressed_and_ended_on_the_page(manager, things):
    _, group, incident = things
    sent = {"group": str(group.id), "signal": "camera_room", "until": FRIDAY, "reason": "New cameras"}
    manager.post(reverse("portal:suppression-add"), sent)
    assert is_quiet(incident)
    page = manager.get(reverse("portal:suppression-list"))
    assert [(row.group.name, row.reason) for row, _ in page.context["rows"]] == [("Refit", "New cameras")]
    row = page.context["rows"][0][0]
    manager.post(reverse("portal:suppression-end", args=[row.id]))
    assert not is_quiet(incident)
    assert b"Ended" in manager.get(reverse("portal:suppression-list")).content


def test_what_is_wrong_stands_beside_its_field(manager, things):
    _, group, _ = things
    sent = {"group": str(group.id), "signal": "", "until": "2020-01-01T09:00", "reason": "Late"}
    answer = manager.post(reverse("portal:suppression-add"), sent)
    assert answer.status_code == 422
    assert "until" in answer.context["form"].errors
    everything = manager.post(reverse("portal:suppression-add"), {**sent, "group": "", "until": FRIDAY})
    assert "signal" in everything.context["form"].errors


def test_programs_suppress_and_plan_maintenance(customer, things, now):
    device, group, incident = things
    api = Api(make_api_token(customer, at=now))
    until = (now + timedelta(days=1)).isoformat()
    made = api.post("/suppressions", {"group": str(group.id), "until": until, "reason": "Refit"})
    assert (made.status_code, made.json()["signal"]) == (201, "")
    listed = api.get(f"/suppressions?group={group.id}&ended=false").json()["results"]
    assert [row["id"] for row in listed] == [made.json()["id"]]
    ended = api.post(f"/suppressions/{made.json()['id']}/end")
    assert (ended.status_code, ended.json()["ended_at"] is None) == (200, False)
    assert api.get("/suppressions?ended=false").json()["results"] == []
    span = {"starts_at": now.isoformat(), "ends_at": until, "reason": "Power"}
    window = api.post("/maintenance-windows", {"site": str(device.room.place_id), **span})
    assert window.status_code == 201
    assert is_quiet(incident)
    assert api.post(f"/maintenance-windows/{window.json()['id']}/end").status_code == 200
    assert api.post("/maintenance-windows", span).status_code == 400


def test_who_manages_one_group_keeps_that_quiet_and_not_all_rooms(customer, things, now):
    _, group, incident = things
    api = Api(make_api_token(customer, at=now))
    until = (now + timedelta(days=1)).isoformat()
    api.post("/suppressions", {"signal": "camera_room", "until": until, "reason": "All cameras"})
    user = make_user(customer, at=now, name="One group")
    with transaction.atomic():
        person = add_person(user, to=customer, role="", at=now)
    with tenant(customer.id):
        role = Role.objects.for_tenant(customer).get(key="pro_manager")
        scope = [("group", group.id)]
        assignments.add(
            role_id=role.id, name="One", members=[person.id], everywhere=False, scope=scope, by=None, at=now
        )
    client = Client()
    client.force_login(user)
    add = reverse("portal:suppression-add")
    client.post(add, {"group": str(group.id), "signal": "", "until": FRIDAY, "reason": "Mine"})
    (mine,) = [row for row, _ in client.get(reverse("portal:suppression-list")).context["rows"]]
    assert mine.reason == "Mine"
    client.post(reverse("portal:suppression-end", args=[mine.id]))
    assert is_quiet(incident)  # what he cannot see still keeps it quiet
    wide = client.post(add, {"group": "", "signal": "mic_conf", "until": FRIDAY, "reason": "Wide"})
    assert wide.status_code == 422
    with tenant(customer.id):
        assert not Suppression.objects.filter(reason="Wide").exists()


def test_maintenance_is_planned_shown_and_ended_on_the_page(manager, things):
    device, group, incident = things
    add = reverse("portal:window-add")
    offered = dict(manager.get(add).context["form"].fields["where"].choices)
    assert {f"group:{group.id}", f"place:{device.room.place_id}"} <= offered.keys()
    begin = f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%dT17:00}"
    span = {"starts_at": begin, "ends_at": FRIDAY, "reason": "New ceiling"}
    nowhere = manager.post(add, {**span, "where": ""})
    assert "where" in nowhere.context["form"].errors
    backwards = manager.post(add, {**span, "where": f"group:{group.id}", "ends_at": "2019-01-01T09:00"})
    assert "ends_at" in backwards.context["form"].errors
    manager.post(add, {**span, "where": f"group:{group.id}"})
    assert is_quiet(incident)
    ((row, state),) = manager.get(reverse("portal:window-list")).context["rows"]
    assert (row.reason, state) == ("New ceiling", ("mute", "Running"))
    manager.post(reverse("portal:window-end", args=[row.id]))
    assert not is_quiet(incident)


def test_maintenance_of_one_room_is_planned_from_its_page_and_taken_back(manager, things):
    device, _, incident = things
    add = f"{reverse('portal:window-add')}?room={device.room_id}"
    assert "where" not in manager.get(add).context["form"].fields
    begin = f"{datetime.now(UTC) + timedelta(days=4):%Y-%m-%dT17:00}"
    manager.post(add, {"starts_at": begin, "ends_at": FRIDAY, "reason": "New table"})
    assert not is_quiet(incident)
    ((row, state),) = manager.get(reverse("portal:window-list")).context["rows"]
    assert (row.room, state) == (device.room, ("none", "Planned"))
    manager.post(reverse("portal:window-end", args=[row.id]))
    ((_, state),) = manager.get(reverse("portal:window-list")).context["rows"]
    assert state == ("off", "Taken back")


def test_signals_are_set_for_a_group_and_say_where_each_value_comes_from(customer, manager, things, now):
    _, group, _ = things
    address = reverse("portal:signal-settings")
    edit = reverse("portal:signal-edit", args=["camera_room"])
    sent = {
        "enabled": "on",
        "severity": 2,
        "amount": 5,
        "unit": "60",
        "recover_amount": 0,
        "recover_unit": "60",
    }
    manager.post(edit, sent)
    tail = f"?group={group.id}"
    assert manager.post(edit + tail, {**sent, "severity": 1, "recover_amount": 2}).status_code == 302

    def row(query: str) -> Any:
        rows = manager.get(address + query).context["rows"]
        return next(each for each in rows if each.signal.rule.key == "camera_room")

    mine, all_rooms = row(tail), row("")
    assert (mine.severity.text, mine.severity.origin, mine.severity.usual) == (
        "Critical",
        "Refit",
        "Important",
    )
    assert (mine.watch.text, mine.watch.origin) == ("5 min", customer.name)
    assert (mine.recover.text, mine.recover.origin) == ("2 min", "Refit")
    assert (all_rooms.severity.text, all_rooms.severity.origin) == ("Important", "")
    manager.post(reverse("portal:signal-reset", args=["camera_room"]) + tail)
    assert (row(tail).severity.text, row(tail).own, row("").own) == ("Important", False, True)
    assert manager.get(f"{address}?group=nonsense").status_code == 404


def test_programs_set_signals_for_all_rooms_and_for_a_group(customer, things, now):
    _, group, _ = things
    api = Api(make_api_token(customer, at=now))
    address = f"/signal-settings/camera_room?group={group.id}"
    changed = api.patch(address, {"watch_s": 90, "severity": "critical"})
    assert changed.status_code == 200
    told = changed.json()
    assert (told["watch_s"], told["watch_from"], told["severity_from"]) == (90, "group", "group")
    usual = api.get("/signal-settings/camera_room").json()
    assert (usual["watch_from"], usual["severity"]) == ("default", "important")
    assert api.patch(address, {"watch_s": None}).json()["watch_from"] == "default"
    assert api.delete(address).json()["severity_from"] == "default"
    listed = api.get("/signal-settings").json()["results"]
    assert {"camera_room", "a_offline"} <= {each["signal"] for each in listed}
    for wrong in ({"watch_s": 604_801}, {"watch_s": "long"}, {"severity": "huge"}, {"colour": "red"}):
        assert api.patch(address, wrong).status_code == 400
    assert api.get("/signal-settings?group=nonsense").status_code == 400
    assert api.get("/signal-settings/no_such").status_code == 404
