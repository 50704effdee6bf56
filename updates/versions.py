"""Compare versions by the scheme their maker uses. Pure.

A scheme is a property of a release: "1.10" follows "1.9" in one, and in another a letter counts.
"""

from __future__ import annotations

import re
from enum import StrEnum

LONGEST = 80  # characters; a device may report anything


class Scheme(StrEnum):
    DOTTED = "dotted"  # 5.4.218.0: numbers alone, a missing part counts as 0
    SEMANTIC = "semantic"  # semver.org 2.0.0: 1.2.0-rc.1 comes before 1.2.0; what follows + does not count
    NATURAL = (
        "natural"  # BIOS and vendors' own, "N3XET45W (1.20)": runs of digits as numbers, letters as text
    )


class NotAVersion(ValueError):
    """The text is no version of the scheme."""


_DOTTED = re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,18}){0,7}")
_IDENTIFIER = r"(?:0|[1-9][0-9]{0,17}|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_NUMBER = r"(0|[1-9][0-9]{0,17})"
_SEMANTIC = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-({_IDENTIFIER}(?:\.{_IDENTIFIER})*))?(?:\+[0-9A-Za-z.-]+)?"
)
_RUN = re.compile(r"[0-9]+|[a-z]+")

Part = tuple[int, int, str]  # (rank, number, text): comparable with every other part
Key = tuple[Part, ...]


def compare(scheme: Scheme, left: str, right: str) -> int:
    """-1, 0 or 1 as `left` is older than, equal to or newer than `right`. Raises NotAVersion."""
    a, b = sort_key(scheme, left), sort_key(scheme, right)
    return (a > b) - (a < b)


def sort_key(scheme: Scheme, text: str) -> Key:
    """Orders versions of one scheme; keys of two schemes must not be compared. Raises NotAVersion."""
    text = text.strip()
    if not text or len(text) > LONGEST:
        raise NotAVersion(f"A version has 1 to {LONGEST} characters.")
    match scheme:
        case Scheme.DOTTED:
            return _dotted(text)
        case Scheme.SEMANTIC:
            return _semantic(text)
        case Scheme.NATURAL:
            return _natural(text)


def is_version(scheme: Scheme, text: str) -> bool:
    try:
        sort_key(scheme, text)
    except NotAVersion:
        return False
    return True


def _dotted(text: str) -> Key:
    if not _DOTTED.fullmatch(text):
        raise NotAVersion("Write numbers joined by dots, like 5.4.218.0.")
    numbers = [int(part) for part in text.split(".")]
    while numbers and numbers[-1] == 0:  # 1.2 and 1.2.0 are the same version
        numbers.pop()
    return tuple((1, number, "") for number in numbers)


def _semantic(text: str) -> Key:
    match = _SEMANTIC.fullmatch(text)
    if not match:
        raise NotAVersion("Write a semantic version, like 1.4.0 or 1.4.0-rc.1.")
    release: Key = tuple((1, int(match[position]), "") for position in (1, 2, 3))
    if match[4] is None:
        return (*release, (3, 0, ""))  # after every pre-release of the same numbers
    return release + tuple(
        (1, int(part), "") if part.isdigit() else (2, 0, part) for part in match[4].split(".")
    )


def _natural(text: str) -> Key:
    runs = _RUN.findall(text.lower())
    if not runs:
        raise NotAVersion("A version has at least one digit or letter.")
    return tuple((2, int(run), "") if run.isdigit() else (1, 0, run) for run in runs)
