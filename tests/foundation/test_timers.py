from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from foundation import timers
from foundation.context import tenant
from foundation.models import Timer
from tests.factories.tenancy import make_customer

pytestmark = pytest.mark.usefixtures("committed_db")


@pytest.fixture
def owner(committed_db, at):
    return make_customer(at=at)


def wanted(owner, due_at, subject="camera"):
    with tenant(owner.id):
        timers.set_timer("watch", subject, due_at=due_at, tenant_id=owner.id, payload={"n": 1})


def waiting(owner):
    with tenant(owner.id):
        return list(Timer.objects.for_tenant(owner).values_list("subject", "due_at"))


def test_a_timer_fires_once_at_its_moment_and_not_before(owner, at):
    fired = []
    handlers = {"watch": lambda timer, moment: fired.append((timer.tenant_id, timer.subject, timer.payload))}
    wanted(owner, at)
    timers.fire_due(handlers, at=at - timedelta(microseconds=1))
    assert fired == []
    timers.fire_due(handlers, at=at)
    timers.fire_due(handlers, at=at)
    assert fired == [(owner.id, "camera", {"n": 1})]
    assert waiting(owner) == []


def test_setting_it_again_moves_it_and_clearing_takes_it_back(owner, at):
    wanted(owner, at)
    wanted(owner, at + timedelta(minutes=5))
    assert waiting(owner) == [("camera", at + timedelta(minutes=5))]
    with tenant(owner.id):
        timers.clear_timer("watch", "camera", tenant_id=owner.id)
        timers.clear_timer("watch", "never set", tenant_id=owner.id)
    assert waiting(owner) == []


def test_a_handler_that_fails_is_tried_again_and_holds_up_nobody(owner, at):
    fired = []

    def handler(timer, moment):
        Timer.objects.for_tenant(owner).filter(subject="other").update(payload={"touched": True})
        if timer.subject == "broken":
            raise ValueError("no")
        fired.append(timer.subject)

    wanted(owner, at - timedelta(seconds=1), "broken")
    wanted(owner, at, "fine")
    wanted(owner, at + timedelta(hours=1), "other")
    timers.fire_due({"watch": handler}, at=at)
    assert fired == ["fine"]
    assert dict(waiting(owner))["broken"] == at + timers.RETRY_AFTER


def test_a_handler_may_set_its_timer_again(owner, at):
    later = at + timedelta(minutes=1)
    wanted(owner, at)
    timers.fire_due(
        {"watch": lambda t, _: timers.set_timer("watch", t.subject, due_at=later, tenant_id=t.tenant_id)},
        at=at,
    )
    assert waiting(owner) == [("camera", later)]


def test_racing_sweeps_fire_each_timer_once(owner, at):
    fired = []
    for number in range(40):
        wanted(owner, at, f"subject {number}")

    def sweep():
        from django.db import connections

        timers.fire_due({"watch": lambda timer, moment: fired.append(timer.subject)}, at=at)
        connections.close_all()

    threads = [threading.Thread(target=sweep) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(fired) == sorted(f"subject {number}" for number in range(40))


def test_a_kind_that_is_fired_together_falls_back_to_one_by_one(owner, at):
    alone, calls = [], []

    def together(many, moment):
        calls.append(sorted(timer.subject for timer in many))
        if "broken" in calls[-1]:
            raise ValueError("no")

    def handler(timer, moment):
        if timer.subject == "broken":
            raise ValueError("no")
        alone.append(timer.subject)

    for subject in ("one", "two"):
        wanted(owner, at, subject)
    assert timers.fire_due({"watch": handler}, at=at, together={"watch": together}) == 2
    assert (calls, alone, waiting(owner)) == ([["one", "two"]], [], [])
    for subject in ("broken", "fine"):
        wanted(owner, at, subject)
    assert timers.fire_due({"watch": handler}, at=at, together={"watch": together}) == 1
    assert alone == ["fine"]
    assert waiting(owner) == [("broken", at + timers.RETRY_AFTER)]
