from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection

from fleet import heartbeats, telemetry
from fleet.models import Device, MonitoringSettings, Room, SignalState, SignalTransition
from foundation.context import tenant
from tests.factories.fleet import make_device, make_room
from tests.factories.heartbeats import HEALTHY, Spool, body, entry, heartbeat, minutes
from tests.factories.tenancy import make_customer


@pytest.fixture
def device(customer, at):
    with tenant(customer.id):
        return make_device(make_room(at=at), at=at)


@pytest.fixture
def spool(device):
    return Spool(device)


def apply(*entries, at):
    return heartbeats.apply(list(entries), at=at)


def fresh(device):
    with tenant(device.tenant_id):
        return Device.objects.for_tenant(device.tenant_id).get(id=device.id)


def points(device, at):
    with tenant(device.tenant_id):
        return telemetry.points(
            device.tenant_id, device.key, since=at - minutes(600), until=at + minutes(600)
        )


def states(device):
    with tenant(device.tenant_id):
        rows = SignalState.objects.for_tenant(device.tenant_id).filter(device=device)
        return {(row.signal, row.instance): row.state for row in rows}


def transitions(device):
    with tenant(device.tenant_id):
        rows = (
            SignalTransition.objects.for_tenant(device.tenant_id).filter(device=device).order_by("at", "id")
        )
        return [(row.signal, row.before, row.after) for row in rows]


def watermark(device, column):
    with tenant(device.tenant_id), connection.cursor() as cursor:
        cursor.execute(f"SELECT {column} FROM fleet_watermark WHERE device_key = %s", [device.key])
        return cursor.fetchone()[0]


def committed(changes, device):
    return changes.replies[device.key].committed


def test_a_heartbeat_becomes_a_point_states_and_a_reply(spool, device, at):
    changes = apply(spool.post(at=at, usage={"in_meeting": True, "people": 4}), at=at)
    (point,) = points(device, at)
    assert point.metrics == {"cpu_pct": 12.5}
    assert (point.in_meeting, point.people) == (True, 4)
    assert set(point.healthy) == set(HEALTHY)
    assert states(device) == {(signal, ""): "healthy" for signal in HEALTHY}
    assert (committed(changes, device), changes.stored) == (1, 1)
    assert fresh(device).last_seen_at == at


def test_what_comes_twice_is_stored_once(spool, device, at):
    first = spool.post(at=at)
    apply(first, first, at=at)
    changes = apply(first, spool.request(at=at + minutes(1)), at=at + minutes(1))
    assert len(points(device, at)) == 1
    assert (committed(changes, device), changes.stored) == (1, 0)


def test_an_item_ahead_of_one_still_on_its_way_waits(spool, device, at):
    first, second = spool.post(at=at), spool.post(at=at)
    changes = apply(second, at=at)
    assert (committed(changes, device), points(device, at)) == (None, [])
    assert committed(apply(first, second, at=at), device) == 2


def test_a_gap_the_device_can_never_fill_is_passed_and_counted(spool, device, at):
    apply(spool.post(at=at), at=at)
    spool.told(1)
    for _ in range(3):
        spool.add()
    spool.items.clear()  # the spool overflowed
    changes = apply(spool.post(at=at), at=at)
    assert committed(changes, device) == 5
    assert len(points(device, at)) == 2
    assert watermark(device, "lost") == 3


def test_a_client_that_says_nothing_of_its_spool_is_taken_as_it_comes(device, at):
    changes = apply(entry(device, body([heartbeat(7)]), at=at), at=at)
    assert committed(changes, device) == 7
    assert committed(apply(entry(device, body([heartbeat(12)]), at=at), at=at), device) == 12


def test_two_heartbeats_of_one_moment_are_two_points(spool, device, at):
    spool.add(t_wall=at.isoformat())
    spool.add(t_wall=at.isoformat())
    apply(spool.request(at=at), at=at)
    assert len(points(device, at)) == 2


def test_a_fault_is_a_change_once_and_its_end_another(spool, device, at):
    bad = {**HEALTHY, "camera_room": {"state": "unhealthy", "detail": "no video device"}}
    apply(spool.post(at=at), at=at)
    (change,) = apply(spool.post(at=at + minutes(1), signals=bad), at=at).signals
    assert (change.device_id, change.room_id) == (device.id, device.room_id)
    assert (change.signal, change.before, change.after) == ("camera_room", "healthy", "unhealthy")
    assert (change.detail, change.at) == ("no video device", at + minutes(1))
    assert apply(spool.post(at=at + minutes(2), signals=bad), at=at).signals == []
    (change,) = apply(spool.post(at=at + minutes(3)), at=at).signals
    assert (change.before, change.after) == ("unhealthy", "healthy")
    assert transitions(device)[-2:] == [
        ("camera_room", "healthy", "unhealthy"),
        ("camera_room", "unhealthy", "healthy"),
    ]


