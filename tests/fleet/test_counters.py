from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections

from fleet import counters
from fleet.counters import Figure
from fleet.models import Counter
from foundation.context import tenant
from foundation.ids import new_id
from tests.factories.fleet import make_device, make_place, make_room
from tests.factories.tenancy import make_customer


def test_amounts_add_up_over_calls_and_tenants(customer, at):
    other = make_customer(at=at)
    with tenant(customer.id, other.id):
        mine, theirs = (Figure(each.id, each.id, "things") for each in (customer, other))
        counters.add({mine: 3, theirs: 1})
        counters.add({mine: -1, theirs: 0})
        assert counters.of(customer.id) == {"things": 2}
        assert counters.of(other.id) == {"things": 1}


def test_gathered_changes_are_written_once_at_the_end_of_the_outermost_block(
    customer, django_assert_num_queries
):
    figure = Figure(customer.id, customer.id, "things")
    with tenant(customer.id):
        with django_assert_num_queries(1), counters.gathered():
            counters.add({figure: 2})
            with counters.gathered():
                counters.add({figure: 1, Figure(customer.id, new_id(), "things"): 1})
        assert counters.of(customer.id) == {"things": 3}


def fails_after_adding(block, figure):
    with block:
        counters.add({figure: 1})
        raise ZeroDivisionError


def test_gathered_changes_of_a_failed_block_are_dropped(customer):
    with tenant(customer.id):
        block = counters.gathered()
        with pytest.raises(ZeroDivisionError):
            fails_after_adding(block, Figure(customer.id, customer.id, "things"))
        assert counters.of(customer.id) == {}


def test_gathered_changes_of_several_tenants_are_written_in_their_context(customer, at):
    other = make_customer(at=at)
    with tenant(customer.id), counters.gathered():
        with tenant(customer.id):
            counters.add({Figure(customer.id, customer.id, "things"): 1})
        with tenant(other.id):
            counters.add({Figure(other.id, other.id, "things"): 1})
    for each in (customer, other):
        with tenant(each.id):
            assert counters.of(each.id) == {"things": 1}


def test_recounting_puts_wrong_missing_and_superfluous_numbers_right(customer, at):
    with tenant(customer.id):
        site = make_place(at=at)
        make_device(make_room(place=site, at=at), at=at)
        make_room(place=site, at=at)
        rows = Counter.objects.for_tenant(customer)
        rows.filter(name="rooms.healthy", scope=site.id).update(value=7)
        rows.filter(name="rooms.unenrolled", scope=customer.id).delete()
        rows.create(scope=customer.id, name="rooms.unhealthy", value=2)
        rows.create(scope=customer.id, name="incidents.open", value=5)
        assert counters.recount_rooms(customer.id) == {
            (site.id, "rooms.healthy"): -6,
            (customer.id, "rooms.unenrolled"): 1,
            (customer.id, "rooms.unhealthy"): -2,
        }
        assert counters.of(customer.id) == {
            "rooms.healthy": 1,
            "rooms.unenrolled": 1,
            "rooms.unhealthy": 0,
            "incidents.open": 5,
        }
        assert counters.by_scope(customer.id, [site.id]) == {site.id: {"healthy": 1, "unenrolled": 1}}


def test_racing_transactions_in_opposite_order_neither_block_for_good_nor_lose(committed_db, at):
    owner = make_customer(at=at)
    figures = [Figure(owner.id, new_id(), "things") for _ in range(20)]

    def work(number: int) -> None:
        try:
            for _ in range(5):
                with tenant(owner.id), counters.gathered():
                    for figure in figures if number % 2 else reversed(figures):
                        counters.add({figure: 1})
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    with tenant(owner.id):
        values = Counter.objects.for_tenant(owner).filter(name="things").values_list("value", flat=True)
        assert list(values) == [40] * 20
