from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from fleet.heartbeat_times import event_time

AT = datetime(2026, 11, 22, 9, tzinfo=UTC)
NOW = int(AT.timestamp() * 1000)
DAY_S = 86_400


def told(*, sent=None, mono=None, wall=None):
    ms, plausible = event_time(
        NOW, sent, mono, lambda: None if wall is None else AT + timedelta(seconds=wall)
    )
    return (ms - NOW) / 1000, plausible


@pytest.mark.parametrize(
    ("given", "seconds", "plausible"),
    [
        ({"sent": 160.0, "mono": 100.0, "wall": -3000}, -60, True),
        ({"sent": 100.0, "mono": 100.4}, 0, True),  # rounded differently
        ({"sent": 100.0, "mono": 102.0}, 0, False),  # after it was sent
        ({"sent": 100.0, "mono": 102.0, "wall": -30}, -30, False),
        ({"sent": 9.0 * DAY_S, "mono": 1.0, "wall": -30}, -30, False),  # no spool holds so long
        ({"mono": 100.0, "wall": -30}, -30, True),
        ({"sent": 100.0, "wall": -30}, -30, True),  # of an earlier boot
        ({}, 0, True),
        ({"wall": 299}, 0, True),
        ({"wall": 301}, 0, False),
        ({"wall": -7.9 * DAY_S}, -7.9 * DAY_S, True),
        ({"wall": -8.1 * DAY_S}, 0, False),
    ],
)
def test_the_time_of_a_heartbeat_is_the_best_its_clocks_can_tell(given, seconds, plausible):
    assert told(**given) == (pytest.approx(seconds), plausible)