def test_changes_between_two_heartbeats_of_one_batch_are_all_kept(spool, device, at):
    for state in ("unhealthy", "healthy", "unhealthy"):
        spool.add(signals={"network": state})
    changes = apply(spool.request(at=at), at=at)
    assert [change.after for change in changes.signals] == ["unhealthy", "healthy", "unhealthy"]
    assert states(device)["network", ""] == "unhealthy"


def test_a_signal_left_out_keeps_its_state_and_a_list_replaces_its_instances(spool, device, at):
    both = [{"state": "healthy", "instance": "1"}, {"state": "unhealthy", "instance": "2"}]
    apply(spool.post(at=at, signals={"display_front": both, "network": "healthy"}), at=at)
    changes = apply(spool.post(at=at, signals={"display_front": both[:1]}), at=at)
    assert states(device) == {("display_front", "1"): "healthy", ("network", ""): "healthy"}
    (gone,) = changes.signals
    assert (gone.instance, gone.before, gone.after) == ("2", "unhealthy", "unknown")


def test_a_signal_nobody_knows_is_kept_and_a_new_detail_is_no_change(spool, device, at):
    def told(detail):
        return {"coffee": {"state": "unhealthy", "detail": detail}}

    apply(spool.post(at=at, signals=told("out of beans")), at=at)
    assert apply(spool.post(at=at, signals=told("out of water")), at=at).signals == []
    with tenant(device.tenant_id):
        row = SignalState.objects.for_tenant(device.tenant_id).get(device=device)
    assert (row.signal, row.detail, row.since) == ("coffee", "out of water", at)


def test_the_document_is_the_latest_heartbeat_without_what_always_differs(spool, device, at):
    versions = {"app": "5.4", "agent": "1.0.0"}
    apply(spool.post(at=at, versions=versions, t_wall=at.isoformat(), extra={"led": "red"}), at=at)
    device = fresh(device)
    assert device.document == {"signals": HEALTHY, "versions": versions, "extra": {"led": "red"}}
    assert (device.versions, device.agent_version) == (versions, "1.0.0")
    apply(spool.post(at=at, versions={"app": "5.5", "os": None}), at=at)
    assert fresh(device).versions == {"app": "5.5", "agent": "1.0.0"}


def test_an_onboarding_device_shows_its_state_and_raises_nothing(customer, at):
    with tenant(customer.id):
        device = make_device(status="onboarding", at=at)
    spool = Spool(device)
    changes = apply(spool.post(at=at, signals={"camera_room": "unhealthy"}), at=at)
    assert changes.signals == []
    assert states(device) == {("camera_room", ""): "unhealthy"}
    with tenant(customer.id):  # as acceptance leaves it
        Device.objects.for_tenant(customer).filter(id=device.id).update(
            status="enrolled", next_due_at=at + minutes(2)
        )
    (change,) = apply(spool.post(at=at + minutes(1), signals={"camera_room": "unhealthy"}), at=at).signals
    assert (change.signal, change.before, change.after) == ("camera_room", "unknown", "unhealthy")
    assert fresh(device).next_due_at is None
    assert apply(spool.post(at=at + minutes(2), signals={"camera_room": "unhealthy"}), at=at).signals == []


@pytest.mark.parametrize("status", ["quarantined", "pending"])
def test_what_a_device_that_is_not_trusted_sends_is_kept_apart(customer, at, status):
    with tenant(customer.id):
        device = make_device(status=status, at=at)
    changes = apply(Spool(device).post(at=at, signals={"camera_room": "unhealthy"}), at=at)
    assert (changes.signals, states(device), points(device, at)) == ([], {}, [])
    assert committed(changes, device) == 1
    with tenant(customer.id), connection.cursor() as cursor:
        cursor.execute("SELECT seq FROM fleet_kept_apart WHERE device_key = %s", [device.key])
        assert cursor.fetchall() == [(1,)]


def test_what_an_unenrolled_or_unknown_device_sends_is_nobodys(customer, device, at):
    with tenant(customer.id):
        gone = make_device(status="unenrolled", at=at)
    unknown = Device(tenant_id=device.tenant_id, key=10**12)
    changes = apply(Spool(gone).post(at=at), Spool(unknown).post(at=at), Spool(device).post(at=at), at=at)
    assert list(changes.replies) == [device.key]
    assert points(gone, at) == []


def test_a_device_heard_again_is_told_of_and_its_room_is_monitored(spool, device, at):
    with tenant(device.tenant_id):
        Device.objects.for_tenant(device.tenant_id).filter(id=device.id).update(
            silent_since=at - minutes(5), last_seen_at=at - minutes(7)
        )
    changes = apply(spool.post(at=at), at=at)
    (returned,) = changes.returned
    assert (returned.device_id, returned.silent_since, returned.at) == (device.id, at - minutes(5), at)
    assert fresh(device).silent_since is None
    with tenant(device.tenant_id):
        assert Room.objects.for_tenant(device.tenant_id).get(id=device.room_id).state == "healthy"
    assert apply(spool.post(at=at + minutes(1)), at=at).returned == []


