"""Tables written in parts by steps of a job and put together at its end: CSV, JSON or XLSX, never whole in memory.

A cell is never a formula: CSV has an apostrophe before what would be taken for one, and XLSX says of each text that
it is a text, quoted where a spreadsheet would otherwise make a formula of it as soon as it is edited.
"""

from __future__ import annotations

import csv
import io
import json
import re
import tempfile
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import date, datetime
from typing import IO, Any
from uuid import UUID
from xml.sax.saxutils import escape

from foundation import files
from foundation.models import StoredFile
from foundation.tables.cells import FORMULA, cell, plain
from foundation.tables.rows import LONGEST_CELL, column_name

COPIED = 256 * 1024
PARTS_A_SHEET = 100  # of ROWS_A_PART each: a sheet holds 1,048,576 rows
ROWS_A_PART = 10_000
_UNSHOWABLE = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # what XML 1.0 cannot hold
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_SHEET_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'


class Format(ABC):
    """How a table is written. `name` is also the end of the file's name."""

    name: str
    kind: files.FileKind

    @abstractmethod
    def part(self, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, first: bool) -> bytes:
        """Up to ROWS_A_PART rows. `first`: nothing was written before."""

    @abstractmethod
    def whole(self, columns: Sequence[str], parts: Sequence[StoredFile]) -> AbstractContextManager[IO[bytes]]:
        """The finished file as a stream, from the parts that were not empty, in order."""


class Csv(Format):
    name = "csv"
    kind = files.FileKind("text/csv", b"")  # we wrote it ourselves

    def part(self, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, first: bool) -> bytes:
        text = io.StringIO()
        writer = csv.writer(text, quoting=csv.QUOTE_ALL)
        if first:
            writer.writerow(columns)
        writer.writerows([cell(_shown(value)) for value in row] for row in rows)
        return text.getvalue().encode()

    @contextmanager
    def whole(self, columns: Sequence[str], parts: Sequence[StoredFile]) -> Iterator[IO[bytes]]:
        yield files.joined(parts)


class Json(Format):
    """A list of objects, one a line."""

    name = "json"
    kind = files.FileKind("application/json", b"")

    def part(self, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, first: bool) -> bytes:
        lines = (
            json.dumps(dict(zip(columns, map(_json, row), strict=True)), ensure_ascii=False) for row in rows
        )
        text = ",\n".join(lines)
        return ((text and ("\n" if first else ",\n")) + text).encode()

    @contextmanager
    def whole(self, columns: Sequence[str], parts: Sequence[StoredFile]) -> Iterator[IO[bytes]]:
        with _spooled([io.BytesIO(b"["), files.joined(parts), io.BytesIO(b"\n]\n")]) as stream:
            yield stream


class Xlsx(Format):
    """Parts hold the rows of a sheet; a table of more than a million rows continues on the next one."""

    name = "xlsx"
    kind = files.XLSX

    def part(self, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, first: bool) -> bytes:
        return "".join(f"<row>{''.join(map(_xml_cell, row))}</row>" for row in rows).encode()

    @contextmanager
    def whole(self, columns: Sequence[str], parts: Sequence[StoredFile]) -> Iterator[IO[bytes]]:
        sheets = [parts[start : start + PARTS_A_SHEET] for start in range(0, len(parts), PARTS_A_SHEET)] or [
            []
        ]
        with tempfile.TemporaryFile() as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=4) as archive:
                for name, text in _book(len(sheets)).items():
                    archive.writestr(name, _XML + text)
                for number, some in enumerate(sheets, 1):
                    with archive.open(f"xl/worksheets/sheet{number}.xml", "w", force_zip64=True) as sheet:
                        sheet.write(_sheet_head(columns))
                        _copy(files.joined(some), sheet)
                        sheet.write(b"</sheetData></worksheet>")
            file.seek(0)
            yield file


FORMATS: dict[str, Format] = {each.name: each for each in (Csv(), Xlsx(), Json())}


