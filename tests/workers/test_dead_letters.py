from __future__ import annotations

import io

import pytest
from django.core.management import call_command

from fleet import stream, telemetry
from foundation import clock
from foundation.context import tenant
from tests.factories.fleet import make_device
from tests.factories.heartbeats import body, heartbeat, minutes
from workers import drains
from workers.drains import Drain


@pytest.fixture
def redis(settings):
    settings.STREAM_SHARDS = 1
    client = stream.connect()
    client.flushdb()
    yield client
    client.flushdb()
    client.close()


@pytest.fixture
def at(db):
    """Now: what is received long ago goes to the rollups instead of the points."""
    return clock.now().replace(microsecond=0)


def run(*arguments):
    out = io.StringIO()
    call_command("replay_dead_letters", *arguments, stdout=out)
    return out.getvalue()


def drain(redis):
    return Drain(0, client=redis).run(seconds=20, until=lambda: stream.length(redis, 0) == 0)


def test_what_failed_is_stored_once_its_cause_is_mended(customer, redis, at, monkeypatch):
    with tenant(customer.id):
        device = make_device(at=at)

    def fails(entries, *, at):
        raise ValueError("a reader that does not know this yet")

    sent_by = stream.sender(customer.id, device.id, device.key)
    content = body([heartbeat(1)], lowest=1)
    stream.add(redis, 0, [stream.payload(sent_by, int(at.timestamp() * 1000), content)])
    with monkeypatch.context() as broken:
        broken.setattr(drains.heartbeats, "apply", fails)
        assert drain(redis).buried == 1
    assert "a reader that does not know this yet" in run("--list")
    assert "1 replayed" in run()
    assert drain(redis).stored == 1
    assert "no dead letters" in run()
    with tenant(customer.id):
        assert len(telemetry.points(customer.id, device.key, since=at, until=at + minutes(1))) == 1


def test_one_that_fails_again_returns_and_does_not_keep_the_command_busy(redis):
    redis.xadd(stream.dead_key(0), {"e": b"nonsense", "reason": "old"})
    assert "1 replayed" in run()
    assert "no dead letters" in run(), "it waits in the stream"
    redis.xadd(stream.dead_key(0), {"e": b"more", "reason": "old"})
    assert "1 replayed" in run("--shard", "0")
