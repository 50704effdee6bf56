from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from fleet.counters import of as counters_of
from fleet.models import Device, Room, SignalState, SignalTransition
from foundation.context import tenant
from foundation.models import Timer
from incidents import detection, lifecycle, signal_settings, watching
from incidents.models import Incident
from tests.factories.fleet import make_room, state_of
from tests.factories.incidents import (
    CAMERA_WATCH,
    come_back,
    fall_silent,
    heal,
    heard,
    incidents_of,
    kinds_of,
    make_incident,
    make_watched_device,
    no_longer_said,
    said,
    the_incident,
    watch_ends,
)
from tests.factories.tenancy import make_customer

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


@pytest.fixture
def device(inside, at):
    return make_watched_device(at=at)


def watched_until(device, signal="camera_room", instance=""):
    return SignalState.objects.get(device=device, signal=signal, instance=instance).watch_until


def test_a_fault_is_watched_first_and_opens_nothing(device, at):
    outcome = heard(said(device, at=at), at=at)
    assert outcome.opened == 0
    assert not incidents_of(device)
    assert watched_until(device) == at + CAMERA_WATCH
    timer = Timer.objects.get(kind=watching.WATCH)
    assert (timer.subject, timer.due_at) == (f"{device.id}:camera_room:", at + CAMERA_WATCH)
    assert state_of(device.room_id) == Room.State.HEALTHY


def test_a_watching_period_that_is_exactly_over_opens_the_ticket(device, at):
    heard(said(device, at=at, detail="no video device"), at=at)
    assert watch_ends(device, at=at + CAMERA_WATCH - SECOND).opened == 0
    assert watch_ends(device, at=at + CAMERA_WATCH).opened == 1
    incident = the_incident(device)
    assert (incident.state, incident.signal, incident.severity) == ("pending_investigation", "camera_room", 2)
    assert (incident.opened_at, incident.fault_at) == (at + CAMERA_WATCH, at)
    assert incident.respond_by == incident.due_at == incident.opened_at + timedelta(hours=4)
    assert incident.evidence == {"detail": "no video device"}
    assert kinds_of(incident) == ["opened", "state"]
    assert watched_until(device) is None
    assert state_of(device.room_id) == Room.State.UNHEALTHY
    assert counters_of(device.tenant_id)["incidents.open"] == 1
    assert counters_of(device.tenant_id)["incidents.important"] == 1
    assert counters_of(device.tenant_id)["incidents.pending_investigation"] == 1


def test_a_heartbeat_after_the_watching_period_opens_the_ticket_before_a_late_timer(device, at):
    heard(said(device, at=at), at=at)
    again = said(device, at=at, detail="another detail")
    assert heard(again, at=at + CAMERA_WATCH).opened == 1
    assert not Timer.objects.filter(kind=watching.WATCH).exists()
    assert watch_ends(device, at=at + CAMERA_WATCH).opened == 0
    assert len(incidents_of(device)) == 1


def test_recovery_inside_the_watching_period_opens_nothing(device, at):
    heard(said(device, at=at), at=at)
    heal(device, at=at + CAMERA_WATCH - SECOND)
    assert not Timer.objects.filter(kind=watching.WATCH).exists()
    assert watch_ends(device, at=at + CAMERA_WATCH).opened == 0
    assert not incidents_of(device)


def test_a_fault_and_its_recovery_in_one_batch_open_nothing_whatever_time_lies_between(device, at):
    begun = at - timedelta(hours=3)  # it waited in the device's spool
    outcome = heard(said(device, at=begun), said(device, state="healthy", at=at - MINUTE), at=at)
    assert outcome.opened == 0
    assert watched_until(device) is None


def test_a_fault_that_recovered_within_a_batch_is_watched_anew(device, at):
    heard(said(device, at=at), at=at)
    later = at + CAMERA_WATCH
    heard(said(device, state="healthy", at=later - MINUTE), said(device, at=later), at=later)
    assert not incidents_of(device)
    assert watched_until(device) == later + CAMERA_WATCH


