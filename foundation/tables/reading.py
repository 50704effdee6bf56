"""A table that somebody sent, as rows: CSV or XLSX, told apart by how it begins."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from itertools import islice
from typing import IO, NamedTuple

from foundation import files
from foundation.errors import NotValid
from foundation.tables.csv_reading import read_csv
from foundation.tables.rows import Cell, TableRow, column_name
from foundation.tables.xlsx_reading import LOCKED_OR_OLD, read_xlsx

CSV = files.FileKind("text/csv", b"")  # text has no beginning of its own; the reader refuses what is none
ACCEPTED = (files.XLSX, CSV)
LARGEST_BYTES = 50_000_000
SAMPLE = 5
LONGEST_HEADER = 120


class Head(NamedTuple):
    """The names of the columns and the first rows below them."""

    header: list[str]
    sample: list[list[Cell]]


def read_table(source: IO[bytes]) -> Generator[TableRow]:
    """Rows that hold something, the header first. `source` can seek. Raises NotValid (field `file`).

    Whoever does not read to the end closes the generator before the source.
    """
    source.seek(0)
    start = source.read(8)
    if start.startswith(LOCKED_OR_OLD):
        told = "This is an old .xls file, or a workbook under a password. Save it as .xlsx without one."
        raise NotValid(told, field="file")
    source.seek(0)
    return read_xlsx(source) if start.startswith(files.XLSX.magic) else read_csv(source)


def head_of(source: IO[bytes]) -> Head:
    """Raises NotValid for a table without rows, or with a header that names two columns alike."""
    with closing(read_table(source)) as rows:
        first = next(rows, None)
        sample = [list(row.cells) for row in islice(rows, SAMPLE)]
    if first is None:
        raise NotValid("The file is empty.", field="file")
    header = [each if isinstance(each, str) else "" for each in first.cells]
    named: dict[str, int] = {}
    for place, name in enumerate(header):
        if len(name) > LONGEST_HEADER:
            told = f"The name of column {column_name(place)} is longer than {LONGEST_HEADER} characters."
            raise NotValid(f"{told} Is the first row the names of the columns?", field="file")
        before = named.setdefault(name.casefold(), place) if name else place
        if before != place:
            both = f"{column_name(before)} and {column_name(place)}"
            raise NotValid(f"Two columns are called {name}: {both}. Name each only once.", field="file")
    if not sample:
        raise NotValid("The file has no rows below the names of its columns.", field="file")
    return Head(
        [name or f"Column {column_name(place)}" for place, name in enumerate(header)],
        [row[: len(header)] for row in sample],
    )
