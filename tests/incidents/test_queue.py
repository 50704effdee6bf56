from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from foundation.context import entered, tenant
from foundation.errors import NotValid
from incidents import lifecycle, queue
from incidents.models import Incident
from incidents.queue import View
from tenancy.models import Person
from tests.factories.incidents import heal, make_incident
from tests.factories.tenancy import make_agent, make_customer, make_operator

AT = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def served(committed_db):
    """Two customers with four open tickets, one of them resolved after; a third one nobody serves."""
    customers = [make_customer(at=AT) for _ in range(3)]
    agent = make_agent(make_operator(at=AT), customers[:2], at=AT)
    tickets = []
    for number, owner in enumerate([*customers, customers[0], customers[1]]):
        with tenant(owner.id):
            tickets.append(make_incident(at=AT + number * timedelta(minutes=1)))
    return customers, agent, tickets


def numbers(page):
    return [each.number for each in page.incidents]


def seen(customers, agent, view, **given):
    ids = [each.id for each in customers[:2]]
    return queue.page(ids, view, user_id=agent.id, **{"at": AT, **given})


def test_the_queue_shows_tickets_of_all_customers_served_due_first(served):
    customers, agent, tickets = served
    page = seen(customers, agent, View.OPEN)
    assert numbers(page) == [tickets[each].number for each in (0, 1, 3, 4)]
    assert {each.tenant.name for each in page.incidents} == {each.name for each in customers[:2]}
    assert page.incidents[0].room.place.full_name
    assert page.after is None
    assert entered() == ()


def test_what_is_not_due_comes_last_and_pages_hold_together(served):
    customers, agent, tickets = served
    _take(tickets[0], agent)
    expected = [tickets[each].number for each in (1, 3, 4, 0)]
    first = seen(customers, agent, View.OPEN, size=1)
    found, after = numbers(first), first.after
    while after is not None:
        page = seen(customers, agent, View.OPEN, size=1, after=queue.cursor_of(str(after)))
        found, after = found + numbers(page), page.after
    assert found == expected


def test_each_view_has_its_tickets_and_the_counts_agree(served):
    customers, agent, tickets = served
    _take(tickets[0], agent)
    with tenant(customers[1].id):
        lifecycle.ask_customer(tickets[1], by=Person.objects.get(user=agent), at=AT)
        heal(tickets[4].device, at=AT + HOUR)
    with tenant(customers[0].id):
        Incident.objects.filter(id=tickets[3].id).update(due_at=AT - HOUR)
    expected = {
        View.MINE: {0, 1},
        View.OPEN: {0, 1, 3},
        View.UNASSIGNED: {3},
        View.PAST_DUE: {3},
        View.WAITING: {1},
    }
    for view, places in expected.items():
        assert set(numbers(seen(customers, agent, view))) == {tickets[each].number for each in places}
    counts = queue.counts([each.id for each in customers[:2]], user_id=agent.id, at=AT)
    assert {view: counts.views[view] for view in View} == {
        view: len(places) for view, places in expected.items()
    }
    assert counts.severities == {2: 3}
    assert counts.customers == {customers[0].id: 2, customers[1].id: 1}
    assert not seen(customers, agent, View.OPEN, severity=1).incidents


def test_suppressed_tickets_and_customers_not_served_stay_out(served):
    customers, agent, tickets = served
    with tenant(customers[0].id):
        Incident.objects.filter(id=tickets[0].id).update(suppressed=True)
    shown = numbers(seen(customers, agent, View.OPEN))
    assert tickets[0].number not in shown
    assert tickets[2].number not in shown
    assert not queue.page([], View.OPEN, user_id=agent.id, at=AT).incidents


@pytest.mark.parametrize(
    "text",
    ["", "a~b~c", "~2026-11-22T09:00:00~x", "~2026-11-22T09:00:00~018f0000-0000-7000-8000-000000000000"],
)
def test_a_forged_cursor_is_refused(text):
    with pytest.raises(NotValid):
        queue.cursor_of(text)


def _take(incident, agent):
    with tenant(incident.tenant_id):
        lifecycle.take(incident, by=Person.objects.get(user=agent), at=AT)
