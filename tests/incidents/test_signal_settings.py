from __future__ import annotations

from datetime import timedelta

import pytest

from fleet.models import Room, SignalState
from foundation.errors import NotValid
from foundation.models import Timer
from incidents import lifecycle, signal_settings
from incidents.errors import UnknownSignal
from incidents.models import SignalSetting
from incidents.rules import RULES
from incidents.severity import Severity
from incidents.signal_settings import Origin, change, effective, reset
from tenancy.models import AuditEvent
from tests.factories.incidents import (
    CAMERA_WATCH,
    heard,
    incidents_of,
    make_incident,
    make_watched_device,
    said,
    the_incident,
    watch_ends,
)

MINUTE = timedelta(minutes=1)


@pytest.fixture
def device(inside, at):
    return make_watched_device(at=at)


def test_without_a_setting_the_values_are_the_rules(inside):
    found = list(effective(inside.id))
    assert [each.rule.key for each in found] == [key for key, rule in RULES.items() if not rule.raised]
    assert all(each.is_default and each.enabled is not each.rule.optional for each in found)
    assert effective(inside.id).of("lamp_broken") is None


def test_each_value_says_where_it_comes_from_and_can_be_reset(inside, at):
    changed = change(inside.id, "camera_room", {"watch": timedelta(seconds=10)}, at=at)
    assert (changed.watch, changed.watch_from) == (timedelta(seconds=10), Origin.CUSTOMER)
    assert (changed.severity, changed.severity_from) == (Severity.IMPORTANT, Origin.DEFAULT)
    assert reset(inside.id, "camera_room", at=at + MINUTE).is_default
    assert effective(inside.id).of("camera_room").watch == RULES["camera_room"].watch
    events = list(AuditEvent.objects.filter(action="signal_setting.update").order_by("id"))
    assert [event.after["watch_s"] for event in events] == [10, 20]
    assert [event.before["watch_s"] for event in events] == [20, 10]


def test_changing_nothing_leaves_no_event(inside, at):
    change(inside.id, "camera_room", {}, at=at)
    reset(inside.id, "camera_room", at=at)
    assert not AuditEvent.objects.filter(action="signal_setting.update").exists()


@pytest.mark.parametrize(
    "values",
    [
        {"watch": timedelta(days=8)}, {"watch": timedelta(seconds=-1)}, {"watch": 5}, {"enabled": "no"},
        {"severity": 5}, {"severity": True}, {"colour": "red"},
    ],
)  # fmt: skip
def test_an_impossible_value_is_refused_and_nothing_changes(inside, at, values):
    with pytest.raises(NotValid):
        change(inside.id, "camera_room", values, at=at)
    assert not SignalSetting.objects.exists()


def test_an_unknown_signal_has_no_settings(inside, at):
    with pytest.raises(UnknownSignal):
        change(inside.id, "lamp_broken", {"enabled": False}, at=at)


def test_turning_a_signal_off_closes_its_open_tickets_for_good_and_ends_watching(device, at):
    incident = make_incident(device, at=at)
    heard(said(device, instance="2", at=at), at=at)
    other = make_incident(device, "mic_conf", at=at)
    change(device.tenant_id, "camera_room", {"enabled": False}, at=at + MINUTE)
    incident.refresh_from_db()
    other.refresh_from_db()
    assert (incident.state, incident.cause, incident.closed_at) == ("closed", "signal_disabled", at + MINUTE)
    assert other.is_open
    assert not Timer.objects.filter(subject__contains="camera_room").exists()
    assert Room.objects.get(id=device.room_id).open_faults == 1
    with pytest.raises(lifecycle.IncidentClosed):
        lifecycle.hold(incident)


def test_turning_a_signal_on_watches_what_is_unhealthy_now_under_a_new_number(device, at):
    first = make_incident(device, at=at)
    change(device.tenant_id, "camera_room", {"enabled": False}, at=at)
    change(device.tenant_id, "camera_room", {"enabled": None}, at=at + MINUTE)
    assert watch_ends(device, at=at + MINUTE + CAMERA_WATCH).opened == 1
    old, new = incidents_of(device)
    assert (old.number, old.state) == (first.number, "closed")
    assert new.is_open


def test_a_new_watching_period_counts_for_those_under_way(device, at):
    heard(said(device, at=at), at=at)
    change(device.tenant_id, "camera_room", {"watch": timedelta(seconds=10)}, at=at + timedelta(seconds=5))
    due_at = at + timedelta(seconds=10)
    assert SignalState.objects.get(device=device).watch_until == due_at
    assert Timer.objects.get(kind="watch").due_at == due_at
    assert watch_ends(device, at=due_at).opened == 1


def test_a_new_severity_counts_for_tickets_that_open_from_now_on(device, at):
    change(device.tenant_id, "camera_room", {"severity": Severity.WARNING}, at=at)
    make_incident(device, at=at)
    assert the_incident(device).severity == Severity.WARNING
    assert Room.objects.get(id=device.room_id).state == "healthy"


def test_the_settings_of_one_customer_are_none_of_anothers(inside, at):
    from foundation.context import tenant
    from tests.factories.tenancy import make_customer

    change(inside.id, "camera_room", {"enabled": False}, at=at)
    other = make_customer(at=at)
    with tenant(other.id):
        assert signal_settings.effective(other.id).of("camera_room").is_default
