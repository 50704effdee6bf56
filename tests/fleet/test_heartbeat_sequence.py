"""Numbers of heartbeats under loss, repetition and disorder: nothing is lost that a device still has, nothing doubled."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from fleet.heartbeat_sequence import follows, lost


class Delivery(RuleBasedStateMachine):
    """A device with a spool, a stream that loses, repeats and (between requests) reorders, and a store."""

    def __init__(self) -> None:
        super().__init__()
        self.highest = 0
        self.spool: list[int] = []
        self.dropped: set[int] = set()  # by a full spool, never committed
        self.stream: list[tuple[int, list[int]]] = []  # lowest held, items
        self.stored: list[int] = []
        self.watermark = 0
        self.lost = 0
        self.committed = 0

    @rule(count=st.integers(1, 5))
    def beat(self, count: int) -> None:
        for _ in range(count):
            self.highest += 1
            self.spool.append(self.highest)

    @rule(first=st.integers(0, 6), count=st.integers(1, 6))
    def post(self, first: int, count: int) -> None:
        """Any run of what it holds."""
        if items := self.spool[first : first + count]:
            self.stream.append((self.spool[0], items))

    @precondition(lambda self: self.spool)
    @rule(count=st.integers(1, 4))
    def overflow(self, count: int) -> None:
        gone, self.spool = self.spool[:count], self.spool[count:]
        self.dropped |= set(gone)

    @precondition(lambda self: self.stream)
    @rule(position=st.integers(0, 50), again=st.booleans())
    def apply(self, position: int, again: bool) -> None:
        """A request is taken from anywhere in the stream, and may come again."""
        position %= len(self.stream)
        lowest, items = self.stream[position] if again else self.stream.pop(position)
        for seq in items:
            if follows(self.watermark, seq, lowest):
                self.lost += lost(self.watermark, seq, lowest)
                self.watermark = seq
                self.stored.append(seq)

    @rule()
    def flush(self) -> None:
        self.stream.clear()

    @rule()
    def reply(self) -> None:
        """The device learns what is committed and deletes it."""
        self.committed = self.watermark
        self.spool = [seq for seq in self.spool if seq > self.committed]

    @invariant()
    def nothing_is_stored_twice_and_order_is_kept(self) -> None:
        assert self.stored == sorted(set(self.stored))

    @invariant()
    def what_is_neither_stored_nor_held_was_dropped_by_the_device(self) -> None:
        known = set(self.stored) | set(self.spool) | self.dropped
        assert set(range(1, self.highest + 1)) <= known

    @invariant()
    def every_hole_below_the_watermark_is_counted_as_lost(self) -> None:
        assert self.watermark == len(self.stored) + self.lost

    @invariant()
    def only_what_the_device_gave_up_may_be_missing_below_the_watermark(self) -> None:
        missing = set(range(1, self.watermark + 1)) - set(self.stored)
        assert missing <= self.dropped

    def teardown(self) -> None:
        """Left alone, the device resends and everything it still has arrives."""
        while self.spool:
            self.stream.append((self.spool[0], list(self.spool)))
            before = list(self.spool)
            while self.stream:
                self.apply(0, False)
            self.reply()
            assert self.spool != before
        assert set(range(1, self.highest + 1)) <= set(self.stored) | self.dropped


Delivery.TestCase.settings = settings(
    max_examples=100, stateful_step_count=30, deadline=None, derandomize=True
)
TestDelivery = Delivery.TestCase


def test_who_says_nothing_of_a_spool_is_taken_as_it_comes_but_never_twice():
    assert follows(3, 9, None)
    assert not follows(9, 9, None)
    assert not follows(9, 4, None)
    assert lost(3, 9, None) == 0
