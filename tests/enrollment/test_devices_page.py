"""The commands of docs/devices.md, run as they stand there against a running service."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from enrollment import credentials
from fleet import stream
from fleet.models import Device, Room
from foundation import clock
from foundation.context import tenant
from portal.supervisor import programs
from tests.factories.enrollment import make_key
from tests.factories.tenancy import make_customer

PAGE = programs.ROOT / "docs" / "devices.md"
PATIENCE_S = 60


def commands() -> str:
    """The shell blocks of "With curl alone", without the first, which names the server and the key."""
    section = PAGE.read_text().split("## With curl alone", 1)[1].split("\n## ", 1)[0]
    blocks = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    assert blocks[0].startswith("SERVER="), "the page begins by naming the server and the key"
    return "set -eu\n" + "\n".join(blocks[1:])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def ingest(committed_db, tmp_path: Path) -> Iterator[str]:
    port = free_port()
    with (tmp_path / "ingest.log").open("wb") as log:
        process = subprocess.Popen(
            programs.ingest(bind="127.0.0.1", port=port),
            cwd=programs.ROOT,
            env={**os.environ, "DJANGO_SETTINGS_MODULE": "portal.settings"},
            stdout=log,
            stderr=log,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not _answers(f"{address}/healthz"):
            assert process.poll() is None, (tmp_path / "ingest.log").read_text()
            assert time.monotonic() < deadline, "the ingest process does not answer"
            time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait()


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_a_device_enrolls_and_reports_with_the_commands_of_the_page(web, ingest, tmp_path, settings):
    settings.GREENROOM_INGEST_URL = ingest
    at = clock.now()
    customer = make_customer(at=at)
    _, key = make_key(customer, at=at, approval="auto", simple_clients=True)
    environment = {"PATH": os.environ["PATH"], "SERVER": web, "KEY": key, "no_proxy": "127.0.0.1"}
    client = stream.connect()
    shard = stream.shard_of(customer.placement)
    waiting = stream.length(client, shard)

    done = subprocess.run(
        ["sh", "-c", commands()],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )

    assert done.returncode == 0, done.stderr
    enrolled = json.loads((tmp_path / "enrolled.json").read_text())
    reply = json.loads((tmp_path / "reply.json").read_text())
    assert enrolled["status"] == "enrolled", enrolled
    assert {"epoch", "committed", "server_time", "next_in"} <= reply.keys(), reply
    assert stream.length(client, shard) == waiting + 1
    client.close()
    assert credentials.find(enrolled["token"], at=clock.now()).valid
    with tenant(customer.id):
        device = Device.objects.for_tenant(customer).get()
        assert (device.serial_number, device.status) == ("10000000a1b2c3d4", "enrolled")
        assert Room.objects.for_tenant(customer).get().name == "Aurora"


def test_every_reason_of_a_refusal_stands_on_the_page():
    source = "".join(path.read_text() for path in (programs.ROOT / "enrollment").glob("*.py"))
    codes = set(re.findall(r'Refused\(\s*"(\w+)"', source))
    assert codes >= {"nonce", "signature", "kind", "address", "limit"}
    page = PAGE.read_text()
    assert {code for code in codes if f"`{code}`" not in page} == set()
