from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet import days
from fleet.models import Device, RoomDay
from foundation.context import tenant
from tests.factories.fleet import make_device, make_room
from tests.factories.tenancy import make_customer

DAY = date(2026, 11, 20)
OSLO = "Europe/Oslo"


def span(start: str, end: str | None, zone: str = OSLO, day: date = DAY):
    def moment(clock: str) -> datetime:
        hours, minutes, *seconds = map(int, clock.split(":"))
        local = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone))
        return local.replace(hour=hours, minute=minutes, second=seconds[0] if seconds else 0).astimezone(UTC)

    return moment(start), moment(end) if end else None


@pytest.mark.parametrize(
    ("faults", "healthy"),
    [
        ([], True),
        ([("05:00", "05:15")], True),
        ([("05:00", "05:15"), ("09:00", "09:10")], False),
        ([("05:00", "05:21")], False),
        ([("05:00", "05:20")], True),
        ([("05:00", "05:20:01")], False),
        ([("21:05", "23:00")], True),
        ([("03:00", "05:00")], True),
        ([("20:45", "23:00")], True),
        ([("20:39", "23:00")], False),
        ([("09:00", "09:15"), ("09:05", "09:20")], True),  # overlapping count once
        ([("09:00", "09:15"), ("09:00", "09:15"), ("09:03", "09:10")], True),
        ([("12:00", "12:19"), ("09:00", "09:02")], False),  # in any order
        ([("20:30", None)], False),  # still open
        ([("00:00", None)], False),
    ],
)
def test_a_day_is_unhealthy_after_more_than_twenty_minutes_between_five_and_nine(faults, healthy):
    intervals = [span(*each) for each in faults]
    assert days.health_of(intervals, day=DAY, zone=OSLO).healthy is healthy


@pytest.mark.parametrize(
    "zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Kathmandu", "America/New_York"]
)
def test_the_hours_are_those_of_the_room(zone):
    start, end = days.counted_hours(DAY, zone)
    local = [moment.astimezone(ZoneInfo(zone)) for moment in (start, end)]
    assert [(each.date(), each.hour, each.minute) for each in local] == [(DAY, 5, 0), (DAY, 21, 0)]
    assert days.health_of([span("05:00", "05:21", zone)], day=DAY, zone=zone).fault_s == 21 * 60


@pytest.mark.parametrize(
    ("zone", "day", "offset_h"),
    [
        ("Europe/Oslo", date(2026, 3, 28), 1),
        ("Europe/Oslo", date(2026, 3, 29), 2),  # the clock has jumped before five
        ("Europe/Oslo", date(2026, 10, 24), 2),
        ("Europe/Oslo", date(2026, 10, 25), 1),
        ("America/Santiago", date(2026, 9, 6), -3),  # midnight itself does not exist
        ("Australia/Lord_Howe", date(2026, 10, 4), 11),  # half an hour
    ],
)
def test_days_on_which_clocks_change_have_their_sixteen_hours(zone, day, offset_h):
    start, end = days.counted_hours(day, zone)
    assert end - start == timedelta(hours=16)
    assert start == datetime(day.year, day.month, day.day, 5, tzinfo=UTC) - timedelta(hours=offset_h)


MOMENTS = st.integers(0, 24 * 60).map(
    lambda minute: datetime(2026, 11, 20, tzinfo=UTC) + timedelta(minutes=minute)
)


@given(st.lists(st.tuples(MOMENTS, st.one_of(st.none(), MOMENTS)), max_size=8))
def test_covered_time_is_what_counting_minute_by_minute_gives(intervals):
    start, end = datetime(2026, 11, 20, 5, tzinfo=UTC), datetime(2026, 11, 20, 21, tzinfo=UTC)
    minutes = (start + timedelta(minutes=number) for number in range(16 * 60))
    counted = sum(any(a <= minute and (b is None or minute < b) for a, b in intervals) for minute in minutes)
    assert days.covered(intervals, start, end) == timedelta(minutes=counted)


@pytest.fixture
def entered(customer):
    with tenant(customer.id):
        yield customer


