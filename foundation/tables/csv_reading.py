"""CSV as it comes: in any usual encoding, with commas, semicolons or tabs, with line ends inside quotes."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Generator, Iterator
from typing import IO

from foundation.errors import NotValid
from foundation.tables.cells import unguarded
from foundation.tables.rows import (
    LONGEST_CELL,
    MOST_COLUMNS,
    MOST_ROWS,
    TableRow,
    too_long,
    too_many_columns,
    too_many_rows,
    trimmed,
)

CHUNK = 256 * 1024
HEAD = 64 * 1024  # looked at to find encoding and delimiter
DELIMITERS = (",", ";", "\t")
LOOKED_AT = 20  # rows, to tell delimiters apart
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def read_csv(source: IO[bytes]) -> Generator[TableRow]:
    """The rows that hold something, as they come. `source` can seek; it is read from its start.

    Raises NotValid (field `file`), at the latest at the row where it turns out.
    """
    encoding = encoding_of(source)
    source.seek(0)
    text = io.TextIOWrapper(source, encoding, newline="")
    try:
        delimiter, skipped = _delimiter_of(text)
        text.seek(0)
        rows = csv.reader(text, delimiter=delimiter, strict=True)
        yield from _rows(rows, skipped)
    except UnicodeError as error:
        raise NotValid("The file holds characters that its encoding does not have.", field="file") from error
    finally:
        text.detach()


def _rows(rows: Iterator[list[str]], skipped: int) -> Iterator[TableRow]:
    number = 0
    while True:
        number += 1
        try:
            cells = next(rows, None)
        except csv.Error as error:
            if "field limit" in str(error):
                raise too_long(number) from error
            told = f"Row {number} breaks off inside quotation marks, or something follows a closing one."
            raise NotValid(told, field="file") from error
        if cells is None:
            return
        if number > MOST_ROWS + 1:
            raise too_many_rows()
        if number <= skipped:
            continue
        if len(cells) > MOST_COLUMNS and any(each.strip() for each in cells[MOST_COLUMNS:]):
            raise too_many_columns(number)
        if any(len(each) > LONGEST_CELL for each in cells):
            raise too_long(number)
        row = trimmed(number, [unguarded(each.strip()) for each in cells[:MOST_COLUMNS]])
        if row is not None:
            yield row


def encoding_of(source: IO[bytes]) -> str:
    """UTF-8 or UTF-16 with their marks or without, else Windows-1252. Reads `source` whole, in pieces.

    Raises NotValid for what is no text.
    """
    source.seek(0)
    head = source.read(HEAD)
    for mark, encoding in MARKS:
        if head.startswith(mark):
            return encoding
    if b"\0" in head:
        return _unmarked_utf16(head)
    decoder = codecs.getincrementaldecoder("utf-8")()
    chunk = head
    try:
        while chunk:
            if b"\0" in chunk:
                raise _no_text()
            decoder.decode(chunk)
            chunk = source.read(CHUNK)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"


def _unmarked_utf16(head: bytes) -> str:
    """Text of Western letters in UTF-16 has a NUL in every second place."""
    high, low = head[0::2].count(0), head[1::2].count(0)
    half = len(head) // 2
    if low > 0.4 * half and high < 0.1 * half:
        return "utf-16-le"
    if high > 0.4 * half and low < 0.1 * half:
        return "utf-16-be"
    raise _no_text()


def _delimiter_of(text: io.TextIOWrapper[IO[bytes]]) -> tuple[str, int]:
    """The sign that parts the first rows into most columns, alike in all; and how many rows to leave out."""
    head = text.read(HEAD)
    if "\0" in head:
        raise _no_text()
    first = head.lstrip("\r\n").partition("\n")[0].strip().strip('"')
    if first.lower().startswith("sep=") and first[4:] in (*DELIMITERS, ""):  # a line for spreadsheets alone
        return first[4:] or "\t", 1 + (len(head) - len(head.lstrip("\r\n")) > 0)
    return max(DELIMITERS, key=lambda each: _fit(head, each)), 0


def _fit(head: str, delimiter: str) -> tuple[int, int]:
    widths: list[int] = []
    try:
        for row in csv.reader(io.StringIO(head, newline=""), delimiter=delimiter):
            if any(row):
                widths.append(len(row))
            if len(widths) == LOOKED_AT:
                break
    except csv.Error:
        pass  # the head ends inside a cell
    if not widths or widths[0] == 1:
        return 0, 0
    return sum(width == widths[0] for width in widths), widths[0]


def _no_text() -> NotValid:
    return NotValid("This is neither a CSV file nor an XLSX workbook.", field="file")


csv.field_size_limit(4 * LONGEST_CELL)
