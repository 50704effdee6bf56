"""The loop that starts, reads, restarts and stops the processes of an installation."""

import os
import select
import selectors
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence

from .children import Child
from .output import Output

_HOPELESS_DEATHS = 3  # in a row, before the installation was ready once


class GiveUp(Exception):
    """The installation cannot run; the message is for the person at the terminal."""


class Told(Exception):
    """The supervisor was told to stop."""


class Supervisor:
    """Children and one single-threaded loop; `look` is called about twice a second to watch what is no child.

    A child that is told to stop has `patience_s` before it is killed.
    """

    def __init__(
        self, output: Output, *, look: Callable[[], None] = lambda: None, patience_s: float = 20.0
    ) -> None:
        self.output = output
        self.look = look
        self.patience_s = patience_s
        self.children: list[Child] = []
        self.ready = False
        self._stopping = False
        self._looked_at = 0.0
        self._signals = 0
        self._terminal = select.poll()
        self._selector = selectors.DefaultSelector()
        self._wakeup, self._woken = os.pipe()
        for end in (self._wakeup, self._woken):
            os.set_blocking(end, False)
        self._selector.register(self._wakeup, selectors.EVENT_READ, None)

    def listen(self) -> None:
        """Take the terminal's signals, and children's deaths, as wake-ups of the loop."""
        signal.set_wakeup_fd(self._woken, warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._told)
        if (
            signal.getsignal(signal.SIGHUP) != signal.SIG_IGN
        ):  # ignored: nohup wants us to outlive the terminal
            signal.signal(signal.SIGHUP, self._told)
            if os.isatty(sys.stdout.fileno()):
                self._terminal.register(sys.stdout.fileno(), 0)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def _told(self, *_: object) -> None:
        self._signals += 1

    def _terminal_has_closed(self) -> bool:
        """A terminal may go without a signal to us, as when make is its first process."""
        return any(event & (select.POLLHUP | select.POLLERR) for _, event in self._terminal.poll(0))

    # -- starting --------------------------------------------------------------------------------------

    def start(
        self, name: str, command: Sequence[str], environ: Mapping[str, str], *, keep: bool = True
    ) -> Child:
        """Start a process; with `keep` it is started again whenever it ends."""
        child = Child(name, command, environ, keep=keep)
        self.children.append(child)
        self._start(child)
        return child

    def _start(self, child: Child) -> None:
        try:
            child.start()
        except OSError as error:
            raise GiveUp(f"{child.name} cannot be started: {error.strerror}.") from None
        assert child.process is not None
        assert child.process.stdout is not None
        self._selector.register(child.process.stdout, selectors.EVENT_READ, child)

    def finish(self, *jobs: Child) -> None:
        """Wait until each of `jobs` has ended well; raises GiveUp with the last lines of one that has not."""
        self.until(lambda: not any(job.alive for job in jobs), within_s=None)
        for job in jobs:
            self.children.remove(job)
            if job.exit_code:
                raise GiveUp(f"{job.name} failed (exit {job.exit_code}). {self._where(job)}")

    # -- the loop --------------------------------------------------------------------------------------

    def until(self, holds: Callable[[], bool], *, within_s: float | None, otherwise: str = "") -> None:
        """Run the loop until `holds()`; raises GiveUp with `otherwise` when that takes too long."""
        deadline = None if within_s is None else time.monotonic() + within_s
        while not holds():
            if deadline is not None and time.monotonic() > deadline:
                raise GiveUp(otherwise)
            self.turn()

    def turn(self, timeout_s: float = 0.25) -> None:
        """One round of the loop; raises Told once a signal to stop has come."""
        for key, _ in self._selector.select(timeout_s):
            if key.data is None:
                os.read(self._wakeup, 4096)
            else:
                self._read(key.data)
                if key.data.at_end:
                    self._selector.unregister(key.fileobj)
        for child in list(self.children):
            self._tend(child)
        if self._stopping:
            return
        if self._signals:
            raise Told
        if time.monotonic() - self._looked_at > 0.5:
            self._looked_at = time.monotonic()
            if self._terminal_has_closed():
                raise Told
            self.look()

    def _read(self, child: Child) -> None:
        for line in child.read():
            self.output.line(child.name, line, show=None if self.ready else not child.keep)

    def _tend(self, child: Child) -> None:
        process = child.process
        if process is None:
            if child.keep and not self._stopping and time.monotonic() >= child.not_before:
                self._start(child)
            return
        if not child.has_ended():
            return
        self._read(child)
        if process.stdout is not None and process.stdout in self._selector.get_map():
            self._selector.unregister(process.stdout)
        child.reap()
        if child.keep and not self._stopping:
            self._died(child)

    def _died(self, child: Child) -> None:
        if not self.ready and child.deaths >= _HOPELESS_DEATHS:
            raise GiveUp(f"{child.name} does not start (exit {child.exit_code}). {self._where(child)}")
        self.output.say(f"{child.name} ended (exit {child.exit_code}): starting it again.")

    def _where(self, child: Child) -> str:
        if child.keep:  # what is not kept was shown as it came
            for line in child.last_lines:
                self.output.show_of(child.name, line)
        return f"Its log: {self.output.logs / child.name}.log"

    # -- the end ---------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Stop everything started here: politely, after a while or at a second signal with force."""
        self._stopping = True
        signals = self._signals
        for child in self.children:
            child.signal(signal.SIGTERM)
        deadline = time.monotonic() + self.patience_s
        while any(child.alive for child in self.children):
            if time.monotonic() > deadline or self._signals > signals:
                for child in self.children:
                    child.signal(signal.SIGKILL)
            self.turn(0.1)
        self.children.clear()