def test_unknown_ends_watching_but_resolves_no_ticket(device, at):
    heard(said(device, at=at), at=at)
    heard(said(device, state="unknown", at=at + MINUTE), at=at + MINUTE)
    assert watched_until(device) is None
    incident = make_incident(device, at=at + timedelta(hours=1))
    heard(said(device, state="unknown", at=at + timedelta(hours=2)), at=at + timedelta(hours=2))
    incident.refresh_from_db()
    assert incident.is_open


def test_a_healthy_signal_resolves_its_ticket(device, at):
    incident = make_incident(device, at=at)
    assert heal(device, at=at + MINUTE).resolved == 1
    incident.refresh_from_db()
    assert (incident.state, incident.cause, incident.resolved_at) == ("resolved", "healthy", at + MINUTE)
    assert incident.due_at is None
    assert state_of(device.room_id) == Room.State.HEALTHY
    assert counters_of(device.tenant_id)["incidents.open"] == 0


def test_a_signal_without_a_watching_period_opens_at_once(device, at):
    assert heard(said(device, "time_drift", at=at), at=at).opened == 1
    assert the_incident(device, "time_drift").severity == 3
    assert state_of(device.room_id) == Room.State.HEALTHY  # a Warning never changes it
    assert Room.objects.get(id=device.room_id).open_warnings == 1


def test_two_instances_are_two_tickets(device, at):
    first = make_incident(device, "display_front", instance="1", at=at)
    second = make_incident(device, "display_front", instance="2", at=at)
    assert first.number != second.number
    heal(device, "display_front", instance="1", at=at + MINUTE)
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.state, second.is_open) == ("resolved", True)


def test_an_instance_a_list_leaves_out_has_its_ticket_resolved(device, at):
    incident = make_incident(device, "display_front", instance="2", at=at)
    heard(no_longer_said(device, "display_front", instance="2", at=at + MINUTE), at=at + MINUTE)
    incident.refresh_from_db()
    assert incident.state == "resolved"


def test_an_unknown_signal_is_never_evaluated(device, at):
    assert heard(said(device, "lamp_broken", at=at), at=at).opened == 0
    assert not Timer.objects.exists()


@pytest.mark.parametrize("status", ["onboarding", "pending", "quarantined"])
def test_only_enrolled_devices_raise_tickets(inside, at, status):
    device = make_watched_device(status=status, at=at)
    heard(said(device, "time_drift", at=at), said(device, at=at), at=at)
    assert not incidents_of(device)
    assert not Timer.objects.exists()


def test_faults_of_a_device_are_evaluated_when_it_is_accepted(inside, at):
    device = make_watched_device(status="onboarding", at=at)
    heard(said(device, "time_drift", at=at), said(device, at=at), at=at)
    Device.objects.filter(id=device.id).update(status="enrolled")
    assert detection.evaluate_devices(inside.id, [device.id], at=at + MINUTE).opened == 1
    assert watched_until(device) == at + MINUTE + CAMERA_WATCH


def test_tickets_and_watching_end_when_a_device_is_unenrolled(device, at):
    incident = make_incident(device, at=at)
    heard(said(device, "mic_conf", at=at), at=at)
    Device.objects.filter(id=device.id).update(status="unenrolled")
    detection.evaluate_devices(device.tenant_id, [device.id], at=at + MINUTE)
    incident.refresh_from_db()
    assert (incident.state, incident.cause) == ("resolved", "unenrolled")
    assert not Timer.objects.filter(kind=watching.WATCH).exists()


def test_tickets_follow_a_device_to_its_new_room(device, at):
    incident, other = make_incident(device, at=at), make_room(at=at)
    old_room = device.room_id
    Device.objects.filter(id=device.id).update(room=other)
    detection.evaluate_devices(device.tenant_id, [device.id], at=at + MINUTE)
    incident.refresh_from_db()
    assert incident.room_id == other.id
    assert kinds_of(incident)[-1] == "moved"
    counts = {room.id: room.open_faults for room in Room.objects.filter(id__in=[old_room, other.id])}
    assert counts == {old_room: 0, other.id: 1}


