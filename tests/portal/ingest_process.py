"""The ingest process as it runs in production, on a port of its own, against this test process's database and Redis."""

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
class IngestProcess:
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
def ingest_process(folder: Path, **environment: str) -> Iterator[IngestProcess]:
    """Started and ready: it knows the clock of the database and its connection to Redis."""
    port = free_port()
    log = folder / f"ingest-{port}.log"
    command = [
        sys.executable,
        "-m",
        "granian",
        "--interface",
        "rsgi",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    command += ["--http", "1", "--no-ws", "--workers", "1", "portal.api.heartbeats:app"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **environment}, stdout=output, stderr=subprocess.STDOUT
        )
    running = IngestProcess(port, process, log)
    try:
        wait_until(lambda: _is_ready(running), running)
        yield running
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def wait_until(holds: Any, running: IngestProcess) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert running.process.poll() is None, running.log_text()
        assert time.monotonic() < deadline, running.log_text()
        time.sleep(0.05)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _is_ready(running: IngestProcess) -> bool:
    try:
        return running.ask("POST", PATH).status == 401
    except OSError:
        return False
