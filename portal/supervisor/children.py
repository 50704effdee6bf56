"""One supervised process: started, read, restarted when it dies, ended with all its descendants."""

import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from foundation.embedded.daemon import dies_with_parent

from .programs import ROOT

MARK = (
    "SUPERVISED_BY"  # in the environment of every descendant: how leftovers of a killed supervisor are known
)
_SLOWEST_RESTART_S = 10.0
_STEADY_S = 30.0  # after so long a process counts as healthy again
_LINE_BYTES = 100_000


class Child:
    """A process in a session of its own, whose descendants are ended with it."""

    def __init__(
        self, name: str, command: Sequence[str], environ: Mapping[str, str], *, keep: bool = True
    ) -> None:
        self.name = name
        self.command = command
        self.environ = environ
        self.keep = keep  # restart it when it ends; else it has a job to do once
        self.process: subprocess.Popen[bytes] | None = None
        self.exit_code: int | None = None
        self.deaths = 0  # in a row
        self.not_before = 0.0
        self.last_lines: deque[str] = deque(maxlen=30)
        self.at_end = False  # of its output
        self._started_at = 0.0
        self._rest = b""

    def start(self) -> None:
        """Start the process; its output is read from `process.stdout`, which does not block."""
        self.exit_code = None
        self.at_end = False
        self._rest = b""
        self._started_at = time.monotonic()
        self.process = subprocess.Popen(  # noqa: S603 - our own programs
            self.command,
            cwd=ROOT,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # the terminal's signals come to the supervisor alone
            preexec_fn=dies_with_parent(signal.SIGTERM),  # safe: the supervisor has one thread
        )
        assert self.process.stdout is not None
        os.set_blocking(self.process.stdout.fileno(), False)

    @property
    def alive(self) -> bool:
        """Whether it runs or waits to be reaped."""
        return self.process is not None

    def read(self) -> list[str]:
        """Whole lines written since the last call; at the end of the output the unfinished one too."""
        if self.process is None or self.process.stdout is None:
            return []
        while len(self._rest) < _LINE_BYTES:
            try:
                part = os.read(self.process.stdout.fileno(), 65_536)
            except BlockingIOError:
                break
            if not part:
                self.at_end = True
                break
            self._rest += part
        *lines, self._rest = self._rest.split(b"\n")
        if self._rest and (self.at_end or len(self._rest) >= _LINE_BYTES):
            lines, self._rest = [*lines, self._rest], b""
        texts = [line.decode(errors="replace").rstrip("\r") for line in lines]
        self.last_lines.extend(texts)
        return texts

    def has_ended(self) -> bool:
        """Whether the process has ended; its pid stays taken until `reap`."""
        assert self.process is not None
        return os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def reap(self) -> None:
        """Bury the ended process, after killing what it left of its group (an orphan would hold the port)."""
        assert self.process is not None
        self.signal(signal.SIGKILL)
        self.exit_code = self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.process = None
        self._plan_restart()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process (SIGKILL: to its whole group)."""
        if self.process is not None:
            with suppress(ProcessLookupError, PermissionError):
                if number == signal.SIGKILL:
                    os.killpg(self.process.pid, number)
                else:
                    os.kill(self.process.pid, number)

    def _plan_restart(self) -> None:
        now = time.monotonic()
        self.deaths = 1 if now - self._started_at > _STEADY_S else self.deaths + 1
        wait_s = 0.0 if self.deaths == 1 else min(_SLOWEST_RESTART_S, 0.25 * 2**self.deaths)
        self.not_before = now + wait_s


def guard(mark: str) -> int:
    """Fork a process that ends whatever carries `mark` once we are gone, however we went; returns its pid.

    The kernel's signal to children is not enough: one that waits for a Redis that went with us is deaf to it.
    """
    watched, _ours = os.pipe()  # ours is closed by our death alone: no child inherits it
    pid = os.fork()
    if pid:
        os.close(watched)
        return pid
    try:
        os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        for name in os.listdir("/proc/self/fd"):  # locks would outlive their owner
            if int(name) > 2 and int(name) != watched:
                with suppress(OSError):
                    os.close(int(name))
        os.read(watched, 1)
        end_leftovers(mark)
    finally:
        os._exit(0)


def end_leftovers(mark: str, *, patience_s: float = 10.0) -> int:
    """End every process whose mark begins so, of a supervisor that was killed; returns how many there were."""
    found = marked(mark)
    for number, wait_s in ((signal.SIGTERM, patience_s), (signal.SIGKILL, 5.0)):
        left = marked(mark)
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        deadline = time.monotonic() + wait_s
        while left and time.monotonic() < deadline:
            time.sleep(0.05)
            left = marked(mark)
        if not left:
            break
    return len(found)


def marked(mark: str) -> list[int]:
    """Pids of the processes whose mark begins so; a pid used again by another program carries none."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                variables = (entry / "environ").read_bytes().split(b"\0")
                if any(variable.startswith(wanted) for variable in variables):
                    found.append(int(entry.name))
            except OSError:  # gone meanwhile, or another person's
                continue
    return found
