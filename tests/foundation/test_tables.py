"""Tables in files: whatever comes is read or refused in a sentence; whatever is written comes back and runs nothing."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from datetime import UTC, datetime
from typing import Any

import openpyxl
import pytest

from foundation import files
from foundation.context import tenant
from foundation.errors import NotValid
from foundation.tables import xlsx_reading
from foundation.tables.reading import head_of, read_table
from foundation.tables.writing import FORMATS

TEXT = "Name;Ort\r\nBjørk;Tromsø\r\n"
EVIL = "=cmd|' /C calc'!A0"


def read(raw: bytes) -> list[tuple[int, list[Any]]]:
    return [(row.number, list(row.cells)) for row in read_table(io.BytesIO(raw))]


def refusal(raw: bytes) -> str:
    with pytest.raises(NotValid) as refused:
        assert head_of(io.BytesIO(raw)) and read(raw)
    assert refused.value.field == "file"
    return refused.value.message


def workbook(*rows: list[Any]) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def sheet_of(xml: str, **more: str) -> bytes:
    """A workbook whose first sheet is `xml`."""
    stream = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(workbook(["a"]))) as source,
        zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as made,
    ):
        for name in source.namelist():
            text = xml if name == "xl/worksheets/sheet1.xml" else source.read(name)
            made.writestr(name, more.get(name, text))
    return stream.getvalue()


SHEET = '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>{}</sheetData></worksheet>'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_text_is_read_in_the_encoding_it_came_in(encoding):
    assert read(TEXT.encode(encoding)) == [(1, ["Name", "Ort"]), (2, ["Bjørk", "Tromsø"])]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_delimiter_is_found_and_line_ends_in_quotes_stay(delimiter):
    text = f'Name{delimiter}Note\r\nAurora{delimiter}"two\nlines, and; ""more"""\r\n\r\nBjerk\r\n'
    assert read(text.encode()) == [
        (1, ["Name", "Note"]),
        (2, ["Aurora", 'two\nlines, and; "more"']),
        (4, ["Bjerk"]),
    ]


def test_a_line_that_names_the_delimiter_is_no_row():
    assert read(b"sep=;\r\nName;Seats\r\nAurora;8\r\n") == [(2, ["Name", "Seats"]), (3, ["Aurora", "8"])]


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"", "The file is empty."),
        (b"\xef\xbb\xbf\r\n\r\n", "The file is empty."),
        (b"Name,Seats\n", "no rows below"),
        (b"Name,name\nA,B\n", "Two columns are called name: A and B."),
        (b'Name\n"Aurora', "Row 2 breaks off"),
        (b'Name\n"' + b"x" * 200_000, "longer than 32,767 characters"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "neither a CSV file nor"),
        (xlsx_reading.LOCKED_OR_OLD + b"\0" * 600, "old .xls file"),
        (b"PK\x03\x04 nonsense", "cannot be read"),
        (b"N\n\x81\x8d\n", "characters that its encoding does not have"),
        (b",".join([b"c"] * 201) + b"\n", "more than 200 columns"),
    ],
)
def test_what_cannot_be_read_is_refused_in_a_sentence(raw, told):
    assert told in refusal(raw)


def test_a_workbook_is_read_as_its_cells_show_it():
    raw = workbook(
        ["Name", "Seats", "Odd"], ["Aurora", 8, True], [None, None, "=1+1"], ["Bjerk", 8.5, "#N/A"]
    )
    assert read(raw) == [
        (1, ["Name", "Seats", "Odd"]),
        (2, ["Aurora", "8", "yes"]),
        (3, ["", "", "formula"]),
        (4, ["Bjerk", "8.5", "error"]),
    ]
    assert xlsx_reading.number_text("1.2345678901234E13") == "12345678901234"


@pytest.mark.parametrize(
    "xml",
    [
        SHEET.format('<row r="2"/><row r="1"/>'),
        SHEET.format('<row><c t="s"><v>99</v></c></row>'),
        SHEET.format('<row><c r="nonsense"><v>1</v></c></row>'),
        SHEET.format("<a>" * 100 + "</a>" * 100),
        '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'
        + SHEET.format("<row><c><v>&b;</v></c></row>"),
        "<worksheet",
        "",
    ],
    ids=["order", "text", "reference", "deep", "entities", "cut", "nothing"],
)
def test_a_broken_or_malicious_workbook_is_refused(xml):
    assert "cannot be read" in refusal(sheet_of(xml))


def test_what_unpacks_to_too_much_is_refused_before_it_is(monkeypatch):
    bomb = sheet_of(SHEET.format("<row/>" * 200_000))
    assert len(bomb) < 20_000
    monkeypatch.setattr(xlsx_reading, "MOST_BYTES", 1_000_000)
    assert "unpacks to more than 1 MB" in refusal(bomb)


@pytest.mark.parametrize(
    ("xml", "told"),
    [
        ('<row r="900000"><c><v>1</v></c></row>', "more than 250,000 rows"),
        ('<row><c r="XFD1"><v>1</v></c></row>', "more than 200 columns"),
        (f"<row><c><v>{'1' * 70_000}</v></c></row>", "longer than 32,767"),
    ],
)
def test_a_table_has_its_limits(xml, told):
    assert told in refusal(sheet_of(SHEET.format(xml)))


def written(customer: Any, name: str, *parts: list[list[Any]], at: Any) -> bytes:
    form, columns = FORMATS[name], ["name", "seats", "note"]
    stored = [
        files.store(
            io.BytesIO(form.part(columns, rows, first=number == 0)), "part", tenant_id=customer.id,
            kinds=(files.FileKind("x", b""),), limit_bytes=10**6, at=at,
        )
        for number, rows in enumerate(parts)
        if rows
    ]  # fmt: skip
    with form.whole(columns, stored) as stream:
        return b"".join(iter(lambda: stream.read(1_000), b""))


def test_what_is_written_comes_back_and_no_cell_is_a_formula(customer, at):
    rows = [["Aurora", 8, EVIL], ["<&>\x0b\ud800"[:4], None, ["a", "b"]]]
    with tenant(customer.id):
        plain = written(customer, "csv", [rows[0]], [rows[1]], at=at)
        book = written(customer, "xlsx", [rows[0]], [rows[1]], at=at)
        listed = json.loads(written(customer, "json", [rows[0]], [rows[1]], at=at))
        assert json.loads(written(customer, "json", [], at=at)) == []
        assert read(written(customer, "xlsx", [], at=at)) == [(1, ["name", "seats", "note"])]
    assert list(csv.reader(io.StringIO(plain.decode())))[1] == ["Aurora", "8", f"'{EVIL}"]
    cells = next(openpyxl.load_workbook(io.BytesIO(book)).active.iter_rows(min_row=2))
    assert [each.value for each in cells] == ["Aurora", 8, EVIL]
    assert (cells[2].data_type, cells[2].quotePrefix) == ("s", True)
    assert listed[0] == {"name": "Aurora", "seats": 8, "note": EVIL}
    for raw in (plain, book):
        assert read(raw)[1:] == [(2, ["Aurora", "8", EVIL]), (3, ["<&>", "", "a; b"])]


def test_moments_are_written_with_their_offset(customer, at):
    with tenant(customer.id):
        assert b"2026-01-02T03:04:05+00:00" in written(
            customer, "csv", [["x", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), ""]], at=at
        )
