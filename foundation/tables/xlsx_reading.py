"""The first sheet of an XLSX workbook, row by row. Nothing of it is run, and nothing it claims of its size is believed.

A workbook is a ZIP archive of XML (ECMA-376). It is read by the parser's events, so that neither a huge sheet nor
a huge row is ever whole in memory; a document type, which could multiply itself, is refused.
"""

from __future__ import annotations

import posixpath
import re
import zipfile
from collections.abc import Callable, Generator, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import IO, NamedTuple
from xml.parsers import expat  # nosec: every parser made here refuses document types

from foundation.errors import NotValid
from foundation.tables.rows import (
    LONGEST_CELL,
    MOST_COLUMNS,
    MOST_ROWS,
    Cell,
    Odd,
    TableRow,
    too_long,
    too_many_columns,
    too_many_rows,
    trimmed,
)

PIECE = 64 * 1024
MOST_PARTS = 2_000  # files in the archive
MOST_BYTES = 400_000_000  # of all of them, unpacked
MOST_SHARED_BYTES = 48_000_000  # of the table of texts, which is kept in memory
MOST_LEVELS = 40
LOCKED_OR_OLD = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # an OLE file: an .xls, or a workbook under a password
REFERENCE = re.compile(r"([A-Z]{1,3})([0-9]{1,7})")
Attributes = Mapping[str, str]


def read_xlsx(source: IO[bytes]) -> Generator[TableRow]:
    """The rows of the first sheet that is shown, which hold something. `source` can seek.

    Raises NotValid (field `file`), at the latest at the row where it turns out.
    """
    try:
        with zipfile.ZipFile(source) as archive:
            _check(archive)
            sheet = _first_sheet(archive)
            texts = _shared_texts(archive)
            yield from _sheet_rows(archive, sheet, texts)
    except (
        zipfile.BadZipFile,
        zipfile.LargeZipFile,
        EOFError,
        NotImplementedError,  # of zipfile: a way of packing it does not know
        RuntimeError,
        OSError,
    ) as error:
        raise _broken() from error
    except (expat.ExpatError, LookupError, ValueError) as error:
        raise _broken() from error


def _check(archive: zipfile.ZipFile) -> None:
    """Before anything is unpacked; reading a part never gives more than its entry says."""
    parts = archive.infolist()
    if any(each.flag_bits & 1 for each in parts):
        raise NotValid("The workbook is protected by a password. Save it without one.", field="file")
    if len(parts) > MOST_PARTS or sum(each.file_size for each in parts) > MOST_BYTES:
        raise NotValid(f"The workbook unpacks to more than {MOST_BYTES // 1_000_000} MB.", field="file")


class _Parser:
    """Events of one part, by the local names of its elements."""

    def __init__(
        self,
        start: Callable[[str, Attributes], None],
        end: Callable[[str], None] = lambda _: None,
        text: Callable[[str], None] | None = None,
    ) -> None:
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.buffer_text = True
        self._parser.StartDoctypeDeclHandler = self._refuse
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        if text is not None:
            self._parser.CharacterDataHandler = text
        self._on_start, self._on_end, self._depth = start, end, 0

    def feed(self, piece: bytes) -> None:
        self._parser.Parse(piece, not piece)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > MOST_LEVELS:
            raise ValueError("too deep")
        self._on_start(name.rpartition(" ")[2], attributes)

    def _end(self, name: str) -> None:
        self._depth -= 1
        self._on_end(name.rpartition(" ")[2])

    def _refuse(self, *_: object) -> None:
        raise ValueError("a document type")


def _parse(archive: zipfile.ZipFile, part: str, parser: _Parser) -> None:
    with archive.open(part) as source:
        while piece := source.read(PIECE):
            parser.feed(piece)
        parser.feed(b"")


def _first_sheet(archive: zipfile.ZipFile) -> str:
    """The name of its part."""
    book = _targets(archive, "_rels/.rels", "/officeDocument")
    main = next(iter(book.values()), "xl/workbook.xml")
    sheets: list[str] = []

    def start(name: str, attributes: Attributes) -> None:
        if name == "sheet" and attributes.get("state", "visible") == "visible":
            sheets.extend(value for key, value in attributes.items() if key.endswith(" id"))

    _parse(archive, main, _Parser(start))
    folder, name = posixpath.split(main)
    targets = _targets(archive, f"{folder}/_rels/{name}.rels", "/worksheet", folder)
    found = next((targets[key] for key in sheets if key in targets), None)
    if found is None:
        raise NotValid("The workbook has no sheet with a table.", field="file")
    return found


def _targets(archive: zipfile.ZipFile, part: str, kind: str, folder: str = "") -> dict[str, str]:
    """Parts a part refers to, by the ids of the references."""
    found: dict[str, str] = {}

    def start(name: str, attributes: Attributes) -> None:
        if name == "Relationship" and attributes.get("Type", "").endswith(kind):
            target = attributes.get("Target", "")
            path = target[1:] if target.startswith("/") else posixpath.normpath(f"{folder}/{target}")
            found[attributes.get("Id", "")] = path.lstrip("/")

    _parse(archive, part, _Parser(start))
    return found


