"""The command line of each process: the same for the supervisor, the single commands and the containers."""

import importlib.util
import os
import resource
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).parents[2]
# workers.queues by name: importing it would load Celery and Django. A test compares.
HEARTBEATS = ("ingest",)
EVERYTHING_ELSE = ("detect", "act", "report")


def web(*, bind: str, port: int) -> list[str]:
    """Portal and API: Django behind a few threads; waiting belongs to the ingest process."""
    return [
        *(sys.executable, "-m", "granian", "--interface", "wsgi", "--host", bind, "--port", str(port)),
        *("--http", "1", "--no-ws", "--workers", "1", "--blocking-threads", "4", "--backpressure", "128"),
        *("--workers-kill-timeout", "10", "portal.wsgi:application"),
    ]


def ingest(*, bind: str, port: int) -> list[str]:
    """Heartbeats and long polls: asynchronous, a connection for every waiting device."""
    return [
        *(sys.executable, "-m", "granian", "--interface", "rsgi", "--host", bind, "--port", str(port)),
        *("--http", "1", "--no-ws", "--workers", "1", "--backlog", "4096", "--backpressure", "16384"),
        *("--workers-kill-timeout", "10", "portal.api.heartbeats:app"),
    ]


def worker(*, serving: Sequence[str], concurrency: int = 4) -> list[str]:
    """Everything periodic and later; gossip and mingle cost Redis round trips nobody reads."""
    return [
        *(sys.executable, "-m", "celery", "-A", "workers.celery_app", "worker", "--loglevel", "INFO"),
        *("--without-gossip", "--without-mingle", "--concurrency", str(concurrency)),
        *("--queues", ",".join(serving), "--hostname", f"{'-'.join(serving)}@%h"),
    ]


def scheduler(*, home: Path) -> list[str]:
    """Rings for what is periodic; its file only remembers when it last rang."""
    return [
        *(sys.executable, "-m", "celery", "-A", "workers.celery_app", "beat", "--loglevel", "INFO"),
        *("--pidfile", "", "--schedule", str(home / "scheduler" / "schedule")),
    ]


def agent(*, home: Path) -> list[str]:
    """The agent of this very machine."""
    return [sys.executable, "-m", "agent", "run", "--home", str(home)]


def manage(*arguments: str) -> list[str]:
    """A command of manage.py."""
    return [sys.executable, str(ROOT / "manage.py"), *arguments]


def become(command: list[str]) -> NoReturn:
    """Replace this process by `command`, which then also keeps using the embedded services."""
    allow_many_connections()
    os.chdir(ROOT)
    sys.stdout.flush()
    os.execv(command[0], command)  # noqa: S606 - our own programs


def has(module: str) -> bool:
    """Whether the installation brings `module`; it is not imported."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def allow_many_connections() -> None:
    """Raise the limit of open files to what the system grants this process: each waiting device holds one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or soft < hard:
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (hard if hard != resource.RLIM_INFINITY else max(soft, 65_536), hard)
        )
