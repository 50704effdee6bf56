import os
import sqlite3
import stat
import tempfile
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from agent.clock import Moment
from agent.errors import AgentError, CannotKeep
from agent.spool import Spool


def content(number: int, size: int = 0) -> dict[str, object]:
    return {"signals": {"camera_room": "healthy"}, "metrics": {"n": number}, "padding": "x" * size}


def later(moment: Moment, **delta: float) -> Moment:
    seconds = timedelta(**delta).total_seconds()
    return Moment(moment.wall + seconds, moment.mono + seconds, moment.boot)


def seqs(spool: Spool) -> list[int]:
    return [item.seq for item in spool.items(1, 100_000)]


def test_numbers_and_epoch_live_on_after_a_restart(home, noon):
    first = Spool(home / "spool.db")
    assert [first.append(content(each), noon) for each in range(3)] == [1, 2, 3]
    epoch = first.epoch
    first.close()
    second = Spool(home / "spool.db")
    assert (second.epoch, second.lowest, second.highest) == (epoch, 1, 3)
    assert second.append(content(4), noon) == 4
    assert [item.content for item in second.items(2, 2)] == [content(1), content(2)]


def test_a_number_is_never_given_twice_even_when_all_before_are_gone(home, noon):
    spool = Spool(home / "spool.db")
    for each in range(5):
        spool.append(content(each), noon)
    spool.answered(5, at_wall=noon.wall)
    spool.close()
    assert Spool(home / "spool.db").append(content(6), noon) == 6


def test_each_spool_has_an_epoch_of_its_own(home):
    assert Spool(home / "a.db").epoch != Spool(home / "b.db").epoch


def test_only_what_is_committed_is_deleted(home, noon):
    spool = Spool(home / "spool.db")
    for each in range(5):
        spool.append(content(each), noon)
    spool.answered(None, at_wall=noon.wall)
    assert seqs(spool) == [1, 2, 3, 4, 5]
    spool.answered(3, at_wall=noon.wall)
    assert (seqs(spool), spool.lowest) == ([4, 5], 4)
    spool.answered(1, at_wall=noon.wall)
    assert seqs(spool) == [4, 5]
    assert spool.last_reply_at == noon.wall


def test_a_restored_copy_goes_on_in_a_new_epoch_and_loses_nothing(home, noon):
    spool = Spool(home / "spool.db")
    spool.append(content(1), noon)
    epoch = spool.epoch
    spool.answered(90, at_wall=noon.wall)
    assert spool.epoch != epoch
    assert seqs(spool) == [1]


def test_the_oldest_are_dropped_after_seven_days(home, noon):
    spool = Spool(home / "spool.db")
    spool.append(content(1), noon)
    spool.append(content(2), later(noon, days=6))
    spool.append(content(3), later(noon, days=7, seconds=1))
    assert seqs(spool) == [2, 3]
    assert spool.lowest == 2


def test_setting_the_wall_clock_right_drops_nothing_of_this_boot(home, noon):
    spool = Spool(home / "spool.db")
    spool.append(content(1), Moment(wall=0.0, mono=10, boot="b"))
    spool.append(content(2), Moment(wall=noon.wall, mono=20, boot="b"))
    assert seqs(spool) == [1, 2]


def test_what_an_earlier_boot_left_is_aged_by_the_wall_clock(home, noon):
    spool = Spool(home / "spool.db")
    spool.append(content(1), noon)
    spool.append(content(2), Moment(noon.wall + 8 * 86400, 5, "second"))
    assert seqs(spool) == [2]


def test_the_oldest_are_dropped_when_it_grows_too_large(home, noon):
    spool = Spool(home / "spool.db", largest_bytes=50_000)
    for each in range(80):
        spool.append(content(each, size=1000), noon)
    held = seqs(spool)
    assert held == list(range(held[0], 81))
    assert 35 < len(held) < 50


def test_the_size_is_counted_on_after_a_restart(home, noon):
    for each in range(30):
        spool = Spool(home / "spool.db", largest_bytes=20_000)
        spool.append(content(each, size=1000), noon)
        spool.close()
    assert 10 < len(seqs(Spool(home / "spool.db"))) < 20


def test_a_full_disk_is_reported_and_changes_nothing(home, noon):
    spool = Spool(home / "spool.db")
    spool.append(content(1), noon)
    pages = spool._database.execute("PRAGMA page_count").fetchone()[0]
    spool._database.execute(f"PRAGMA max_page_count = {pages}")  # what SQLite sees of a full disk
    with pytest.raises(CannotKeep, match="full"):
        spool.append(content(2, size=3_000_000), noon)
    assert (seqs(spool), spool.highest) == ([1], 1)
    assert spool.append(content(2), noon) == 2


def test_a_full_disk_still_takes_some_days_of_heartbeats(home, noon):
    spool = Spool(home / "spool.db")
    pages = spool._database.execute("PRAGMA page_count").fetchone()[0]
    spool._database.execute(f"PRAGMA max_page_count = {pages}")
    for each in range(100):
        spool.append(content(each, size=7000), noon)
    assert len(seqs(spool)) == 100


