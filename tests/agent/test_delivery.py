import gzip
import json
import random
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.clock import Moment
from agent.delivery import RESEND_AFTER_S, Batch, Delivery
from agent.spool import Spool
from tests.agent.standin import Service


def at(mono: float, boot: str = "boot") -> Moment:
    return Moment(1e9 + mono, mono, boot)


def filled(home: Path, count: int, size: int = 0) -> Spool:
    spool = Spool(home / "spool.db")
    for each in range(count):
        spool.append({"signals": {}, "n": each, "p": "x" * size}, at(each))
    return spool


def request(batch: Batch | None) -> dict:
    assert batch is not None
    return json.loads(gzip.decompress(batch.body) if batch.compressed else batch.body)


def sent(delivery: Delivery, mono: float) -> list[int]:
    batch = delivery.batch(at(mono))
    return [] if batch is None else [item["seq"] for item in request(batch)["items"]]


def accept(delivery: Delivery, committed: int | None, mono: float) -> None:
    batch = delivery.batch(at(mono))
    assert batch is not None
    delivery.accepted(batch, committed, at=at(mono))


def test_a_request_carries_epoch_lowest_number_and_clock(home):
    spool = filled(home, 2)
    body = request(Delivery(spool).batch(at(50.1234)))
    assert body["epoch"] == spool.epoch
    assert (body["from"], body["sent_mono"]) == (1, 50.123)
    assert body["items"] == [
        {"seq": 1, "t_wall": "2001-09-09T01:46:40.000Z", "t_mono": 0.0, "signals": {}, "n": 0, "p": ""},
        {"seq": 2, "t_wall": "2001-09-09T01:46:41.000Z", "t_mono": 1.0, "signals": {}, "n": 1, "p": ""},
    ]


def test_items_of_an_earlier_boot_go_without_its_clock(home):
    spool = filled(home, 1)
    spool.append({"signals": {}}, at(5, "next boot"))
    items = request(Delivery(spool).batch(at(6, "next boot")))["items"]
    assert ["t_mono" in item for item in items] == [False, True]


def test_what_was_accepted_is_not_sent_again_before_its_time(home):
    spool = filled(home, 3)
    delivery = Delivery(spool)
    accept(delivery, None, 100)
    assert not delivery.waiting
    spool.append({"signals": {}}, at(110))
    assert delivery.waiting
    assert sent(delivery, 110) == [4]
    accept(delivery, 3, 100 + RESEND_AFTER_S - 1)
    assert not delivery.waiting
    assert spool.lowest == 4


def test_what_a_reply_does_not_cover_after_30_s_is_sent_again_from_behind_the_committed(home):
    spool = filled(home, 3)
    delivery = Delivery(spool)
    accept(delivery, None, 100)
    spool.append({"signals": {}}, at(130))
    accept(delivery, 1, 100 + RESEND_AFTER_S)
    assert sent(delivery, 131) == [2, 3, 4]


def test_without_a_committed_number_everything_held_is_sent_again(home):
    spool = filled(home, 3)
    delivery = Delivery(spool)
    accept(delivery, None, 100)
    spool.append({"signals": {}}, at(160))
    accept(delivery, None, 160)
    assert sent(delivery, 161) == [1, 2, 3, 4]
    accept(delivery, None, 161)
    assert not delivery.waiting


def test_from_moves_when_the_oldest_were_dropped(home):
    spool = Spool(home / "spool.db", largest_bytes=5000)
    for each in range(20):
        spool.append({"signals": {}, "p": "x" * 500}, at(each))
    body = request(Delivery(spool).batch(at(30)))
    assert body["from"] == body["items"][0]["seq"] == spool.lowest
    assert spool.lowest > 1


def test_after_a_restart_everything_held_is_sent_again(home):
    spool = filled(home, 3)
    accept(Delivery(spool), 1, 100)
    assert sent(Delivery(spool), 200) == [2, 3]


def test_a_new_epoch_sends_everything_held(home):
    spool = filled(home, 3)
    delivery = Delivery(spool)
    accept(delivery, 90, 100)
    assert sent(delivery, 101) == [1, 2, 3]


def test_a_backlog_goes_in_requests_the_service_takes(home):
    spool = filled(home, 250, size=20)
    delivery, batches = Delivery(spool), []
    while batch := delivery.batch(at(300)):
        assert len(batch.body) <= 60_000
        batches.append(request(batch)["items"])
        delivery.accepted(batch, None, at=at(300))
    assert [len(each) for each in batches] == [100, 100, 50]


def test_large_items_go_in_smaller_requests(home):
    noise = random.Random(1)
    spool = Spool(home / "spool.db")
    for each in range(40):
        spool.append({"signals": {}, "p": "".join(noise.choices("abcdefghij", k=9000))}, at(each))
    batch = Delivery(spool).batch(at(50))
    assert batch is not None
    assert len(batch.body) <= 60_000
    assert 1 < len(request(batch)["items"]) < 40


def test_one_item_that_is_refused_for_good_does_not_hold_up_the_rest(home):
    spool = filled(home, 20)
    delivery, stored, rounds = Delivery(spool), [], 0
    while batch := delivery.batch(at(100)):
        rounds += 1
        items = request(batch)["items"]
        if any(item.get("n") == 6 for item in items):  # what this service will not take
            delivery.refused(batch)
        else:
            stored += items
            delivery.accepted(batch, None, at=at(100))
    assert [item["seq"] for item in stored] == list(range(1, 21))
    assert [item.get("n") for item in stored] == [*range(6), None, *range(7, 20)]
    assert rounds < 30


faults = st.sampled_from(["stored", "stored", "stored", "reply lost", "accepted and lost", "not sent"])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(faults, st.floats(0, 50), st.integers(0, 3), st.booleans()), max_size=40),
    st.booleans(),
)
def test_nothing_is_lost_and_nothing_changes_whatever_happens_on_the_way(steps, small):
    """Each step: what becomes of a request, how long it takes, how many new items, whether the agent restarts."""
    with tempfile.TemporaryDirectory() as folder:
        spool = Spool(Path(folder) / "spool.db", largest_bytes=1500 if small else 50_000_000)
        service, delivery, mono, made = Service(), Delivery(spool), 0.0, 0
        for fate, pause, new, restarts in [*steps, *[("stored", 40.0, 0, False)] * 6]:
            mono += pause
            for _ in range(new):
                made = spool.append({"signals": {}, "n": made + 1}, at(mono))
            if restarts:
                delivery = Delivery(spool)
            batch = delivery.batch(at(mono))
            if batch is None:  # the next heartbeat comes anyway
                made = spool.append({"signals": {}, "n": made + 1}, at(mono))
                batch = delivery.batch(at(mono))
            if fate == "not sent" or batch is None:
                continue
            if fate != "accepted and lost":
                service.store(request(batch))
            if fate != "reply lost":
                delivery.accepted(batch, service.reply(spool.epoch)["committed"], at=at(mono))
        kept = service.stored.get(spool.epoch, {})
        assert service.sins == []
        assert all(item["n"] == seq for seq, item in kept.items())
        held = {item.seq for item in spool.items(1, 1000)}
        if not small:  # where the spool never overflows there is no gap at all
            assert set(kept) | held == set(range(1, made + 1))
            assert sorted(kept) == list(range(1, len(kept) + 1))
        assert service.watermark.get(spool.epoch, 0) >= made - 1
