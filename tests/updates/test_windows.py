from datetime import UTC, date, datetime, time, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from updates.windows import InstallWindow, Night, night_of, nights, open_night

BERLIN, APIA = ZoneInfo("Europe/Berlin"), ZoneInfo("Pacific/Apia")
ZONES = [ZoneInfo(name) for name in ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo",
                                     "America/Havana", "Asia/Kathmandu", "Pacific/Apia", "UTC")]  # fmt: skip


def utc(*parts):
    return datetime(*parts, tzinfo=UTC)


def test_a_night_is_in_the_rooms_own_time_in_winter_and_in_summer():
    assert night_of(date(2026, 1, 14), InstallWindow(), BERLIN) == Night(
        date(2026, 1, 14), utc(2026, 1, 13, 23), utc(2026, 1, 14, 4)
    )
    assert night_of(date(2026, 7, 15), InstallWindow(), BERLIN) == Night(
        date(2026, 7, 15), utc(2026, 7, 14, 22), utc(2026, 7, 15, 3)
    )


def test_the_night_of_a_clock_change_is_an_hour_shorter_or_longer():
    def hours(night):
        return (night.ends_at - night.starts_at) / timedelta(hours=1)

    assert hours(night_of(date(2026, 3, 29), InstallWindow(), BERLIN)) == 4
    assert hours(night_of(date(2026, 10, 25), InstallWindow(), BERLIN)) == 6


def test_times_the_clock_skips_stand_for_the_moment_it_is_put_forward():
    spring = date(2026, 3, 29)  # 02:00 becomes 03:00 at 01:00 UTC
    assert night_of(spring, InstallWindow(time(2, 30), time(4)), BERLIN).starts_at == utc(2026, 3, 29, 1)
    assert night_of(spring, InstallWindow(time(1), time(2, 30)), BERLIN).ends_at == utc(2026, 3, 29, 1)
    assert night_of(spring, InstallWindow(time(2, 10), time(2, 50)), BERLIN) is None
    assert night_of(date(2011, 12, 30), InstallWindow(), APIA) is None  # the date line: a day that never was


def test_a_time_that_comes_twice_opens_the_window_once():
    night = night_of(date(2026, 10, 25), InstallWindow(time(0), time(2, 30)), BERLIN)
    assert night.ends_at == utc(2026, 10, 25, 0, 30)
    assert open_night(InstallWindow(time(0), time(2, 30)), BERLIN, at=utc(2026, 10, 25, 1, 15)) is None


def test_a_window_past_midnight_belongs_to_the_evening_it_starts_on():
    late = InstallWindow(time(22), time(4))
    night = open_night(late, BERLIN, at=utc(2026, 1, 14, 2, 59))
    assert (night.day, night.ends_at) == (date(2026, 1, 13), utc(2026, 1, 14, 3))
    assert open_night(late, BERLIN, at=utc(2026, 1, 14, 3)) is None


def test_a_window_of_no_length_is_refused():
    with pytest.raises(ValueError, match="two different times"):
        InstallWindow(time(3), time(3))


TIMES = st.times().map(lambda wall: wall.replace(second=0, microsecond=0))
# Hypothesis takes bounds without a zone.
INSTANTS = st.datetimes(utc(2011, 1, 1).replace(tzinfo=None), utc(2035, 1, 1).replace(tzinfo=None))


@given(
    st.sampled_from(ZONES),
    st.tuples(TIMES, TIMES).filter(lambda pair: pair[0] != pair[1]),
    INSTANTS.map(lambda value: value.replace(tzinfo=UTC)),
)
def test_nights_follow_each_other_and_none_is_missed(zone, pair, at):
    window = InstallWindow(*pair)
    coming = list(islice(nights(window, zone, at=at), 4))
    for night in coming:
        assert at < night.ends_at
        assert timedelta(0) < night.ends_at - night.starts_at <= timedelta(hours=25)
        for instant in (night.starts_at, night.ends_at - timedelta(seconds=1)):
            assert open_night(window, zone, at=instant) is not None
    for earlier, later in pairwise(coming):
        assert earlier.ends_at <= later.starts_at
        assert later.starts_at - earlier.starts_at < timedelta(days=3)