def test_an_old_request_delivered_late_ends_no_silence(spool, device, at):
    with tenant(device.tenant_id):
        Device.objects.for_tenant(device.tenant_id).filter(id=device.id).update(
            silent_since=at, last_seen_at=at
        )
    assert apply(spool.post(at=at - minutes(1)), at=at + minutes(5)).returned == []
    assert fresh(device).silent_since == at


def test_the_deadline_follows_the_customers_interval(spool, device, at):
    with tenant(device.tenant_id):
        MonitoringSettings.objects.for_tenant(device.tenant_id).update_or_create(
            defaults={"heartbeat_interval_s": 10, "missed_heartbeats": 3}
        )
    apply(spool.post(at=at), at=at)
    assert watermark(device, "due_at") == at + timedelta(seconds=30)


def test_inventory_is_wanted_while_its_digest_differs_and_equipment_is_said(spool, device, at):
    with tenant(device.tenant_id):
        Room.objects.for_tenant(device.tenant_id).update(expected={"camera_room": 2})
    reply = apply(spool.post(at=at, inventory_digest="sha256:a"), at=at).replies[device.key]
    assert reply.inventory_wanted
    assert reply.expected == {"camera_room": 2}
    with tenant(device.tenant_id):
        Device.objects.for_tenant(device.tenant_id).filter(id=device.id).update(inventory_digest="sha256:a")
    assert (
        not apply(spool.post(at=at, inventory_digest="sha256:a"), at=at).replies[device.key].inventory_wanted
    )


def test_the_time_is_the_devices_within_one_boot(spool, device, at):
    spool.add(t_mono=100.0)
    item = spool.items[1]
    apply(entry(device, body([item], lowest=1, sent_mono=160.0), at=at), at=at)
    (point,) = points(device, at)
    assert abs(point.at - (at - minutes(1))) < timedelta(milliseconds=1)


def test_a_clock_that_is_out_refuses_nothing_and_shows(spool, device, at):
    apply(spool.post(at=at, t_wall="2031-01-01T00:00:00Z"), at=at)
    (point,) = points(device, at)
    assert abs(point.at - at) < timedelta(milliseconds=1)
    assert fresh(device).clock_bad
    apply(spool.post(at=at, t_wall=at.isoformat()), at=at)
    assert not fresh(device).clock_bad


def test_one_number_with_two_contents_is_told_of_once(spool, device, at):
    apply(spool.post(at=at, t_wall=at.isoformat(), t_mono=5.0), at=at)
    again = spool.items[1] | {"t_mono": 7.0}
    assert apply(entry(device, body([again], lowest=1), at=at), at=at).copies == []
    other = spool.items[1] | {"t_wall": (at - minutes(1)).isoformat()}
    (copy,) = apply(entry(device, body([other], lowest=1), at=at), at=at).copies
    assert (copy.device_id, copy.epoch) == (device.id, "spool1")
    assert apply(entry(device, body([other], lowest=1), at=at), at=at).copies == []


def test_heartbeats_of_days_ago_go_to_the_rollups_of_their_hours(spool, device, at):
    old = at - timedelta(days=3)
    for minute in range(6):
        spool.add(t_wall=(old + minutes(minute)).isoformat(), metrics={"cpu_pct": 10.0 * minute})
    apply(spool.request(at=at), at=at)
    spool.told(6)
    apply(spool.post(at=at, t_wall=old.isoformat(), metrics={"cpu_pct": 80.0}), at=at)
    with tenant(device.tenant_id), connection.cursor() as cursor:
        cursor.execute('SELECT "time", late FROM fleet_rollup WHERE device_key = %s', [device.key])
        ((hour, lines),) = cursor.fetchall()
    assert hour == old
    assert [line[:5] for line in lines] == [[0, 6, 300, 0, 800], [1, 1, 500, 500, 500]]


def test_entries_of_many_customers_are_applied_in_groups_each_in_its_own_tenant(at, db, monkeypatch):
    monkeypatch.setattr(heartbeats, "MOST_TENANTS", 2)
    spools = []
    for _ in range(3):
        customer = make_customer(at=at)
        with tenant(customer.id):
            spools.append(Spool(make_device(at=at)))
    entries = [spool.post(at=at) for spool in spools] + [spool.post(at=at) for spool in spools]
    stored = [heartbeats.apply(group, at=at).stored for group in heartbeats.groups(entries)]
    assert stored == [4, 2]
    assert all(len(points(spool.device, at)) == 2 for spool in spools)


def test_an_item_nobody_can_read_stores_nothing_of_its_batch(spool, device, at):
    good = spool.post(at=at)
    bad = entry(device, b'{"epoch": "x", "items": [{"seq": "one"}]}', at=at)
    with pytest.raises(ValueError, match="seq"):
        apply(good, bad, at=at)
    assert points(device, at) == []
