"""Canonical JSON (RFC 8785): one byte string for one value, so that both ends sign and digest the same. Pure."""

from __future__ import annotations

import json
import math
import re
from typing import Any

LARGEST_INTEGER = 2**53
_ESCAPED = re.compile(r'["\\\x00-\x1f]')
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def canonical(value: Any) -> bytes:
    """The RFC 8785 form of a value as `json.loads` gives it.

    Raises ValueError for what JSON readers do not agree on: NaN, infinity, integers beyond 2^53, lone surrogates;
    TypeError for what is no JSON at all.
    """
    try:
        return _written(value).encode()
    except UnicodeEncodeError:
        raise ValueError("A lone surrogate has no canonical form.") from None


def _written(value: Any) -> str:
    if isinstance(value, str):
        return _text(value)
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int):
        if abs(value) > LARGEST_INTEGER:
            raise ValueError("An integer beyond 2^53 has no canonical form.")
        return str(value)
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_written, value))}]"
    if isinstance(value, dict):
        members = sorted(value.items(), key=lambda member: _utf16(member[0]))
        return "{" + ",".join(f"{_text(name)}:{_written(each)}" for name, each in members) + "}"
    raise TypeError(f"{type(value).__name__} is no JSON.")


def _utf16(name: Any) -> bytes:
    """Names are ordered by their UTF-16 code units, as JavaScript orders them (section 3.2.3)."""
    if not isinstance(name, str):
        raise TypeError("A name of a JSON object is a text.")
    return name.encode("utf-16-be")


def _text(text: str) -> str:
    return '"' + _ESCAPED.sub(_escaped, text) + '"'


def _escaped(sign: re.Match[str]) -> str:
    return _ESCAPES.get(sign[0]) or f"\\u{ord(sign[0]):04x}"


def _number(value: float) -> str:
    """As ECMAScript writes it (section 3.2.2.3): the shortest digits that read back, repr's too, in its layout."""
    if not math.isfinite(value):
        raise ValueError("NaN and infinity have no canonical form.")
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = f"{abs(value)!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = (
        len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    )  # value = 0.digits × 10^point
    digits = digits.rstrip("0")
    if len(digits) <= point <= 21:
        return f"{sign}{digits:0<{point}}"
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    fraction = f".{digits[1:]}" if digits[1:] else ""
    return f"{sign}{digits[0]}{fraction}e{point - 1:+d}"
