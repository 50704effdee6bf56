"""Our own outages: recorded once by whoever comes back first, and subtracted from a device's silence."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connection

from fleet import liveness
from fleet.liveness import Outage, beat, outages, time_receiving
from fleet.models import IngestLiveness, IngestOutage

SECOND = timedelta(seconds=1)


@pytest.fixture
def db(db: None) -> None:
    """Without what real ingest processes of other tests told: they live in another time than `at`."""
    IngestOutage.objects.all().delete()
    IngestLiveness.objects.all().delete()


def test_the_first_process_ever_ends_no_outage(db, at):
    assert beat("a", started_at=at, at=at) is None
    assert outages(since=at - timedelta(days=1), at=at) == []


def test_a_restart_within_the_gap_is_no_outage(db, at):
    beat("a", started_at=at, at=at)
    assert beat("b", started_at=at + 10 * SECOND, at=at + 15 * SECOND) is None


def test_a_span_in_which_nobody_told_is_recorded_by_the_first_to_come_back(db, at):
    beat("a", started_at=at, at=at)
    beat("b", started_at=at, at=at + 2 * SECOND)
    back = at + timedelta(hours=1)
    assert beat("c", started_at=back, at=back) == Outage(at + 2 * SECOND, back)
    assert beat("d", started_at=back, at=back + SECOND) is None
    assert outages(since=at, at=back + SECOND) == [Outage(at + 2 * SECOND, back)]
    assert outages(since=back + SECOND, at=back + 2 * SECOND) == []


def test_one_process_that_still_tells_keeps_an_outage_from_being_one(db, at):
    for beats in range(20):
        beat("a", started_at=at, at=at + 5 * beats * SECOND)
    assert beat("b", started_at=at, at=at + 100 * SECOND) is None
    assert not IngestOutage.objects.exists()


def test_an_outage_that_still_lasts_is_seen(db, at):
    beat("a", started_at=at, at=at)
    assert outages(since=at, at=at + 15 * SECOND) == []
    assert outages(since=at, at=at + 16 * SECOND) == [Outage(at, at + 16 * SECOND)]


def test_processes_that_are_gone_are_forgotten(db, at):
    beat("a", started_at=at, at=at)
    for hours in range(26):
        beat("b", started_at=at, at=at + timedelta(hours=hours))
    assert list(IngestLiveness.objects.values_list("process", flat=True)) == ["b"]


def test_processes_that_come_back_at_once_record_one_outage(committed_db, at):
    IngestOutage.objects.all().delete()
    IngestLiveness.objects.all().delete()
    beat("old", started_at=at, at=at)
    back = at + timedelta(minutes=5)

    def come_back(number: int) -> None:
        try:
            beat(f"new {number}", started_at=back, at=back)
        finally:
            connection.close()

    threads = [threading.Thread(target=come_back, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outages(since=at, at=back) == [Outage(at, back)]
    IngestOutage.objects.all().delete()
    IngestLiveness.objects.all().delete()


@pytest.mark.parametrize(
    ("lost", "left"),
    [
        ([], 100),
        ([(10, 30)], 80),
        ([(-50, 10)], 90),
        ([(90, 150)], 90),
        ([(-10, 110)], 0),
        ([(10, 30), (20, 40)], 70),
        ([(20, 40), (10, 30)], 70),
        ([(10, 50), (20, 30)], 60),
        ([(-20, -10), (110, 120)], 100),
        ([(0, 0), (100, 100)], 100),
    ],
)
def test_outages_are_taken_from_a_span_once_each(at, lost, left):
    spans = [Outage(at + start * SECOND, at + end * SECOND) for start, end in lost]
    assert time_receiving(at, at + 100 * SECOND, spans) == left * SECOND


def test_a_span_that_ends_before_it_starts_is_empty(at):
    assert time_receiving(at, at - SECOND, []) == timedelta()


def test_the_gap_forgives_a_lost_beat(at):
    assert timedelta(seconds=2 * liveness.BEAT_S) < liveness.GAP
