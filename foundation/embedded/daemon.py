"""Starting, recognising and ending one server program that keeps its data in a folder of its own."""

import ctypes
import os
import shutil
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from .home import Home
from .privilege import Privilege

_LOG_BYTES = 5_000_000
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class Daemon(ABC):
    """One server. Subclasses say how it is prepared, called, greeted and asked to stop."""

    name: str
    stop_signals: Sequence[signal.Signals]  # the polite one first
    stop_patience_s = 20.0

    def __init__(self, home: Home, privilege: Privilege, *, durable: bool) -> None:
        self.home = home
        self.privilege = privilege
        self.durable = durable
        self.folder = privilege.data / self.name
        self.log = home.logs / f"{self.name}.log"
        self.process: subprocess.Popen[bytes] | None = None

    # -- for subclasses --------------------------------------------------------------------------------

    @property
    def cwd(self) -> Path:
        """The folder the running server has as its working directory: by it we know our own."""
        return self.folder

    @abstractmethod
    def prepare(self) -> None:
        """Make data and configuration; may be repeated after any interruption."""

    @abstractmethod
    def command(self) -> list[str | Path]:
        """The command line of the server."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether the server answers to our name and password."""

    # -- life ------------------------------------------------------------------------------------------

    def spawn(self) -> None:
        """End what an earlier life left in our folder, then start the server (it may not answer yet)."""
        self.end_leftovers()
        self.prepare()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - our own command
                [*self.privilege.prefix, *self.command()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=environment(),
                start_new_session=True,  # the terminal's Ctrl-C is not for the server
                preexec_fn=dies_with_parent(self.stop_signals[0]),  # safe: the keeper has one thread
                user=self.privilege.uid,
                group=self.privilege.uid,
                extra_groups=self.privilege.groups,
            )

    def alive(self) -> bool:
        """Whether the server we started still runs."""
        return self.process is not None and self.process.poll() is None

    def stop(self) -> None:
        """Stop the server we started: politely, then with force. Harmless when it is gone."""
        if self.process is None:
            return
        for number in (*self.stop_signals, signal.SIGKILL):
            if self.process.poll() is None:
                self.process.send_signal(number)
                try:
                    self.process.wait(self.stop_patience_s)
                except subprocess.TimeoutExpired:
                    continue
            break
        self.process.wait()
        self.process = None

    def end_leftovers(self) -> None:
        """End processes of an earlier life that still work in our folder, known by their working directory."""
        steps = (
            (None, 2.0),
            (self.stop_signals[0], 15.0),
            (signal.SIGKILL, 5.0),
        )  # orphans often go by themselves
        for number, patience_s in steps:
            left = _working_in(self.cwd)
            if number is not None:
                for pid in left:
                    with suppress(ProcessLookupError):
                        os.kill(pid, number)
            deadline = time.monotonic() + patience_s
            while left and time.monotonic() < deadline:
                time.sleep(0.05)
                left = _working_in(self.cwd)
            if not left:
                return

    def trim_log(self) -> None:
        """Keep the log below some 5 MB and one older part; the server appends, so it need not be told."""
        if self.log.exists() and self.log.stat().st_size > _LOG_BYTES:
            shutil.copyfile(self.log, self.log.with_suffix(".log.1"))
            os.truncate(self.log, 0)

    def last_words(self) -> str:
        """The last line the server wrote, for a message about why it went."""
        try:
            lines = self.log.read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return ""
        telling = [line for line in lines[-40:] if "FATAL" in line or "PANIC" in line or "rror" in line]
        return (telling or lines or [""])[-1].strip()


def environment() -> dict[str, str]:
    """What a server needs of the environment: nothing of ours, so no PG* variable of the person leaks in."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


def dies_with_parent(number: signal.Signals) -> Callable[[], None]:
    """A preexec function: the kernel sends the child `number` when its parent dies, however it dies."""
    parent = os.getpid()

    def arrange() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:  # it died before we asked
            os._exit(1)

    return arrange


def _working_in(folder: Path) -> list[int]:
    """Pids of other processes whose working directory is `folder`: a pid that was used again is never meant."""
    folder = folder.resolve()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if (entry / "cwd").readlink() == folder and _is_server(entry):
                    found.append(int(entry.name))
            except OSError:  # gone meanwhile, or not ours to look at
                continue
    return found


def _is_server(entry: Path) -> bool:
    """A person's shell standing in the data folder is no leftover."""
    return (entry / "exe").readlink().name.removesuffix(" (deleted)") in ("postgres", "valkey-server")
