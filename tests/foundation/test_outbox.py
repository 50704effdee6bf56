from __future__ import annotations

from datetime import timedelta

import pytest

from foundation import clock, outbox
from foundation.context import tenant
from foundation.models import OutboxEntry
from tests.factories.tenancy import make_customer

pytestmark = pytest.mark.usefixtures("committed_db")


@pytest.fixture
def owner(committed_db):
    return make_customer(at=clock.now())


def add(owner, *texts, lane="a", delay=timedelta()):
    with tenant(owner.id):
        return [
            outbox.add(
                tenant_id=owner.id, lane=lane, kind="probe", payload={"text": t}, at=clock.now(), delay=delay
            )
            for t in texts
        ]


def state_of(owner):
    with tenant(owner.id):
        entries = OutboxEntry.objects.for_tenant(owner).order_by("id")
        return [(entry.payload["text"], entry.state, entry.tries) for entry in entries]


class Receiver:
    """The outside: keeps what arrived, fails as told."""

    def __init__(self, owner, *failures):
        self.owner, self.failures, self.texts = owner, list(failures), []

    def __call__(self, delivery):
        if delivery.tenant_id != self.owner.id:
            return
        if self.failures and (failure := self.failures.pop(0)):
            raise failure
        self.texts.append(delivery.payload["text"])


def test_entries_of_a_lane_go_out_once_and_in_order(owner):
    add(owner, "one", "two", "three")
    outside = Receiver(owner)
    outbox.send_due({"probe": outside}, at=clock.now())
    outbox.send_due({"probe": outside}, at=clock.now())
    assert outside.texts == ["one", "two", "three"]
    assert {state for _, state, _ in state_of(owner)} == {"done"}


def test_what_fails_holds_back_its_own_lane_only(owner):
    add(owner, "first", "second", lane="stuck")
    add(owner, "neighbour", lane="free")
    outside = Receiver(owner, outbox.TryLater("busy", after=timedelta(minutes=5)))
    outbox.send_due({"probe": outside}, at=clock.now())
    assert outside.texts == ["neighbour"]
    assert state_of(owner)[0] == ("first", "due", 1)
    outbox.send_due({"probe": outside}, at=clock.now() + timedelta(minutes=5, seconds=5))
    assert outside.texts == ["neighbour", "first", "second"]


def test_a_refusal_is_final_and_a_person_may_replay_it(owner):
    (entry,) = add(owner, "odd")
    outside = Receiver(owner, outbox.Refused("no such field"))
    outbox.send_due({"probe": outside}, at=clock.now())
    assert state_of(owner) == [("odd", "dead", 1)]
    with tenant(owner.id):
        assert outbox.replay(entry, at=clock.now())
        assert not outbox.replay(entry, at=clock.now())
    outbox.send_due({"probe": outside}, at=clock.now())
    assert outside.texts == ["odd"]


def test_after_eight_tries_it_is_dead(owner):
    add(owner, "poison")
    outside = Receiver(owner, *[RuntimeError("down")] * 20)
    for turn in range(12):
        outbox.send_due({"probe": outside}, at=clock.now() + turn * outbox.LONGEST_WAIT)
    assert state_of(owner) == [("poison", "dead", outbox.MAX_TRIES)]


def test_a_sender_that_lost_its_lease_does_not_write_the_outcome(owner):
    add(owner, "slow")
    at = clock.now()
    claimed = outbox._claim(owner.id, ["probe"], at=at)
    again = outbox._claim(owner.id, ["probe"], at=at + outbox.LEASE)
    assert claimed and again and claimed.id == again.id
    outbox._finish(claimed, state="done")
    assert state_of(owner) == [("slow", "due", 2)]
    outbox._finish(again, state="done")
    assert state_of(owner) == [("slow", "done", 2)]


def test_a_delayed_entry_waits_for_undo(owner):
    add(owner, "mail", delay=timedelta(seconds=8))
    outside = Receiver(owner)
    outbox.send_due({"probe": outside}, at=clock.now())
    assert outside.texts == []
    outbox.send_due({"probe": outside}, at=clock.now() + timedelta(seconds=9))
    assert outside.texts == ["mail"]


def test_what_was_sent_is_forgotten_after_a_month_and_what_could_not_be_after_three(owner):
    add(owner, "sent")
    add(owner, "refused", lane="b")
    add(owner, "waits", lane="c", delay=timedelta(days=400))
    outside = Receiver(owner, None, outbox.Refused("never"))
    outbox.send_due({"probe": outside}, at=clock.now())
    left = []
    for days in (29, 31, 91):
        outbox.forget_old(at=clock.now() + timedelta(days=days))
        left.append([text for text, _, _ in state_of(owner)])
    assert left == [["sent", "refused", "waits"], ["refused", "waits"], ["waits"]]
