"""`manage.py run` (make run): from nothing to a running portal with a demo fleet, and back on Ctrl-C."""

import argparse
import fcntl
import hashlib
import http.client
import json
import os
import secrets
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from foundation import embedded
from foundation.embedded.errors import unusable
from foundation.embedded.home import Home, take
from foundation.environment import Environment

from . import freshness, programs
from .children import MARK, end_leftovers, guard
from .output import Output
from .supervisor import GiveUp, Supervisor, Told

_READY_WITHIN_S = 180.0


class Run:
    """One run of an installation in its home."""

    def __init__(
        self, home: Home, output: Output, *, bind: str, port: int, url: str, shards: int, demo: bool
    ) -> None:
        self.home = home
        self.output = output
        self.bind = bind
        self.port = port
        self.url = url
        self.shards = shards
        self.demo = demo
        self.mark = f"{family(home)}-{secrets.token_hex(4)}"
        self.supervisor = Supervisor(output, look=self.look_after_services)
        self.services: embedded.Services | None = None
        self.restarts: dict[str, int] = {}
        self.environ = dict(os.environ)

    def work(self) -> None:
        """Start everything in order, then watch; ends by Told or GiveUp."""
        began = time.monotonic()
        self.output.say(f"Greenroom starts; its home is {self.home.path}")
        self.supervisor.listen()
        left = end_leftovers(family(self.home))
        if left:
            self.output.say(f"Ended {left} processes an earlier run had left behind.")
        for port in (self.port, self.port + 1):
            self.claim(port)
        guard(self.mark)
        self.provide_services()
        self.prepare()
        self.start_servers()
        if self.demo:
            self.load_demo()
            self.start_demo()
        self.supervisor.ready = True
        self.home.write("supervisor", {"pid": os.getpid(), "url": self.url, "ready": True})
        self.announce(time.monotonic() - began)
        while True:
            self.supervisor.turn()

    def stop(self) -> None:
        """Stop what this run started, and the services unless somebody else uses them."""
        self.supervisor.stop()
        if self.services is not None:
            self.services.release()
        self.home.forget("supervisor")

    # -- steps -----------------------------------------------------------------------------------------

    def claim(self, port: int) -> None:
        """Raises GiveUp where another program listens on `port`."""
        with socket.socket(socket.AF_INET6 if ":" in self.bind else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((self.bind, port))
            except OSError as error:
                what = "the portal" if port == self.port else "heartbeats, GREENROOM_PORT + 1"
                raise GiveUp(
                    f"Port {port} of {self.bind} cannot be used for {what}: {(error.strerror or '').lower()}. "
                    "Set GREENROOM_PORT to another, as in: make run GREENROOM_PORT=8100"
                ) from None

    def provide_services(self) -> None:
        """Start PostgreSQL and Redis, or use those the environment names."""
        self.services = embedded.provide(self.environ, self.home.path)
        if self.services is None:
            self.output.say("Using the PostgreSQL and Redis of DATABASE_URL and REDIS_URL.")
        else:
            self.output.say("PostgreSQL and Redis run.")
            self.restarts = self.services.restarts()
        self.environ |= {
            "GREENROOM_HOME": str(self.home.path),
            "GREENROOM_PORT": str(self.port),
            "GREENROOM_BIND": self.bind,
            "DJANGO_SETTINGS_MODULE": "portal.settings",
            "PYTHONUNBUFFERED": "1",
            MARK: self.mark,
        }

    def prepare(self) -> None:
        """Bring database and static files up to date, both at once; nothing where nothing has changed."""
        done = self.home.read("prepared")
        code, assets = freshness.code(), freshness.assets()
        database = freshness.database(self.environ["GREENROOM_OWNER_DATABASE_URL"])
        static = Path(self.environ.get("GREENROOM_STATIC_ROOT") or self.home.path / "static")
        jobs = []
        if not database or (done.get("code"), done.get("database")) != (code, database):
            self.output.say("Bringing the database up to date.")
            jobs.append(self.job("migrate", "migrate", "--database", "owner", "--no-input"))
        if done.get("assets") != assets or not static.is_dir():
            jobs.append(self.job("assets", "collectstatic", "--no-input", "--verbosity", "0"))
        self.supervisor.finish(*jobs)
        if jobs:
            database = freshness.database(self.environ["GREENROOM_OWNER_DATABASE_URL"])
            self.home.write("prepared", {**done, "code": code, "assets": assets, "database": database})

    def job(self, name: str, *arguments: str) -> Any:
        """Start a command that ends by itself."""
        return self.supervisor.start(name, programs.manage(*arguments), self.environ, keep=False)

    def start_servers(self) -> None:
        """Start the processes together and wait until they serve; drains have a worker of their own."""
        (self.home.path / "scheduler").mkdir(mode=0o700, exist_ok=True)
        programs.allow_many_connections()
        commands = {
            "web": programs.web(bind=self.bind, port=self.port),
            "ingest": programs.ingest(bind=self.bind, port=self.port + 1),
            "drain": programs.worker(serving=programs.HEARTBEATS, concurrency=self.shards),
            "worker": programs.worker(serving=programs.EVERYTHING_ELSE, concurrency=2),
            "scheduler": programs.scheduler(home=self.home.path),
        }
        for name, command in commands.items():
            self.supervisor.start(name, command, self.environ)
        self.output.say("Starting web, ingest, workers and scheduler.")
        for name, port, path in (("web", self.port, "/readyz"), ("ingest", self.port + 1, "/healthz")):
            probe = _Probe(self.bind, port, path)
            self.supervisor.until(
                probe.succeeds,
                within_s=_READY_WITHIN_S,
                otherwise=f"{name} was not ready within {_READY_WITHIN_S:.0f} s: see {self.output.logs}",
            )

    def load_demo(self) -> None:
        """Load the demo once for this code, database and address; the command is safe to repeat."""
        done = self.home.read("prepared")
        wanted = [done.get("code"), done.get("database"), self.url]
        if done.get("demo") == wanted and self.demo_file.exists() and (self.home.path / "agent").exists():
            return
        if not programs.has("portal.management.commands.demo"):
            return
        self.output.say("Loading the demo.")
        self.supervisor.finish(self.job("demo", "demo"))
        self.home.write("prepared", {**done, "demo": wanted})

    def start_demo(self) -> None:
        """Start the agent of this machine, which the demo has enrolled, and the demo fleet."""
        agent_home = self.home.path / "agent"
        if agent_home.exists() and programs.has("agent.__main__"):
            self.supervisor.start("agent", programs.agent(home=agent_home), self.environ)
        if programs.has("portal.management.commands.simulate"):
            self.supervisor.start("fleet", programs.manage("simulate", "--demo"), self.environ)

    @property
    def demo_file(self) -> Path:
        """Where the demo command writes its sign-ins."""
        return self.home.path / "demo.json"

    def announce(self, took_s: float) -> None:
        """Tell the address and the demo sign-ins."""
        say = self.output.say
        say("")
        say(f"Greenroom is ready at {self.url} ({took_s:.0f} s)")
        if self.demo and self.demo_file.exists():
            people = json.loads(self.demo_file.read_text())["people"]
            columns = [
                (p["email"], p["password"], f"{p['role']}, {p['customer'] or 'all customers'}")
                for p in people
            ]
            # Shown, not logged: logs get passed on.
            widths = [max(len(row[i]) for row in columns) for i in range(2)] if columns else [0, 0]
            for email, password, role in columns:
                self.output.show(f"  {email:<{widths[0]}}  {password:<{widths[1]}}  {role}")
            say(f"Sign-ins and tokens are kept in {self.demo_file}")
        say(f"Logs: {self.output.logs}   Stop: Ctrl-C")
        say("")

    # -- what is no child of ours ----------------------------------------------------------------------

    def look_after_services(self) -> None:
        """Tell of servers that were restarted; where their keeper itself is gone, start it again."""
        if self.services is None:
            return
        restarts = self.services.restarts()
        for name, count in restarts.items():
            if count > self.restarts.get(name, 0):
                self.output.say(f"{name} ended: started again.")
        self.restarts = restarts or self.restarts
        if embedded.running(self.home.path) is None:
            try:
                again = embedded.services(self.home.path)
            except embedded.ServicesUnavailable as error:
                self.output.say(f"{error} Trying again.")
                return
            self.services.release()
            self.services, self.restarts = again, again.restarts()
            self.output.say("PostgreSQL and Redis were gone: started again.")


def family(home: Home) -> str:
    """What the marks of all runs of one home begin with."""
    return hashlib.sha256(os.fsencode(home.path)).hexdigest()[:16]


class _Probe:
    """Whether an address answers 200; asked at most five times a second."""

    def __init__(self, host: str, port: int, path: str) -> None:
        self.host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - asked, not bound
        self.port = port
        self.path = path
        self._asked_at = 0.0

    def succeeds(self) -> bool:
        if time.monotonic() - self._asked_at < 0.2:
            return False
        self._asked_at = time.monotonic()
        connection = http.client.HTTPConnection(self.host, self.port, timeout=2)
        try:
            connection.request("GET", self.path)
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def main(arguments: Sequence[str]) -> int | str:
    """Run until told to stop. Returns an exit code, or the one line that says why it could not run."""
    parser = argparse.ArgumentParser(
        prog="manage.py run", description="Run a whole installation on this machine."
    )
    parser.add_argument("--verbose", action="store_true", help="show every line of every process")
    verbose = parser.parse_args(arguments).verbose
    settings = Environment()
    port = settings.integer("GREENROOM_PORT", 8000, "", least=1, most=65534)
    bind = settings.text("GREENROOM_BIND", "127.0.0.1", "")
    url = settings.text("GREENROOM_URL", f"http://localhost:{port}", "").rstrip("/")
    mode = settings.text("GREENROOM_MODE", "demo", "", one_of=("demo", "production"))
    shards = settings.integer("GREENROOM_STREAM_SHARDS", 2, "", least=1, most=32)
    settings.finish()
    home = Home(embedded.home_path(os.environ))
    home.prepare()
    if not take(home.open_lock("supervisor"), fcntl.LOCK_EX, wait=False):  # held until we end
        other = home.read("supervisor")
        return f"Greenroom already runs from {home.path} (pid {other.get('pid', '?')}, {other.get('url', 'starting')})."
    output = Output(home.logs, verbose=verbose)
    run = Run(home, output, bind=bind, port=port, url=url, shards=shards, demo=mode == "demo")
    home.write("supervisor", {"pid": os.getpid(), "url": url, "ready": False})
    try:
        run.work()
    except Told:
        output.say("Stopping.")
    except (GiveUp, embedded.ServicesUnavailable) as error:
        return str(error)
    except OSError as error:
        return str(unusable(home.path, error))
    finally:
        run.stop()
    output.say("Greenroom has stopped.")
    return 0
