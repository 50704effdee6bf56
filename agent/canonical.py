"""Canonical JSON (RFC 8785, JCS): the one byte string that signatures and digests are made over."""

import math
from typing import Any

_LARGEST_EXACT = (
    2**53
)  # beyond it an IEEE double, which is what RFC 8785 writes, no longer holds every integer
_SHORT_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def canonical_json(value: Any) -> bytes:
    """`value` (dicts with text keys, lists, tuples, text, numbers, booleans, None) as canonical UTF-8.

    Raises ValueError for what has no canonical form: NaN, infinity, an integer beyond 2^53, a lone
    surrogate; TypeError for any other type.
    """
    return _text_of(value).encode()


def _text_of(value: Any) -> str:
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, int):
        if abs(value) > _LARGEST_EXACT:
            raise ValueError(f"{value} is beyond what a JSON number holds exactly")
        return str(value)
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, list | tuple):
        return "[" + ",".join(_text_of(each) for each in value) + "]"
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise TypeError("a JSON object has text keys")
        # RFC 8785 section 3.2.3: by UTF-16 code units, which differs from code points beyond the BMP
        keys = sorted(value, key=lambda key: key.encode("utf-16-be", "surrogatepass"))
        return "{" + ",".join(f"{_quoted(key)}:{_text_of(value[key])}" for key in keys) + "}"
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _quoted(text: str) -> str:
    if any("\ud800" <= sign <= "\udfff" for sign in text):
        raise ValueError("a lone surrogate has no JSON form")
    escaped = (_SHORT_ESCAPES.get(sign) or (f"\\u{ord(sign):04x}" if sign < " " else sign) for sign in text)
    return '"' + "".join(escaped) + '"'


def _number(value: float) -> str:
    """ECMAScript's Number::toString (ECMA-262, 6.1.6.1.20), which RFC 8785 section 3.2.2.3 prescribes.

    Python's repr finds the same shortest digits; only where the point and the exponent go differs.
    """
    if not math.isfinite(value):
        raise ValueError("NaN and infinity have no JSON form")
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    point = len(whole) + int(exponent or 0)  # digits before the decimal point
    digits = (whole + fraction).lstrip("0")
    point -= len(whole + fraction) - len(digits)
    digits = digits.rstrip("0")
    if len(digits) <= point <= 21:
        return sign + digits + "0" * (point - len(digits))
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    tail = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{tail}e{point - 1:+d}"
