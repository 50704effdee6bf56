"""`manage.py rotate_secrets`: a new key for stored secrets, and the end of the old ones."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from foundation import clock, rotation, secrets
from foundation.errors import DomainError
from tenancy import tenants


class Command(BaseCommand):
    help = (
        "Make a new key, seal every stored secret with it and say what is left. The old keys still open what they "
        "sealed; --drop-old forgets them once nothing needs them. Safe to interrupt and to repeat: --reseal goes on."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--reseal", action="store_true", help="make no new key, only seal again")
        what.add_argument(
            "--drop-old", action="store_true", help="forget the keys that nothing needs any more"
        )
        what.add_argument("--status", action="store_true", help="only say which key holds what")

    def handle(self, *args: Any, **options: Any) -> None:
        everybody = tenants.all_ids()
        try:
            if options["drop_old"]:
                gone = rotation.drop_old_keys(everybody, at=clock.now())
                self.stdout.write(f"Forgotten: {', '.join(gone)}." if gone else "There is no old key.")
                return
            if not options["status"]:
                if not options["reseal"]:
                    self.stdout.write(f"New key {rotation.add_key()}: it seals from now on.")
                self.stdout.write(f"Sealed again: {rotation.reseal(everybody)}.")
        except DomainError as error:
            raise CommandError(error.message) from error
        left = rotation.under(everybody)
        for key_id in secrets.keys().by_id:
            newest = key_id == secrets.keys().newest
            self.stdout.write(
                f"{key_id}: " + ("the newest" if newest else f"{left.pop(key_id, 0)} secrets left")
            )
        for key_id, number in left.items():
            self.stdout.write(f"{key_id}: {number} secrets that no key opens")
