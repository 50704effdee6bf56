"""A row of a table that was read, whatever the kind of its file."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import NamedTuple

from foundation.errors import NotValid

MOST_COLUMNS = 200
MOST_ROWS = 250_000
LONGEST_CELL = 32_767  # characters, as spreadsheets have it


class Odd(enum.StrEnum):
    """A cell that holds no value."""

    FORMULA = "formula"
    ERROR = "error"


Cell = str | Odd


class TableRow(NamedTuple):
    """`number`: from 1, as a spreadsheet shows it. Cells without spaces around them; the last one is not empty."""

    number: int
    cells: Sequence[Cell]


def trimmed(number: int, cells: list[Cell]) -> TableRow | None:
    """The row; None for one without anything in it."""
    while cells and cells[-1] == "":
        cells.pop()
    return TableRow(number, cells) if cells else None


def column_name(place: int) -> str:
    """A, B … Z, AA …, from 0."""
    name = ""
    place += 1
    while place:
        place, rest = divmod(place - 1, 26)
        name = chr(65 + rest) + name
    return name


def too_many_rows() -> NotValid:
    return NotValid(
        f"The table has more than {MOST_ROWS:,} rows. Divide it into several files.", field="file"
    )


def too_many_columns(number: int) -> NotValid:
    return NotValid(f"Row {number} has more than {MOST_COLUMNS} columns.", field="file")


def too_long(number: int) -> NotValid:
    return NotValid(
        f"A cell of row {number} is longer than {LONGEST_CELL:,} characters. "
        "Perhaps a quotation mark before it is not closed.",
        field="file",
    )
