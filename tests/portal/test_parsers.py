from __future__ import annotations

import gzip
import io
import json
import tracemalloc
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rest_framework.exceptions import ParseError, UnsupportedMediaType

from portal.api.parsers import MAX_BYTES, BodyTooLarge, body_of, strict_json, unpacked

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text('abc"\\[{é', min_size=1), inner),
    max_leaves=20,
)


@settings(deadline=None, max_examples=200, derandomize=True)
@given(json_values, st.booleans())
def test_every_plain_document_reads_as_it_was_written(value, escaped):
    assert strict_json(json.dumps(value, ensure_ascii=escaped).encode()) == value


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"{'a': 1}", "not JSON"),
        (b'{"a": 1} x', "not JSON"),
        (b'"a\x00b"', "not JSON"),
        (b'\xef\xbb\xbf{"a": 1}', "not JSON"),
        (b'"\xff"', "not UTF-8"),
        ('"é"'.encode("utf-16"), "not UTF-8"),
        (b'{"a": 1, "b": 2, "a": 3}', '"a" stands twice'),
        (b'{"x": {"a": 1, "\\u0061": 3}}', '"a" stands twice'),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": -Infinity}', "Infinity"),
        (b'{"a": 1e400}', "too large"),
        (b'{"a": 9007199254740993}', "too large"),
        (b'{"a": -9007199254740993}', "too large"),
        (b"9" * 100_000, "too large"),
        (b'{"a": "\\u0000"}', "NUL"),
        (b'{"\\u0000": 1}', "NUL"),
        (b'["\\ud800"]', "surrogate"),
        (b'{"\\udc00x": 1}', "surrogate"),
        (b"[" * 17 + b"]" * 17, "16 levels"),
        (b'{"a":' * 17 + b"1" + b"}" * 17, "16 levels"),
        (b"[" * 100_000, "16 levels"),
        (b'[{"a":' * 50_000, "16 levels"),
    ],
)
def test_what_readers_could_take_differently_is_refused_by_name(body, said):
    with pytest.raises(ParseError) as refusal:
        strict_json(body)
    assert said in str(refusal.value.detail)
    assert len(str(refusal.value.detail)) < 200


def test_sixteen_levels_and_brackets_in_texts_are_fine():
    assert strict_json(b"[" * 16 + b"]" * 16)
    assert strict_json(json.dumps(["[" * 100, '"]{', "\\"]).encode()) == ["[" * 100, '"]{', "\\"]
    assert strict_json(b'"\\ud83d\\ude00"') == "\N{GRINNING FACE}"


@pytest.mark.parametrize(
    "body", [b'"' + b"\\" * 300_000, b'"' * 300_001, b"[]" * 250_000, b'{"a":"\\' * 40_000]
)
def test_what_would_take_minutes_if_reading_were_not_linear_is_refused_at_once(body):
    with pytest.raises(ParseError):
        strict_json(body)


def test_a_gzip_body_is_unpacked():
    assert body_of(io.BytesIO(gzip.compress(b'{"a": 1}', mtime=0)), "gzip") == b'{"a": 1}'
    assert body_of(io.BytesIO(gzip.compress(b"{}", mtime=0)), " GZIP ") == b"{}"


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"{}", "not gzip"),
        (zlib.compress(b"{}"), "not gzip"),
        (gzip.compress(b'{"a": 1}' * 100, mtime=0)[:-9], "cut off"),
        (gzip.compress(b"{}", mtime=0) + b"x", "follows"),
        (gzip.compress(b"{}", mtime=0) + gzip.compress(b"{}", mtime=0), "follows"),
    ],
)
def test_a_broken_gzip_body_is_refused(raw, said):
    with pytest.raises(ParseError) as refusal:
        unpacked(raw)
    assert said in str(refusal.value.detail)


def test_a_bomb_is_not_unpacked_beyond_the_limit():
    bomb = gzip.compress(b"0" * 50_000_000, mtime=0)
    assert len(bomb) < 64_000
    tracemalloc.start()
    try:
        with pytest.raises(BodyTooLarge):
            body_of(io.BytesIO(bomb), "gzip")
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_an_endless_body_is_read_only_up_to_the_limit(encoding):
    class Endless(io.RawIOBase):
        asked = 0

        def read(self, size=-1):
            assert size > 0
            self.asked += size
            return b" " * size

    stream = Endless()
    with pytest.raises(BodyTooLarge):
        body_of(stream, encoding)
    assert stream.asked <= MAX_BYTES + 1


def test_another_encoding_is_named_and_refused():
    with pytest.raises(UnsupportedMediaType, match="br is not known"):
        body_of(io.BytesIO(b""), "br")
