"""The supervisor with real processes: restarts, descendants, kills, refusals; and `manage.py run` as a whole."""

import ast
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import StringIO
from pathlib import Path
from uuid import uuid4

import pytest

from foundation.embedded.addresses import URLS
from foundation.embedded.home import Home, is_free
from portal.supervisor.children import MARK, end_leftovers, marked
from portal.supervisor.output import Output
from portal.supervisor.supervisor import GiveUp, Supervisor

ROOT = Path(__file__).parents[2]
SHELL = "/bin/sh"
PYTHON = sys.executable


def eventually(holds: Callable[[], bool], *, within_s: float = 30) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def free_pair() -> int:
    """A port that is free together with the next one."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port < 65534 and is_free(port) and is_free(port + 1):
            return port


@pytest.fixture
def mark() -> Iterator[str]:
    """A mark of this test's processes; whatever a failing test leaves is ended."""
    own = uuid4().hex
    yield own
    end_leftovers(own, patience_s=0)


@pytest.fixture
def environ(mark: str) -> dict[str, str]:
    return {**os.environ, MARK: mark}


@pytest.fixture
def shown() -> StringIO:
    """What the terminal shows."""
    return StringIO()


@pytest.fixture
def supervisor(tmp_path: Path, shown: StringIO) -> Iterator[Supervisor]:
    watching = Supervisor(Output(tmp_path, verbose=False, terminal=shown), patience_s=0.5)
    yield watching
    watching.stop()


def count(path: Path) -> int:
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_a_process_that_dies_is_started_again_at_once(supervisor, environ, tmp_path, shown):
    begun = tmp_path / "begun"
    supervisor.ready = True
    child = supervisor.start("web", [SHELL, "-c", f'echo . >> "{begun}"; exec sleep 60'], environ)
    supervisor.until(lambda: count(begun) == 1, within_s=10)
    child.signal(signal.SIGKILL)
    supervisor.until(lambda: count(begun) == 2, within_s=10)
    assert "web ended (exit -9): starting it again." in shown.getvalue()


def test_one_that_dies_again_and_again_is_started_ever_more_slowly(supervisor, environ):
    supervisor.ready = True
    child = supervisor.start("web", ["/bin/false"], environ)
    waits = []
    for deaths in (1, 2, 3):
        supervisor.until(lambda deaths=deaths: child.deaths == deaths, within_s=10)
        waits.append(child.not_before - time.monotonic())
    assert waits[0] <= 0 < waits[1] < waits[2] < 10


def test_nothing_of_a_dead_process_keeps_its_port(supervisor, environ, mark, tmp_path):
    """An orphaned grandchild would share or block the port of the process that follows."""
    supervisor.ready = True
    child = supervisor.start("web", [SHELL, "-c", "sleep 61 & exec sleep 60"], environ)
    supervisor.until(lambda: len(marked(mark)) == 2, within_s=10)
    before = marked(mark)
    child.signal(signal.SIGTERM)
    supervisor.until(lambda: child.deaths == 1 and len(marked(mark)) == 2, within_s=10)
    assert not set(before) & set(marked(mark))


def test_stopping_ends_the_stubborn_too_and_nobody_else(supervisor, environ, mark, tmp_path):
    stranger = subprocess.Popen(["sleep", "60"])
    deaf = "trap '' TERM; (trap '' TERM; exec sleep 62) & echo up; while :; do sleep 1; done"
    child = supervisor.start("deaf", [SHELL, "-c", deaf], environ)
    supervisor.until(lambda: "up" in child.last_lines, within_s=10)
    supervisor.stop()
    try:
        assert marked(mark) == []
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_job_that_fails_is_told_with_its_lines_and_its_log(supervisor, environ, tmp_path, shown):
    job = supervisor.start("migrate", [SHELL, "-c", "echo no such column; exit 3"], environ, keep=False)
    with pytest.raises(
        GiveUp, match=rf"^migrate failed \(exit 3\)\. Its log: {re.escape(str(tmp_path))}/migrate\.log$"
    ):
        supervisor.finish(job)
    assert "migrate   | no such column" in shown.getvalue()
    assert (tmp_path / "migrate.log").read_text() == "no such column\n"


def test_what_cannot_start_at_all_is_given_up_with_its_last_lines(supervisor, environ, shown):
    supervisor.start("ingest", [SHELL, "-c", "echo the reason; exit 1"], environ)
    with pytest.raises(GiveUp, match=r"^ingest does not start \(exit 1\)\."):
        supervisor.until(lambda: False, within_s=20)
    assert "ingest    | the reason" in shown.getvalue()


def test_the_terminal_shows_trouble_and_the_log_everything(tmp_path, capsys):
    output = Output(tmp_path, verbose=False)
    output.line("web", "2026-11-22 09:00:00 INFO served")
    output.line("web", "2026-11-22 09:00:01 ERROR database away")
    assert capsys.readouterr().out == "web       | 2026-11-22 09:00:01 ERROR database away\n"
    assert count(tmp_path / "web.log") == 2


def test_logs_are_bounded(tmp_path):
    output = Output(tmp_path, verbose=False)
    for _ in range(12):
        output.line("web", "x" * 1_000_000)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 13_000_000
    assert {path.name for path in tmp_path.iterdir()} <= {"web.log", "web.log.1"}


