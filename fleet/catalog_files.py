"""The shared rows of the catalogue as data files: read, checked whole, and put into the table.

A file is CSV in UTF-8 with the columns of COLUMNS. A source is an address in full or a key of `catalog_data/sources.csv`.
Every row needs at least one; what is not known is empty. docs/catalogue.md describes the columns.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from uuid import UUID, uuid5

from django.db import transaction

from fleet import catalog
from fleet.models import CatalogEntry
from foundation.errors import DomainError

BUILT_IN = "greenroom"  # origin of the rows that come with the product
FOLDER = Path(__file__).resolve().parent / "catalog_data"
COLUMNS = (
    "make",
    "model",
    "also_known_as",
    "kind",
    "platform",
    "certification",
    "certified_until",
    "support_ends",
    "good_firmware",
    "usb_ids",
    "note",
    "sources",
)
SEPARATOR = ";"  # between several names or ids in one cell
_NAMESPACE = UUID("6c1f3f0e-5d0b-4a0e-9f0a-3b1f7b9a2c11")  # ids of shared rows; never changes
_FIELDS = (*COLUMNS, "source_date", "keys", "sort_key", "words", "origin")
MOST_ROWS = 20_000


class BadFile(DomainError):
    """`problems`: every one, as "line 12, kind: …"."""

    code = "invalid"

    def __init__(self, name: str, problems: list[str]) -> None:
        super().__init__(f"{name} has {len(problems)} problems. The first: {problems[0]}")
        self.problems = problems


@dataclass(frozen=True)
class Source:
    address: str
    day: date | None


@dataclass(frozen=True)
class Loaded:
    """`kept`: rows of the file that another file has too, which goes before the built-in one."""

    added: int
    changed: int
    removed: int
    kept: int


def built_in() -> list[CatalogEntry]:
    """The rows that come with the product. Raises BadFile."""
    rows: list[CatalogEntry] = []
    for path in sorted(FOLDER.glob("*.csv")):
        if path.name != "sources.csv":
            rows += read(path, origin=BUILT_IN, sources=_sources())
    _once(rows, "The catalogue's files")
    return rows


def read(path: Path, *, origin: str, sources: Mapping[str, Source] | None = None) -> list[CatalogEntry]:
    """The rows of one file, unsaved. Raises BadFile, which names every problem; OSError where it cannot be read."""
    problems: list[str] = []
    rows: list[CatalogEntry] = []
    with path.open(encoding="utf-8-sig", newline="") as file:
        try:
            lines = csv.DictReader(file, strict=True)
            unknown = sorted(set(lines.fieldnames or ()) ^ set(COLUMNS))
            if unknown:
                raise BadFile(
                    path.name, [f"line 1: these columns are missing or unknown: {', '.join(unknown)}"]
                )
            for cells in lines:
                row, wrong = _row(cells, origin=origin, sources=sources or _sources())
                problems += [f"line {lines.line_num}, {each}" for each in wrong]
                rows.append(row)
                if len(rows) > MOST_ROWS:
                    raise BadFile(path.name, [f"more than {MOST_ROWS} rows"])
        except (UnicodeDecodeError, csv.Error) as error:
            raise BadFile(path.name, [f"no CSV in UTF-8: {error}"]) from error
    if problems:
        raise BadFile(path.name, problems)
    _once(rows, path.name)
    return rows


def load(rows: Iterable[CatalogEntry], *, origin: str, using: str = "default") -> Loaded:
    """Make the table hold exactly these rows of `origin`. Repeating it changes nothing.

    A row that another origin has as well becomes this one's; only the built-in one gives way.
    """
    table = CatalogEntry.objects.using(using)
    with transaction.atomic(using=using):
        there = {row.id: row for row in table.select_for_update().order_by("id")}
        added, changed, kept, named = [], [], 0, set()
        for row in rows:
            old = there.get(row.id)
            if old is not None and origin == BUILT_IN and old.origin != BUILT_IN:
                kept += 1
                continue
            named.add(row.id)
            if old is None:
                added.append(row)
            elif any(getattr(old, name) != getattr(row, name) for name in _FIELDS):
                changed.append(row)
        gone = [row.id for row in there.values() if row.origin == origin and row.id not in named]
        table.filter(id__in=gone).delete()
        table.bulk_create(added, batch_size=500)
        table.bulk_update(changed, _FIELDS, batch_size=200)
    return Loaded(len(added), len(changed), len(gone), kept)


def load_built_in(*, using: str = "default") -> Loaded:
    """What every start does after migrations. Raises BadFile."""
    return load(built_in(), origin=BUILT_IN, using=using)


def id_of(make: str, model: str, platform: str) -> UUID:
    """The same for the same make, model and platform, in every installation."""
    return uuid5(_NAMESPACE, f"{catalog.key_of(make, model)}|{platform}")


def _row(
    cells: Mapping[str | None, str | list[str] | None], *, origin: str, sources: Mapping[str, Source]
) -> tuple[CatalogEntry, list[str]]:
    said = {name: str(cells.get(name) or "").strip() for name in COLUMNS}
    wrong = ["this line has more cells than columns"] if None in cells else []
    named = [sources.get(each) or Source(each, None) for each in _several(said["sources"])]
    row = CatalogEntry(
        make=said["make"],
        model=said["model"],
        also_known_as=_several(said["also_known_as"]),
        kind=said["kind"],
        platform=said["platform"],
        certification=said["certification"] or CatalogEntry.Certification.UNKNOWN,
        certified_until=_day(said["certified_until"], "certified_until", wrong),
        support_ends=_day(said["support_ends"], "support_ends", wrong),
        good_firmware=said["good_firmware"],
        usb_ids=[each.lower() for each in _several(said["usb_ids"])],
        note=said["note"],
        sources=[source.address for source in named],
        source_date=named[0].day if named else None,
        origin=origin,
    )
    wrong += catalog.problems(row)
    if not named or not all(source.address.startswith(("https://", "http://")) for source in named):
        wrong.append("sources: each row needs one, an address or a key of sources.csv")
    row.id = id_of(row.make, row.model, row.platform)
    catalog.fill(row)
    return row, wrong


def _several(cell: str) -> list[str]:
    return [each.strip() for each in cell.split(SEPARATOR) if each.strip()]


def _day(cell: str, column: str, wrong: list[str]) -> date | None:
    try:
        return date.fromisoformat(cell) if cell else None
    except ValueError:
        wrong.append(f"{column}: this is no day such as 2027-08-15")
        return None


def _sources() -> dict[str, Source]:
    with (FOLDER / "sources.csv").open(encoding="utf-8", newline="") as file:
        return {
            line["source"]: Source(line["address"], date.fromisoformat(line["day"]) if line["day"] else None)
            for line in csv.DictReader(file)
        }


def _once(rows: Iterable[CatalogEntry], name: str) -> None:
    again = list(_repeated(rows))
    if again:
        raise BadFile(name, again)


def _repeated(rows: Iterable[CatalogEntry]) -> Iterator[str]:
    seen: set[UUID] = set()
    for row in rows:
        if row.id in seen:
            yield f"{row} for {row.platform} is there twice"
        seen.add(row.id)
