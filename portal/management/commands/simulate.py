"""Runs a fleet of simulated rooms against the HTTP API of a running installation."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from portal.simulation.device import Place
from portal.simulation.fleet import Fleet, read_plan


class Command(BaseCommand):
    help = __doc__
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("--demo", action="store_true", help="The demo's 60 rooms.")
        what.add_argument("--rooms", type=int, help="How many rooms to simulate.")
        parser.add_argument("--key", help="Enrollment key that approves by itself and allows simple clients.")
        parser.add_argument("--url", default=settings.GREENROOM_URL, help="Address of the portal.")
        parser.add_argument("--seed", type=int, default=1, help="The same seed lives the same life.")
        parser.add_argument(
            "--speed", type=float, default=1.0, help="How many times faster than its interval."
        )
        parser.add_argument("--time-zone", default="UTC", help="IANA zone of the rooms.")

    def handle(self, *args: Any, **options: Any) -> None:
        home = Path(settings.GREENROOM_HOME) / "simulate"
        if options["demo"]:
            plan = home / "demo-plan.json"
            if not plan.exists():
                raise CommandError("There is no demo fleet yet: run manage.py demo first.")
            places, state = read_plan(plan), home / "demo-state.json"
        else:
            if not options["key"] or options["rooms"] < 1:
                raise CommandError("--rooms wants a number above 0 and --key.")
            places = [
                Place(
                    options["key"], f"Simulated {options['seed']}-{n + 1:05d}", time_zone=options["time_zone"]
                )
                for n in range(options["rooms"])
            ]
            state = home / f"rooms-{options['seed']}-{options['rooms']}.json"
        self._run(Fleet(options["url"], places, seed=options["seed"], state=state, speed=options["speed"]))

    def _run(self, fleet: Fleet) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: fleet.stop())
        refused = fleet.enroll(self._progress)
        for reason in refused[:5]:
            self.stderr.write(f"Refused: {reason}")
        if refused and len(refused) == len(fleet.devices):
            raise CommandError("No device was taken.")
        self.stdout.write(
            f"{len(fleet.devices) - len(refused)} rooms report to {fleet.url}. Ctrl-C stops them."
        )
        fleet.live()
        self.stdout.write(f"Stopped after {fleet.posted} heartbeats.")

    def _progress(self, done: int, total: int) -> None:
        if done == total or done % 100 == 0:
            self.stdout.write(f"Enrolled {done} of {total}")
