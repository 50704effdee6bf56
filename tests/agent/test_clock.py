import json
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from agent.clock import Clock, Moment, ServiceClock, boot_id, written

NOON = 1_795_348_800.0


def moment(wall: float, mono: float) -> Moment:
    return Moment(wall, mono, "boot")


def service_time(wall: float) -> datetime:
    return datetime.fromtimestamp(wall, UTC)


def test_drift_is_unknown_before_the_service_was_heard():
    assert ServiceClock().drift_s(moment(NOON, 5)) is None


def test_half_the_round_trip_is_taken_off():
    clock = ServiceClock()
    clock.heard(service_time(NOON + 4), sent=moment(NOON, 10), received=moment(NOON + 8, 18))
    assert clock.drift_s(moment(NOON + 8, 18)) == pytest.approx(0)


def test_a_clock_that_runs_ahead_is_seen():
    clock = ServiceClock()
    clock.heard(service_time(NOON - 400), sent=moment(NOON, 10), received=moment(NOON, 10))
    assert clock.drift_s(moment(NOON + 60, 70)) == pytest.approx(400)


def test_a_clock_set_wrong_between_two_answers_is_seen():
    clock = ServiceClock()
    clock.heard(service_time(NOON), sent=moment(NOON, 10), received=moment(NOON, 10))
    assert clock.drift_s(moment(NOON - 3600, 15)) == pytest.approx(-3605)


def test_an_answer_that_took_too_long_tells_nothing():
    clock = ServiceClock()
    clock.heard(service_time(NOON), sent=moment(NOON, 10), received=moment(NOON, 100))
    assert clock.drift_s(moment(NOON, 100)) is None


def test_two_processes_of_one_boot_share_its_clock():
    code = (
        "import json; from agent.clock import Clock; n = Clock().now(); print(json.dumps([n.boot, n.mono]))"
    )
    boot, mono = json.loads(subprocess.check_output([sys.executable, "-c", code]))
    assert boot == boot_id()
    assert mono <= Clock().now().mono


def test_times_are_written_in_utc():
    assert written(NOON + 0.25) == "2026-11-22T12:00:00.250Z"
