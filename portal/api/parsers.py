"""JSON bodies, read strictly: what two readers could understand differently is refused, with its name."""

from __future__ import annotations

import json
import math
import re
import zlib
from collections.abc import Mapping
from typing import IO, Any, NoReturn

from rest_framework.exceptions import APIException, ParseError, UnsupportedMediaType
from rest_framework.parsers import BaseParser

MAX_DEPTH = 16
MAX_BYTES = 512_000  # of the document itself
MAX_COMPRESSED_BYTES = 64_000  # of what is sent, if it is compressed
LARGEST_INTEGER = 2**53  # beyond it readers that use doubles see another number
_STRINGS = re.compile(
    rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL
)  # an open one too: it must match to stay linear
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_SURROGATES = re.compile("[\ud800-\udfff]")


class BodyTooLarge(APIException):
    status_code = 413
    default_code = "too_large"

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"The body is larger than {limit_bytes} bytes.")


class StrictJSONParser(BaseParser):
    """Parses application/json, plain or gzip. A view may set `max_body_bytes`."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        context = parser_context or {}
        limit = getattr(context.get("view"), "max_body_bytes", MAX_BYTES)
        encoding = context["request"].headers.get("Content-Encoding", "") if "request" in context else ""
        return strict_json(body_of(stream, encoding, limit))


class BinaryParser(BaseParser):
    """The body as it is, whatever it is called: a stream, read by whoever stores it."""

    media_type = "*/*"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        return stream


def body_of(stream: IO[bytes], encoding: str, limit_bytes: int = MAX_BYTES) -> bytes:
    """The whole body, unpacked. Raises BodyTooLarge, ParseError or UnsupportedMediaType; reads no more than needed."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return _read(stream, limit_bytes)
    if encoding != "gzip":
        raise UnsupportedMediaType(encoding, f"Content-Encoding {encoding[:40]} is not known here; gzip is.")
    return unpacked(_read(stream, MAX_COMPRESSED_BYTES), limit_bytes)


def unpacked(raw: bytes, limit_bytes: int = MAX_BYTES) -> bytes:
    """gzip, unpacked up to the limit and never beyond. Raises BodyTooLarge or ParseError."""
    unpacker = zlib.decompressobj(31)
    try:
        body = unpacker.decompress(raw, limit_bytes + 1)
    except zlib.error:
        raise ParseError("The body is not gzip, though Content-Encoding says so.") from None
    if len(body) > limit_bytes:
        raise BodyTooLarge(limit_bytes)
    if not unpacker.eof:
        raise ParseError("The gzip body is cut off.")
    if unpacker.unused_data:
        raise ParseError("Something follows the gzip body.")
    return body


def strict_json(raw: bytes) -> Any:
    """The value of a JSON document (RFC 8259). Raises ParseError naming what is wrong.

    Refused beside bad syntax: more than 16 levels, a name twice in one object, NaN and infinity, numbers a double
    cannot hold (I-JSON, RFC 7493), NUL and lone surrogates.
    """
    _check_depth(raw)
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise ParseError("The body is not UTF-8.") from None
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_no_constant,
            parse_int=_integer,
            parse_float=_number,
        )
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise ParseError(f"The body is not JSON: {error.msg} at {where}.") from None
    if "\\u" in text:  # a NUL or a surrogate can come in no other way
        _check_texts(value)
    return value


def _read(stream: IO[bytes], limit_bytes: int) -> bytes:
    try:
        raw = stream.read(limit_bytes + 1)
    except OSError:
        raise ParseError("The body broke off.") from None
    if len(raw) > limit_bytes:
        raise BodyTooLarge(limit_bytes)
    return raw


def _check_depth(raw: bytes) -> None:
    """Before anything is built: brackets outside strings, counted."""
    depth = 0
    for bracket in _STRINGS.sub(b"", raw).translate(None, _NO_BRACKETS):
        depth += 1 if bracket in b"[{" else -1
        if depth > MAX_DEPTH:
            raise ParseError(f"The body has more than {MAX_DEPTH} levels.")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ParseError(f"The name {_shown(twice)} stands twice in one object.")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ParseError(f"{name} is no JSON number.")


def _integer(digits: str) -> int:
    if len(digits) > 17 or abs(int(digits)) > LARGEST_INTEGER:
        raise ParseError(f"The integer {digits[:20]}{'…' if len(digits) > 20 else ''} is too large.")
    return int(digits)


def _number(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ParseError(f"The number {text[:20]}{'…' if len(text) > 20 else ''} is too large.")
    return value


def _check_texts(value: Any) -> None:
    if isinstance(value, str):
        if "\0" in value:
            raise ParseError("A text contains NUL.")
        if _SURROGATES.search(value):
            raise ParseError("A text contains half of a surrogate pair.")
    elif isinstance(value, list):
        for each in value:
            _check_texts(each)
    elif isinstance(value, dict):
        for name, each in value.items():
            _check_texts(name)
            _check_texts(each)


def _shown(name: str) -> str:
    return json.dumps(name[:40])
