"""The real program as a process: stopped, killed at any moment, told to pretend a fault."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.spool import Spool
from tests.agent import standin
from tests.agent.test_enroll import agent, one_line

KILLS = 200 if os.environ.get("GREENROOM_CHAOS") else 6
PATIENCE_S = 180.0  # a machine may be busy


class Processes:
    """Starts the agent of one home, and ends it after the test."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.started: list[subprocess.Popen[str]] = []

    def run(self, *arguments: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", "agent", "run", "--home", str(self.home), *arguments],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "no_proxy": "127.0.0.1"},
        )
        self.started.append(process)
        return process

    def stop(self, process: "subprocess.Popen[str]", how: signal.Signals = signal.SIGTERM) -> str:
        process.send_signal(how)
        _, errors = process.communicate(timeout=PATIENCE_S)
        return errors


def until(happened: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


@pytest.fixture
def processes(service, home) -> Iterator[Processes]:
    assert agent(home, "enroll", "--url", service.url, "--key", standin.KEY).returncode == 0
    made = Processes(home)
    yield made
    for process in made.started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def count(service: standin.Service) -> int:
    return sum(len(kept) for kept in service.stored.values())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to send")
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_cleanly_when_told_to(processes, service, how):
    process = processes.run()
    until(lambda: count(service))
    errors = processes.stop(process, how)
    assert process.returncode == 0
    assert "Traceback" not in errors
    assert errors.rstrip().endswith("stopped")


def test_two_do_not_share_a_home(processes, service, home):
    processes.run()
    until(lambda: count(service))
    assert "another agent is running" in one_line(agent(home, "run"))


def test_a_drill_comes_and_goes_while_it_runs(processes, service, home):
    def drill() -> str:
        [kept] = service.stored.values()
        state = kept[max(kept)]["signals"]["camera_room"]
        return (
            next((each["state"] for each in state if each.get("instance") == "drill"), "")
            if isinstance(state, list)
            else ""
        )

    first = processes.run("--interval", "0.2", "--fault", "camera_room")
    until(lambda: service.stored and drill() == "unhealthy")
    assert "camera_room:drill" in agent(home, "status").stdout
    agent(home, "fault", "clear", "camera_room")
    until(lambda: drill() == "healthy")
    agent(home, "fault", "add", "camera_room")
    until(lambda: drill() == "unhealthy")
    agent(home, "fault", "clear", "camera_room")
    processes.stop(first)
    second = processes.run("--interval", "0.2", "--fault", "camera_room")
    until(lambda: drill() == "unhealthy")
    processes.stop(second, signal.SIGKILL)
    processes.run("--interval", "0.2")  # not given again: the drill is over
    until(lambda: drill() == "healthy")


def test_what_the_room_reports_is_plainly_about_this_machine(processes, service, home):
    processes.run("--interval", "0.2")
    until(lambda: count(service) > 2)
    assert service.requests[-1]["items"][-1]["versions"]["agent"]
    status = agent(home, "status").stdout
    assert "0190-device" in status
    assert "heartbeats not yet stored" in status


@pytest.mark.chaos
def test_killed_again_and_again_it_loses_nothing_and_sends_nothing_twice(processes, service, home):
    """The service stores each number once, with one content, without a hole: all that was ever kept."""
    rng = random.Random(2026)
    nasty = [
        standin.reply_lost,
        standin.accepted_and_lost,
        standin.committed_unknown,
        standin.garbage,
        standin.overloaded("0"),
        *[standin.fine] * 5,
    ]
    for _ in range(KILLS):
        with service.lock:
            service.faults.clear()
            service.faults.extend(rng.choices(nasty, k=3))
        before = len(service.requests)
        process = processes.run("--interval", "0.1")
        if rng.random() < 0.8:  # the others die while they start
            until(lambda before=before: len(service.requests) > before)
        time.sleep(rng.uniform(0, 0.7))
        processes.stop(process, signal.SIGKILL)
    with service.lock:
        service.faults.clear()
    last = processes.run("--interval", "0.1")
    until(lambda: service.requests and service.requests[-1]["items"][-1]["seq"] > KILLS)

    def drained() -> bool:
        with service.lock:
            return service.seqs()[-1] == max(item["seq"] for item in service.requests[-1]["items"])

    until(drained)
    processes.stop(last)
    spool = Spool(home / "spool.db")
    waiting = [item.seq for item in spool.items(1, 100_000)]
    stored = service.seqs()
    assert list(service.stored) == [spool.epoch]
    assert stored == list(range(1, len(stored) + 1))
    assert sorted({*stored, *waiting}) == list(range(1, spool.highest + 1))
