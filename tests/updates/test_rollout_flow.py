"""A rollout from its plan to its end, as a customer would see it."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, time, timedelta

import pytest

from fleet import room_groups
from fleet.models import Device, Fault, Room
from foundation.errors import NotValid
from incidents import detection
from incidents.models import Incident
from tenancy.models import AuditEvent
from tests.factories.fleet import make_device, make_room
from tests.factories.updates import (
    fail,
    hear,
    look,
    make_fleet,
    make_release,
    make_running,
    open_attempts,
    propose,
    says,
    succeed,
)
from updates import (
    artifacts,
    attempts,
    catch_up,
    proposals,
    releases,
    rings,
    rollout_actions,
    rollout_progress,
)
from updates.errors import AttemptEnded, NoFile, NotNow, ReleaseDeprecated
from updates.models import Attempt, Ring, Rollout, RolloutGate, RolloutStage, RolloutTarget

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
NIGHT = datetime(2026, 11, 25, 0, 0, tzinfo=UTC)  # 01:00 in Oslo


@pytest.fixture
def release(inside, at):
    make_release("5.4.211", at=at)
    return make_release("5.4.218", at=at)


def stages(row: Rollout) -> dict[str, RolloutStage]:
    return {stage.name: stage for stage in rollout_progress.stages_of(row)}


def target_of(row: Rollout, device: Device) -> RolloutTarget:
    return RolloutTarget.objects.for_tenant(row.tenant_id).get(rollout=row, device=device)


def faults_of(device: Device) -> list[str]:
    rows = Fault.objects.for_tenant(device.tenant_id).filter(device=device, ended_at=None)
    return sorted(rows.values_list("kind", flat=True))


def run_stage(row: Rollout, *, at: datetime, failing: int = 0) -> datetime:
    """Everybody of the ring under way updates, the first `failing` in vain. Returns when that was done."""
    while True:
        row = look(row, at=at)
        waiting = open_attempts(row)
        if not waiting:
            return at
        for attempt in waiting:
            if failing:
                failing -= 1
                fail(attempt, at=at)
            else:
                succeed(attempt, at=at)
        look(row, at=at + 2 * MINUTE)
        at += 12 * MINUTE
        row = look(row, at=at)


# The plan ---------------------------------------------------------------------------------------------------------


def test_the_plan_says_who_which_night_and_who_is_left_out_and_why(release, at):
    fleet = make_fleet(rings_of={"Staging": 2, "General": 10, "Executive": 2}, at=at)
    make_device(make_room(at=at), at=at, versions={"app": "5.4.218"})
    make_device(make_room(at=at), at=at, versions={"app": "6.0"})
    make_device(make_room(at=at), at=at, status="onboarding")
    make_device(None, at=at)
    row = propose(release, at=at)
    assert (row.state, row.starts_on) == ("proposed", date(2026, 11, 25))
    assert {name: stage.scheduled for name, stage in stages(row).items()} == {
        "Staging": 2,
        "General": 10,
        "Executive": 2,
    }
    assert proposals.left_out(row) == {
        "already_current": 1,
        "runs_newer": 1,
        "not_watched": 1,
        "no_room": 1,
    }
    general = stages(row)["General"]
    assert general.starts_on == date(2026, 12, 1)
    assert proposals.nights_of(row)[general.id] == {
        date(2026, 12, 1) + timedelta(days=day): 2 for day in range(5)
    }
    first = target_of(row, fleet["Staging"][0])
    assert (first.night, first.before) == (date(2026, 11, 25), "5.4.211")
    assert look(row, at=NIGHT).state == "proposed", "nothing happens before somebody says yes"
    assert not open_attempts(row)


def test_what_cannot_be_rolled_out_is_refused(inside, at):
    empty = make_release("1.0", with_file=False, at=at)
    with pytest.raises(NoFile):
        propose(empty, at=at)
    row = make_release("1.1", at=at)
    with pytest.raises(NotValid):
        propose(row, starts_on=date(2025, 1, 1), at=at)
    with pytest.raises(NotValid):
        propose(row, ring_ids=[], at=at)
    releases.deprecate(row.id, reason="Bad", at=at)
    with pytest.raises(ReleaseDeprecated):
        propose(row, at=at)


def test_chosen_rings_alone_take_part(release, at):
    make_fleet(rings_of={"Staging": 1, "General": 1}, at=at)
    staging = next(ring for ring in rings.all_rings(at=at) if ring.name == "Staging")
    row = propose(release, ring_ids=[staging.id], at=at)
    assert list(stages(row)) == ["Staging"]
    assert proposals.left_out(row) == {"ring_left_out": 1}


# Through the rings ------------------------------------------------------------------------------------------------


def test_rings_follow_each_other_with_test_days_between_and_executives_after_a_yes(release, at):
    fleet = make_fleet(rings_of={"Staging": 2, "General": 4, "Executive": 1}, at=at)
    row = propose(release, at=at)
    rollout_actions.approve(row.id, at=at)
    assert look(row, at=at).state == "scheduled"
    run_stage(row, at=NIGHT)
    assert (stages(row)["Staging"].state, stages(row)["Staging"].succeeded) == ("testing", 2)
    look(row, at=NIGHT + 6 * DAY)
    assert stages(row)["General"].state == "in_progress"
    for night in range(6, 12):
        run_stage(row, at=NIGHT + night * DAY)
    assert stages(row)["General"].succeeded == 4
    later = NIGHT + 20 * DAY
    look(row, at=later)
    assert stages(row)["Executive"].state == "waiting"
    rollout_actions.approve_ring(row.id, stages(row)["Executive"].ring_id, at=later)
    for night in range(20, 24):
        run_stage(row, at=NIGHT + night * DAY)
    assert target_of(row, fleet["Executive"][0]).state == "succeeded"
    row = look(row, at=NIGHT + 30 * DAY)
    assert row.state == "completed"
    said = AuditEvent.objects.for_tenant(row.tenant_id).filter(object_id=row.id).order_by("id")
    actions = Counter(said.values_list("action", flat=True))
    assert actions["rollout.ring"] == 9
    assert actions["rollout.end"] == 1


def test_nobody_is_offered_anything_outside_the_rooms_own_hours(release, at):
    make_fleet(rings_of={"Staging": 2}, at=at)
    tokyo = make_fleet(rings_of={"Staging": 1}, zone="Asia/Tokyo", at=at)["Staging"][0]
    row = propose(release, at=at)
    rollout_actions.approve(row.id, at=at)
    evening = datetime(2026, 11, 24, 15, 30, tzinfo=UTC)  # 00:30 on the 25th in Tokyo, 16:30 in Oslo
    row = look(row, at=evening)
    assert [attempt.device_id for attempt in open_attempts(row)] == [tokyo.id]
    row = look(row, at=NIGHT)
    assert len(open_attempts(row)) == 2
    assert tokyo.id not in {attempt.device_id for attempt in open_attempts(row)}, "its night is over"


def test_so_many_at_a_time_in_all_in_a_building_and_of_a_model(release, at):
    fleet = make_fleet(rings_of={"Staging": 6}, at=at)["Staging"]
    staging = next(ring for ring in rings.all_rings(at=at) if ring.name == "Staging")
    rings.edit_ring(staging.id, at_once=5, building_limit=4, model_limit=3, at=at)
    row = look(make_running(release, starts_on=at.date(), at=at), at=NIGHT)
    assert len(open_attempts(row)) == 3
    Device.objects.for_tenant(row.tenant_id).filter(id__in=[d.id for d in fleet[:3]]).update(model="Two")
    mixed = propose(make_release("5.5", at=at), starts_on=at.date(), at=at)
    rollout_actions.cancel(row.id, reason="Else", at=NIGHT)
    rollout_actions.approve(mixed.id, at=at)
    mixed = look(mixed, at=NIGHT)
    assert len(open_attempts(mixed)) == 4


def test_a_room_in_a_meeting_a_silent_one_and_one_without_space_wait(release, at, monkeypatch):
    busy, silent, full, fine = make_fleet(rings_of={"Staging": 4}, at=at)["Staging"]
    monkeypatch.setattr("fleet.telemetry.in_meeting", lambda *_, **__: {busy.key})
    Device.objects.for_tenant(silent.tenant_id).filter(id=silent.id).update(silent_since=at)
    full.signals.create(tenant_id=full.tenant_id, signal="disk_space", state="unhealthy", since=at)
    row = look(make_running(release, starts_on=at.date(), at=at), at=NIGHT)
    assert [attempt.device_id for attempt in open_attempts(row)] == [fine.id]
    found = {
        target.device_id: reason
        for target, reason, _ in rollout_progress.looked_at(
            row, {stage.id: stage for stage in rollout_progress.stages_of(row)}, at=NIGHT
        )
    }
    assert found == {busy.id: "in_meeting", silent.id: "silent", full.id: "disk_space"}


def test_devices_that_cannot_begin_do_not_keep_the_others_from_it(release, at, monkeypatch):
    """However many are due, and however many of them wait."""
    monkeypatch.setattr(rollout_progress, "SCANNED", 3)
    devices = make_fleet(rings_of={"Staging": 9}, at=at)["Staging"]
    row = make_running(release, at=at)
    order = list(RolloutTarget.objects.for_tenant(row.tenant_id).order_by("night", "id"))
    ready = order[-1].device_id
    silent = Device.objects.for_tenant(row.tenant_id).exclude(id=ready)
    silent.filter(id__in=[device.id for device in devices]).update(silent_since=NIGHT)
    for minute in range(3):
        look(row, at=NIGHT + minute * MINUTE)
    assert [attempt.device_id for attempt in open_attempts(row)] == [ready]


def test_a_ring_that_begins_late_has_its_nights_later(release, at):
    make_fleet(rings_of={"Staging": 1, "General": 5}, at=at)
    row = make_running(release, starts_on=at.date(), at=at)
    run_stage(row, at=NIGHT + 7 * DAY)
    look(row, at=NIGHT + 13 * DAY)
    general = stages(row)["General"]
    assert general.starts_on == date(2026, 12, 8), "13 days after the 25th"
    assert min(proposals.nights_of(row)[general.id]) == date(2026, 12, 8)


# Proof ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def trying(release, at):
    """One room, offered the update at NIGHT."""
    make_fleet(rings_of={"Staging": 1}, at=at)
    row = propose(release, at=at)
    rollout_actions.approve(row.id, at=at)
    row = look(row, at=NIGHT)
    [attempt] = open_attempts(row)
    return row, attempt


def test_it_succeeded_once_the_device_was_healthy_on_it_for_ten_minutes(trying):
    row, attempt = trying
    succeed(attempt, at=NIGHT)
    look(row, at=NIGHT + 2 * MINUTE)
    look(row, at=NIGHT + 11 * MINUTE)
    assert target_of(row, attempt.device).state == "in_progress"
    look(row, at=NIGHT + 12 * MINUTE)
    assert target_of(row, attempt.device).state == "succeeded"
    assert faults_of(attempt.device) == []


def test_a_fault_meanwhile_starts_the_minutes_anew(trying):
    row, attempt = trying
    succeed(attempt, at=NIGHT)
    look(row, at=NIGHT + 2 * MINUTE)
    rooms = Room.objects.for_tenant(row.tenant_id).filter(id=attempt.room_id)
    rooms.update(open_faults=1)
    look(row, at=NIGHT + 6 * MINUTE)
    rooms.update(open_faults=0)
    look(row, at=NIGHT + 8 * MINUTE)
    look(row, at=NIGHT + 13 * MINUTE)
    assert target_of(row, attempt.device).state == "in_progress"
    look(row, at=NIGHT + 18 * MINUTE)
    assert target_of(row, attempt.device).state == "succeeded"


@pytest.mark.parametrize("reason", ["never_returned", "wrong_version", "unhealthy"])
def test_what_is_not_proved_within_its_hour_failed_with_the_reason_and_one_ticket(trying, reason):
    row, attempt = trying
    succeed(attempt, at=NIGHT, version="5.4.211" if reason == "wrong_version" else "")
    if reason == "never_returned":
        Device.objects.for_tenant(row.tenant_id).update(silent_since=NIGHT)
    if reason == "unhealthy":
        Room.objects.for_tenant(row.tenant_id).update(open_faults=2)
    look(row, at=NIGHT + HOUR)
    look(row, at=NIGHT + HOUR + 10 * MINUTE)
    target = target_of(row, attempt.device)
    assert (target.state, target.reason) == ("failed", reason)
    assert "update_failed" in faults_of(attempt.device)


def test_the_last_word_may_be_repeated_and_another_one_is_late(trying):
    _, attempt = trying
    fail(attempt, at=NIGHT)
    fail(attempt, at=NIGHT + MINUTE)
    with pytest.raises(AttemptEnded):
        attempts.report(attempt, says(), at=NIGHT + MINUTE)
    with pytest.raises(AttemptEnded):
        attempts.report(attempt, says("proceeding", "none"), at=NIGHT + MINUTE)


def test_a_device_says_how_far_it_is(trying):
    row, attempt = trying
    for execution, state in (
        ("download", "downloading"),
        ("proceeding", "installing"),
        ("download", "installing"),
        ("rejected", "installing"),
    ):
        attempts.report(attempt, says(execution, "none", "step"), at=NIGHT)
        [now] = open_attempts(row)
        assert now.state == state
    assert now.detail == "step"


# People -----------------------------------------------------------------------------------------------------------


def test_a_pause_really_pauses_and_says_who_is_past_the_point_of_no_return(release, at):
    make_fleet(rings_of={"Staging": 5}, at=at)
    staging = next(ring for ring in rings.all_rings(at=at) if ring.name == "Staging")
    rings.edit_ring(staging.id, at_once=4, at=at)
    row = look(make_running(release, starts_on=at.date(), at=at), at=NIGHT)
    fresh, read, installing, proving = open_attempts(row)
    attempts.fetched(read, at=NIGHT)
    attempts.report(installing, says("downloaded", "none"), at=NIGHT)
    succeed(proving, at=NIGHT)
    stopped = rollout_actions.pause(row.id, reason="Sound is gone", at=NIGHT + MINUTE)
    found = stopped.withdrawn
    assert (found.taken_back, found.asked, found.past) == (1, 1, 2)
    assert [attempt.state for attempt in open_attempts(row)] == ["cancelling", "installing", "verifying"]
    look(row, at=NIGHT + 2 * MINUTE)
    look(row, at=NIGHT + 20 * MINUTE)
    assert target_of(row, proving.device).state == "succeeded", "what is past it ends as it ends"
    assert target_of(row, fresh.device).state == "scheduled"
    attempts.cancel_report(read, says(), at=NIGHT + 21 * MINUTE)
    row = look(row, at=NIGHT + 22 * MINUTE)
    assert [attempt.device_id for attempt in open_attempts(row)] == [installing.device_id]
    ticket = Fault.objects.for_tenant(row.tenant_id).get(kind="update_paused", ended_at=None)
    assert "Sound is gone" in ticket.summary
    rollout_actions.resume(row.id, at=NIGHT + 23 * MINUTE)
    row = look(row, at=NIGHT + 23 * MINUTE)
    assert len(open_attempts(row)) == 4
    assert not Fault.objects.for_tenant(row.tenant_id).filter(kind="update_paused", ended_at=None)


def test_failures_stop_a_ring_before_it_is_through_and_a_person_goes_on(release, at):
    make_fleet(rings_of={"Staging": 40}, at=at)
    row = make_running(release, starts_on=at.date(), at=at)
    run_stage(row, at=NIGHT, failing=12)
    row = look(row, at=NIGHT + HOUR)
    staging = stages(row)["Staging"]
    assert (row.state, row.stopped_by_gate, staging.state) == ("paused", True, "stopped")
    assert staging.failed + staging.succeeded < 20
    assert "Too many rooms failed" in row.reason
    assert Fault.objects.for_tenant(row.tenant_id).filter(kind="update_paused", ended_at=None).count() == 1
    rollout_actions.resume(row.id, at=NIGHT + HOUR)
    row = look(row, at=NIGHT + HOUR)
    assert (row.state, len(open_attempts(row))) == ("in_progress", 10)


def test_a_model_that_fails_stops_it_although_the_others_do_well(release, at):
    make_fleet(rings_of={"Staging": 24}, at=at)
    bad = make_fleet(rings_of={"Staging": 5}, model="Bad", at=at)["Staging"]
    row = make_running(release, starts_on=at.date(), at=at)
    staging = next(ring for ring in rings.all_rings(at=at) if ring.name == "Staging")
    when = NIGHT
    while (row := look(row, at=when)).state == "in_progress" and open_attempts(row):
        for attempt in open_attempts(row):
            if attempt.target.model == "Acme Bad":
                fail(attempt, at=when)
            else:
                succeed(attempt, at=when)
        look(row, at=when + 2 * MINUTE)
        when += 12 * MINUTE
    assert row.state == "paused"
    assert {target_of(row, device).state for device in bad} == {"failed"}
    assert staging is not None


def test_updated_rooms_that_are_less_healthy_than_the_others_stop_it(release, at):
    updated = make_fleet(rings_of={"Staging": 12}, at=at)["Staging"]
    make_fleet(rings_of={"General": 12}, at=at)
    row = make_running(release, starts_on=at.date(), at=at)
    done = run_stage(row, at=NIGHT)
    rooms = Room.objects.for_tenant(row.tenant_id).filter(id__in=[device.room_id for device in updated[:8]])
    rooms.update(open_faults=1)
    row = look(row, at=done + HOUR)
    assert (row.state, stages(row)["Staging"].state) == ("paused", "stopped")
    assert "less healthy" in row.reason
    Room.objects.for_tenant(row.tenant_id).update(open_faults=1)  # it was the network, everywhere
    rollout_actions.resume(row.id, at=done + HOUR)
    assert look(row, at=done + HOUR).state == "in_progress"


def test_cancelled_is_for_good(trying):
    row, attempt = trying
    rollout_actions.cancel(row.id, reason="Wrong file", at=NIGHT)
    target = target_of(row, attempt.device)
    assert (target.state, target.reason) == ("skipped", "cancelled")
    for action in (rollout_actions.resume, rollout_actions.approve, rollout_actions.retry_failed):
        with pytest.raises(NotNow):
            action(row.id, at=NIGHT)


def test_failed_rooms_try_again_with_new_numbers(trying):
    row, attempt = trying
    fail(attempt, at=NIGHT)
    rollout_actions.resume(look(row, at=NIGHT).id, at=NIGHT)  # one of one is over its limit
    assert rollout_actions.retry_failed(row.id, at=NIGHT + MINUTE) == 1
    row = look(row, at=NIGHT + MINUTE)
    [again] = open_attempts(row)
    assert again.number > attempt.number
    succeed(again, at=NIGHT + MINUTE)
    look(row, at=NIGHT + 3 * MINUTE)
    look(row, at=NIGHT + 14 * MINUTE)
    assert target_of(row, attempt.device).state == "succeeded"
    assert faults_of(attempt.device) == []


def test_a_room_is_forced_whatever_its_hours_with_a_reason_on_record(release, at, monkeypatch):
    fleet = make_fleet(rings_of={"Staging": 1, "Executive": 2}, at=at)
    row = make_running(release, starts_on=at.date(), at=at)
    now, later = (target_of(row, device) for device in fleet["Executive"])
    monkeypatch.setattr("fleet.telemetry.in_meeting", lambda *_, **__: {d.key for d in fleet["Executive"]})
    rollout_actions.force(row.id, now.id, when="now", reason="Board meets at ten", at=at)
    rollout_actions.force(row.id, later.id, when="next_free", reason="Board meets at ten", at=at)
    row = look(row, at=at)
    assert [attempt.device_id for attempt in open_attempts(row)] == [fleet["Executive"][0].id]
    monkeypatch.setattr("fleet.telemetry.in_meeting", lambda *_, **__: set())
    assert len(open_attempts(look(row, at=at))) == 2
    event = AuditEvent.objects.for_tenant(row.tenant_id).filter(action="rollout.force").first()
    assert event.after["reason"] == "Board meets at ten"
    with pytest.raises(NotNow):
        rollout_actions.force(row.id, now.id, when="now", reason="Again", at=at)


def test_a_ring_is_rolled_back_to_the_version_before(release, at):
    fleet = make_fleet(rings_of={"Staging": 2, "General": 1}, at=at)
    row = make_running(release, starts_on=at.date(), at=at)
    run_stage(row, at=NIGHT)
    [before] = rollout_actions.previous(rollout_actions.rollout(row.id))
    back = rollout_actions.roll_back(
        row.id,
        to_release_id=before.id,
        reason="Echo",
        ring_id=stages(row)["Staging"].ring_id,
        at=NIGHT + HOUR,
    )
    assert rollout_actions.rollout(row.id).state == "paused"
    offered = open_attempts(look(back, at=NIGHT + HOUR))
    assert {attempt.device_id for attempt in offered} == {device.id for device in fleet["Staging"]}
    assert {attempt.release.version for attempt in offered} == {"5.4.211"}
    for attempt in offered:
        succeed(attempt, at=NIGHT + HOUR)
    look(back, at=NIGHT + HOUR + 2 * MINUTE)
    assert look(back, at=NIGHT + HOUR + 13 * MINUTE).state == "completed"
    with pytest.raises(NotValid):
        rollout_actions.roll_back(row.id, to_release_id=row.release_id, reason="Echo", at=NIGHT)


def test_a_newer_release_ends_the_rollout_of_the_one_before(trying, at):
    row, attempt = trying
    newer = make_running(make_release("5.4.219", critical=True, at=at), at=NIGHT + MINUTE)
    row = rollout_actions.rollout(row.id)
    assert (row.state, target_of(row, attempt.device).state) == ("deprecated", "skipped")
    [offered] = open_attempts(look(newer, at=NIGHT + 2 * MINUTE))
    assert offered.device_id == attempt.device_id


def test_what_failed_its_proof_runs_the_new_version_and_is_rolled_back_too(trying):
    row, attempt = trying
    succeed(attempt, at=NIGHT)
    Room.objects.for_tenant(row.tenant_id).update(open_faults=2)
    look(row, at=NIGHT + HOUR)
    look(row, at=NIGHT + HOUR + 10 * MINUTE)
    assert target_of(row, attempt.device).reason == "unhealthy"
    [before] = rollout_actions.previous(rollout_actions.rollout(row.id))
    back = rollout_actions.roll_back(row.id, to_release_id=before.id, reason="Echo", at=NIGHT + 2 * HOUR)
    [offered] = open_attempts(look(back, at=NIGHT + 2 * HOUR))
    assert (offered.device_id, offered.release.version) == (attempt.device_id, "5.4.211")


def test_a_release_that_is_deprecated_is_not_tried_again(trying):
    row, attempt = trying
    fail(attempt, at=NIGHT)
    look(row, at=NIGHT + HOUR)
    rollout_actions.deprecate_release(row.release_id, reason="Echo", at=NIGHT + HOUR)
    target = target_of(row, attempt.device)
    for again in (
        lambda: rollout_actions.retry_failed(row.id, at=NIGHT + HOUR),
        lambda: rollout_actions.retry(row.id, target.id, at=NIGHT + HOUR),
        lambda: rollout_actions.force(row.id, target.id, when="now", reason="Now", at=NIGHT + HOUR),
    ):
        with pytest.raises(NotNow):
            again()


def test_the_ticket_of_a_pause_ends_with_a_newer_release(trying, at):
    row, attempt = trying
    rollout_actions.pause(row.id, reason="Echo", at=NIGHT)
    assert "update_paused" in faults_of(attempt.device)
    make_running(make_release("5.4.219", critical=True, at=at), at=NIGHT + MINUTE)
    assert "update_paused" not in faults_of(attempt.device)


def test_a_version_nobody_can_read_is_installed_once(trying):
    row, attempt = trying
    succeed(attempt, at=NIGHT, version="5.4.218-custom")
    look(row, at=NIGHT + 2 * MINUTE)
    look(row, at=NIGHT + 13 * MINUTE)
    assert target_of(row, attempt.device).state == "succeeded"
    assert catch_up.catch_up(row.tenant_id, at=NIGHT + DAY) == 0


def test_a_device_without_make_and_model_counts_once_at_the_gate(release, at):
    make_fleet(rings_of={"Staging": 1}, at=at, make="", model="")
    row = make_running(release, starts_on=at.date(), at=at)
    [attempt] = open_attempts(look(row, at=NIGHT))
    fail(attempt, at=NIGHT)
    look(row, at=NIGHT + MINUTE)
    gates = RolloutGate.objects.for_tenant(row.tenant_id).filter(stage__rollout=row)
    assert [(gate.model, gate.reported, gate.failed) for gate in gates] == [("", 1, 1)]


# Catching up ------------------------------------------------------------------------------------------------------


def test_new_and_reimaged_rooms_catch_up_after_their_ring(release, at):
    [known] = make_fleet(rings_of={"Staging": 1}, at=at)["Staging"]
    row = make_running(release, starts_on=at.date(), at=at)
    run_stage(row, at=NIGHT)
    assert catch_up.catch_up(row.tenant_id, at=NIGHT + HOUR) == 0
    [new] = make_fleet(rings_of={"Staging": 1}, at=at)["Staging"]
    Device.objects.for_tenant(row.tenant_id).filter(id=known.id).update(versions={"app": "5.4.211"})
    row = look(row, at=NIGHT + 30 * DAY)
    assert row.state == "completed"
    assert catch_up.catch_up(row.tenant_id, at=NIGHT + 30 * DAY) == 2
    row = look(row, at=NIGHT + 30 * DAY)
    assert {attempt.device_id for attempt in open_attempts(row)} == {known.id, new.id}


def test_who_runs_the_version_before_waits_for_its_ring_and_who_is_older_does_not(release, at):
    make_fleet(rings_of={"Staging": 1}, at=at)
    row = make_running(release, starts_on=at.date(), at=at)
    run_stage(row, at=NIGHT)
    make_fleet(rings_of={"General": 1}, versions={"app": "5.4.211"}, at=at)
    [old] = make_fleet(rings_of={"Executive": 1}, versions={"app": "5.3.9"}, at=at)["Executive"]
    stage = stages(row)["Staging"]
    RolloutStage.objects.for_tenant(row.tenant_id).filter(id=stage.id).update(state="passed")
    assert catch_up.catch_up(row.tenant_id, at=NIGHT + HOUR) == 2
    row = look(row, at=NIGHT + HOUR)
    assert [attempt.device_id for attempt in open_attempts(row)] == [old.id]


def test_devices_that_do_not_tell_their_version_are_updated_once(release, at):
    make_fleet(rings_of={"Staging": 1}, versions={}, at=at)
    row = make_running(release, starts_on=at.date(), at=at)
    row = look(row, at=NIGHT)
    [attempt] = open_attempts(row)
    attempts.report(attempt, says(), at=NIGHT)
    hear(attempt.device, at=NIGHT + MINUTE)
    look(row, at=NIGHT + 2 * MINUTE)
    look(row, at=NIGHT + 13 * MINUTE)
    assert target_of(row, attempt.device).state == "succeeded"
    assert catch_up.catch_up(row.tenant_id, at=NIGHT + HOUR) == 0


# What goes wrong --------------------------------------------------------------------------------------------------


def test_a_device_cut_off_while_it_downloads_has_another_night_and_after_three_a_ticket(trying):
    row, attempt = trying
    for night in range(3):
        at = NIGHT + night * DAY
        row = look(row, at=at)
        [attempt] = open_attempts(row)
        morning = at + 4 * HOUR
        look(row, at=morning)
        target = target_of(row, attempt.device)
        expected = ("scheduled", "") if night < 2 else ("failed", "never_began")
        assert (target.state, target.reason) == expected
    assert faults_of(attempt.device) == ["update_failed", "update_paused"]


def test_one_cut_off_after_it_read_what_to_do_is_asked_to_stop_in_the_morning(trying):
    row, attempt = trying
    attempts.fetched(attempt, at=NIGHT)
    attempts.download_began(attempt, at=NIGHT)
    look(row, at=NIGHT + 4 * HOUR)
    assert open_attempts(row)[0].state == "cancelling"
    look(row, at=NIGHT + 5 * HOUR)
    assert target_of(row, attempt.device).state == "scheduled"


def test_a_device_that_reads_what_to_do_and_never_begins_does_not_go_round_for_ever(trying):
    row, attempt = trying
    night = NIGHT + 4 * HOUR
    look(row, at=night)
    rollout_actions.force(row.id, attempt.target_id, when="now", reason="Board meeting", at=night)
    for _ in range(12):
        night += HOUR * 13
        row = look(row, at=night)
        for each in open_attempts(row):
            attempts.fetched(each, at=night)
        if target_of(row, attempt.device).state == "failed":
            break
    target = target_of(row, attempt.device)
    assert (target.state, target.reason) == ("failed", "never_finished")
    assert "update_failed" in faults_of(attempt.device)


def test_a_pause_is_no_try_however_late_the_device_answers(trying):
    row, attempt = trying
    at = NIGHT
    for _ in range(4):
        attempts.fetched(attempt, at=at)
        rollout_actions.pause(row.id, reason="Board meeting", at=at)
        rollout_actions.resume(row.id, at=at + MINUTE)
        attempts.cancel_report(attempt, says(), at=at + 2 * MINUTE)
        assert (target_of(row, attempt.device).state, target_of(row, attempt.device).tries) == (
            "scheduled",
            0,
        )
        at += 5 * MINUTE
        [attempt] = open_attempts(look(row, at=at))


def test_a_ring_that_is_stopped_keeps_its_counts_and_tries_and_goes_on_to_its_end(release, at):
    make_fleet(rings_of={"Staging": 12}, at=at)
    row = make_running(release, starts_on=at.date(), at=at)
    row = look(row, at=NIGHT)
    for each in open_attempts(row)[:8]:
        fail(each, at=NIGHT)
    row = look(row, at=NIGHT + MINUTE)
    assert row.state == "paused"
    found = Counter(RolloutTarget.objects.for_tenant(row.tenant_id).values_list("state", flat=True))
    stage = stages(row)["Staging"]
    assert (stage.scheduled, stage.in_progress, stage.failed) == (4, 0, 8)
    assert (found["scheduled"], found["failed"]) == (4, 8)
    assert set(RolloutTarget.objects.for_tenant(row.tenant_id).values_list("tries", flat=True)) == {0}
    row = rollout_actions.resume(row.id, at=NIGHT + 2 * MINUTE)
    row = look(row, at=NIGHT + 3 * MINUTE)
    for each in open_attempts(row):
        succeed(each, at=NIGHT + 3 * MINUTE)
    look(row, at=NIGHT + 5 * MINUTE)
    look(row, at=NIGHT + 16 * MINUTE)
    look(row, at=NIGHT + 17 * MINUTE)
    stage = stages(row)["Staging"]
    assert (stage.scheduled, stage.in_progress, stage.succeeded, stage.failed) == (0, 0, 4, 8)
    assert stage.state in ("testing", "passed")


def test_a_device_that_never_returns_failed(trying):
    row, attempt = trying
    attempts.report(attempt, says("downloaded", "none"), at=NIGHT)
    look(row, at=NIGHT + HOUR)
    assert target_of(row, attempt.device).state == "in_progress"
    look(row, at=NIGHT + 2 * HOUR)
    target = target_of(row, attempt.device)
    assert (target.state, target.reason) == ("failed", "never_returned")
    assert faults_of(attempt.device).count("update_failed") == 1


def test_a_device_whose_clock_is_wrong_is_not_tried_and_has_a_ticket(release, at):
    [device] = make_fleet(rings_of={"Staging": 1}, clock_bad=True, at=at)["Staging"]
    row = look(make_running(release, starts_on=at.date(), at=at), at=NIGHT)
    target = target_of(row, device)
    assert (target.state, target.reason) == ("failed", "clock_wrong")
    assert not Attempt.objects.for_tenant(row.tenant_id).exists()
    assert faults_of(device).count("update_failed") == 1


def test_a_failure_is_one_ticket_which_the_next_success_resolves(trying):
    row, attempt = trying
    fail(attempt, at=NIGHT)
    [fault] = Fault.objects.for_tenant(row.tenant_id).filter(kind="update_failed")
    for _ in range(2):
        detection.evaluate_fault(row.tenant_id, fault.id, at=NIGHT)
    [ticket] = Incident.objects.for_tenant(row.tenant_id).filter(signal="update_failed")
    assert (ticket.is_open, ticket.room_id, ticket.severity) == (True, attempt.room_id, 2)
    assert "Room app 5.4.218 could not be installed" in ticket.summary
    rollout_actions.resume(look(row, at=NIGHT).id, at=NIGHT)
    rollout_actions.retry_failed(row.id, at=NIGHT + MINUTE)
    [again] = open_attempts(look(row, at=NIGHT + MINUTE))
    succeed(again, at=NIGHT + MINUTE)
    look(row, at=NIGHT + 3 * MINUTE)
    look(row, at=NIGHT + 14 * MINUTE)
    detection.evaluate_fault(row.tenant_id, fault.id, at=NIGHT + 14 * MINUTE)
    ticket.refresh_from_db()
    assert not ticket.is_open


def test_a_release_withdrawn_while_it_is_fetched_stops_there(trying, django_capture_on_commit_callbacks):
    row, attempt = trying
    attempts.fetched(attempt, at=NIGHT)
    attempts.download_began(attempt, at=NIGHT)
    with django_capture_on_commit_callbacks(execute=True):
        rollout_actions.deprecate_release(row.release_id, reason="Bricks", withdraw=True, at=NIGHT + MINUTE)
    assert artifacts.size_of(row.tenant_id, releases.artifact_of(row.release).sha256) is None
    row = rollout_actions.rollout(row.id)
    assert (row.state, open_attempts(row)[0].state) == ("deprecated", "cancelling")
    look(row, at=NIGHT + HOUR)
    target = target_of(row, attempt.device)
    assert (target.state, target.reason) == ("skipped", "deprecated")
    assert faults_of(attempt.device) == []


def test_of_two_rollouts_that_want_a_room_one_waits_and_says_so(trying, at):
    row, attempt = trying
    other = make_release("2.0", name="Audio driver", kind="driver", component="driver.audio", at=at)
    second = look(make_running(other, starts_on=at.date(), at=at), at=NIGHT)
    assert open_attempts(second) == []
    target = target_of(second, attempt.device)
    by_id = {stage.id: stage for stage in rollout_progress.stages_of(second)}
    [(_, reason, _)] = rollout_progress.looked_at(second, by_id, some=[target], at=NIGHT)
    assert (target.state, reason) == ("scheduled", "other_update")
    succeed(attempt, at=NIGHT)
    look(row, at=NIGHT + 2 * MINUTE)
    look(row, at=NIGHT + 13 * MINUTE)
    assert len(open_attempts(look(second, at=NIGHT + 14 * MINUTE))) == 1


def test_a_device_nobody_hears_is_skipped_and_catches_up_when_it_is_back(release, at):
    [device] = make_fleet(rings_of={"Staging": 1}, silent_since=at, at=at)["Staging"]
    row = make_running(release, starts_on=at.date(), at=at)
    for night in range(3):
        look(row, at=NIGHT + night * DAY)
    row = look(row, at=NIGHT + 4 * DAY)
    target = target_of(row, device)
    assert (target.state, target.reason) == ("skipped", "unreachable")
    assert faults_of(device) == []
    Device.objects.for_tenant(row.tenant_id).filter(id=device.id).update(silent_since=None)
    assert catch_up.catch_up(row.tenant_id, at=NIGHT + 5 * DAY) == 1
    assert len(open_attempts(look(row, at=NIGHT + 5 * DAY))) == 1


def test_hours_are_looked_at_again_when_an_offer_is_made(release, at):
    [device] = make_fleet(rings_of={"Staging": 1}, at=at)["Staging"]
    row = make_running(release, starts_on=at.date(), at=at)
    group = room_groups.add_group(name="Day shift", at=at)
    room_groups.add_members(group.id, [device.room_id], at=at)
    rings.set_window(group.id, rings.window(time(12), time(14)), at=at)
    assert open_attempts(look(row, at=NIGHT)) == []
    assert len(open_attempts(look(row, at=NIGHT + 12 * HOUR))) == 1
    assert Ring.objects.for_tenant(row.tenant_id).count() == 3
