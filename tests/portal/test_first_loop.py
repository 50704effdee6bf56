"""The first loop as a customer lives it, on the whole running system, in a real browser, with a real agent."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.portal import browser as chromium
from tests.portal.test_run import ROOT, Installation, installation

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(bool(chromium.MISSING), reason=chromium.MISSING or "present"),
]
__all__ = ["installation"]  # the fixture
PATIENCE_MS = 120_000
ROOM = "Room of the test"


def agent(home: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "agent", *arguments, "--home", str(home)]


@contextmanager
def reporting(home: Path) -> Iterator[None]:
    """The agent runs and reports as often as a device may."""
    process = subprocess.Popen(agent(home, "run", "--interval", "2"), cwd=ROOT)
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)


def new_key(page: Any, url: str) -> str:
    page.goto(f"{url}/enrollment/new")
    page.fill("[name=label]", "Key of the test")
    page.get_by_role("button", name="Create key").click()
    page.wait_for_selector("#key")
    text: str = page.inner_text("#key")
    return text


def test_from_a_key_to_a_ticket_that_resolves_itself(installation: Installation, tmp_path: Path) -> None:
    installation.start()
    demo = json.loads((installation.home.path / "demo.json").read_text())
    manager = next(person for person in demo["people"] if person["email"].startswith("ingrid"))
    url, home = demo["url"], tmp_path / "device"
    with chromium.chromium() as browser:
        page = chromium.sign_in(browser, url, email=manager["email"], password=manager["password"])
        page.set_default_timeout(PATIENCE_MS)
        key = new_key(page, url)

        page.goto(f"{url}/enrollment/join")
        subprocess.run(
            agent(home, "enroll", "--url", url, "--key", key, "--room", ROOM), cwd=ROOT, check=True
        )
        arrival = page.locator("li", has_text=ROOM)
        arrival.get_by_role("link", name=re.compile("^Accept")).click()  # appears without a reload
        page.get_by_role("button", name="Accept device").click()

        with reporting(home):
            page.get_by_role("link", name=ROOM, exact=True).click()  # not the one that accepts it
            page.wait_for_selector(".head :text-is('Healthy')")
            room = page.url

            subprocess.run(agent(home, "fault", "add", "camera_room"), cwd=ROOT, check=True)
            page.wait_for_selector(".head :text-is('Unhealthy')")  # live: the page was not touched
            page.get_by_role("link", name=re.compile("INC-")).first.click()
            page.wait_for_selector("text=injected for a drill")
            assert "/incidents/" in page.url
            ticket = page.url

            subprocess.run(agent(home, "fault", "clear", "camera_room"), cwd=ROOT, check=True)
            page.wait_for_selector("text=Resolved")
            page.goto(room)
            page.wait_for_selector(".head :text-is('Healthy')")
            page.goto(ticket)
            assert "Resolved" in page.inner_text("main")
        assert chromium.breaches(page) == []
