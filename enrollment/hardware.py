"""What tells one machine from another, and whether two descriptions are of the same one. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

ENOUGH = 2  # facts that agree make two descriptions one machine (security.md, section 1)
MOST_MACS = 16
_PLACEHOLDER = re.compile(  # what makers leave in a field they were to fill
    r"to be filled.*|default string|system (serial number|product name|version|manufacturer)|(chassis|base ?board) serial.*"
    r"|not (specified|applicable|available|provided)|no asset.*|o\.?e\.?m\.?|none|null|n/?a|nil|unknown|invalid|empty"
    r"|serial( ?(number|no\.?))?|0?1234567(8|89|890)?|0123456789(abcdef)?|(?P<sign>.)(?P=sign)*",
    re.IGNORECASE,
)
_NO_IDENTITY = frozenset(  # firmware ids that whole series share
    {
        "03000200-0400-0500-0006-000700080009",
        "00020003-0004-0005-0006-000700080009",
        "12345678-1234-5678-90ab-cddeefaabbcc",
        "fefefefe-fefe-fefe-fefe-fefefefefefe",
    }
)
_MAC = re.compile(r"[0-9a-f]{12}")


class Match(StrEnum):
    SAME = "same"
    OTHER = "other"
    UNKNOWN = "unknown"  # nothing both tell that differs, and too little that agrees


@dataclass(frozen=True)
class Hardware:
    """A machine as it describes itself, cleaned: placeholders are empty, MACs are lower case with colons."""

    make: str
    model: str
    serial: str = ""
    firmware_uuid: str = ""
    macs: tuple[str, ...] = ()

    @property
    def facts(self) -> frozenset[str]:
        """ "serial:…", "firmware:…", "mac:…": nothing of a maker's placeholder, nothing a program made up."""
        facts = {f"mac:{mac}" for mac in self.macs if _is_burned_in(mac)}
        if self.serial:
            facts.add(f"serial:{self.serial.casefold()}"[:80])
        if self.firmware_uuid:
            facts.add(f"firmware:{self.firmware_uuid}")
        return frozenset(facts)


def described(
    make: str, model: str, serial: str = "", firmware_uuid: str = "", macs: Iterable[str] = ()
) -> Hardware:
    """Of raw texts; what is too long for its place is cut."""
    return Hardware(
        make=one_line(make, 80),
        model=one_line(model, 120),
        serial=_identifier(serial, 64),
        firmware_uuid=_firmware_uuid(firmware_uuid),
        macs=tuple(dict.fromkeys(filter(None, map(_mac, macs))))[:MOST_MACS],
    )


def compare(known: Iterable[str], shown: Iterable[str]) -> Match:
    """Two sets of facts. Same: at least two kinds agree. Other: less agree, and one that both tell differs."""
    left, right = _by_kind(known), _by_kind(shown)
    both = left.keys() & right.keys()
    agreeing = sum(not left[kind].isdisjoint(right[kind]) for kind in both)
    if agreeing >= ENOUGH:
        return Match.SAME
    return Match.OTHER if agreeing < len(both) else Match.UNKNOWN


def one_line(text: str, at_most: int) -> str:
    """As shown to people: control signs are spaces, spaces are single, cut at a length."""
    plain = "".join(sign if unicodedata.category(sign)[0] != "C" else " " for sign in text)
    return " ".join(plain.split())[:at_most].rstrip()


def _by_kind(facts: Iterable[str]) -> dict[str, set[str]]:
    kinds: dict[str, set[str]] = {}
    for fact in facts:
        kinds.setdefault(fact.partition(":")[0], set()).add(fact)
    return kinds


def _identifier(text: str, at_most: int) -> str:
    line = one_line(text, at_most)
    bare = line.replace("-", "").replace(".", "")
    return "" if not bare or _PLACEHOLDER.fullmatch(line) or _PLACEHOLDER.fullmatch(bare) else line


def _firmware_uuid(text: str) -> str:
    try:
        found = str(UUID(text.strip()))
    except ValueError:
        return ""
    return "" if found in _NO_IDENTITY or len(set(found.replace("-", ""))) == 1 else found


def _mac(text: str) -> str:
    digits = re.sub(r"[:.-]", "", text.strip().lower())
    if not _MAC.fullmatch(digits) or len(set(digits)) == 1:
        return ""
    return ":".join(digits[place : place + 2] for place in range(0, 12, 2))


def _is_burned_in(mac: str) -> bool:
    """Neither a group address nor one that software made up (IEEE 802: the two lowest bits of the first octet)."""
    return int(mac[:2], 16) & 0b11 == 0
