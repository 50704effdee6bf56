"""Workers with real connections at the same fault: one ticket, counted once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest
from django.db import connections

from fleet.counters import of as counters_of
from fleet.models import Room
from foundation.context import tenant
from foundation.models import Timer
from foundation.timers import fire_due
from incidents import detection, lifecycle
from incidents.errors import NotInThisState
from incidents.facts import Finding
from incidents.models import FaultSpan, Incident, IncidentEntry
from incidents.opening import open_incident
from incidents.rules.hardware import camera_room
from tenancy.models import Person
from tests.factories.incidents import (
    CAMERA_WATCH,
    heal,
    heard,
    make_incident,
    make_watched_device,
    said,
    watch_ends,
)
from tests.factories.tenancy import make_agent, make_customer, make_operator
from workers.effects import TIMERS
from workers.tasks import detection as tasks

WORKERS = 8
AT = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


def racing(work: Callable[[int], object]) -> list[object]:
    """Run `work` in eight threads at once; its answers in any order, exceptions among them."""
    together = Barrier(WORKERS)

    def run(number: int) -> object:
        try:
            together.wait()
            return work(number)
        except NotInThisState as refused:
            return refused
        finally:
            connections.close_all()

    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(run, range(WORKERS)))


@pytest.fixture
def device(committed_db):
    customer = make_customer(at=AT)
    with tenant(customer.id):
        return make_watched_device(at=AT)


def check_one_ticket(device, *, lines: dict[str, int]) -> None:
    with tenant(device.tenant_id):
        (incident,) = Incident.objects.filter(device=device)
        assert incident.is_open
        kinds = IncidentEntry.objects.filter(incident=incident).values_list("kind", flat=True)
        assert Counter(kinds) == lines
        assert FaultSpan.objects.filter(incident=incident, ended_at=None).count() == 1
        assert Room.objects.get(id=device.room_id).open_faults == 1
        assert counters_of(device.tenant_id)["incidents.open"] == 1


def test_eight_workers_open_one_ticket(device):
    def work(number: int) -> bool:
        with tenant(device.tenant_id):
            return open_incident(device, camera_room, Finding("", "Gone"), at=AT)[1]

    assert Counter(racing(work)) == {True: 1, False: WORKERS - 1}
    check_one_ticket(device, lines={"opened": 1, "state": 1})


def test_heartbeats_and_timers_at_the_end_of_a_watching_period_open_one_ticket(device):
    with tenant(device.tenant_id):
        change = said(device, at=AT)
        heard(change, at=AT)
    end = AT + CAMERA_WATCH

    def work(number: int) -> int:
        if number % 2:
            with tenant(device.tenant_id):
                return heard(change, at=end).opened
        with tenant(device.tenant_id):
            return watch_ends(device, at=end).opened

    assert sum(racing(work)) == 1
    check_one_ticket(device, lines={"opened": 1, "state": 1})


def test_eight_workers_reopen_a_ticket_once(device):
    with tenant(device.tenant_id):
        make_incident(device, at=AT)
        heal(device, at=AT + timedelta(minutes=1))

    def work(number: int) -> int:
        with tenant(device.tenant_id):
            incident, is_new = open_incident(
                device, camera_room, Finding("", "Gone"), at=AT + timedelta(hours=1)
            )
            assert not is_new
            return incident.reopened

    assert racing(work) == [1] * WORKERS
    check_one_ticket(device, lines={"opened": 1, "state": 1, "resolved": 1, "reopened": 1})


def test_of_eight_agents_one_takes_the_ticket(device):
    with tenant(device.tenant_id):
        incident = make_incident(device, at=AT)
        customer = incident.tenant
    operator = make_operator(at=AT)
    agents = [make_agent(operator, [customer], at=AT) for _ in range(WORKERS)]
    with tenant(device.tenant_id):
        people = [Person.objects.get(user=agent) for agent in agents]

    def work(number: int) -> str:
        with tenant(device.tenant_id):
            mine = Incident.objects.get(id=incident.id)
            lifecycle.take(mine, by=people[number], at=AT)
            return "taken"

    answers = racing(work)
    assert sum(answer == "taken" for answer in answers) == 1
    assert sum(isinstance(answer, NotInThisState) for answer in answers) == WORKERS - 1


def test_recovery_and_the_end_of_the_watching_period_at_once_leave_nothing_open(device):
    with tenant(device.tenant_id):
        heard(said(device, at=AT), at=AT)
    end = AT + CAMERA_WATCH

    def work(number: int) -> None:
        with tenant(device.tenant_id):
            if number == 0:
                heal(device, at=end)
            else:
                watch_ends(device, at=end)

    racing(work)
    with tenant(device.tenant_id):
        assert not Incident.objects.filter(device=device).open()
        assert Room.objects.get(id=device.room_id).open_faults == 0


def test_a_timer_does_not_wait_for_a_batch_that_holds_its_signal_and_is_tried_again(device):
    """A batch takes timers back while timers fire: were each to wait for the other, both would stand still."""
    with tenant(device.tenant_id):
        heard(said(device, at=AT), at=AT)
    end = AT + CAMERA_WATCH
    with tenant(device.tenant_id):
        change = said(device, state="healthy", at=end)  # the row is held until this batch commits

        def fire() -> int:
            assert tasks.fire_timers  # its import registered the timers
            try:
                return fire_due(TIMERS, at=end)
            finally:
                connections.close_all()

        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(fire).result(timeout=30) >= 1
        assert [each.due_at for each in Timer.objects.all()] == [end + detection.BUSY]
        assert heard(change, at=end).opened == 0
    with tenant(device.tenant_id):
        assert not Timer.objects.exists()
        assert not Incident.objects.exists()
