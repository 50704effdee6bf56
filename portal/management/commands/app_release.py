"""Adds a published version of the meeting app: devices two lines behind get the signal app_version with their next
change, at the latest when they are heard after a restart."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from foundation.errors import NotValid
from incidents import releases


class Command(BaseCommand):
    help = "Adds a published version of the meeting app, with the page that says so."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("version", help="such as 5.1.23.0")
        parser.add_argument("--published", required=True, type=date.fromisoformat, help="such as 2026-10-01")
        parser.add_argument("--source", required=True, help="https://…")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            row = releases.add_release(
                options["version"], released_at=options["published"], source=options["source"]
            )
        except NotValid as error:
            raise CommandError(error.message) from None
        self.stdout.write(f"{row.version}, published {row.released_at}, is known.")