def test_silence_becomes_a_ticket_after_its_watch_and_ends_with_the_next_heartbeat(device, at):
    fall_silent(device, at=at)
    assert watched_until(device, "offline") == at + MINUTE
    assert watch_ends(device, "offline", at=at + MINUTE).opened == 1
    incident = the_incident(device, "offline")
    assert (incident.severity, incident.fault_at) == (2, at)
    come_back(device, at=at + timedelta(minutes=10))
    incident.refresh_from_db()
    assert (incident.state, incident.cause) == ("resolved", "healthy")
    changes = SignalTransition.objects.filter(device=device, signal="offline").order_by("at")
    assert list(changes.values_list("before", "after")) == [
        ("unknown", "unhealthy"),
        ("unhealthy", "healthy"),
    ]


def test_a_device_heard_again_within_the_watch_of_its_silence_has_no_ticket(device, at):
    fall_silent(device, at=at)
    come_back(device, at=at + MINUTE - SECOND)
    assert watch_ends(device, "offline", at=at + MINUTE).opened == 0
    assert not incidents_of(device)


def test_a_silent_video_bar_is_judged_by_its_own_rule(inside, at):
    bar = make_watched_device(kind="video_bar", platform="android", at=at)
    fall_silent(bar, at=at)
    assert watch_ends(bar, "a_offline", at=at + timedelta(hours=1)).opened == 1
    assert [each.signal for each in incidents_of(bar)] == ["a_offline"]


def test_a_device_cannot_report_its_own_silence(device, at):
    heard(said(device, "offline", at=at), at=at)
    assert not Timer.objects.exists()
    assert not incidents_of(device)


def test_a_fault_within_seven_days_reopens_its_ticket_under_its_number(device, at):
    incident = make_incident(device, at=at)
    heal(device, at=at)
    back = at + timedelta(days=6, hours=23, minutes=59)
    heard(said(device, at=back), at=back)
    assert watch_ends(device, at=back + CAMERA_WATCH).reopened == 1
    (again,) = incidents_of(device)
    assert (again.number, again.state) == (incident.number, "pending_investigation")
    assert (again.opened_at, again.fault_at, again.resolved_at) == (at, back, None)
    assert again.reopened == 1
    assert again.respond_by == back + CAMERA_WATCH + timedelta(hours=4)
    assert not Timer.objects.filter(kind=lifecycle.CLOSE).exists()
    assert state_of(device.room_id) == Room.State.UNHEALTHY


def test_after_seven_days_a_fault_gets_a_new_number_even_if_the_closing_timer_is_late(device, at):
    incident = make_incident(device, at=at)
    heal(device, at=at)
    back = at + timedelta(days=7)
    heard(said(device, at=back), at=back)
    assert watch_ends(device, at=back + CAMERA_WATCH).opened == 1
    old, new = incidents_of(device)
    assert (old.number, old.state, old.closed_at) == (incident.number, "closed", back + CAMERA_WATCH)
    assert new.number != old.number
    assert new.is_open


def test_a_ticket_goes_back_to_where_it_was_when_it_reopens(device, at):
    incident = make_incident(device, at=at)
    Incident.objects.filter(id=incident.id).update(state="needs_action")
    heal(device, at=at + MINUTE)
    make_incident(device, at=at + timedelta(hours=1))
    incident.refresh_from_db()
    assert incident.state == "needs_action"


def test_a_resolved_ticket_closes_after_seven_healthy_days(device, at):
    incident = make_incident(device, at=at)
    heal(device, at=at)
    timer = Timer.objects.get(kind=lifecycle.CLOSE)
    assert timer.due_at == at + timedelta(days=7)
    assert not lifecycle.close_if_due(device.tenant_id, incident.id, at=timer.due_at - SECOND)
    assert lifecycle.close_if_due(device.tenant_id, incident.id, at=timer.due_at)
    assert not lifecycle.close_if_due(device.tenant_id, incident.id, at=timer.due_at)
    incident.refresh_from_db()
    assert (incident.state, incident.closed_at) == ("closed", timer.due_at)


