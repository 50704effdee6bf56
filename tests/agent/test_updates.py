"""Updates on the device: against a service that cuts connections, calls off, and lies."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from agent.errors import NoAnswer, ServiceError
from agent.updates import Updater

CONTENT = os.urandom(600_000)
DEVICE = "0198c2"
BASE = f"/DEFAULT/controller/v1/{DEVICE}"


class Server(ThreadingHTTPServer):
    """The update side of a service. `cut_after`: bytes of the next download before the connection ends."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.offered, self.cancelling, self.cut_after = 7, False, 0
        self.update = "forced"
        self.content, self.origin = CONTENT, ""
        self.reports: list[tuple[str, str, list[str]]] = []
        self.ranges: list[str] = []
        self.attributes: dict[str, str] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""

    def _json(self, document: Any) -> None:
        content = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self) -> None:
        if self.headers["Authorization"] != "TargetToken secret":
            self.send_error(401)
        elif self.path == BASE:
            self._json(self._poll())
        elif self.path.startswith(f"{BASE}/deploymentBase/"):
            self._json(self._deployment())
        else:
            self._file()

    def _poll(self) -> dict[str, Any]:
        links: dict[str, Any] = {}
        base = (self.server.origin or self.server.url) + BASE
        if self.server.cancelling:
            links["cancelAction"] = {"href": f"{base}/cancelAction/{self.server.offered}"}
        elif self.server.offered:
            links["deploymentBase"] = {"href": f"{base}/deploymentBase/{self.server.offered}?c=1"}
        if not self.server.attributes:
            links["configData"] = {"href": f"{base}/configData"}
        return {"config": {"polling": {"sleep": "00:05:00"}}, "_links": links}

    def _deployment(self) -> dict[str, Any]:
        href = f"{self.server.url}{BASE}/softwaremodules/7/artifacts/app.bin?signature=x"
        file = {
            "filename": "app.bin",
            "size": len(CONTENT),
            "hashes": {"sha256": hashlib.sha256(CONTENT).hexdigest()},
            "_links": {"download": {"href": href}},
        }
        chunk = {"part": "bApp", "name": "Room app", "version": "5.4", "artifacts": [file]}
        return {
            "id": str(self.server.offered),
            "deployment": {"update": self.server.update, "chunks": [chunk]},
        }

    def _file(self) -> None:
        wanted = self.headers.get("Range", "")
        self.server.ranges.append(wanted)
        first = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        part = self.server.content[first:]
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        if self.server.cut_after:
            self.wfile.write(part[: self.server.cut_after])
            self.server.cut_after = 0
            self.close_connection = True
            self.connection.close()
        else:
            self.wfile.write(part)

    def do_PUT(self) -> None:
        self.server.attributes = self._body()["data"]
        self._json({})

    def do_POST(self) -> None:
        status = self._body()["status"]
        on = self.path.split("/")[-3]
        said = f"{on}/{status['execution']}"
        self.server.reports.append((said, status["result"]["finished"], status["details"]))
        if on == "cancelAction":
            self.server.cancelling, self.server.offered = False, 0
        elif status["execution"] == ("downloaded" if self.server.update == "skip" else "closed"):
            self.server.offered = 0
        self._json({})

    def _body(self) -> Any:
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])))


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join()


def installer(home: Path, script: str, name: str = "application") -> None:
    folder = home / "installers"
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o700)


@pytest.fixture
def updater(server: Server, tmp_path: Path) -> Iterator[Updater]:
    installer(tmp_path, 'cp "$1" installed.bin; echo "$2 $3" > said.txt')
    made = Updater(tmp_path, f"{server.url}/device/v1", DEVICE, lambda: "secret")
    yield made
    made._session.close()


def said(server: Server) -> list[str]:
    return [f"{what} {finished}" for what, finished, _ in server.reports]


def test_what_is_offered_is_fetched_installed_and_reported(server, updater, tmp_path):
    assert updater.turn() == 300.0
    assert (tmp_path / "installed.bin").read_bytes() == CONTENT
    assert (tmp_path / "said.txt").read_text() == "Room app 5.4\n"
    assert said(server) == [
        "deploymentBase/download none",
        "deploymentBase/downloaded none",
        "deploymentBase/closed success",
    ]
    assert server.attributes["agent"]
    assert not (tmp_path / "update.part").exists()
    updater.turn()
    assert len(server.reports) == 3


