"""Checks of what people and devices type: each names the field it refuses."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import cache
from zoneinfo import available_timezones

from foundation.errors import NotValid
from tenancy import regions

ACCOUNT = re.compile(r"[^@\s]+@[^@\s]+")
MOST_LABELS, LONGEST_LABEL = 20, 40
REFUSED_CATEGORIES = frozenset({"Cc", "Cs", "Co", "Cn", "Zl", "Zp"})
DIRECTION_MARKS = frozenset(
    "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)  # they reorder what is shown
NOT_A_ZONE = frozenset({"localtime", "Factory", "posixrules"})


def one_line(value: str, field: str, *, at_most: int, required: bool = True) -> str:
    """`value` without spaces around it, composed (NFC). Raises NotValid for what cannot stand in one line."""
    line = unicodedata.normalize("NFC", value).strip()
    if required and not line:
        raise NotValid("This must not be empty.", field=field)
    if len(line) > at_most:
        raise NotValid(f"This is longer than {at_most} characters.", field=field)
    if any(sign in DIRECTION_MARKS or unicodedata.category(sign) in REFUSED_CATEGORIES for sign in line):
        raise NotValid("This holds characters that cannot be shown.", field=field)
    return line


def time_zone(value: str, field: str = "time_zone") -> str:
    """An IANA name, as the time zone database spells it. Raises NotValid."""
    if value not in _zones():
        raise NotValid("This is no IANA time zone, such as Europe/Oslo.", field=field)
    return value


def resource_account(value: str, field: str = "resource_account") -> str:
    """In lower case; "" where the room has none. Raises NotValid."""
    account = one_line(value, field, at_most=254, required=False).casefold()
    if account and not ACCOUNT.fullmatch(account):
        raise NotValid("This is no account name, such as aurora@example.com.", field=field)
    return account


def labels(value: Iterable[str], field: str = "labels") -> list[str]:
    """Free words for a thing, in order, each once whatever its case. Raises NotValid."""
    kept: dict[str, str] = {}
    for each in value:
        line = one_line(each, field, at_most=LONGEST_LABEL)
        kept.setdefault(line.casefold(), line)
    if len(kept) > MOST_LABELS:
        raise NotValid(f"At most {MOST_LABELS} labels.", field=field)
    return list(kept.values())


def country_code(value: str, field: str = "country_code") -> str:
    """Two letters of ISO 3166-1, upper case; "" where unknown. Raises NotValid."""
    code = value.strip().upper()
    if code and code not in regions.countries():
        raise NotValid("This is no country code of two letters, such as NO.", field=field)
    return code


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones()) - NOT_A_ZONE