def _shown(value: Any) -> Any:
    """As people and spreadsheets read it: moments in UTC, several values side by side."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    return "; ".join(map(plain, value)) if isinstance(value, list | tuple) else value


def _json(value: Any) -> Any:
    return (
        value.isoformat()
        if isinstance(value, datetime | date)
        else str(value)
        if isinstance(value, UUID)
        else value
    )


def _xml_cell(value: Any) -> str:
    shown = _shown(value)
    if shown is None or shown == "":
        return "<c/>"
    if isinstance(shown, int | float) and not isinstance(shown, bool):
        return f"<c><v>{shown}</v></c>"
    text = _UNSHOWABLE.sub("", plain(shown))[:LONGEST_CELL]
    quoted = ' s="1"' if text.startswith(FORMULA) else ""
    return f'<c t="inlineStr"{quoted}><is><t xml:space="preserve">{escape(text)}</t></is></c>'


def _sheet_head(columns: Sequence[str]) -> bytes:
    names = "".join(
        f'<c t="inlineStr" s="2"><is><t xml:space="preserve">{escape(each)}</t></is></c>' for each in columns
    )
    last = f"{column_name(len(columns) - 1)}1"
    return (
        f'{_XML}<worksheet xmlns="{_MAIN}"><dimension ref="A1:{last}"/><sheetViews><sheetView workbookViewId="0">'
        '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews>'
        f"<sheetData><row>{names}</row>"
    ).encode()


def _book(sheets: int) -> dict[str, str]:
    """Everything of a workbook but its sheets. Style 1 quotes a text, style 2 is the header's."""
    numbers = range(1, sheets + 1)
    types = "".join(
        f'<Override PartName="/xl/worksheets/sheet{n}.xml" ContentType="{_SHEET_TYPE}.worksheet+xml"/>'
        for n in numbers
    )
    listed = "".join(f'<sheet name="Sheet {n}" sheetId="{n}" r:id="rId{n}"/>' for n in numbers)
    targets = "".join(
        f'<Relationship Id="rId{n}" Type="{_OFFICE}/worksheet" Target="worksheets/sheet{n}.xml"/>'
        for n in numbers
    )
    plain_style = 'numFmtId="49" fontId="{}" fillId="0" borderId="0" xfId="0"'
    return {
        "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{_SHEET_TYPE}.sheet.main+xml"/>'
        f'<Override PartName="/xl/styles.xml" ContentType="{_SHEET_TYPE}.styles+xml"/>{types}</Types>',
        "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">'
        f'<Relationship Id="rId1" Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>{listed}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">{targets}'
        f'<Relationship Id="rId0" Type="{_OFFICE}/styles" Target="styles.xml"/></Relationships>',
        "xl/styles.xml": f'<styleSheet xmlns="{_MAIN}"><fonts count="2"><font><sz val="11"/><name val="Calibri"/></font>'
        '<font><b/><sz val="11"/><name val="Calibri"/></font></fonts><fills count="2"><fill><patternFill '
        'patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill></fills><borders count="1"><border>'
        '<left/><right/><top/><bottom/><diagonal/></border></borders><cellStyleXfs count="1"><xf numFmtId="0" '
        'fontId="0" fillId="0" borderId="0"/></cellStyleXfs><cellXfs count="3"><xf numFmtId="0" fontId="0" fillId="0" '
        f'borderId="0" xfId="0"/><xf {plain_style.format(0)} quotePrefix="1" applyNumberFormat="1"/>'
        f'<xf {plain_style.format(1)} applyFont="1"/></cellXfs><cellStyles count="1"><cellStyle name="Normal" xfId="0" '
        'builtinId="0"/></cellStyles></styleSheet>',
    }


@contextmanager
def _spooled(sources: Iterable[IO[bytes]]) -> Iterator[IO[bytes]]:
    with tempfile.TemporaryFile() as file:
        for source in sources:
            _copy(source, file)
        file.seek(0)
        yield file


def _copy(source: IO[bytes], into: IO[bytes]) -> None:
    read: Callable[[int], bytes] = source.read
    while chunk := read(COPIED):
        into.write(chunk)
