"""A whole installation of its own: services, accept process, workers and scheduler, which a test may kill."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg2

from foundation.embedded import Services, services
from portal.supervisor import programs

PATIENCE_S = 90.0


class Installation:
    """Processes by name: `ingest`, `worker`, `scheduler`. Each in a session of its own, so that kill -9 takes it whole."""

    def __init__(self, home: Path) -> None:
        self.services: Services = services(home, durable=False)
        self.port = _free_port()
        self.logs = home / "logs"
        theirs = ("PYTEST", "GREENROOM_", "DATABASE_URL", "REDIS_URL")  # of the test process
        ours = {name: value for name, value in os.environ.items() if not name.startswith(theirs)}
        self.environ = {
            **ours,
            **self.services.environment(),
            "GREENROOM_HOME": str(home),
            "GREENROOM_STREAM_SHARDS": "1",
            "DJANGO_SETTINGS_MODULE": "portal.settings",
        }
        self.commands = {
            "ingest": programs.ingest(bind="127.0.0.1", port=self.port),
            "worker": programs.worker(serving=("ingest", "detect"), concurrency=3),
            "scheduler": programs.scheduler(home=home),
        }
        (home / "scheduler").mkdir(exist_ok=True)
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.kills = 0
        self.python("-W", "ignore", "-m", "django", "migrate", "--database", "owner", "--verbosity", "0")

    def python(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=programs.ROOT,
            env=self.environ,
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout

    def make_fleet(self, devices: int) -> dict[str, Any]:
        made: dict[str, Any] = json.loads(
            self.python("-W", "ignore", "-m", "tests.workers.make_fleet", str(devices))
        )
        return made

    def start(self, *names: str) -> None:
        for name in names or self.commands:
            with (self.logs / f"{name}.log").open("ab") as log:
                self.running[name] = subprocess.Popen(
                    self.commands[name], cwd=programs.ROOT, env=self.environ, stdout=log, stderr=log,
                    start_new_session=True,
                )  # fmt: skip

    def wait_ready(self) -> None:
        def accepts() -> bool:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=2) as answer:
                    return bool(answer.status == 200)
            except OSError:
                return False

        until(accepts, "the accept process does not answer")

    def kill(self, name: str) -> None:
        """kill -9, with all it started; then it is started again, as a supervisor would."""
        process = self.running.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self.kills += 1
        self.start(name)

    def query(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """As superuser: what is in the database, whoever's it is."""
        url = self.services.superuser_url.rsplit("/", 1)[0] + "/greenroom"
        connection = psycopg2.connect(url)
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement, parameters)
                return cursor.fetchall()
        finally:
            connection.close()

    def stop(self) -> None:
        for process in self.running.values():
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.running.clear()
        self.services.release()


def until(fulfilled: Callable[[], bool], complaint: str, *, patience_s: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + patience_s
    while not fulfilled():
        assert time.monotonic() < deadline, complaint
        time.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
