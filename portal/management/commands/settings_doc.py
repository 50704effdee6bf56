"""Writes docs/settings.md from the settings the code reads, or checks that it is up to date."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from portal.settings import BASE_DIR, environment

PATH = BASE_DIR / "docs" / "settings.md"
HEAD = """# Settings

Read from the environment once, at start. A bad value ends the process with one line that names it.
This page is made from the code: `manage.py settings_doc`.

Set all four service addresses (`DATABASE_URL`, `GREENROOM_OWNER_DATABASE_URL`, `GREENROOM_SWEEP_DATABASE_URL`,
`REDIS_URL`) or none: with none, Greenroom starts its own PostgreSQL and Redis-compatible server in `GREENROOM_HOME`.

| Setting | Default | Values | Meaning |
|---|---|---|---|
"""


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="Fail if the page differs from the code.")

    def handle(self, *args: Any, check: bool, **options: Any) -> None:
        page = HEAD + "".join(
            f"| `{each.name}` | {_cell(each.default)} | {each.kind} | {each.meaning} |\n"
            for each in sorted(environment.settings, key=lambda each: each.name)
        )
        if check and (not PATH.exists() or PATH.read_text() != page):
            raise CommandError("docs/settings.md is not what the code says: run manage.py settings_doc")
        if not check:
            PATH.write_text(page)
            self.stdout.write(f"{PATH.relative_to(settings.BASE_DIR)}: {len(environment.settings)} settings")


def _cell(default: str) -> str:
    return default if not default or default.startswith("`") or " " in default else f"`{default}`"