@pytest.mark.parametrize("damage", [b"not a database at all, though it is long enough" * 50, b"\0" * 5000])
def test_a_damaged_spool_is_set_aside_for_a_new_one(home, noon, damage, caplog):
    spool = Spool(home / "spool.db")
    spool.append(content(1), noon)
    epoch = spool.epoch
    spool.close()
    with (home / "spool.db").open("r+b") as file:
        file.write(damage)
    fresh = Spool(home / "spool.db")
    assert (fresh.highest, seqs(fresh)) == (0, [])
    assert fresh.epoch != epoch
    assert (home / "spool.db.damaged").exists()
    assert "damaged" in caplog.text


def test_an_unwritable_home_is_one_clear_line(home):
    with pytest.raises(AgentError, match="cannot open the spool"):
        Spool(home / "missing" / "spool.db")


def test_others_cannot_read_it(home):
    Spool(home / "spool.db")
    assert stat.S_IMODE(os.stat(home / "spool.db").st_mode) == 0o600


def test_what_was_kept_for_another_device_is_not_sent(home, noon):
    spool = Spool(home / "spool.db")
    spool.belong_to("one")
    spool.append(content(1), noon)
    epoch = spool.epoch
    spool.belong_to("one")
    assert seqs(spool) == [1]
    spool.belong_to("two")
    assert seqs(spool) == []
    assert spool.epoch != epoch
    spool.append(content(2), noon)
    assert len(seqs(spool)) == 1


def test_a_transaction_cut_off_by_a_crash_leaves_the_spool_as_it_was(home, noon):
    """The files as a crash leaves them: a journal still to be played back over half-written pages."""
    spool = Spool(home / "spool.db")
    for each in range(20):
        spool.append(content(each, size=4000), noon)
    database = sqlite3.connect(home / "spool.db", isolation_level=None)
    database.execute("PRAGMA journal_mode = PERSIST")
    database.execute("PRAGMA cache_size = 1")  # pages go to the file before the transaction ends
    database.execute("BEGIN IMMEDIATE")
    database.execute("DELETE FROM items WHERE seq <= 10")
    database.execute("UPDATE items SET body = zeroblob(9000)")
    crashed = home / "crashed"
    crashed.mkdir()
    for name in ("spool.db", "spool.db-journal"):
        (crashed / name).write_bytes((home / name).read_bytes())
    database.execute("ROLLBACK")
    database.close()
    assert (crashed / "spool.db").read_bytes() != (home / "spool.db").read_bytes()
    recovered = Spool(crashed / "spool.db")
    assert seqs(recovered) == list(range(1, 21))
    assert recovered.items(20, 1)[0].content == content(19, size=4000)


class SpoolAgainstModel(RuleBasedStateMachine):
    """Whatever happens: what is held is one run of numbers, with the contents given, and only the front goes."""

    @initialize()
    def begin(self) -> None:
        self.directory = Path(tempfile.mkdtemp())
        self.held: dict[int, int] = {}
        self.highest = 0
        self.at = Moment(1e9, 0.0, "boot-0")
        self.spool = self.open()
        self.epoch = self.spool.epoch

    def open(self) -> Spool:
        return Spool(self.directory / "spool.db", longest_kept=timedelta(hours=1), largest_bytes=8_000)

    @rule(size=st.integers(0, 1500), value=st.integers(0, 10**6), pause_s=st.floats(0, 1200))
    def append(self, size, value, pause_s):
        self.at = Moment(self.at.wall + pause_s, self.at.mono + pause_s, self.at.boot)
        before = set(self.held)
        self.highest += 1
        assert self.spool.append({"signals": {}, "v": value, "p": "x" * size}, self.at) == self.highest
        self.held[self.highest] = value
        now = set(seqs(self.spool))
        gone = before - now
        self.held = {seq: kept for seq, kept in self.held.items() if seq in now}
        assert all(seq < min(now) for seq in gone)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def commit(self, data):
        committed = data.draw(st.none() | st.integers(0, self.highest))
        self.spool.answered(committed, at_wall=self.at.wall)
        if committed is not None:
            self.held = {seq: value for seq, value in self.held.items() if seq > committed}

    @rule(reboot=st.booleans())
    def restart(self, reboot):
        self.spool.close()
        if reboot:
            self.at = Moment(self.at.wall + 60, 0.0, self.at.boot + "+")
        self.spool = self.open()

    @invariant()
    def holds_one_run_of_numbers(self):
        items = self.spool.items(1, 10_000)
        assert {item.seq: item.content["v"] for item in items} == self.held
        assert [item.seq for item in items] == list(range(self.highest - len(items) + 1, self.highest + 1))
        assert self.spool.lowest == (min(self.held) if self.held else None)
        assert (self.spool.highest, self.spool.epoch) == (self.highest, self.epoch)

    def teardown(self) -> None:
        if hasattr(self, "spool"):
            self.spool.close()
            for file in self.directory.iterdir():
                file.unlink()
            self.directory.rmdir()


TestSpoolAgainstModel = SpoolAgainstModel.TestCase
TestSpoolAgainstModel.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.dictionaries(st.text(max_size=20), st.text(max_size=50), max_size=5), min_size=1, max_size=5)
)
def test_contents_come_back_as_they_were(contents):
    with tempfile.TemporaryDirectory() as folder:
        spool = Spool(Path(folder) / "spool.db")
        for each in contents:
            spool.append(each, Moment(0, 0, "b"))
        assert [item.content for item in spool.items(1, 10)] == contents
        spool.close()
