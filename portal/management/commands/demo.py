"""Loads the demo once: two customers with 60 rooms, people, keys, and this very machine as a room."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from foundation import clock
from portal.demo.load import Known, keep, load

ENROLL_S = 120


class Command(BaseCommand):
    help = __doc__

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.PRODUCTION:
            raise CommandError("There is no demo in production.")
        home = Path(settings.GREENROOM_HOME)
        machine = socket.gethostname()[:100] or "This machine"
        with clock.read_once():
            known = Known.read(home)
            loaded = load(
                settings.GREENROOM_URL, machine=machine, known=known, at=clock.now(), say=self.stdout.write
            )
        keep(loaded, home)
        self._enroll_this_machine(home / "agent", loaded.machine_key, machine)

    def _enroll_this_machine(self, agent_home: Path, key: str, room: str) -> None:
        """The agent enrolls as it would anywhere: over HTTP, with a key."""
        command = [sys.executable, "-m", "agent", "enroll", "--home", str(agent_home)]
        command += ["--url", settings.GREENROOM_URL, "--room", room]
        ended = subprocess.run(  # noqa: S603 - our own program
            command,
            cwd=settings.BASE_DIR,
            env={**os.environ, "GREENROOM_KEY": key},
            capture_output=True,
            text=True,
            timeout=ENROLL_S,
            check=False,
        )
        if ended.returncode:
            raise CommandError(f"This machine could not be enrolled: {ended.stderr.strip()[-500:]}")
        self.stdout.write(f"This machine is enrolled as room {room}")
