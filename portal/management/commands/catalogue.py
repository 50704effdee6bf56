"""The shared rows of the catalogue of makes and models: checked, loaded, listed by origin, taken back.

manage.py catalogue load                      the rows of this version of the product, as every start does
manage.py catalogue load ours.csv             rows of your own file; they go before the product's
manage.py catalogue check ours.csv            every problem of a file, and nothing is changed
manage.py catalogue remove ours               take the rows of ours.csv back
manage.py catalogue list
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.db.models import Count

from fleet import catalog_files
from fleet.catalog_files import BUILT_IN, BadFile, Loaded
from fleet.models import CatalogEntry
from foundation import clock
from foundation.context import tenant
from tenancy import audit
from tenancy.models import Tenant


class Command(BaseCommand):
    help = "Check, load, list and take back the shared rows of the catalogue of makes and models."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        load = actions.add_parser("load", help="put a file's rows into the catalogue, or the product's own")
        load.add_argument("file", nargs="?", type=Path)
        check = actions.add_parser("check", help="name every problem of a file")
        check.add_argument("file", type=Path)
        remove = actions.add_parser("remove", help="take the rows of a file back")
        remove.add_argument("origin", help="the file's name without its ending")
        actions.add_parser("list", help="how many rows came from where")

    def handle(self, *args: Any, action: str, **given: Any) -> None:
        try:
            said = getattr(self, f"_{action}")(**given)
        except BadFile as error:
            for problem in error.problems:
                self.stderr.write(problem)
            raise CommandError(error.message) from error
        except OSError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(said)

    def _load(self, *, file: Path | None, **_: Any) -> str:
        if file is None:
            return self._put(catalog_files.built_in(), BUILT_IN)
        origin = _origin(file)
        return self._put(catalog_files.read(file, origin=origin), origin)

    def _check(self, *, file: Path, **_: Any) -> str:
        return f"{len(catalog_files.read(file, origin=_origin(file)))} rows, all of them good."

    def _remove(self, *, origin: str, **_: Any) -> str:
        if origin == BUILT_IN:
            raise CommandError("The product's own rows stay: a file of yours goes before them.")
        if not CatalogEntry.objects.filter(origin=origin).exists():
            raise CommandError(f"No row came from {origin}.")
        with transaction.atomic():
            said = self._put([], origin)
            catalog_files.load_built_in()  # what that file had taken over
        return said

    def _list(self, **_: Any) -> str:
        counted = CatalogEntry.objects.order_by("origin").values_list("origin").annotate(rows=Count("id"))
        return "\n".join(f"{origin}: {rows} rows" for origin, rows in counted) or "No rows."

    def _put(self, rows: list[CatalogEntry], origin: str) -> str:
        with transaction.atomic():
            loaded = catalog_files.load(rows, origin=origin)
            if loaded.added or loaded.changed or loaded.removed:
                _record(origin, loaded)
        kept = f", {loaded.kept} left to another file" if loaded.kept else ""
        return f"{origin}: {loaded.added} added, {loaded.changed} changed, {loaded.removed} removed{kept}."


def _origin(file: Path) -> str:
    origin = file.stem[:80]
    if origin == BUILT_IN:
        raise CommandError(f"{BUILT_IN} is the name of the product's own rows. Give the file another one.")
    return origin


def _record(origin: str, loaded: Loaded) -> None:
    """In the operator's own log: the rows belong to no customer."""
    after = {"added": loaded.added, "changed": loaded.changed, "removed": loaded.removed}
    for operator in Tenant.objects.filter(kind=Tenant.Kind.OPERATOR).order_by("number"):
        with tenant(operator.id):
            audit.record("catalogue.load", tenant_id=operator.id, at=clock.now(), after=after, name=origin)
