"""The files of GREENROOM_HOME that the embedded services share: locks, passwords, ports, state.

Layout: `embedded/` holds what is below, `postgres/` and `redis/` the data, `logs/` the logs. Everything is
readable by its owner alone.
"""

import fcntl
import json
import os
import random
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .errors import ServicesUnavailable, unusable

SUPERUSER = "postgres"
OWNER, APP, SWEEP = "greenroom_owner", "greenroom_app", "greenroom_sweep"
DATABASE = "greenroom"
_PASSWORDS = (SUPERUSER, OWNER, APP, SWEEP, "redis")
# Below the range the kernel takes outgoing connections from, so a restarted service finds its port free.
_PORTS = range(15_000, 32_000)


class Home:
    """GREENROOM_HOME as the embedded services see it; `path` is made absolute, links are kept."""

    def __init__(self, path: Path) -> None:
        self.path = Path(os.path.abspath(path))
        self.control = self.path / "embedded"
        self.logs = self.path / "logs"

    def __repr__(self) -> str:
        return f"Home({self.path})"

    def prepare(self) -> None:
        """Make the folders and passwords; raises ServicesUnavailable where nothing can be written."""
        try:
            if not self.path.exists():
                self.path.mkdir(mode=0o700, parents=True)
            for folder in (self.control, self.logs):
                folder.mkdir(mode=0o700, exist_ok=True)
            probe = self.control / "written"
            probe.write_bytes(bytes(4096))  # an empty file fits on a full disk
            probe.unlink()
        except OSError as error:
            raise unusable(self.path, error) from None

    # -- locks -----------------------------------------------------------------------------------------

    @contextmanager
    def locked(self, name: str, *, wait: bool = True) -> Iterator[bool]:
        """Hold the exclusive lock `name`; yields whether it was had (always, when waiting)."""
        descriptor = self.open_lock(name)
        try:
            yield take(descriptor, fcntl.LOCK_EX, wait=wait)
        finally:
            os.close(descriptor)

    def open_lock(self, name: str) -> int:
        """A new descriptor on the lock file `name`; locks belong to it and end when it is closed."""
        return os.open(self.control / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def is_locked(self, name: str) -> bool:
        """Whether some process holds `name`; false where there is no home yet."""
        try:
            descriptor = os.open(self.control / f"{name}.lock", os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            return not take(descriptor, fcntl.LOCK_SH, wait=False)
        finally:
            os.close(descriptor)

    # -- what is remembered ----------------------------------------------------------------------------

    def passwords(self) -> dict[str, str]:
        """Password by role name (and `redis`), made on first use; safe in a URL."""
        known: dict[str, str] = self.read("passwords")
        missing = {name: secrets.token_urlsafe(24) for name in _PASSWORDS if name not in known}
        if missing:
            known |= missing
            self.write("passwords", known)
        return known

    def port(self, service: str, *, fresh: bool = False) -> int:
        """The port of `service` on 127.0.0.1, chosen once and kept; `fresh` chooses another."""
        ports: dict[str, int] = self.read("ports")
        if fresh or service not in ports:
            ports[service] = _free_port(besides=set(ports.values()))
            self.write("ports", ports)
        return ports[service]

    def read(self, name: str) -> dict[str, Any]:
        """The remembered facts under `name`; empty where there are none."""
        try:
            facts: dict[str, Any] = json.loads((self.control / f"{name}.json").read_text())
        except FileNotFoundError:
            return {}
        except ValueError:
            raise ServicesUnavailable(
                f"{self.control / name}.json is damaged: restore it from a backup, or start over with another GREENROOM_HOME."
            ) from None
        return facts

    def write(self, name: str, facts: dict[str, Any]) -> None:
        """Replace what is remembered under `name`; a crash leaves the old or the new, never half."""
        target = self.control / f"{name}.json"
        draft = self.control / f"{name}.{os.getpid()}.draft"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(facts, file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(target)

    def forget(self, name: str) -> None:
        """Drop what is remembered under `name`."""
        (self.control / f"{name}.json").unlink(missing_ok=True)


def take(descriptor: int, kind: int, *, wait: bool) -> bool:
    """Take a lock (fcntl.LOCK_SH or LOCK_EX) on `descriptor`; false where another holds it and we don't wait."""
    try:
        fcntl.flock(descriptor, kind if wait else kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_free(port: int) -> bool:
    """Whether 127.0.0.1:`port` could be listened on now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _free_port(*, besides: set[int]) -> int:
    for port in random.sample(_PORTS, 500):
        if port not in besides and is_free(port):
            return port
    raise ServicesUnavailable("No free port was found on 127.0.0.1 for the embedded services.")
