"""The ingest and web processes as they run in production, each on a port of its own, with this test process's database and Redis."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PATH = "/device/v1/heartbeats"
PATIENCE_S = 60.0


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class ServerProcess:
    port: int
    process: subprocess.Popen[bytes]
    log: Path

    def ask(
        self, method: str, path: str, body: bytes | Iterator[bytes] | None = None, **headers: str
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body=body, headers=named)
            got = connection.getresponse()
            return Answer(got.status, {k.lower(): v for k, v in got.getheaders()}, got.read())
        finally:
            connection.close()

    def post(self, token: str, body: Any, **headers: str) -> Answer:
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.ask("POST", PATH, sent, Authorization=f"Device {token}", **headers)

    def raw(self, data: bytes) -> bytes:
        """Whatever comes back until the server closes or says nothing for a while."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=1.5) as connection:
            connection.sendall(data)
            received = b""
            try:
                while part := connection.recv(65536):
                    received += part
            except TimeoutError:
                pass
            return received

    def log_text(self) -> str:
        return self.log.read_text(errors="replace")


@contextmanager
def ingest_process(folder: Path, **environment: str) -> Iterator[ServerProcess]:
    """Started and ready: it knows the clock of the database and its connection to Redis."""
    with _granian("rsgi", "portal.api.heartbeats:app", folder, environment) as running:
        wait_until(lambda: _answers(running, "POST", PATH, 401), running)
        yield running


@contextmanager
def web_process(folder: Path, **environment: str) -> Iterator[ServerProcess]:
    """Started and ready."""
    with _granian("wsgi", "portal.wsgi:application", folder, environment) as running:
        wait_until(lambda: _answers(running, "GET", "/readyz", 200), running)
        yield running


@contextmanager
def _granian(
    interface: str, app: str, folder: Path, environment: Mapping[str, str]
) -> Iterator[ServerProcess]:
    port = free_port()
    log = folder / f"{interface}-{port}.log"
    command = [sys.executable, "-m", "granian", "--interface", interface, "--host", "127.0.0.1"]
    command += ["--port", str(port), "--http", "1", "--no-ws", "--workers", "1", app]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **environment}, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        yield ServerProcess(port, process, log)
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def wait_until(holds: Any, running: ServerProcess) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert running.process.poll() is None, running.log_text()
        assert time.monotonic() < deadline, running.log_text()
        time.sleep(0.05)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _answers(running: ServerProcess, method: str, path: str, status: int) -> bool:
    try:
        return running.ask(method, path).status == status
    except OSError:
        return False
