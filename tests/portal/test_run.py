"""`manage.py run` as a newcomer meets it: from an empty home to sign-ins, a fault and its ticket, through kills, to
nothing left."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from foundation import embedded
from foundation.embedded.addresses import URLS
from foundation.embedded.home import Home, is_free
from portal.supervisor.children import marked
from portal.supervisor.run import family
from tests.portal import browser as chromium

ROOT = Path(__file__).parents[2]
PATIENCE_MS = 120_000
ROOM = "Room of the test"
NOT_OURS = (*URLS, "DJANGO_SETTINGS_MODULE", "GREENROOM_URL", "GREENROOM_CACHE_URL")


def eventually(holds: Callable[[], bool], *, within_s: float = 180) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


class Installation:
    """One home with its port, and what `manage.py run` prints."""

    def __init__(self, home: Path, port: int) -> None:
        self.home = Home(home)
        self.port = port
        self.environ = {name: value for name, value in os.environ.items() if name not in NOT_OURS}
        self.environ |= {"GREENROOM_HOME": str(home), "GREENROOM_PORT": str(port)}
        self.process: subprocess.Popen[str] | None = None
        self.printed: list[str] = []

    def start(self) -> None:
        """Start and wait for the word that all is ready."""
        self.printed = []
        self.process = subprocess.Popen(
            [sys.executable, ROOT / "manage.py", "run"],
            env=self.environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.printed.append(line.rstrip("\n"))
            if line.startswith("Logs: "):
                return
        raise AssertionError("\n".join(self.printed))

    def stop(self, number: signal.Signals) -> int:
        """Send a signal and wait for the end."""
        assert self.process is not None
        self.process.send_signal(number)
        rest, _ = self.process.communicate(timeout=120)
        self.printed += rest.splitlines()
        return self.process.returncode

    def answers(self, path: str, *, ingest: bool = False) -> bool:
        address = f"http://127.0.0.1:{self.port + ingest}{path}"
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                return int(answer.status) == 200
        except (urllib.error.URLError, OSError):
            return False

    def pid_of(self, *words: str) -> int | None:
        """The oldest process of this installation whose command line has all `words`."""
        for pid in sorted(marked(family(self.home))):
            try:
                command = Path(f"/proc/{pid}/cmdline").read_bytes().decode()
            except OSError:
                continue
            if all(word in command for word in words):
                return pid
        return None

    def nothing_is_left(self) -> bool:
        traces = [
            entry
            for entry in Path("/proc").iterdir()
            if entry.name.isdigit() and _names(entry, self.home.path)
        ]
        return (
            not traces and not self.home.is_locked("keeper") and is_free(self.port) and is_free(self.port + 1)
        )


def _names(entry: Path, home: Path) -> bool:
    try:
        return (
            str(home).encode() in (entry / "cmdline").read_bytes()
            or str(home).encode() in (entry / "environ").read_bytes()
        )
    except OSError:
        return False


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Started from an empty home, once: what follows happens to it one after the other."""
    # Below the ports that outgoing connections are given: one of those could take the second meanwhile.
    port = next(
        port
        for port in (random.randrange(10_000, 18_000, 2) for _ in range(1_000))
        if is_free(port) and is_free(port + 1)
    )
    made = Installation(tmp_path_factory.mktemp("run") / "a home", port)
    try:
        made.start()
        yield made
    finally:
        if made.process is not None:
            made.process.kill()
            made.process.communicate()
        embedded.stop(made.home.path)


def demo_of(installation: Installation) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((installation.home.path / "demo.json").read_text())
    return found


def test_a_newcomer_gets_a_running_portal_and_is_told_how_to_come_in(installation):
    assert any(
        line.startswith(f"Greenroom is ready at http://localhost:{installation.port}")
        for line in installation.printed
    )
    demo = demo_of(installation)
    assert demo["url"] == f"http://localhost:{installation.port}"
    for person in demo["people"]:
        assert any(person["email"] in line and person["password"] in line for line in installation.printed)
    logs = "".join(path.read_text() for path in installation.home.logs.iterdir())
    assert not [person for person in demo["people"] if person["password"] in logs]
    assert installation.pid_of("agent", "run")
    assert installation.pid_of("simulate", "--demo")


# The first loop as a customer lives it, in a real browser, with a real agent --------------------------------------


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


@pytest.mark.browser
@pytest.mark.skipif(bool(chromium.MISSING), reason=chromium.MISSING or "present")
def test_from_a_key_to_a_ticket_that_resolves_itself(installation: Installation, tmp_path: Path) -> None:
    demo = demo_of(installation)
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


# Kills, restarts and the end ---------------------------------------------------------------------------------------


def test_it_heals_keeps_its_data_and_goes_without_a_trace(installation):
    demo = demo_of(installation)
    killed = {
        installation.pid_of("granian", "wsgi"),
        installation.pid_of("granian", "rsgi"),
        installation.pid_of("celery", "worker"),
        installation.pid_of("celery", "beat"),
        embedded.running(installation.home.path).pids()["postgres"],
    }
    assert None not in killed
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    os.kill(embedded.running(installation.home.path).pids()["keeper"], signal.SIGKILL)
    eventually(lambda: installation.answers("/readyz") and installation.answers("/healthz", ingest=True))
    eventually(
        lambda: bool(installation.pid_of("celery", "worker") and installation.pid_of("celery", "beat"))
    )

    assert installation.stop(signal.SIGINT) == 0
    assert installation.printed[-1] == "Greenroom has stopped."
    eventually(installation.nothing_is_left, within_s=60)

    installation.start()
    assert not [line for line in installation.printed if line.startswith(("migrate", "assets", "demo"))]
    assert demo_of(installation) == demo
    services = embedded.running(installation.home.path)
    connection = psycopg2.connect(services.environment()["GREENROOM_SWEEP_DATABASE_URL"])
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM tenancy_tenant")
        assert cursor.fetchone()[0] >= 3
    connection.close()

    installation.process.kill()  # and the next start clears up after it
    installation.process.communicate()
    installation.start()
    assert installation.stop(signal.SIGHUP) == 0
    eventually(installation.nothing_is_left, within_s=60)
