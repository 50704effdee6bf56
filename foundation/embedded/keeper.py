"""The process that keeps PostgreSQL and Valkey of one home running for as long as somebody uses them.

`python -m foundation.embedded.keeper HOME` is started by the first user (a command, the supervisor, a test run)
and belongs to none: it restarts a server that dies and ends, with the servers, when told so or when the last
user is gone, however that user went. It holds the lock `keeper` for its whole life, so no pid needs guessing.
"""

import argparse
import fcntl
import os
import select
import signal
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from .daemon import Daemon
from .errors import ServicesUnavailable, unusable
from .home import Home, is_free, take
from .postgres import Postgres, installation
from .privilege import choose
from .valkey import Valkey

_START_PATIENCE_S = 90.0
_SLOWEST_RESTART_S = 5.0
_STEADY_S = 30.0  # after so long a server counts as healthy again


class Keeper:
    """Servers of a home, watched."""

    def __init__(self, home: Home, *, durable: bool) -> None:
        self.home = home
        self.told_to_stop = False
        privilege = choose(home, installation() / "bin" / "postgres")
        self.postgres = Postgres(home, privilege, durable=durable)
        self.watched = [_Watched(self.postgres), _Watched(Valkey(home, privilege, durable=durable))]
        self.durable = durable
        for watched in self.watched:
            self._hold(watched.daemon).unlink(missing_ok=True)  # of somebody who was killed while holding
        self._wakeup, self._woken = os.pipe()
        os.set_blocking(self._woken, False)

    def start(self) -> None:
        """Start both servers and wait until they answer; raises ServicesUnavailable with the reason."""
        for watched in self.watched:
            _spawn_on_a_free_port(watched.daemon)
        deadline = time.monotonic() + _START_PATIENCE_S
        for watched in self.watched:
            attempts = 0
            while not watched.daemon.answers():
                if not watched.daemon.alive():
                    attempts += 1
                    if attempts > 3:
                        raise ServicesUnavailable(
                            f"{watched.daemon.name} does not start: {watched.daemon.last_words()}"
                        )
                    self.home.port(
                        watched.daemon.name, fresh=not is_free(self.home.port(watched.daemon.name))
                    )
                    watched.daemon.spawn()
                if time.monotonic() > deadline:
                    raise ServicesUnavailable(
                        f"{watched.daemon.name} has not answered for {_START_PATIENCE_S:.0f} s: {watched.daemon.last_words()}"
                    )
                self.pause(0.05)
                if self.told_to_stop:
                    raise ServicesUnavailable("The embedded services were stopped while they started.")
        self.postgres.arrange()
        self.tell()

    def watch(self) -> None:
        """Restart what dies, heed holds, until told to stop or nobody is left."""
        round_number = 0
        while not self.told_to_stop:
            self.pause(0.1)
            round_number += 1
            changed = [watched.tend(held=self.is_held(watched.daemon)) for watched in self.watched]
            if any(changed):
                self.tell()
            if round_number % 5 == 0 and self.nobody_is_left():
                return
            if round_number % 600 == 0:
                for watched in self.watched:
                    watched.daemon.trim_log()

    def stop(self) -> None:
        """Stop both servers."""
        self.home.forget("state")
        for watched in reversed(self.watched):
            watched.daemon.stop()

    def tell(self) -> None:
        """Publish what runs."""
        servers = {
            w.daemon.name: {"pid": w.daemon.process.pid if w.daemon.process else None, "restarts": w.restarts}
            for w in self.watched
        }
        self.home.write("state", {"keeper": os.getpid(), "durable": self.durable, "servers": servers})

    def is_held(self, daemon: Daemon) -> bool:
        """Whether somebody wants this server to stay down for now (tests of what an outage does)."""
        return self._hold(daemon).exists()

    def _hold(self, daemon: Daemon) -> Path:
        return self.home.control / f"{daemon.name}.hold"

    def nobody_is_left(self) -> bool:
        """Whether no user remains; when so, the lock that lets new ones in stays taken until we are gone."""
        door = self.home.open_lock("door")
        users = self.home.open_lock("users")
        if take(door, fcntl.LOCK_EX, wait=False) and take(users, fcntl.LOCK_EX, wait=False):
            return True  # both descriptors stay open on purpose
        os.close(users)
        os.close(door)
        return False

    def pause(self, seconds: float) -> None:
        """Sleep; a signal ends the sleep and is remembered."""
        ready, _, _ = select.select([self._wakeup], [], [], seconds)
        if ready:
            os.read(self._wakeup, 64)
            self.told_to_stop = True

    def listen(self) -> None:
        """Take SIGTERM as the word to stop; the terminal's signals are for the users."""
        signal.set_wakeup_fd(self._woken)
        signal.signal(signal.SIGTERM, lambda *_: None)
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_IGN)


class _Watched:
    """A server and its record of restarts."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.restarts = 0
        self._wait_s = 0.0
        self._started_at = self._not_before = time.monotonic()

    def tend(self, *, held: bool) -> bool:
        """One look: start, restart or hold down the server; returns whether a process came or went."""
        now = time.monotonic()
        if held:
            went = self.daemon.process is not None
            self.daemon.stop()
            return went
        if self.daemon.alive():
            if now - self._started_at > _STEADY_S:
                self._wait_s = 0.0
            return False
        if now < self._not_before:
            return False
        if self.daemon.process is not None:  # it died, nobody held it
            self.restarts += 1
            _log(f"{self.daemon.name} died (exit {self.daemon.process.returncode}): starting it again")
        self._wait_s = min(_SLOWEST_RESTART_S, max(0.2, self._wait_s * 2))
        self._started_at, self._not_before = now, now + self._wait_s
        try:
            self.daemon.spawn()
        except (OSError, ServicesUnavailable) as error:  # a full disk may have room again soon
            _log(f"{self.daemon.name} does not start: {error}")
        return True


def _spawn_on_a_free_port(daemon: Daemon) -> None:
    daemon.end_leftovers()
    if not is_free(daemon.home.port(daemon.name)):
        daemon.home.port(daemon.name, fresh=True)
    daemon.spawn()


def _log(line: str) -> None:
    with suppress(OSError):  # a full disk must not keep the servers from being stopped
        os.write(sys.stdout.fileno(), f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {line}\n".encode())


def main() -> int:
    """Keep the services; the exit code is 0 unless they could not be started (state.json says why)."""
    parser = argparse.ArgumentParser()
    parser.add_argument("home", type=Path)
    parser.add_argument("--not-durable", action="store_true")
    arguments = parser.parse_args()
    home = Home(arguments.home)
    if not take(home.open_lock("keeper"), fcntl.LOCK_EX, wait=False):  # held until we end
        return 0
    keeper: Keeper | None = None
    try:
        keeper = Keeper(home, durable=not arguments.not_durable)
        keeper.listen()
        keeper.start()
        _log("started")
        os.dup2(sys.stdout.fileno(), sys.stderr.fileno())  # whoever started us listened to stderr until now
        keeper.watch()
    except OSError as error:
        return _give_up(home, unusable(home.path, error))
    except ServicesUnavailable as error:
        return _give_up(home, error)
    finally:
        if keeper is not None:
            keeper.stop()
        _log("stopped")
    return 0


def _give_up(home: Home, error: ServicesUnavailable) -> int:
    _log(str(error))
    with suppress(OSError):  # whoever started us may be gone
        sys.stderr.write(f"{error}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
