"""Real readings of the machine the tests run on, whatever it is."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from agent.readers import portable, reader_for_this_machine
from agent.readers.facts import identifier
from agent.signals import KEYS


def test_this_machine_s_readings_are_a_document(tmp_path):
    run = [sys.executable, "-m", "agent", "readings", "--home", str(tmp_path)]
    found = json.loads(subprocess.check_output(run, timeout=180))
    signals = found["heartbeat"]["signals"]
    assert set(signals) <= set(KEYS)
    assert signals["disk_space"] != "unknown"
    assert signals["network"] == "unknown"  # not enrolled: there is no service to reach
    metrics = found["heartbeat"]["metrics"]
    assert 0 < metrics["mem_pct"] < 100
    assert 0 < metrics["disk_free_pct"] <= 100
    assert metrics["uptime_s"] > 0
    assert found["heartbeat"]["inventory_digest"].startswith("sha256:")
    assert not list(tmp_path.iterdir())  # reading leaves nothing behind


def test_a_reader_of_the_readings_may_leave_early(tmp_path):
    run = [sys.executable, "-m", "agent", "readings", "--home", str(tmp_path)]
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(run, stdout=writing, stderr=subprocess.PIPE, timeout=180, check=False)
    os.close(writing)
    assert done.stderr == b""


def test_every_part_of_this_machine_is_read_without_failing():
    reader = reader_for_this_machine()
    assert reader.devices().failed == ()
    assert reader.system().failed == ()
    assert reader.system().os_version
    assert reader.hardware().make
    assert reader.hardware().model


def test_a_running_program_is_seen():
    me = psutil.Process().name()
    assert portable.is_running(me)
    assert portable.is_running(f"{me.upper()}.EXE")
    assert portable.first_running(["no-such-app", me]) == me
    assert portable.first_running(["no-such-app"]) == ""


def test_a_port_that_answers_is_reached_and_one_that_does_not_is_not(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        reached = portable.reach(f"http://127.0.0.1:{port}/device/v1/heartbeats")
        assert reached.reached
        assert reached.rtt_ms >= 0
    gone = portable.reach(f"http://127.0.0.1:{port}/")
    assert (gone.reached, gone.reason) == (False, "the service is not reached: Connection refused")


def test_behind_a_proxy_it_is_the_proxy_that_must_be_reached(monkeypatch):
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        for name in ("http_proxy", "HTTP_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{server.getsockname()[1]}")
        assert portable.reach("http://greenroom.invalid/").reached


@pytest.mark.parametrize(
    "text", ["", "None", "N/A", "to be filled by o.e.m.", "00000000", "FFFF-FFFF", "Default string"]
)
def test_a_maker_s_placeholder_is_no_identifier(text):
    assert identifier(text) == ""


@pytest.mark.parametrize("text", ["8CC2340ABC", "Nonesuch 5", "Unknown Worlds Cam", "OEMax"])
def test_a_real_name_is_kept(text):
    assert identifier(text) == text


def test_the_agent_imports_nothing_of_the_service():
    code = "import sys, agent.main; print(*sorted({each.split('.')[0] for each in sys.modules}))"
    root = Path(__file__).resolve().parents[2]
    loaded = subprocess.check_output([sys.executable, "-c", code], cwd=root, text=True).split()
    assert not {"django", "fleet", "tenancy", "foundation", "portal", "enrollment"} & set(loaded)
