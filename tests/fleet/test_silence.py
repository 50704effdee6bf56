from __future__ import annotations

from datetime import timedelta

import pytest

from fleet import heartbeats, silence
from fleet.liveness import Outage
from fleet.models import Device, IngestLiveness, IngestOutage, Room
from fleet.stream import shard_of
from foundation.context import tenant
from tests.factories.fleet import make_device, make_room
from tests.factories.heartbeats import Spool, minutes
from tests.factories.tenancy import make_customer

SECOND = timedelta(seconds=1)


@pytest.fixture(autouse=True)
def nobody_tells(request):
    request.getfixturevalue("committed_db" if "committed_db" in request.fixturenames else "db")
    IngestOutage.objects.all().delete()
    IngestLiveness.objects.all().delete()


@pytest.fixture
def device(customer, at):
    """Watched, heard at `at`; its interval is a minute and two may be missed."""
    with tenant(customer.id):
        device = make_device(make_room(at=at), at=at)
    heartbeats.apply([Spool(device).post(at=at)], at=at)
    return device


def claim(customer, *, at, drained_until=None):
    silence.drained(shard_of(customer.placement), drained_until or at)
    with tenant(customer.id):
        return [device.id for device in silence.claim_overdue(customer.id, at=at)]


def fresh(device):
    with tenant(device.tenant_id):
        return Device.objects.for_tenant(device.tenant_id).get(id=device.id)


def test_a_device_is_silent_after_two_missed_deadlines_and_claimed_once(customer, device, at):
    assert claim(customer, at=at + minutes(2)) == []
    assert claim(customer, at=at + minutes(2) + SECOND) == [device.id]
    assert fresh(device).silent_since == at
    assert claim(customer, at=at + minutes(9)) == []
    with tenant(customer.id):
        assert Room.objects.for_tenant(customer).get(id=device.room_id).state == "unmonitored"


def test_a_heartbeat_moves_the_deadline(customer, device, at):
    spool = Spool(device)
    spool.highest = 1
    heartbeats.apply([spool.post(at=at + minutes(1))], at=at + minutes(1))
    assert claim(customer, at=at + minutes(2.5)) == []
    assert claim(customer, at=at + minutes(3.5)) == [device.id]


def test_a_new_spool_goes_on_for_the_old_one(customer, device, at):
    heartbeats.apply([Spool(device, "spool2").post(at=at + minutes(10))], at=at + minutes(10))
    assert claim(customer, at=at + minutes(11)) == []
    assert claim(customer, at=at + minutes(13)) == [device.id]


def test_devices_that_are_not_watched_are_never_silent(customer, at):
    with tenant(customer.id):
        onboarding, gone = make_device(status="onboarding", at=at), make_device(at=at)
    heartbeats.apply([Spool(onboarding).post(at=at), Spool(gone).post(at=at)], at=at)
    with tenant(customer.id):
        Device.objects.for_tenant(customer).filter(id=gone.id).update(status="unenrolled")
    assert claim(customer, at=at + minutes(60)) == []


def test_a_device_accepted_and_never_heard_is_silent_from_its_acceptance(customer, at):
    with tenant(customer.id):
        device = make_device(at=at, next_due_at=at + minutes(2))
    assert claim(customer, at=at + minutes(1)) == []
    assert claim(customer, at=at + minutes(3)) == [device.id]
    assert fresh(device).silent_since == at


def test_an_outage_of_ours_and_the_way_back_are_no_silence(customer, device, at):
    IngestOutage.objects.create(started_at=at + minutes(1), ended_at=at + minutes(16))
    assert claim(customer, at=at + minutes(26.9)) == []
    assert claim(customer, at=at + minutes(27.1)) == [device.id]


def test_while_nobody_can_receive_nobody_is_silent(customer, device, at):
    IngestLiveness.objects.create(process="a", started_at=at, alive_at=at + minutes(1))
    assert claim(customer, at=at + timedelta(hours=9)) == []


def test_what_waits_in_the_stream_is_no_silence(customer, device, at):
    assert claim(customer, at=at + minutes(30), drained_until=at + minutes(1)) == []
    assert claim(customer, at=at + minutes(31), drained_until=at + minutes(31)) == [device.id]


@pytest.mark.parametrize(("lasted", "grace"), [(0.3, 2), (1, 4), (15, 10)])
def test_after_an_outage_devices_get_time_to_come_back(at, lasted, grace):
    outage = silence.longer(Outage(at, at + minutes(lasted)))
    assert outage.ended_at == at + minutes(lasted + grace)


def test_the_sweep_finds_customers_with_overdue_devices(committed_db, at):
    customer = make_customer(at=at)
    with tenant(customer.id):
        heard, never = make_device(at=at), make_device(at=at)
    heartbeats.apply([Spool(heard).post(at=at)], at=at)
    assert customer.id not in silence.tenants_with_overdue(at=at + minutes(1))
    assert customer.id in silence.tenants_with_overdue(at=at + minutes(3))
    claim(customer, at=at + minutes(3))
    assert customer.id not in silence.tenants_with_overdue(at=at + minutes(3))
    with tenant(customer.id):
        Device.objects.for_tenant(customer).filter(id=never.id).update(next_due_at=at)
    assert customer.id in silence.tenants_with_overdue(at=at + minutes(3))
