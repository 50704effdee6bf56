"""Rows of a file on their way to changes: what a row says, what it will do, what is wrong with it. Pure values."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from fleet.search import words_of
from foundation.errors import NotValid
from foundation.tables.rows import Cell, Odd

LONGEST_SHOWN = 200
ODD = {
    Odd.FORMULA: "This cell holds a formula. Paste its value instead.",
    Odd.ERROR: "This cell shows an error of the spreadsheet.",
}


@dataclass(frozen=True)
class Column:
    """A property that a column of a file may hold. `names`: how files call it, as `folded` writes them."""

    key: str
    label: str
    names: frozenset[str]
    check: Callable[[str], Any]  # a cell that is not empty into a value; raises NotValid
    hint: str = ""


@dataclass(frozen=True)
class Problem:
    row: int
    column: str  # key of a Column; "" for the row as a whole
    message: str
    value: str = ""


@dataclass
class Line:
    """A row whose cells could be read. `values` holds what is not empty."""

    number: int
    values: dict[str, Any]
    texts: Mapping[str, str]  # as they stand in the file
    problems: list[Problem] = field(default_factory=list)

    def blame(self, column: str, message: str) -> None:
        self.problems.append(
            Problem(self.number, column, message, self.texts.get(column, "")[:LONGEST_SHOWN])
        )

    def get(self, name: str, default: Any = "") -> Any:
        return self.values.get(name, default)


@dataclass(frozen=True)
class Planned:
    """What a row will do. `keys`: what must be unique in the file, as (column, value); at most two."""

    number: int
    action: str  # of ImportRow.Action
    target_id: UUID
    name: str
    values: Mapping[str, Any]
    keys: Sequence[tuple[str, str]]
    room_id: UUID | None = None
    version: int | None = None
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None

    def digests(self) -> tuple[str, str]:
        found = [digest(value) if value else "" for _, value in self.keys]
        return (found[0] if found else "", found[1] if len(found) > 1 else "")


def named(key: str, label: str, check: Callable[[str], Any], *names: str, hint: str = "") -> Column:
    return Column(key, label, frozenset(folded(each) for each in (key, label, *names)), check, hint)


def folded(name: str) -> str:
    """A header without case, accents, spaces and signs."""
    return "".join(words_of(name.replace("_", " ")))


def guessed(columns: Iterable[Column], header: Sequence[str]) -> dict[str, int]:
    """Which place holds which property, by the names of the header; each place and property once."""
    found: dict[str, int] = {}
    for place, name in enumerate(header):
        wanted = folded(re.sub(r"\(.*?\)", "", name))
        for column in columns:
            if wanted in column.names and column.key not in found:
                found[column.key] = place
                break
    return found


def read_line(
    columns: Mapping[str, Column],
    places: Mapping[str, int],
    number: int,
    cells: Sequence[Cell],
    *,
    required: Iterable[str] = (),
) -> Line:
    """A row by the mapping: its values, and what is wrong with single cells. `required`: what must not be empty."""
    texts: dict[str, str] = {}
    line = Line(number, {}, texts)
    for key, place in places.items():
        cell = cells[place] if place < len(cells) else ""
        if isinstance(cell, Odd):
            line.blame(key, ODD[cell])
        elif cell:
            texts[key] = cell
            try:
                line.values[key] = columns[key].check(cell)
            except NotValid as error:
                line.blame(key, error.message)
        elif key in required:
            line.blame(key, "This must not be empty.")
    return line


def digest(value: str) -> str:
    return hashlib.blake2b(value.encode(), digest_size=16).hexdigest()


def differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    return [name for name in after if before.get(name) != after[name]]


def one_of(values: Mapping[str, str]) -> Callable[[str], str]:
    """A check: one of `values` by its key or its label, however written."""
    known = {folded(text): key for key, label in values.items() for text in (key, label)}

    def check(text: str) -> str:
        found = known.get(folded(text))
        if found is None:
            raise NotValid(f"This is none of {', '.join(values.values())}.")
        return found

    return check
