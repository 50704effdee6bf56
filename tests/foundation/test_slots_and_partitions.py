from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import DatabaseError, connection, transaction

from foundation import clock, partitions, slots
from foundation.ids import id_at, lower_bound, made_at


@pytest.mark.django_db
def test_a_slot_is_claimed_once_and_the_next_one_again(at):
    hour = timedelta(hours=1)
    slot = slots.slot_of(at + timedelta(minutes=59, seconds=59), hour)
    assert slot == at
    assert slots.claim("report", slot, at=at)
    assert not slots.claim("report", slot, at=at)
    assert slots.claim("report", slots.slot_of(at + hour, hour), at=at)
    assert slots.claim("other", slot, at=at)


@pytest.mark.django_db
def test_partitions_are_made_ahead_and_dropped_when_their_time_is_over():
    at = clock.now() + timedelta(days=800)  # days no other test has written into
    first = partitions.keep(at=at)
    assert first.made >= partitions.DAYS_AHEAD + 1
    assert partitions.keep(at=at).made == 0
    later = partitions.keep(at=at + timedelta(days=402))
    assert later.dropped >= 1
    assert audit_partitions(at.date()) == []


@pytest.mark.django_db
def test_the_app_role_can_drop_nothing_else():
    for statement in (
        "SELECT foundation_drop_partitions('tenancy_tenant', '2030-01-01')",
        "SELECT foundation_make_partition('tenancy_user', '2030-01-01')",
        "INSERT INTO foundation_partitioned VALUES ('tenancy_user', 'time', 1)",
        "DROP TABLE tenancy_auditevent_default",
    ):
        refused = pytest.raises(DatabaseError, match=r"partitioned|permission|owner")
        with refused, transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)


def audit_partitions(day):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relname = %s", [f"tenancy_auditevent_{day:%Y%m%d}"]
        )
        return cursor.fetchall()


@pytest.mark.django_db
def test_the_bounds_of_a_day_agree_between_python_and_the_database(at):
    with connection.cursor() as cursor:
        cursor.execute("SELECT foundation_uuid7_bound(%s)", [at])
        assert cursor.fetchone() == (lower_bound(at),)


def test_ids_are_in_the_order_of_their_moments():
    moment = datetime(2026, 11, 22, tzinfo=UTC)
    ids = [id_at(moment + timedelta(milliseconds=n)) for n in range(50)]
    assert ids == sorted(ids)
    assert made_at(ids[7]) == moment + timedelta(milliseconds=7)
    assert all(each.version == 7 for each in ids)
    assert lower_bound(moment) <= ids[0] < lower_bound(moment + timedelta(milliseconds=1))