def test_a_closed_terminal_does_not_end_the_supervisor(tmp_path):
    reading, writing = os.pipe()
    os.close(reading)
    with suppress(BrokenPipeError), os.fdopen(writing, "w") as terminal:
        output = Output(tmp_path, verbose=True, terminal=terminal)
        output.line("web", "one")
        output.line("web", "two")
    assert count(tmp_path / "web.log") == 2


@pytest.mark.parametrize("guarded", [True, False])
def test_children_of_a_killed_supervisor_end_and_the_rest_is_known_by_its_mark(
    environ, mark, tmp_path, guarded
):
    deaf = "trap '' TERM; while :; do sleep 1; done"  # outlives the signal the kernel sends it
    script = f"""
from pathlib import Path
from portal.supervisor.children import guard
from portal.supervisor.output import Output
from portal.supervisor.supervisor import Supervisor
supervisor = Supervisor(Output(Path({str(tmp_path)!r}), verbose=False))
if {guarded}:
    guard({mark!r})
supervisor.start("good", ["sleep", "63"], {environ!r})
child = supervisor.start("deaf", [{SHELL!r}, "-c", {f"echo up; {deaf}"!r}], {environ!r})
supervisor.until(lambda: "up" in child.last_lines, within_s=10)
print("up", flush=True)
supervisor.until(lambda: False, within_s=60)
"""
    killed = subprocess.Popen([PYTHON, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert killed.stdout.readline() == "up\n"
    killed.kill()
    killed.communicate()
    eventually(lambda: not any("63" in _command(pid) for pid in marked(mark)))
    if guarded:
        eventually(lambda: marked(mark) == [])
    else:
        assert any("trap" in _command(pid) for pid in marked(mark))
        end_leftovers(mark[:8], patience_s=0.2)  # what all marks of a home have in common
        assert marked(mark) == []


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


# -- manage.py ------------------------------------------------------------------------------------------


@pytest.fixture
def bare(tmp_path: Path) -> dict[str, str]:
    """The environment of somebody who just cloned the repository, with a home and ports of the test's own."""
    names = (*URLS, "DJANGO_SETTINGS_MODULE", "GREENROOM_URL", "GREENROOM_CACHE_URL")
    environ = {name: value for name, value in os.environ.items() if name not in names}
    return {**environ, "GREENROOM_HOME": str(tmp_path / "the home"), "GREENROOM_PORT": str(free_pair())}


def manage(*arguments: str, environ: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [PYTHON, ROOT / "manage.py", *arguments],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_old_pythons_read_manage_py_far_enough_to_refuse():
    tree = ast.parse((ROOT / "manage.py").read_text(), feature_version=(3, 0))
    refusal = next(index for index, node in enumerate(tree.body) if isinstance(node, ast.If))
    before = {
        alias.name for node in tree.body[:refusal] if isinstance(node, ast.Import) for alias in node.names
    }
    assert before == {"os", "sys"}


@pytest.mark.parametrize("offset", [0, 1])
def test_a_port_in_use_is_one_line(bare, offset):
    port = int(bare["GREENROOM_PORT"]) + offset
    with socket.create_server(("127.0.0.1", port)):
        tried = manage("run", environ=bare)
    assert tried.returncode == 1
    assert re.fullmatch(
        rf"Port {port} of 127\.0\.0\.1 cannot be used for .+ GREENROOM_PORT .+\n", tried.stderr
    )
    assert not Home(Path(bare["GREENROOM_HOME"])).is_locked("keeper")


def test_a_bad_port_is_one_line(bare):
    tried = manage("run", environ={**bare, "GREENROOM_PORT": "many"})
    assert tried.returncode == 1
    assert "GREENROOM_PORT must be 1 to 65534." in tried.stderr
    assert "Traceback" not in tried.stderr


def test_some_addresses_without_the_others_are_one_line(bare):
    tried = manage("migrate", environ={**bare, "DATABASE_URL": "postgresql://a:b@127.0.0.1/c"})
    assert tried.returncode == 1
    assert tried.stderr.startswith("Set all four of DATABASE_URL, ")
    assert tried.stderr.count("\n") == 1


def test_a_second_supervisor_of_a_home_is_refused_in_one_line(bare):
    home = Home(Path(bare["GREENROOM_HOME"]))
    home.prepare()
    home.write("supervisor", {"pid": 4711, "url": "http://localhost:8000"})
    with home.locked("supervisor"):
        tried = manage("run", environ=bare)
    assert (tried.returncode, tried.stderr) == (
        1,
        f"Greenroom already runs from {home.path} (pid 4711, http://localhost:8000).\n",
    )


def test_a_command_starts_the_services_it_needs_and_leaves_none_running(bare):
    tried = manage("migrate", "--database", "owner", "--verbosity", "0", environ=bare)
    assert (tried.returncode, tried.stderr) == (0, "")
    assert not Home(Path(bare["GREENROOM_HOME"])).is_locked("keeper")
    told = manage("services", environ=bare).stdout
    assert told == "make run: no\nembedded services: none\n"
