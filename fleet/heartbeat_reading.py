"""The careful reader of a device's JSON: accepts what is sound, and says in words what is not.

Sound means that any two readers understand the same: no name twice in one object, no NaN, no number a reader
would round or overflow, no NUL, no half of a surrogate pair, at most 16 levels.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

import msgspec

from foundation.errors import NotValid

MAX_DEPTH = 16
MAX_INTEGER_DIGITS = 19
_ONE_KIND = bytes.maketrans(b"[]", b"{}")
_ALL_BUT_BRACKETS_AND_QUOTES = bytes(set(range(256)) - set(b'[]{}"'))
_SURROGATE = re.compile("[\ud800-\udfff]")
_WHERE = re.compile(r"^(?P<what>.*) - at (?:`key` in )?`\$(?P<path>.*)`$", re.DOTALL)
_SOME_NAME = "[...]"  # msgspec does not say which of an object's free names is at fault
_MOST_NAMES_TRIED = 200

T = TypeVar("T")


class BadBody(NotValid):
    """The body cannot be accepted; `field` is the path of the part at fault, where there is one."""

    code = "bad_body"


class BodyTooLarge(BadBody):
    code = "too_large"

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"The body is larger than {limit_bytes} bytes.")


def read(body: bytes, check: Callable[[bytes], T]) -> T:
    """`body` as `check` (a msgspec decoder) makes of it. Raises BadBody."""
    if is_too_deep(body):
        raise BadBody(f"The body has more than {MAX_DEPTH} levels.")
    if b"\0" in body:
        raise BadBody("The body contains NUL.")
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise BadBody("The body is not UTF-8.") from None
    value = _sound(text)
    try:
        return check(body)
    except msgspec.ValidationError as error:
        raise _explained(error, value, check) from None
    except ValueError as error:
        raise BadBody(f"The body is not JSON: {_short(str(error))}.") from None


def is_too_deep(body: bytes) -> bool:
    """Whether brackets nest deeper than MAX_DEPTH, without parsing: each round takes the innermost pairs away."""
    if b"\\" in body:
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    brackets = b"".join(body.translate(_ONE_KIND, _ALL_BUT_BRACKETS_AND_QUOTES).split(b'"')[::2])
    left = brackets
    for _ in range(MAX_DEPTH):
        if not left:
            return False
        left = left.replace(b"{}", b"")
    return bool(left) and _goes_deeper(brackets)


def _goes_deeper(brackets: bytes) -> bool:
    """The same, also where brackets do not match."""
    level = 0
    for bracket in brackets:
        level += 1 if bracket == ord("{") else -1
        if level > MAX_DEPTH:
            return True
    return False


def _sound(text: str) -> Any:
    try:
        value: Any = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_no_constant,
            parse_int=_integer,
            parse_float=_number,
        )
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise BadBody(f"The body is not JSON: {error.msg} at {where}.") from None
    if "\\u" in text:  # after NUL itself was refused, these come in no other way
        _check_texts(value)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        left = set(found)
        twice = next(name for name, _ in pairs if name not in left or left.remove(name))  # type: ignore[func-returns-value]
        raise BadBody(f"The name {json.dumps(twice[:40])} stands twice in one object.")
    return found


def _no_constant(name: str) -> NoReturn:
    raise BadBody(f"{name} is no JSON number.")


def _integer(digits: str) -> int:
    if len(digits) > MAX_INTEGER_DIGITS + 1 or not -(2**63) <= int(digits) < 2**63:
        raise BadBody(f"The integer {_short(digits, 20)} is too large.")
    return int(digits)


def _number(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise BadBody(f"The number {_short(digits, 20)} is too large.")
    return value


def _check_texts(value: Any) -> None:
    if isinstance(value, str):
        if "\0" in value:
            raise BadBody("A text contains NUL.")
        if _SURROGATE.search(value):
            raise BadBody("A text contains half of a surrogate pair.")
    elif isinstance(value, list):
        for each in value:
            _check_texts(each)
    elif isinstance(value, dict):
        for name, each in value.items():
            _check_texts(name)
            _check_texts(each)


def _explained(error: msgspec.ValidationError, value: Any, check: Callable[[bytes], T]) -> BadBody:
    """msgspec's message as a sentence: `items[0].seq: expected int, got str.`"""
    what, path = _split(error)
    if _SOME_NAME in path:
        path = path.replace(_SOME_NAME, "." + _name_at_fault(value, what, path, check), 1)
    path = path.removeprefix(".")
    what = what.replace("`", "")
    return BadBody(
        _short(f"{path or 'The body'}: {what[:1].lower()}{what[1:]}") + ".", field=_short(path) or None
    )


def _split(error: msgspec.ValidationError) -> tuple[str, str]:
    found = _WHERE.match(str(error))
    return (found["what"], found["path"]) if found else (str(error), "")


def _name_at_fault(value: Any, what: str, path: str, check: Callable[[bytes], T]) -> str:
    """Which name of the object at the path's first `[...]` is meant: the one that fails alone in the same way."""
    steps = [
        int(step) if step.isdecimal() else step for step in re.findall(r"\w+", path.split(_SOME_NAME)[0])
    ]
    names: Any = value
    for step in steps:
        names = names[step]
    for name in list(names)[:_MOST_NAMES_TRIED]:
        try:
            check(json.dumps(_with_only(value, steps, {name: names[name]})).encode())
        except msgspec.ValidationError as error:
            if _split(error)[0] == what:
                return str(name)[:60]
    return "…"


def _with_only(value: Any, steps: list[int | str], replacement: Any) -> Any:
    """A copy of `value` in which `replacement` stands at the end of `steps`, and lists hold nothing else of weight."""
    if not steps:
        return replacement
    step, *rest = steps
    if isinstance(step, int):
        return [_with_only(value[step], rest, replacement)]
    return {**value, step: _with_only(value[step], rest, replacement)}


def _short(text: str, length: int = 300) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