def _shared_texts(archive: zipfile.ZipFile) -> list[str]:
    part = next(
        (each for each in archive.infolist() if each.filename.lower().endswith("/sharedstrings.xml")), None
    )
    if part is None:
        return []
    if part.file_size > MOST_SHARED_BYTES:
        limit = MOST_SHARED_BYTES // 1_000_000
        raise NotValid(f"The workbook holds more than {limit} MB of texts. Save it as CSV.", field="file")
    texts: list[str] = []
    reader = _Texts(texts.append)
    _parse(archive, part.filename, _Parser(reader.start, reader.end, reader.text))
    return texts


class _Texts:
    """The text of each `si` or `is`: its runs joined, without how it is spoken (`rPh`)."""

    def __init__(self, found: Callable[[str], None]) -> None:
        self._found, self._parts = found, list[str]()
        self._inside = self._spoken = False

    def start(self, name: str, _: Attributes) -> None:
        if name in ("si", "is"):
            self._parts.clear()
        elif name == "rPh":
            self._spoken = True
        self._inside = name == "t" and not self._spoken

    def end(self, name: str) -> None:
        self._inside = False
        if name == "rPh":
            self._spoken = False
        elif name in ("si", "is"):
            self._found("".join(self._parts)[: LONGEST_CELL + 1])

    def text(self, text: str) -> None:
        if self._inside:
            self._parts.append(text)


class _Value(NamedTuple):
    column: int
    kind: str


class _Sheet:
    """Collects finished rows in `rows`; whoever feeds the parser takes them away."""

    def __init__(self, texts: list[str]) -> None:
        self.rows: list[TableRow] = []
        self._shared = texts
        self._number = 0
        self._cells: list[Cell] = []
        self._at = _Value(-1, "")
        self._value: list[str] = []
        self._formula = self._reading = False
        self._length = 0
        self._inline = _Texts(self._value.append)

    def start(self, name: str, attributes: Attributes) -> None:
        if name == "row":
            self._begin_row(attributes.get("r"))
        elif name == "c":
            self._begin_cell(attributes)
        elif name == "f":
            self._formula = True
        elif name == "v":
            self._reading = True
        elif self._at.kind == "inlineStr":
            self._inline.start(name, attributes)

    def text(self, text: str) -> None:
        self._length += len(text)
        if self._length > 2 * LONGEST_CELL:
            raise too_long(self._number)
        if self._reading:
            self._value.append(text)
        elif self._at.kind == "inlineStr":
            self._inline.text(text)

    def end(self, name: str) -> None:
        if name == "v":
            self._reading = False
        elif name == "c":
            self._end_cell()
        elif name == "row":
            row = trimmed(self._number, self._cells)
            if row is not None:
                self.rows.append(row)
            self._cells = []
        elif self._at.kind == "inlineStr":
            self._inline.end(name)

    def _begin_row(self, given: str | None) -> None:
        number = int(given) if given else self._number + 1
        if number <= self._number:
            raise ValueError("rows out of order")
        if number > MOST_ROWS + 1:
            raise too_many_rows()
        self._number, self._at, self._cells = number, _Value(-1, ""), []

    def _begin_cell(self, attributes: Attributes) -> None:
        column = self._at.column + 1
        if reference := attributes.get("r"):
            match = REFERENCE.fullmatch(reference)
            if match is None:
                raise ValueError("no reference")
            column = _column(match[1])
        self._at = _Value(column, attributes.get("t", "n"))
        self._value.clear()
        self._formula, self._length = False, 0

    def _end_cell(self) -> None:
        value = self._read()
        if value == "":
            return
        if self._at.column >= MOST_COLUMNS:
            raise too_many_columns(self._number)
        if len(value) > LONGEST_CELL:
            raise too_long(self._number)
        self._cells += [""] * (self._at.column + 1 - len(self._cells))
        self._cells[self._at.column] = value

    def _read(self) -> Cell:
        if self._formula:
            return Odd.FORMULA
        value, kind = "".join(self._value).strip(), self._at.kind
        if value == "" or kind == "e":
            return Odd.ERROR if kind == "e" else ""
        if kind == "s":
            return self._shared[int(value)].strip()
        if kind == "b":
            return "yes" if value == "1" else "no"
        return number_text(value) if kind == "n" else value


def _sheet_rows(archive: zipfile.ZipFile, part: str, texts: list[str]) -> Iterator[TableRow]:
    sheet = _Sheet(texts)
    parser = _Parser(sheet.start, sheet.end, sheet.text)
    with archive.open(part) as source:
        while piece := source.read(PIECE):
            parser.feed(piece)
            yield from sheet.rows
            sheet.rows.clear()
        parser.feed(b"")
    yield from sheet.rows


def number_text(value: str) -> str:
    """A number as a person reads it: 8 for 8.0 and 1.0E1 as 10; a serial number keeps all its digits."""
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise ValueError("no number") from None
    if not number.is_finite() or abs(number.adjusted()) > 30:
        return value
    if number == number.to_integral_value():
        return str(int(number))
    return f"{float(number):.15g}"  # spreadsheets keep fifteen digits


def _column(letters: str) -> int:
    place = 0
    for letter in letters:
        place = 26 * place + ord(letter) - 64
    return place - 1


def _broken() -> NotValid:
    return NotValid("The workbook cannot be read. Save it anew as .xlsx, or as CSV.", field="file")
