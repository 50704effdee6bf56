"""The Redis side of heartbeats, on a real server: nothing is assumed to exist, nothing finished comes back."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from uuid import UUID

import msgspec
import pytest
import redis

from fleet import stream
from fleet.stream import Reply, Undecodable

TENANT = UUID("01920000-0000-7000-8000-000000000001")
DEVICE = UUID("01920000-0000-7000-8000-000000000002")
SHARD = 1
RECEIVED_MS = 1_795_338_000_123


@pytest.fixture
def client() -> Iterator[redis.Redis]:
    connected = stream.connect()
    connected.flushdb()
    yield connected
    connected.flushdb()
    connected.close()


def payload(seq: int, **envelope: object) -> bytes:
    body = {"epoch": "e1", "items": [{"seq": seq, "signals": {"camera_room": "healthy"}, "x_vendor": [1]}]}
    sent_by = stream.sender(TENANT, DEVICE, 7)
    return stream.payload(sent_by, RECEIVED_MS, json.dumps(body | envelope).encode())


def sequences(batch: stream.Batch) -> list[int]:
    return [msgspec.json.decode(item)["seq"] for entry in batch.entries for item in entry.items]


def test_what_was_accepted_is_read_as_it_came(client):
    stream.add(client, SHARD, [payload(41, **{"from": 39, "sent_mono": 8123.4})])
    (entry,) = stream.read(client, SHARD).entries
    assert (entry.tenant_id, entry.device_id, entry.device_key) == (TENANT, DEVICE, 7)
    assert (entry.epoch, entry.from_seq, entry.sent_mono) == ("e1", 39, 8123.4)
    assert entry.received_at.isoformat() == "2026-11-22T09:00:00.123000+00:00"
    assert msgspec.json.decode(entry.items[0])["x_vendor"] == [1]


def test_entries_keep_their_order_and_stay_in_their_shard(client):
    stream.add(client, SHARD, [payload(seq) for seq in range(1, 6)])
    first = stream.read(client, SHARD, count=3)
    assert sequences(first) == [1, 2, 3]
    assert sequences(stream.read(client, SHARD, after=first.last)) == [4, 5]
    assert not stream.read(client, 0)


def test_a_drain_that_died_leaves_its_entries_to_the_next_and_finished_ones_do_not_come_back(client):
    stream.add(client, SHARD, [payload(1), payload(2), payload(3)])
    first = stream.read(client, SHARD, count=1)
    stream.read(client, SHARD, after=first.last)  # and dies
    stream.finish(client, SHARD, through=first.last)
    again = stream.read(client, SHARD)
    assert sequences(again) == [2, 3]
    stream.finish(client, SHARD, through=again.last)
    stream.finish(client, SHARD, through=first.last)
    assert not stream.read(client, SHARD)
    assert stream.length(client, SHARD) == 0


def test_a_flush_at_any_moment_loses_only_what_waited(client):
    stream.add(client, SHARD, [payload(1)])
    lost = stream.read(client, SHARD)
    client.flushdb()
    time.sleep(
        0.002
    )  # ids are milliseconds: one of the same would wait for the next drain, which reads from the start
    stream.finish(client, SHARD, through=lost.last)
    stream.add(client, SHARD, [payload(2)])
    assert sequences(stream.read(client, SHARD, after=lost.last)) == [2]
    client.flushdb()
    empty = stream.read(client, SHARD, after=lost.last, block_ms=1)
    assert (len(empty), empty.last) == (0, lost.last)


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"short",
        b"\x09" + payload(1)[1:],
        payload(1)[:-1],
        payload(1)[:49],
        payload(1).replace(b'"seq"', b'"s"q'),
    ],
    ids=["empty", "no head", "unknown form", "cut off", "no body", "no JSON"],
)
def test_what_cannot_be_decoded_is_kept_apart_and_harms_no_neighbour(client, damaged):
    stream.add(client, SHARD, [payload(1), damaged, payload(2)])
    batch = stream.read(client, SHARD)
    assert sequences(batch) == [1, 2]
    stream.bury(client, SHARD, batch.undecodable)
    stream.finish(client, SHARD, through=batch.last)
    assert stream.length(client, SHARD) == 0
    (letter,) = stream.dead_letters(client, SHARD)
    assert letter.payload == damaged
    assert letter.reason


def test_a_foreign_field_in_the_stream_is_undecodable(client):
    client.xadd(stream.stream_key(SHARD), {"other": "1"})
    assert [letter.payload for letter in stream.read(client, SHARD).undecodable] == [b""]


def test_a_dead_letter_can_be_replayed(client):
    stream.add(client, SHARD, [payload(1)])
    (entry,) = stream.read(client, SHARD).entries
    stream.bury(client, SHARD, [Undecodable(entry.id, payload(1), "an older release could not read it")])
    stream.replay(client, SHARD, stream.dead_letters(client, SHARD))
    assert sequences(stream.read(client, SHARD)) == [1]
    assert not stream.dead_letters(client, SHARD)


def test_replies_are_read_as_they_were_published(client):
    known = Reply("e\n1", 41, operations=2, inventory_wanted=True, expected={"camera_room": 1})
    stream.publish(client, SHARD, {7: known, 8: Reply("e2", None)})
    assert stream.replies(client, SHARD, [7, 8, 9]) == {7: known, 8: Reply("e2", None)}
    stream.forget(client, SHARD, [7])
    assert stream.replies(client, SHARD, [7]) == {}


def test_nothing_to_do_asks_nothing(client):
    stream.bury(client, SHARD, [])
    stream.publish(client, SHARD, {})
    stream.replay(client, SHARD, [])
    stream.forget(client, SHARD, [])
    assert stream.replies(client, SHARD, []) == {}


def test_all_keys_of_a_shard_have_one_hash_tag():
    keys = [key(3) for key in (stream.stream_key, stream.dead_key, stream.replies_key)]
    assert {key.split("}")[0] for key in keys} == {"{hb:3"}
