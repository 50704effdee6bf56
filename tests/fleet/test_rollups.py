from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from fleet import heartbeats, rollups, telemetry_form
from fleet.rollups import Span
from foundation.context import tenant
from tests.factories.fleet import make_device
from tests.factories.heartbeats import Spool, minutes

HOUR = timedelta(hours=1)


@pytest.fixture
def device(customer, at):
    with tenant(customer.id):
        return make_device(at=at)


@pytest.fixture
def spool(device):
    return Spool(device)


def post(spool, *, at, received=None, **given):
    entry = spool.post(at=received or at, t_wall=at.isoformat(), **given)
    heartbeats.apply([entry], at=received or at)


def roll_up(device, *, at):
    with tenant(device.tenant_id):
        done = 0
        while now := rollups.roll_up(device.tenant_id, at=at):
            done += now
        return done


def five_minutes(device, since, until):
    with tenant(device.tenant_id):
        return rollups.five_minutes(device.tenant_id, device.key, since=since, until=until)


def test_an_hour_is_rolled_up_from_its_points_and_again_when_more_arrive(spool, device, at):
    for minute, cpu in enumerate((10.0, 20.0, 33.3)):
        usage = {"in_meeting": minute > 0, "people": minute}
        post(spool, at=at + minutes(minute), metrics={"cpu_pct": cpu, "temp_c": -4.0}, usage=usage)
    post(spool, at=at + minutes(59), metrics={})
    assert roll_up(device, at=at + minutes(64)) == 0
    before = five_minutes(device, at, at + HOUR)
    assert roll_up(device, at=at + minutes(66)) == 1
    first, last = five_minutes(device, at, at + HOUR)
    assert [first, last] == before, "the running hour comes from its points, figured the same"
    assert (first.starts, first.beats, first.meeting_beats, first.people) == (at, 3, 2, 2)
    assert first.metrics == {"cpu_pct": Span(21.1, 10.0, 33.3), "temp_c": Span(-4.0, -4.0, -4.0)}
    assert (last.starts, last.beats, last.metrics) == (at + minutes(55), 1, {})
    post(spool, at=at + minutes(30), received=at + 2 * HOUR, metrics={"cpu_pct": 99.0})
    assert roll_up(device, at=at + 2 * HOUR) == 1
    assert [each.beats for each in five_minutes(device, at, at + HOUR)] == [3, 1, 1]


def test_what_came_days_late_is_added_and_stays_when_the_hour_is_computed_again(spool, device, at):
    post(spool, at=at, metrics={"cpu_pct": 10.0})
    roll_up(device, at=at + minutes(66))
    for _ in range(2):
        post(spool, at=at + minutes(1), received=at + 30 * HOUR, metrics={"cpu_pct": 40.0})
    roll_up(device, at=at + 30 * HOUR)
    (figures,) = five_minutes(device, at, at + HOUR)
    assert (figures.beats, figures.metrics["cpu_pct"]) == (3, Span(30.0, 10.0, 40.0))


def test_a_day_is_the_sum_of_its_hours_and_computed_when_it_is_over(spool, device, at):
    midnight = datetime.combine(at.date(), datetime.min.time(), UTC)
    for hour, cpu in ((0, 10.0), (23, 40.0), (23.5, 40.0)):
        post(
            spool,
            at=midnight + hour * HOUR,
            metrics={"cpu_pct": cpu},
            usage={"in_meeting": True, "people": 3},
        )
    tomorrow = midnight + 24 * HOUR

    def day():
        with tenant(device.tenant_id):
            return rollups.days(device.tenant_id, device.key, since=at.date(), until=tomorrow.date())

    roll_up(device, at=tomorrow + minutes(70))
    assert day() == []
    roll_up(device, at=tomorrow + minutes(90))
    (figures,) = day()
    assert (figures.beats, figures.meeting_beats, figures.people) == (3, 3, 3)
    assert figures.metrics == {"cpu_pct": Span(30.0, 10.0, 40.0)}
    post(spool, at=midnight + 12 * HOUR, received=midnight + 40 * HOUR, metrics={"cpu_pct": 30.0})
    roll_up(device, at=midnight + 40 * HOUR)
    assert day()[0].beats == 4


def test_a_day_is_dropped_after_its_keep(spool, device, at):
    post(spool, at=at)
    roll_up(device, at=at + 40 * HOUR)
    with tenant(device.tenant_id):
        assert rollups.forget_old(device.tenant_id, at=at + timedelta(days=400)) == 0
        assert rollups.forget_old(device.tenant_id, at=at + timedelta(days=401)) == 1


def test_the_sweep_finds_customers_whose_hours_are_due(committed_db, at):
    from django.db import connection

    from tests.factories.tenancy import make_customer

    customer = make_customer(at=at)
    with tenant(customer.id):
        device = make_device(at=at)
    post(Spool(device), at=at)
    assert customer.id not in rollups.tenants_with_due(at=at + minutes(64))
    assert customer.id in rollups.tenants_with_due(at=at + minutes(65))
    roll_up(device, at=at + minutes(65))
    assert customer.id not in rollups.tenants_with_due(at=at + minutes(65))
    connection.close()


def test_figures_beyond_a_small_integer_are_cut_and_lines_of_two_sources_are_weighted():
    assert telemetry_form.small(1e9) == 32_767
    assert telemetry_form.small(-1e9) == -32_768
    one = telemetry_form.line_of(0, [((100, None, None, None, None, None), 9)])
    other = telemetry_form.line_of(0, [((200, 5, None, None, None, None), None)] * 2)
    (line,) = telemetry_form.added([one], [other])
    assert line[:8] == [0, 3, 167, 100, 200, 5, 5, 5]
    assert line[telemetry_form.MEETING :] == [1, 4]