def test_closing_waits_while_a_new_fault_is_watched(device, at):
    incident = make_incident(device, at=at)
    heal(device, at=at)
    due_at = at + timedelta(days=7)
    heard(said(device, at=due_at - MINUTE), at=due_at - MINUTE)
    assert not lifecycle.close_if_due(device.tenant_id, incident.id, at=due_at)
    watch_ends(device, at=due_at - MINUTE + CAMERA_WATCH)
    incident.refresh_from_db()
    assert incident.is_open


def test_a_ticket_resolved_by_a_person_reopens_if_the_fault_outlives_a_watching_period(device, at):
    incident = make_incident(device, at=at)
    lifecycle.resolve_all(device.tenant_id, [incident.id], cause="other", at=at)
    heard(said(device, at=at, detail="still nothing"), at=at + MINUTE)  # no new fault: no new watching period
    assert watched_until(device) is None
    assert detection.recheck(device.tenant_id, incident.id, at=at + CAMERA_WATCH)
    assert not detection.recheck(device.tenant_id, incident.id, at=at + CAMERA_WATCH)
    incident.refresh_from_db()
    assert incident.state == "pending_investigation"


def test_a_recheck_leaves_a_healthy_ticket_resolved(device, at):
    incident = make_incident(device, at=at)
    lifecycle.resolve_all(device.tenant_id, [incident.id], cause="other", at=at)
    heal(device, at=at + MINUTE)
    assert not detection.recheck(device.tenant_id, incident.id, at=at + CAMERA_WATCH)


def test_a_disabled_signal_opens_nothing(device, at):
    signal_settings.change(device.tenant_id, "camera_room", {"enabled": False}, at=at)
    heard(said(device, at=at), at=at)
    assert watched_until(device) is None
    assert not incidents_of(device)


def test_a_ticket_in_a_suppressed_room_is_marked_and_does_not_count(device, at):
    Room.objects.filter(id=device.room_id).update(suppressed_until=at + timedelta(days=1))
    incident = make_incident(device, at=at)
    assert incident.suppressed
    room = Room.objects.get(id=device.room_id)
    assert (room.open_faults, room.open_warnings) == (0, 0)
    assert counters_of(device.tenant_id).get("incidents.open", 0) == 0


def test_evaluation_enters_each_tenant_and_touches_no_other(customer, at):
    other = make_customer(at=at)
    devices = []
    for owner in (customer, other):
        with tenant(owner.id):
            devices.append(make_watched_device(at=at))
    with tenant(customer.id, other.id):
        changes = [said(device, "time_drift", at=at) for device in devices]
        assert heard(*changes, at=at).opened == 2
        assert heard(*changes, at=at).opened == 0
    for owner, device in zip((customer, other), devices, strict=True):
        with tenant(owner.id):
            assert [each.device_id for each in Incident.objects.all()] == [device.id]


@pytest.mark.parametrize("event", ["watched", "opened", "resolved", "reopened"])
def test_the_cost_of_a_batch_is_the_same_number_of_statements_for_one_change_as_for_many(inside, at, event):
    signal = "camera_room" if event == "watched" else "time_drift"

    def statements(number: int, start) -> int:
        devices = [make_watched_device(at=at) for _ in range(number)]
        for step, state in enumerate({"watched": "", "opened": "", "resolved": "u", "reopened": "uh"}[event]):
            moment = start + step * MINUTE
            name = {"u": "unhealthy", "h": "healthy"}[state]
            heard(*[said(device, signal, name, at=moment) for device in devices], at=moment)
        moment = start + 5 * MINUTE
        name = "healthy" if event == "resolved" else "unhealthy"
        changes = [said(device, signal, name, at=moment) for device in devices]
        with CaptureQueriesContext(connection) as captured:
            outcome = heard(*changes, at=moment)
        assert getattr(outcome, event, 0) == (0 if event == "watched" else number)
        return len(captured)

    one = statements(1, at)
    assert statements(8, at + timedelta(hours=1)) == one
    assert one <= 34