def test_a_download_that_is_cut_goes_on_where_it_was(server, updater, tmp_path):
    server.cut_after = 300_000
    with pytest.raises(NoAnswer):
        updater.turn()
    kept = (tmp_path / "update.part").stat().st_size
    assert 0 < kept <= 300_000
    updater.turn()
    assert server.ranges == ["", f"bytes={kept}-"]
    assert (tmp_path / "installed.bin").read_bytes() == CONTENT


def test_what_is_only_to_be_fetched_lies_there_for_the_action_that_installs_it(server, updater, tmp_path):
    server.update = "skip"
    updater.turn()
    assert said(server) == ["deploymentBase/download none", "deploymentBase/downloaded success"]
    server.reports.clear()
    server.offered = 7  # the word got lost
    updater.turn()
    assert said(server) == ["deploymentBase/downloaded success"]
    assert not (tmp_path / "installed.bin").exists()
    assert server.attributes["handles_skip"] == "true"
    server.update, server.offered = "forced", 8
    updater.turn()
    assert (tmp_path / "installed.bin").read_bytes() == CONTENT
    assert server.ranges == [""], "fetched once"
    assert not (tmp_path / "update.part").exists()


def test_another_file_takes_the_place_of_what_lies_there(server, updater, tmp_path):
    (tmp_path / "update.json").write_text(
        json.dumps({"number": "6", "stage": "downloaded", "said": "", "sha256": "0" * 64})
    )
    (tmp_path / "update.part").write_bytes(b"other")
    updater.turn()
    assert server.ranges == [""]
    assert (tmp_path / "installed.bin").read_bytes() == CONTENT


def test_an_installer_that_fails_is_reported_with_its_last_lines(server, updater, tmp_path):
    installer(tmp_path, "echo Disk full; exit 3")
    updater.turn()
    assert server.reports[-1] == (
        "deploymentBase/closed",
        "failure",
        ["The installer ended with 3.", "Disk full"],
    )


def test_what_nothing_here_installs_fails_without_being_fetched(server, updater, tmp_path):
    (tmp_path / "installers" / "application").unlink()
    updater.turn()
    assert said(server) == ["deploymentBase/closed failure"]
    assert server.ranges == []


def test_content_that_is_not_the_one_announced_is_never_installed(server, updater, tmp_path):
    server.content = CONTENT[:-1] + b"x"
    updater.turn()
    assert said(server)[-1] == "deploymentBase/closed failure"
    assert not (tmp_path / "installed.bin").exists()


def test_what_is_called_off_is_dropped(server, updater, tmp_path):
    server.cut_after = 100_000
    with pytest.raises(NoAnswer):
        updater.turn()
    server.cancelling = True
    updater.turn()
    assert said(server)[-1] == "cancelAction/closed success"
    assert not (tmp_path / "update.part").exists()


def test_an_agent_stopped_while_it_installs_says_that_it_does_not_know(server, updater, tmp_path):
    (tmp_path / "update.json").write_text(json.dumps({"number": "7", "stage": "installing", "said": ""}))
    updater.turn()
    assert said(server) == ["deploymentBase/closed failure"]
    assert "stopped" in server.reports[0][2][0]


def test_one_stopped_before_it_could_say_it_was_done_says_so_once_it_is_back(server, updater, tmp_path):
    (tmp_path / "update.json").write_text(json.dumps({"number": "7", "stage": "done", "said": ""}))
    updater.turn()
    assert said(server) == ["deploymentBase/closed success"]
    assert server.ranges == []


def test_the_token_goes_to_the_service_alone(server, updater):
    server.origin = "http://elsewhere.example"
    with pytest.raises(ServiceError):
        updater.turn()


def test_without_installers_nobody_asks(server, tmp_path):
    made = Updater(tmp_path / "other", f"{server.url}/device/v1", DEVICE, lambda: "secret")
    assert not made.wanted
    made.start()
    assert threading.active_count() < 10
    made._session.close()
