"""Parts of a file over HTTP (RFC 9110, sections 13 and 14): which bytes a request wants, or why it gets none."""

from __future__ import annotations

import re
from dataclasses import dataclass

SPEC = re.compile(r"(\d{0,19})-(\d{0,19})", re.ASCII)


@dataclass(frozen=True)
class Span:
    """Bytes `first` to `last`, both included."""

    first: int
    last: int

    @property
    def length(self) -> int:
        return self.last - self.first + 1


class NotSatisfiable(Exception):
    """416: no byte of the file is in the range, or it is no range."""


class Changed(Exception):
    """412: the file is another than the one the client has a part of."""


def wanted(headers: dict[str, str], size: int, etag: str) -> Span | None:
    """The one part asked for; None for the whole file. `headers`: Range, If-Range, If-Match where sent.

    Several parts at once and unknown units get the whole file, as the RFC allows. Raises NotSatisfiable, Changed.
    """
    if_match = headers.get("If-Match", "").strip()
    if if_match and if_match != "*" and etag not in _tags(if_match):
        raise Changed
    asked = headers.get("Range", "").strip()
    unit, separator, spec = asked.partition("=")
    if not asked or (separator and unit.strip().lower() != "bytes"):
        return None
    if_range = headers.get("If-Range", "").strip()
    if if_range and if_range != etag:  # a date, a weak tag or another file: the part would not fit
        return None
    if "," in spec:
        return None
    return _span(spec.strip(), size)


def not_modified(if_none_match: str, etag: str) -> bool:
    asked = if_none_match.strip()
    return asked == "*" or etag in [tag.removeprefix("W/") for tag in _tags(asked)]


def _tags(header: str) -> list[str]:
    return [tag.strip() for tag in header.split(",")]


def _span(spec: str, size: int) -> Span:
    match = SPEC.fullmatch(spec)
    if match is None:
        raise NotSatisfiable
    first, last = match.groups()
    if not first:
        if not last or int(last) == 0 or size == 0:
            raise NotSatisfiable
        return Span(max(0, size - int(last)), size - 1)
    if int(first) >= size or (last and int(last) < int(first)):
        raise NotSatisfiable
    return Span(int(first), min(int(last), size - 1) if last else size - 1)