def reader(spans):
    return lambda start, end: spans


def test_yesterday_is_computed_when_midnight_has_passed_where_the_room_is(entered, at):
    long_ago = at - timedelta(days=9)
    oslo = make_room(at=at, time_zone="Europe/Oslo")
    tokyo = make_room(at=at, time_zone="Asia/Tokyo")
    for room in (oslo, tokyo):
        make_device(room, at=long_ago)
    noon = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)  # in Tokyo the 21st has begun
    fault = {tokyo.id: [(noon - timedelta(hours=6), noon - timedelta(hours=5))]}
    assert days.close_due(faults=reader(fault), at=noon) == 2
    marks = {(each.room_id, each.day): each for each in RoomDay.objects.for_tenant(entered)}
    assert set(marks) == {(oslo.id, date(2026, 11, 19)), (tokyo.id, date(2026, 11, 20))}
    assert marks[(oslo.id, date(2026, 11, 19))].healthy
    bad = marks[(tokyo.id, date(2026, 11, 20))]
    assert (bad.healthy, bad.fault_s) == (False, 3600)


def test_computing_again_changes_nothing_and_missed_days_are_caught_up(entered, at):
    make_device(make_room(at=at), at=at - timedelta(days=30))
    assert days.close_due(faults=reader({}), at=at) == 1
    assert days.close_due(faults=reader({}), at=at) == 0
    assert days.close_due(faults=reader({}), at=at + timedelta(days=3)) == 3
    assert days.close_day(OSLO, (at - timedelta(days=1)).date(), faults=reader({})) == 1
    assert RoomDay.objects.for_tenant(entered).count() == 4


def test_rooms_that_were_onboarding_or_accepted_after_hours_are_left_out(entered, at):
    onboarding, late, silent = (make_room(at=at) for _ in range(3))
    make_device(onboarding, status="onboarding", at=at - timedelta(days=5))
    make_device(late, at=at - timedelta(hours=1))
    make_device(silent, at=at - timedelta(days=5), silent_since=at)
    quiet = at - timedelta(days=1, hours=3)
    spans = {silent.id: [(quiet, quiet + timedelta(minutes=30))]}
    days.close_due(faults=reader({}), silences=reader(spans), at=at)
    row = RoomDay.objects.for_tenant(entered).get()
    assert (row.room_id, row.silent_s, row.healthy) == (silent.id, 1800, True)


def test_today_counts_up_to_now(entered, at):
    room = make_room(at=at)
    opened = at - timedelta(minutes=19)
    assert days.today(room, [(opened, None)], at=at).healthy
    assert days.today(room, [(opened, None)], at=at + timedelta(minutes=2)).fault_s == 21 * 60
    assert not days.today(room, [(opened, None)], at=at + timedelta(minutes=2)).healthy


def test_the_history_has_a_place_for_every_day(entered, at):
    room = make_room(at=at)
    make_device(room, at=at - timedelta(days=9))
    days.close_due(faults=reader({}), at=at)
    shown = days.history(room, at=at, days=90)
    assert len(shown) == 90
    assert [day for day, mark in shown if mark] == [date(2026, 11, 21)] == [shown[-1][0]]


def test_old_days_are_dropped_after_four_hundred(entered, at):
    room = make_room(at=at)
    rows = RoomDay.objects.for_tenant(entered)
    for age in (399, 402):
        rows.create(room=room, day=(at - timedelta(days=age)).date(), healthy=True)
    assert days.forget_old(at=at) == 1
    assert rows.count() == 1


def test_customers_whose_yesterday_is_missing_are_found_for_all_at_once(committed_db, at):
    owner = make_customer(at=at)
    with tenant(owner.id):
        make_device(make_room(at=at), at=at - timedelta(days=9))
    assert owner.id in days.tenants_due(at=at)
    with tenant(owner.id):
        days.close_due(faults=reader({}), at=at)
    assert owner.id not in days.tenants_due(at=at)
    assert owner.id in days.tenants_due(at=at + timedelta(days=1))
    with tenant(owner.id):
        assert Device.objects.for_tenant(owner).count() == 1
