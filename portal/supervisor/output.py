"""What the supervisor shows at the terminal and keeps in GREENROOM_HOME/logs."""

import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

_LOG_BYTES = 5_000_000
_COLOURS = (36, 35, 34, 33, 32, 96, 95, 94)
_WORTH_SHOWING = re.compile(r"\b(WARN(ING)?|ERROR|CRITICAL|FATAL)\b|^Traceback |^\S+(Error|Exception): ")


class Output:
    """Lines of many processes, each with the name of its own before it.

    Everything goes to the logs; the terminal gets what a person must know, or everything when `verbose`.
    A terminal that is gone and a disk that is full are survived: the processes matter more than their lines.
    """

    def __init__(self, logs: Path, *, verbose: bool, terminal: IO[str] | None = None) -> None:
        self.logs = logs
        self.verbose = verbose
        self.terminal: IO[str] | None = terminal or sys.stdout
        self._colour = self.terminal.isatty()
        self._known: list[str] = []
        self._unwritable = False

    def say(self, text: str) -> None:
        """Something of the supervisor's own."""
        self.show(text)
        self._keep("supervisor", text)

    def line(self, name: str, text: str, *, show: bool | None = None) -> None:
        """A line the process `name` wrote; `show` None: only if it tells of trouble."""
        self._keep(name, text)
        if self.verbose or (_WORTH_SHOWING.search(text) if show is None else show):
            self.show_of(name, text)

    def show_of(self, name: str, text: str) -> None:
        """Show a line of `name` that is already in its log."""
        label = f"{name:<9} |"
        if self._colour:
            if name not in self._known:
                self._known.append(name)
            label = f"\x1b[{_COLOURS[self._known.index(name) % len(_COLOURS)]}m{label}\x1b[0m"
        self.show(f"{label} {text}")

    def show(self, text: str) -> None:
        """Show a line at the terminal alone."""
        if self.terminal is None:
            return
        try:
            self.terminal.write(f"{text}\n")
            self.terminal.flush()
        except (OSError, ValueError):  # closed
            self.terminal = None

    def _keep(self, name: str, text: str) -> None:
        path = self.logs / f"{name}.log"
        stamp = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} " if name == "supervisor" else ""
        try:
            with path.open("a", encoding="utf-8") as log:
                log.write(f"{stamp}{text}\n")
                full = log.tell() > _LOG_BYTES
            if full:
                path.replace(path.with_suffix(".log.1"))
            self._unwritable = False
        except OSError as error:
            if not self._unwritable:
                self.show(f"{path} cannot be written ({error.strerror}): lines are lost until it can.")
            self._unwritable = True
