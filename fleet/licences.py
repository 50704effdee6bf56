"""How the licence of a room's account stands on a day: it holds, is in its time of grace, or is over. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from fleet.models import Room

GRACE = timedelta(
    days=30
)  # after the last day of a licence it works on, but not for a new device or another account
MONITORED = frozenset({Room.Licence.PRO, Room.Licence.PREMIUM})  # what monitoring asks of a room system
NAMES = {
    Room.Licence.PRO.value: "Pro",
    Room.Licence.PREMIUM.value: "Premium",
    Room.Licence.BASIC.value: "Basic",
    Room.Licence.STANDARD.value: "Standard",
    Room.Licence.SYNCING.value: "Syncing",
    Room.Licence.UNLICENSED.value: "Unlicensed",
}


class Standing(StrEnum):
    UNKNOWN = "unknown"  # nobody has said, or it is being read
    VALID = "valid"
    GRACE = "grace"
    LAPSED = "lapsed"
    NONE = "none"


@dataclass(frozen=True)
class Licence:
    """`until`: the last day of what stands now, where it has one."""

    standing: Standing
    until: date | None = None


def of(room: Room, *, on: date) -> Licence:
    """`on`: the day where the room is, or near enough."""
    if room.licence in ("", Room.Licence.SYNCING):
        return Licence(Standing.UNKNOWN)
    if room.licence == Room.Licence.UNLICENSED:
        return Licence(Standing.NONE)
    ends = room.licence_ends
    if ends is None or on <= ends:
        return Licence(Standing.VALID, ends)
    if on <= ends + GRACE:
        return Licence(Standing.GRACE, ends + GRACE)
    return Licence(Standing.LAPSED, ends)
