"""In a real browser: a signal of a group is suppressed until Friday, a fault in it stays quiet, the end raises it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connections, transaction
from django.urls import reverse

from fleet import room_groups
from foundation import clock, timers
from foundation.context import tenant
from tests.factories.incidents import heard, make_watched_device, said
from tests.factories.tenancy import PASSWORD, make_customer, make_person
from tests.portal import browser as chromium
from workers.effects import TIMERS, TIMERS_TOGETHER
from workers.tasks import detection as _  # noqa: F401 - registers the timers

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(bool(chromium.MISSING), reason=chromium.MISSING or "present"),
]
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


@pytest.fixture(scope="module")
def portal(django_db_setup: None, django_db_blocker: Any) -> Iterator[str]:
    with django_db_blocker.unblock():
        with chromium.served() as address:
            yield address
        connections.close_all()


def break_camera(device: Any, *, at: Any) -> None:
    with tenant(device.tenant_id):
        heard(said(device, at=at), at=at)


def apart(work: Callable[[], object]) -> None:
    """In a thread of its own: the browser's keeps a loop that the database refuses to wait in."""

    def inside() -> None:
        try:
            work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(inside).result()


def test_a_signal_of_a_group_suppressed_until_friday_stays_quiet_and_its_end_raises_the_fault(portal):
    now = clock.now()
    customer = make_customer("Quiet Group", at=now)
    with transaction.atomic():
        room_groups.set_up_customer(customer, at=now)
    manager = make_person(customer, at=now).user
    with tenant(customer.id):
        device = make_watched_device(at=now)
        group = room_groups.add_group(name="Refit", at=now)
        room_groups.add_members(group.id, [device.room_id], at=now)
    local = now.astimezone(ZoneInfo(customer.time_zone))
    friday = (local + ((4 - local.weekday()) % 7 or 7) * DAY).replace(
        hour=17, minute=0, second=0, microsecond=0
    )
    with chromium.chromium() as browser:
        page = chromium.sign_in(browser, portal, email=manager.email, password=PASSWORD)
        page.goto(f"{portal}{reverse('portal:suppression-list')}")
        page.click("header a.btn--primary")
        page.select_option("dialog [name=group]", label="Refit")
        page.select_option("dialog [name=signal]", value="camera_room")
        page.fill("dialog [name=until]", friday.strftime("%Y-%m-%dT%H:%M"))
        page.fill("dialog [name=reason]", "New cameras")
        page.click("dialog button:has-text('Suppress')")
        page.wait_for_selector("tr:has-text('New cameras')")

        apart(lambda: break_camera(device, at=now))
        apart(lambda: timers.fire_due(TIMERS, at=now + 5 * MINUTE, together=TIMERS_TOGETHER))
        page.goto(f"{portal}{reverse('portal:incident-list')}")
        page.wait_for_selector("text=No incident here")

        for moment in (friday, friday + MINUTE):  # the quiet ends, then what waited for that
            apart(lambda moment=moment: timers.fire_due(TIMERS, at=moment, together=TIMERS_TOGETHER))
        page.reload()
        page.click("a:has-text('Room camera missing')")
        page.wait_for_selector("h1:has-text('Room camera missing')")
        assert page.errors == []
        assert page.evaluate("window.violations") == []
        page.context.close()
