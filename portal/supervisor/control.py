"""`manage.py services`: see, stop or remove what runs in GREENROOM_HOME."""

import argparse
import os
import shutil
import signal
import time
from collections.abc import Sequence

from foundation import embedded
from foundation.embedded.home import Home
from foundation.embedded.privilege import SERVICE_HOME, service_data

_PATIENCE_S = 60.0


def main(arguments: Sequence[str]) -> int | str:
    """Returns an exit code or one line about what went wrong."""
    parser = argparse.ArgumentParser(prog="manage.py services", description=__doc__)
    parser.add_argument(
        "action",
        choices=("status", "stop", "remove"),
        nargs="?",
        default="status",
        help="remove: stop, then delete GREENROOM_HOME and all its data",
    )
    action = parser.parse_args(arguments).action
    home = Home(embedded.home_path(os.environ))
    if action == "status":
        return _status(home)
    _stop_supervisor(home)
    if embedded.stop(home.path):
        print("The embedded services have stopped.")
    if action == "remove":
        for folder in (home.path, service_data(home)):
            if folder.exists():
                shutil.rmtree(folder)
                print(f"Removed {folder}")
        if SERVICE_HOME.exists() and [entry.name for entry in SERVICE_HOME.iterdir()] == ["binaries"]:
            shutil.rmtree(SERVICE_HOME)  # no other home needs the copies
    return 0


def _status(home: Home) -> int:
    supervisor = home.read("supervisor") if home.is_locked("supervisor") else {}
    print(
        f"make run: {supervisor.get('url', 'starting')}, pid {supervisor.get('pid')}"
        if supervisor
        else "make run: no"
    )
    services = embedded.running(home.path)
    if services is None:
        print("embedded services: none")
        return 0
    for name, pid in services.pids().items():
        print(f"{name}: pid {pid}" + ("" if name == "keeper" else f", port {home.port(name)}"))
    return 0


def _stop_supervisor(home: Home) -> None:
    pid = home.read("supervisor").get("pid") if home.is_locked("supervisor") else None
    if pid is None:
        return
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _PATIENCE_S
    while home.is_locked("supervisor"):
        if time.monotonic() > deadline:
            raise embedded.ServicesUnavailable(f"The supervisor (pid {pid}) does not stop.")
        time.sleep(0.05)
    print("make run has stopped.")
