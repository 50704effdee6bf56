from __future__ import annotations

import pytest
from django.db import DataError

from fleet import stream, telemetry
from fleet.models import SignalState
from foundation import clock
from foundation.context import tenant
from incidents import detection
from incidents.models import Incident
from tenancy.models import AuditEvent
from tests.factories.fleet import make_device, make_room
from tests.factories.heartbeats import body, heartbeat, minutes
from workers import drains
from workers.drains import Drain


@pytest.fixture
def redis(settings):
    settings.STREAM_SHARDS = 2
    client = stream.connect()
    client.flushdb()
    yield client
    client.flushdb()
    client.close()


@pytest.fixture
def at(db):
    """Now: what is received long ago goes to the rollups instead of the points."""
    return clock.now()


@pytest.fixture
def shard(customer, redis):
    return stream.shard_of(customer.placement)


@pytest.fixture
def device(customer, at):
    with tenant(customer.id):
        return make_device(make_room(at=at), at=at)


def post(redis, shard, device, content, *, at):
    sent_by = stream.sender(device.tenant_id, device.id, device.key)
    stream.add(redis, shard, [stream.payload(sent_by, int(at.timestamp() * 1000), content)])


def drain(redis, shard):
    """Until nothing is left."""
    return Drain(shard, client=redis).run(seconds=20, until=lambda: stream.length(redis, shard) == 0)


def points(device, at):
    with tenant(device.tenant_id):
        found = telemetry.points(device.tenant_id, device.key, since=at - minutes(60), until=at + minutes(60))
        return len(found)


def test_what_was_accepted_is_stored_answered_and_gone_from_the_stream(redis, shard, device, at):
    post(redis, shard, device, body([heartbeat(1)], lowest=1), at=at)
    post(redis, shard, device, body([heartbeat(2)], lowest=1), at=at)
    done = drain(redis, shard)
    assert (done.held, done.stored, points(device, at)) == (True, 2, 2)
    assert stream.replies(redis, shard, [device.key])[device.key].committed == 2
    assert stream.length(redis, shard) == 0


def test_a_fault_becomes_a_state_that_detection_has_seen(redis, shard, device, at):
    faulty = heartbeat(1, signals={"network": "unhealthy"})
    post(redis, shard, device, body([faulty], lowest=1), at=at)
    drain(redis, shard)
    with tenant(device.tenant_id):
        assert Incident.objects.for_tenant(device.tenant_id).filter(signal="network", device=device).exists()


def test_what_a_dead_drain_left_unfinished_is_finished_by_the_next(redis, shard, device, at):
    post(redis, shard, device, body([heartbeat(1)], lowest=1), at=at)
    assert stream.read(redis, shard).entries, "taken, and then it died"
    post(redis, shard, device, body([heartbeat(2)], lowest=1), at=at)
    assert drain(redis, shard).stored == 2
    assert stream.length(redis, shard) == 0


def test_what_cannot_be_decoded_or_stored_goes_to_the_dead_letters_and_blocks_nobody(
    redis, shard, device, at
):
    with tenant(device.tenant_id):
        other = make_device(at=at)
    post(redis, shard, device, body([heartbeat(1)], lowest=1), at=at)
    redis.xadd(stream.stream_key(shard), {"e": b"nonsense"})
    post(redis, shard, other, b'{"epoch": "x", "items": [{"seq": "one", "signals": {}}]}', at=at)
    post(redis, shard, device, body([heartbeat(2)], lowest=1), at=at)
    done = drain(redis, shard)
    assert (done.stored, done.buried) == (2, 2)
    first, _ = stream.dead_letters(redis, shard)
    assert first.payload == b"nonsense"
    assert points(other, at) == 0


def test_a_fault_of_ours_with_one_device_blocks_nobody_either(redis, shard, device, at, monkeypatch):
    with tenant(device.tenant_id):
        other = make_device(at=at)
    evaluate = detection.evaluate

    def fails(changes, *, at):
        if any(change.device_id == other.id for change in changes.signals):
            raise KeyError("a bug")
        return evaluate(changes, at=at)

    monkeypatch.setattr(detection, "evaluate", fails)
    monkeypatch.setattr(drains, "_pause", lambda failures, ends: None)
    post(redis, shard, other, body([heartbeat(1)], lowest=1), at=at)
    post(redis, shard, device, body([heartbeat(1)], lowest=1), at=at)
    done = drain(redis, shard)
    assert (done.stored, done.buried) == (1, 1)
    with tenant(device.tenant_id):
        assert not SignalState.objects.for_tenant(device.tenant_id).filter(device=other).exists()


def test_a_flushed_redis_is_no_end(redis, shard, device, at):
    post(redis, shard, device, body([heartbeat(1)], lowest=1), at=at)
    drain(redis, shard)
    redis.flushall()
    post(redis, shard, device, body([heartbeat(2)], lowest=2), at=at)
    assert drain(redis, shard).stored == 1


def test_only_one_drain_works_on_a_shard(committed_db, redis):
    import psycopg2
    from django.conf import settings

    url = settings.DATABASES["default"]
    other = psycopg2.connect(
        host=url["HOST"], port=url["PORT"], user=url["USER"], password=url["PASSWORD"], dbname=url["NAME"]
    )
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s, 1)", [drains._LOCK])
    assert drains.is_drained(1)
    assert not Drain(1, client=redis).run(seconds=5).held
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_unlock(%s, 1)", [drains._LOCK])
    other.close()
    assert Drain(1, client=redis).run(seconds=0.1).held
    assert not drains.is_drained(1), "released at the end"


def test_a_batch_that_fails_as_a_whole_is_divided_down_to_the_one_at_fault(
    redis, shard, device, at, monkeypatch
):
    apply = drains.heartbeats.apply
    sizes = []

    def fails_on_seven(entries, *, at):
        sizes.append(len(entries))
        if any(b'"seq":7,' in bytes(item) for entry in entries for item in entry.items):
            raise DataError("nobody knows why")
        return apply(entries, at=at)

    monkeypatch.setattr(drains.heartbeats, "apply", fails_on_seven)
    for seq in range(1, 11):
        post(redis, shard, device, body([heartbeat(seq)]), at=at)
    done = drain(redis, shard)
    assert (done.stored, done.buried) == (9, 1)
    assert sizes[0] == 10 and sizes.count(1) <= 4


def test_two_contents_under_one_number_leave_an_event(redis, shard, device, at):
    post(redis, shard, device, body([heartbeat(1, t_wall=at.isoformat())], lowest=1), at=at)
    post(redis, shard, device, body([heartbeat(1, t_wall="2026-11-22T08:00:00Z")], lowest=1), at=at)
    drain(redis, shard)
    with tenant(device.tenant_id):
        (event,) = AuditEvent.objects.for_tenant(device.tenant_id).filter(action="device.copy_suspected")
    assert event.object_id == device.id
