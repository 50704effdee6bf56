"""Updates in a real browser: upload, dry run, start, Staging passes, a failure stops General, pause, resume, roll back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from foundation import clock
from foundation.context import tenant
from tenancy.models import Tenant
from tests.factories.tenancy import PASSWORD, make_customer, make_person
from tests.factories.updates import PACKAGE, fail, make_fleet, make_release, open_attempts, succeed
from tests.portal import browser as chromium
from updates import rings, rollout_actions, rollout_progress
from updates.models import Rollout

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(bool(chromium.MISSING), reason=chromium.MISSING or "present"),
]
PATIENCE_MS = 30_000


@pytest.fixture
def customer(committed_db: None) -> Tenant:
    """Two rooms in Staging, four in General, updated at any hour, tested for no days."""
    at = clock.now()
    made = make_customer("Halden Group", at=at)
    with tenant(made.id):
        make_fleet(rings_of={"Staging": 2, "General": 4}, at=at)
        make_release("5.4.211", at=at)
        for ring in rings.all_rings(at=at):
            rings.edit_ring(ring.id, test_days=0, rollout_days=1, at=at)
        rings.set_window(None, rings.window(time(0), time(23, 59)), at=at)
    return made


@pytest.fixture
def page(customer: Tenant) -> Iterator[Any]:
    manager = make_person(customer, at=clock.now()).user
    with chromium.served() as address, chromium.chromium() as browser:
        shown = chromium.sign_in(browser, address, email=manager.email, password=PASSWORD)
        shown.set_default_timeout(PATIENCE_MS)
        shown.address = address
        yield shown


def apart(customer: Tenant, work: Callable[[], Any]) -> Any:
    """On a thread and connection of its own: the browser has this one."""

    def inside() -> Any:
        try:
            with tenant(customer.id):
                return work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(inside).result()


def look(customer: Tenant, row: Rollout, *, at: datetime) -> None:
    apart(customer, lambda: rollout_progress.advance(row.id, customer.id, at=at))


def update_all(customer: Tenant, row: Rollout, *, at: datetime, failing: int = 0) -> None:
    """The devices under way update, the first `failing` in vain; the worker looks before and after."""
    look(customer, row, at=at)
    apart(customer, lambda: _report(row, at=at, failing=failing))
    for minutes in (2, 13):
        look(customer, row, at=at + timedelta(minutes=minutes))


def _report(row: Rollout, *, at: datetime, failing: int) -> None:
    waiting = open_attempts(row)
    assert waiting
    for place, attempt in enumerate(waiting):
        if place < failing:
            fail(attempt, at=at)
        else:
            succeed(attempt, at=at)


def examined(page: Any, *sizes: dict[str, int]) -> None:
    """As it stands: nothing breaks the policy, whoever cannot see it can use it, and it fits."""
    for size in sizes or (chromium.DESK, chromium.PHONE):
        page.set_viewport_size(size)
        assert chromium.findings(page) == []
        assert not chromium.overflows(page)
    page.set_viewport_size(chromium.DESK)
    assert chromium.breaches(page) == []


def dialog(page: Any, opener: str, submit: str, **filled: str) -> None:
    page.get_by_role("link", name=opener, exact=True).first.click()
    box = page.locator("dialog[open]")
    box.wait_for()
    for name, value in filled.items():
        field = box.locator(f"[name={name}]")
        if field.evaluate("field => field.tagName") == "SELECT":
            field.select_option(value)
        else:
            field.fill(value)
    box.get_by_role("button", name=submit, exact=True).click()


def card(page: Any, ring: str) -> Any:
    return page.locator(".ring", has=page.get_by_role("heading", name=ring, exact=True))


def test_a_release_from_its_file_to_its_rollback(page: Any, customer: Tenant, tmp_path: Path) -> None:
    page.get_by_role("link", name="Updates").first.click()
    page.wait_for_selector("h1:has-text('Updates')")
    examined(page)
    page.get_by_role("link", name="Releases").click()
    dialog(page, "Add release", "Add release", name="Room app", version="5.4.218", notes="Fixes echo.")
    page.wait_for_selector("h1:has-text('Room app 5.4.218')")

    # Upload: a wrong kind of file is refused in place, a right one is kept.
    wrong, right = tmp_path / "notes.txt", tmp_path / "app-5.4.218.swu"
    wrong.write_bytes(b"no update " * 100)
    right.write_bytes(PACKAGE * 200)
    page.set_input_files("#upload-file", str(wrong))
    page.get_by_role("button", name="Upload").click()
    page.wait_for_selector("[data-upload-said].error:has-text('not accepted')")
    page.set_input_files("#upload-file", str(right))
    page.get_by_role("button", name="Upload").click()
    page.wait_for_selector("dt:has-text('SHA-256')")
    examined(page)

    # The dry run, the yes, the start.
    dialog(page, "Plan rollout", "Plan", health_minutes="10")
    page.wait_for_selector("text=Nothing happens before somebody approves it.")
    assert page.locator("tbody tr").count() == 6
    examined(page)
    row = apart(customer, lambda: Rollout.objects.for_tenant(customer).get(release__version="5.4.218"))
    dialog(page, "Approve", "Approve")
    page.get_by_role("link", name="Start today").wait_for()
    dialog(page, "Start today", "Start today")
    page.wait_for_selector(".chip--loud:has-text('In progress')")

    # Staging passes while one watches.
    at = apart(customer, clock.now)
    update_all(customer, row, at=at)
    card(page, "Staging").get_by_text("Passed").wait_for()
    assert card(page, "Staging").get_by_text("2").first.is_visible()

    # A failure stops General; the page says so by itself.
    tomorrow = at + timedelta(days=1)
    update_all(customer, row, at=tomorrow, failing=1)
    card(page, "General").get_by_text("Stopped").wait_for()
    page.wait_for_selector(".notice:has-text('More than 5 % of its rooms failed')")
    page.wait_for_selector("tr:has-text('Disk full, 0.4 GB short')")
    examined(page)

    # Somebody goes on, pauses for a reason, and goes on again.
    dialog(page, "Resume", "Resume")
    page.wait_for_selector(".chip--loud:has-text('In progress')")
    dialog(page, "Pause", "Pause", reason="Echo in Oslo")
    page.wait_for_selector(".notice:has-text('Echo in Oslo')")
    page.wait_for_selector(".toast:has-text('Paused. No room is under way.')")
    dialog(page, "Resume", "Resume")
    page.wait_for_selector(".chip--loud:has-text('In progress')")

    # Back to the version before, once its number is typed.
    dialog(page, "Roll back", "Roll back", reason="Echo", typed="5.4")
    page.wait_for_selector(".error:has-text('Type 5.4.211 to confirm.')")
    box = page.locator("dialog[open]")
    box.locator("[name=typed]").fill("5.4.211")
    box.get_by_role("button", name="Roll back", exact=True).click()
    page.wait_for_selector("h1:has-text('Back to Room app 5.4.211')")
    back = apart(customer, lambda: Rollout.objects.for_tenant(customer).get(undoes=row))
    assert apart(customer, lambda: rollout_actions.rollout(row.id)).state == "paused"
    update_all(customer, back, at=tomorrow + timedelta(hours=1))
    page.wait_for_selector(".chip--loud:has-text('Completed')")
    examined(page)

    # Around it: rings, versions, one room.
    for address in (
        "/updates",
        "/updates?past=1",
        "/updates/rings",
        "/updates/versions",
        "/updates/releases",
    ):
        page.goto(page.address + address)
        examined(page)
    page.goto(f"{page.address}/updates/rollouts/{back.id}?show=succeeded")
    page.locator("tbody a").first.click()
    page.wait_for_selector("h2:has-text('What happened')")
    examined(page)
