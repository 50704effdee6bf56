"""What people and programs see while the database is away, on a home of the test's own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from email.message import Message
from pathlib import Path

import pytest

from foundation import tokens
from foundation.embedded import services
from foundation.embedded.home import is_free

ROOT = Path(__file__).resolve().parents[2]
PORTS = range(18_700, 18_900)
# Somebody whose session and token have to be looked up.
CALLER = {"Cookie": f"sessionid={'a' * 32}", "Authorization": f"Bearer {tokens.issue('grat', 5).text}"}


def get(port: int, path: str) -> tuple[int, dict[str, str], str]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=CALLER)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, _lower(answer.headers), answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, _lower(error.headers), error.read().decode()


def _lower(headers: Message) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def eventually(port: int, path: str, status: int) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        try:
            if get(port, path)[0] == status:
                return
        except OSError:
            pass  # not listening yet
        time.sleep(0.2)
    raise AssertionError(f"{path} never answered {status}")


@pytest.mark.chaos
def test_pages_and_api_say_so_and_come_back_by_themselves(tmp_path):
    running = services(tmp_path / "home", durable=False)
    port = next(port for port in PORTS if is_free(port))
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("GREENROOM_CACHE")},
        **running.environment(),
        "GREENROOM_HOME": str(tmp_path / "home"),
        "GREENROOM_PORT": str(port),
        "DJANGO_SETTINGS_MODULE": "portal.settings",
    }
    migrate = [sys.executable, "-W", "ignore", "-m", "django", "migrate", "--database", "owner", "-v", "0"]
    subprocess.run(migrate, cwd=ROOT, env=environment, check=True)
    web = subprocess.Popen([sys.executable, "manage.py", "web"], cwd=ROOT, env=environment)
    try:
        eventually(port, "/readyz", 200)
        with running.stopped("postgres"):
            for path in ("/", "/api/v1/rooms", "/readyz"):
                status, headers, body = get(port, path)
                assert status == 503, (path, status, body)
                assert int(headers["retry-after"]) >= 5
                assert "Traceback" not in body
            assert get(port, "/healthz")[0] == 200
        eventually(port, "/readyz", 200)
        assert get(port, "/api/v1/rooms")[0] == 401
    finally:
        web.terminate()
        web.wait(timeout=30)
        running.release()
