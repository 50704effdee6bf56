"""Whether makes and models are known to work, and why one is said to be: devices looked up in the catalogue.

A row is found by the USB ids of what is plugged in, or by make and model, in each case exactly: no row is guessed.
A customer's own row goes before a shared one. Where a thing stands follows from the row and the day (`judged`).
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from functools import cache

from django.conf import settings
from django.db.models import Q

from fleet.models import CatalogEntry, CatalogFacts, Device, OwnCatalogEntry, Peripheral
from fleet.search import words_of
from foundation.context import current_tenant

Row = CatalogEntry | OwnCatalogEntry
Certification = CatalogFacts.Certification
Platform = CatalogFacts.Platform
PLATFORM_NAMES = {
    Platform.WINDOWS.value: "Teams Rooms on Windows",
    Platform.ANDROID.value: "Teams Rooms on Android",
    Platform.ANY.value: "Teams Rooms",
}
USB_ID = re.compile(r"[0-9a-f]{4}:[0-9a-f]{4}")
LONGEST_KEY = 220
# What makers append to their names, and names under which one maker's things report themselves.
_COMPANY = frozenset(
    "inc corp corporation co company ltd limited llc gmbh kg ag as asa ab international technology technologies "
    "network communications".split()
)
_SAME_MAKER = {
    "polycom": "poly",  # Polycom and Plantronics have been Poly since 2019, and their things still say so
    "plantronics": "poly",
    "logi": "logitech",
    "gnnetcom": "jabra",  # as the list of USB ids calls the vendor 0b0e
    "gnaudio": "jabra",
    "hewlettpackard": "hp",
}
_CLOSED: dict[str, list[str]] = {
    "kind": CatalogFacts.Kind.values,
    "platform": Platform.values,
    "certification": Certification.values,
}
_LONGEST = {"make": 80, "model": 120, "also_known_as": 120, "good_firmware": 120, "note": 300, "sources": 300}
_SIZE = re.compile(r"(?<=\d)\s*(?:\"|''|”|″|-?\s?inch(?:es)?\b)", re.IGNORECASE)


class Verdict(StrEnum):
    CERTIFIED = "certified"
    ENDS_SOON = "ends_soon"  # support ends within `settings.SUPPORT_NOTICE_DAYS`
    ENDED = "ended"
    NOT_CERTIFIED = "not_certified"
    UNKNOWN = "unknown"


class Match(StrEnum):
    NAME = "name"
    USB = "usb"
    NONE = ""


@dataclass(frozen=True)
class Thing:
    """What is looked up. `platform` as devices have it; `usb_id` "046d:089b", or "" where there is none."""

    make: str
    model: str
    platform: str
    usb_id: str = ""


@dataclass(frozen=True)
class Assessment:
    """`reason` is a sentence or two for people; `row` is what was found, however it was found."""

    verdict: Verdict
    reason: str
    matched_by: Match = Match.NONE
    row: Row | None = None


def of_device(device: Device) -> Thing:
    return Thing(device.make, device.model, device.platform)


def of_peripheral(peripheral: Peripheral, *, platform: str) -> Thing:
    """`platform`: of the device it is attached to."""
    usb_id = f"{peripheral.vendor_id}:{peripheral.product_id}".lower()
    return Thing(peripheral.make, peripheral.model, platform, usb_id if USB_ID.fullmatch(usb_id) else "")


def assess(things: Iterable[Thing], *, on: date) -> list[Assessment]:
    """One for each thing, in order, as of the day `on`. The tenant is entered. Two queries, however many."""
    asked = list(things)
    rows = _found(asked)
    return [_assessed(thing, rows, on=on) for thing in asked]


def judged(row: CatalogFacts, *, on: date) -> tuple[Verdict, str]:
    """Where a thing of this row stands on a day, and why, in a sentence. Pure."""
    where = PLATFORM_NAMES[row.platform]
    over = row.certified_until is not None and row.certified_until < on
    certified = f"Certified for {where}."
    if row.certification == Certification.CERTIFIED and row.certified_until is not None:
        certified = (
            f"Its certification for {where} ended on {day_text(row.certified_until)}."
            if over
            else f"Certified for {where} until {day_text(row.certified_until)}."
        )
    elif row.certification != Certification.CERTIFIED:
        certified = "Not certified." if row.certification == Certification.NOT_CERTIFIED else ""
    if row.support_ends is not None and row.support_ends < on:
        return Verdict.ENDED, _sentences(f"Support ended on {day_text(row.support_ends)}.", certified)
    until = f"Support ends on {day_text(row.support_ends)}." if row.support_ends is not None else ""
    if row.support_ends is not None and row.support_ends - on <= notice():
        return Verdict.ENDS_SOON, _sentences(until, certified)
    if row.certification == Certification.NOT_CERTIFIED or over:
        return Verdict.NOT_CERTIFIED, _sentences(certified, until)
    if row.certification == Certification.CERTIFIED:
        return Verdict.CERTIFIED, _sentences(certified, until)
    return Verdict.UNKNOWN, _sentences("The row does not say whether it is certified.", until)


def standing_at(verdict: Verdict, *, on: date) -> Q:
    """Rows that `judged` gives this verdict on a day."""
    ended, soon = Q(support_ends__lt=on), Q(support_ends__lte=on + notice())
    refused = Q(certification=Certification.NOT_CERTIFIED) | Q(certified_until__lt=on)
    supported = Q(support_ends=None) | Q(support_ends__gt=on + notice())
    match verdict:
        case Verdict.ENDED:
            return ended
        case Verdict.ENDS_SOON:
            return soon & ~ended
        case Verdict.NOT_CERTIFIED:
            return supported & refused
    over = Q(certified_until=None) | Q(certified_until__gte=on)
    return supported & over & Q(certification=verdict.value)


def notice() -> timedelta:
    """How long before its end support is said to end soon."""
    return timedelta(days=settings.SUPPORT_NOTICE_DAYS)


def day_text(day: date) -> str:
    return f"{day.day} {day:%b} {day.year}"


def keys_of(make: str, model: str, also_known_as: Sequence[str] = ()) -> list[str]:
    """What a row is found by: its make and model, and each other name of the model, folded."""
    return sorted({key for name in (model, *also_known_as) if (key := key_of(make, name))})


def key_of(make: str, model: str) -> str:
    """Make and model as one folded word; "" where there is no model.

    "Logitech, Inc." and "Logitech Rally Bar" is the same as "Logitech" and "rally-bar".
    """
    maker = _maker(make)
    kept = _folded_words(model)
    for length in range(min(3, len(kept)), 0, -1):  # a model that begins with its maker's name
        if maker and len(kept) > length and _maker(" ".join(kept[:length])) == maker:
            kept = kept[length:]
            break
    if not kept:
        return ""
    if not maker:
        first, *rest = kept
        kept = [_SAME_MAKER.get(first, first), *rest]
    return (maker + "".join(kept))[:LONGEST_KEY]


def fill(row: CatalogFacts) -> None:
    """Set what lists and look-ups need from what people and files give."""
    row.keys = keys_of(row.make, row.model, row.also_known_as)
    row.sort_key = f"{' '.join(words_of(row.make))} {' '.join(words_of(row.model))}".strip()[:240]
    said = " ".join(
        (row.make, row.model, *row.also_known_as, *(each.replace(":", " ") for each in row.usb_ids))
    )
    row.words = "".join(f" {word}" for word in dict.fromkeys([*words_of(said), *row.keys]))


def problems(row: CatalogFacts) -> list[str]:
    """What is wrong with what a row says, each as "column: why". Pure."""
    found = [
        f"{name}: this is empty" for name in ("make", "model", "kind", "platform") if not getattr(row, name)
    ]
    for name, allowed in _CLOSED.items():
        value = getattr(row, name)
        if value and value not in allowed:
            found.append(f"{name}: {value} is none of {', '.join(allowed)}")
    for name, longest in _LONGEST.items():
        if any(len(each) > longest for each in _listed(getattr(row, name))):
            found.append(f"{name}: this is longer than {longest} characters")
    if any(not USB_ID.fullmatch(each) for each in row.usb_ids):
        found.append("usb_ids: a USB id is vendor and product, such as 046d:089b")
    if row.make and row.model and not key_of(row.make, row.model):
        found.append("model: this has neither letters nor digits")
    return found


def matching(query: str) -> Q:
    """Rows that have a word beginning with each word of `query`."""
    wanted = Q()
    for word in words_of(query)[:8]:
        wanted &= Q(words__contains=f" {word}")
    return wanted


def _found(asked: Sequence[Thing]) -> Mapping[tuple[Match, str], list[Row]]:
    """Rows by what they are found by, own ones first."""
    keys = sorted({key for thing in asked if (key := key_of(thing.make, thing.model))})
    usb_ids = sorted({thing.usb_id for thing in asked if thing.usb_id})
    if not keys and not usb_ids:
        return {}
    named = Q(keys__overlap=keys) | Q(usb_ids__overlap=usb_ids)
    own = OwnCatalogEntry.objects.for_tenant(current_tenant()).filter(named).order_by("sort_key", "id")
    shared = CatalogEntry.objects.filter(named).order_by("sort_key", "id")
    by: dict[tuple[Match, str], list[Row]] = defaultdict(list)
    rows: tuple[Row, ...] = (*own, *shared)
    for row in rows:
        for key in row.keys:
            by[Match.NAME, key].append(row)
        for usb_id in row.usb_ids:
            by[Match.USB, usb_id].append(row)
    return by


def _assessed(thing: Thing, rows: Mapping[tuple[Match, str], list[Row]], *, on: date) -> Assessment:
    wanted = Platform.ANDROID if thing.platform == Device.Platform.ANDROID else Platform.WINDOWS
    elsewhere: tuple[Row, Match] | None = None
    key = key_of(thing.make, thing.model)
    found = [
        (row, match)
        for match, value in ((Match.USB, thing.usb_id), (Match.NAME, key))
        for row in (rows.get((match, value), ()) if value else ())
    ]
    for row, match in sorted(found, key=lambda each: not each[0].is_own):  # stable: USB ids before names
        if row.platform in (wanted, Platform.ANY):
            verdict, reason = judged(row, on=on)
            return Assessment(verdict, _sentences(reason, _how(row, match)), match, row)
        elsewhere = elsewhere or (row, match)
    if elsewhere is not None:
        row, match = elsewhere
        reason = f"The catalogue knows it for {PLATFORM_NAMES[row.platform]} only."
        return Assessment(Verdict.UNKNOWN, _sentences(reason, _how(row, match)), match, row)
    if not key and not thing.usb_id:
        return Assessment(Verdict.UNKNOWN, "It does not tell its model.")
    return Assessment(Verdict.UNKNOWN, "No row of the catalogue has this make and model.")


def _how(row: Row, match: Match) -> str:
    by = "USB id" if match is Match.USB else "make and model"
    return f"Found by {by} as {row}{' in your own rows' if row.is_own else ''}."


def _sentences(*said: str) -> str:
    return " ".join(each for each in said if each)


def _folded_words(text: str) -> list[str]:
    return words_of(_SIZE.sub("", unicodedata.normalize("NFC", text)))


def _listed(value: str | Sequence[str]) -> Sequence[str]:
    return [value] if isinstance(value, str) else value


@cache
def _maker(name: str) -> str:
    kept = [word for word in words_of(name) if word not in _COMPANY]
    folded = "".join(kept)
    return _SAME_MAKER.get(folded, folded)
