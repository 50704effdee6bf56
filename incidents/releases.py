"""Published versions of the meeting app, and how many lines a device is behind the newest.

A line is what the maker supports as one version: the first two numbers, such as 5.1. It supports the newest and the
one before; older ones are out (learn.microsoft.com/microsoftteams/rooms/rooms-lifecycle-support).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date

from foundation.errors import NotValid
from incidents.models import KnownRelease

ROOM_APP = "teams_rooms_windows"
_VERSION = re.compile(r"(\d{1,6})\.(\d{1,6})(?:\.\d{1,9}){0,2}")

Line = tuple[int, int]


def line_of(version: str) -> Line | None:
    """None for what is no version of the room app."""
    found = _VERSION.fullmatch(version.strip())
    return (int(found[1]), int(found[2])) if found else None


def lines_behind(version: str, published: Iterable[Line]) -> int | None:
    """How many published lines are newer; None where the version tells nothing."""
    own = line_of(version)
    return None if own is None else sum(line > own for line in set(published))


def published_lines() -> frozenset[Line]:
    versions = KnownRelease.objects.filter(product=ROOM_APP).values_list("version", flat=True)
    return frozenset(line for line in map(line_of, versions) if line is not None)


def add_release(version: str, *, released_at: date, source: str) -> KnownRelease:
    """A version that was published; adding it again corrects it. Raises NotValid."""
    if line_of(version) is None:
        raise NotValid("A version looks like 5.1.23.0.", field="version")
    if not source.startswith("https://") or len(source) > 300:
        raise NotValid("Name the page that says so, https://…", field="source")
    values = {"released_at": released_at, "source": source}
    row, _ = KnownRelease.objects.update_or_create(
        product=ROOM_APP, version=version.strip(), defaults=values, create_defaults=values
    )
    return row
