"""The real agent against the real service: both ends of the device contract, with nothing stood in."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from django.core.wsgi import get_wsgi_application

from agent.spool import Spool
from agent.state import load_state
from enrollment import credentials
from fleet import stream
from fleet.models import Device, Peripheral, SignalState
from foundation import clock
from foundation.context import tenant
from portal.supervisor import programs
from tenancy.models import Tenant
from tests.agent.test_enroll import agent, one_line
from tests.agent.test_process import PATIENCE_S, until
from tests.factories.enrollment import make_key
from tests.factories.tenancy import make_customer
from workers.drains import Drain


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing."""


@dataclass
class Portal:
    url: str
    owner: Tenant
    key: str
    shard: int

    def drain(self, happened: Callable[[], bool]) -> None:
        """Take what was accepted into PostgreSQL until it `happened`."""
        deadline = time.monotonic() + PATIENCE_S
        while not happened():
            assert time.monotonic() < deadline
            Drain(self.shard).run(seconds=0.3)

    def device(self) -> Device:
        with tenant(self.owner.id):
            return Device.objects.for_tenant(self.owner).get()

    def states(self) -> dict[tuple[str, str], str]:
        device = self.device()
        with tenant(self.owner.id):
            rows = SignalState.objects.for_tenant(self.owner).filter(device=device)
            return {(each.signal, each.instance): each.state for each in rows}


@pytest.fixture
def portal(committed_db: None) -> Iterator[Portal]:
    at = clock.now()
    owner = make_customer(at=at)
    key = make_key(owner, at=at, approval="auto")[1]
    with make_server("127.0.0.1", 0, get_wsgi_application(), handler_class=_Quiet) as web:
        thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield Portal(f"http://127.0.0.1:{web.server_port}", owner, key, stream.shard_of(owner.placement))
        web.shutdown()
        thread.join()


@pytest.fixture
def ingest(settings) -> Iterator[None]:
    """The process heartbeats go to, as the product starts it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings.GREENROOM_INGEST_URL = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        programs.ingest(bind="127.0.0.1", port=port),
        cwd=Path(__file__).resolve().parents[2],
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "portal.settings"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: _answers(port))
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def test_from_a_key_to_states_in_the_database_and_back(ingest, portal, home):
    done = agent(home, "enroll", "--url", portal.url, "--key", portal.key, "--room", "Agent's room")
    assert (done.returncode, done.stderr) == (0, "")
    device = portal.device()
    assert (device.status, device.platform, device.agent_name) == ("enrolled", "linux", "greenroom-agent")

    readings = json.loads(agent(home, "readings").stdout)
    process = subprocess.Popen(
        [sys.executable, "-m", "agent", "run", "--home", str(home), "--interval", "1"],
        env={**os.environ, "no_proxy": "127.0.0.1"},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        portal.drain(
            lambda: portal.states().get(("disk_space", "")) == readings["heartbeat"]["signals"]["disk_space"]
        )
        assert portal.states()["network", ""] == "healthy"
        agent(home, "fault", "add", "camera_room")
        portal.drain(lambda: portal.states().get(("camera_room", "drill")) == "unhealthy")
        agent(home, "fault", "clear", "camera_room")
        portal.drain(lambda: portal.states().get(("camera_room", "drill")) == "healthy")
        portal.drain(lambda: bool(portal.device().inventory))
        assert portal.device().inventory["hardware"] == readings["inventory"]["hardware"]
        with tenant(portal.owner.id):
            attached = Peripheral.objects.for_tenant(portal.owner).count()
        assert attached == len(readings["inventory"].get("peripherals", [])) + len(
            readings["inventory"].get("displays", [])
        )

        spool = Spool(home / "spool.db")
        portal.drain(lambda: spool.highest > 5 and spool.count <= 3)  # committed is told, and deleted
        spool.close()

        old = load_state(home).token
        with tenant(portal.owner.id):
            credentials.revoke(portal.device(), at=clock.now())
        portal.drain(lambda: load_state(home).token == "")
        assert old
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    assert "Traceback" not in errors
    assert "shut out by the service" in errors


def test_what_the_service_refuses_is_told_in_its_words(portal, home):
    wrong = portal.key[:-1] + ("a" if portal.key[-1] != "a" else "b")
    assert "does not accept this enrollment key" in one_line(
        agent(home, "enroll", "--url", portal.url, "--key", wrong)
    )
    with tenant(portal.owner.id):
        _, panels = make_key(portal.owner, at=clock.now(), kinds=["panel"])
    line = one_line(agent(home, "enroll", "--url", portal.url, "--key", panels))
    assert line.endswith("the service refused this device: This key lets in panel only.")
