"""PostgreSQL and Valkey that come with the installation, for `make run`, single commands and tests.

They belong to a home (GREENROOM_HOME). `services()` finds them running or starts them and keeps them for as long as
this process lives; with the last user they stop. Users may race, crash or be killed: a user is a shared lock.
"""

import atexit
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from . import addresses
from .addresses import home_path
from .errors import ServicesUnavailable
from .home import APP, DATABASE, OWNER, SUPERUSER, SWEEP, Home, take

__all__ = ["Services", "ServicesUnavailable", "home_path", "provide", "running", "services", "stop"]

_PATIENCE_S = 180.0
ServerName = Literal["postgres", "redis"]


@dataclass
class Services:
    """Running services of one home. `release()` ends this process's use of them."""

    home: Home
    _use: int | None = field(default=None, repr=False)

    def environment(self) -> dict[str, str]:
        """The four variables Greenroom's settings read."""
        return {
            "DATABASE_URL": self.database_url(APP),
            "GREENROOM_OWNER_DATABASE_URL": self.database_url(OWNER),
            "GREENROOM_SWEEP_DATABASE_URL": self.database_url(SWEEP),
            "REDIS_URL": f"redis://:{self.home.passwords()['redis']}@127.0.0.1:{self.home.port('redis')}/0",
        }

    @property
    def superuser_url(self) -> str:
        """The server's superuser on the maintenance database: for tests, which clone databases."""
        return self.database_url(SUPERUSER, database="postgres")

    def database_url(self, role: str, *, database: str = DATABASE) -> str:
        """The address of `database` for `role`."""
        port = self.home.port("postgres")
        return f"postgresql://{role}:{self.home.passwords()[role]}@127.0.0.1:{port}/{database}"

    def pids(self) -> dict[str, int | None]:
        """Process ids of `keeper`, `postgres` and `redis`; None for a server that is down."""
        state = self.home.read("state")
        servers = {name: server["pid"] for name, server in state.get("servers", {}).items()}
        return {"keeper": state.get("keeper"), **servers}

    def restarts(self) -> dict[str, int]:
        """How often each server died and was started again."""
        return {
            name: server["restarts"] for name, server in self.home.read("state").get("servers", {}).items()
        }

    @contextmanager
    def stopped(self, server: ServerName) -> Iterator[None]:
        """Hold one server down for the length of the block: for tests of an outage."""
        hold = self.home.control / f"{server}.hold"
        hold.touch(mode=0o600)
        try:
            _until(lambda: self.pids()[server] is None, f"{server} did not stop")
            yield
        finally:
            hold.unlink()
            _until(lambda: self.pids()[server] is not None, f"{server} did not start again")

    def release(self) -> None:
        """End our use; where nobody else uses them the services have stopped on return. Harmless to repeat."""
        if self._use is None:
            return
        os.close(self._use)
        self._use = None
        with self.home.locked("door"):
            users = self.home.open_lock("users")
            try:
                if take(users, fcntl.LOCK_EX, wait=False):
                    _end_keeper(self.home)
            finally:
                os.close(users)


def services(home: Path, *, durable: bool = True) -> Services:
    """Find the services of `home` running, or start them, and use them until `release()` or the end of the process.

    `durable=False` trades safety against a crash of the machine for speed (tests). The lock survives exec, so a
    command that replaces itself by a server keeps using them. Raises ServicesUnavailable with one line.
    """
    place = Home(home)
    place.prepare()
    with place.locked("door"):  # one starter at a time, and none while the last user's leaving stops them
        use = place.open_lock("users")
        take(use, fcntl.LOCK_SH, wait=True)
        try:
            if not (place.is_locked("keeper") and place.read("state")):
                _start_keeper(place, durable=durable)
        except BaseException:
            os.close(use)
            raise
    os.set_inheritable(use, True)
    found = Services(place, use)
    atexit.register(_release_in, os.getpid(), found)
    return found


def provide(environ: MutableMapping[str, str], home: Path) -> Services | None:
    """Give `environ` the four addresses: what it names already (all or none), else those of the services of `home`.

    Returns the embedded services, None where none are needed. Raises ServicesUnavailable with one line.
    """
    if addresses.are_given(environ):
        return None
    addresses.drop_empty(environ)
    found = services(home)
    environ.update(found.environment())
    return found


def running(home: Path) -> Services | None:
    """The services of `home` if they run now; does not keep them running."""
    place = Home(home)
    return Services(place) if place.is_locked("keeper") and place.read("state") else None


def stop(home: Path) -> bool:
    """Stop the services of `home` though others may use them; returns whether they ran."""
    place = Home(home)
    if not place.control.exists():
        return False
    with place.locked("door"):
        ran = place.is_locked("keeper")
        _end_keeper(place)
    return ran


def _start_keeper(home: Home, *, durable: bool) -> None:
    if home.is_locked(
        "keeper"
    ):  # it starts for somebody who was killed, or stops by itself: either ends soon
        _until(lambda: bool(home.read("state")) or not home.is_locked("keeper"), "The embedded services hang")
        if home.is_locked("keeper"):
            return
    home.forget("state")
    command = [sys.executable, "-m", "foundation.embedded.keeper", os.fspath(home.path)]
    with (home.logs / "services.log").open("ab") as log:
        keeper = subprocess.Popen(  # noqa: S603 - ourselves
            command if durable else [*command, "--not-durable"],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    _until(
        lambda: bool(home.read("state")) or keeper.poll() is not None, "The embedded services do not start"
    )
    assert keeper.stderr is not None
    if keeper.poll() is not None:
        lines = keeper.stderr.read().decode(errors="replace").splitlines()
        raise ServicesUnavailable(
            lines[-1] if lines else f"The embedded services ended at once: see {home.logs}"
        )
    keeper.stderr.close()
    keeper.returncode = 0  # it outlives us by design: no ResourceWarning at the end


def _end_keeper(home: Home) -> None:
    """Tell the keeper to end and wait for it. The caller holds the door."""
    pid = home.read("state").get("keeper")
    if pid is not None and home.is_locked("keeper"):
        os.kill(pid, signal.SIGTERM)
    _until(lambda: not home.is_locked("keeper"), "The embedded services do not stop")


def _release_in(pid: int, used: Services) -> None:
    if os.getpid() == pid:  # not in a fork of ours
        used.release()


def _until(fulfilled: Callable[[], bool], complaint: str) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not fulfilled():
        if time.monotonic() > deadline:
            raise ServicesUnavailable(f"{complaint}.")
        time.sleep(0.02)
