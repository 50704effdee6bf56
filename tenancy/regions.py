"""Where customers' data lives, and in which countries their rooms may be enrolled.

Countries are data (`region_data/countries.csv`, ISO 3166-1 with the region each belongs to). Which regions an
installation serves and which countries it leaves out are settings: GREENROOM_REGIONS, GREENROOM_UNSUPPORTED_COUNTRIES.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from django.conf import settings

from foundation.errors import NotValid
from tenancy.models import Tenant

FILE = Path(__file__).resolve().parent / "region_data" / "countries.csv"
NAMES = {
    Tenant.Region.EU.value: "Europe, Middle East and Africa",
    Tenant.Region.APAC.value: "Asia Pacific",
    Tenant.Region.US.value: "Americas",
}


@dataclass(frozen=True)
class Region:
    """`data_lives`: the place, as whoever runs the installation names it."""

    key: str
    name: str
    data_lives: str


@dataclass(frozen=True)
class Country:
    """`region`: the key of the region it belongs to, "" where it belongs to none."""

    code: str
    name: str
    region: str

    @property
    def supported(self) -> bool:
        return bool(self.region) and self.code not in settings.UNSUPPORTED_COUNTRIES


def served() -> list[Region]:
    """The regions a customer may have as home here, the usual one first; never empty."""
    return [Region(key, NAMES[key], where) for key, where in settings.REGIONS.items()]


def home_of(owner: Tenant) -> Region:
    """Also of a region that is no longer served: the data has not moved by that."""
    where = settings.REGIONS.get(owner.home_region, "Not stated by whoever runs this installation")
    return Region(owner.home_region, NAMES[owner.home_region], where)


def checked(key: str) -> str:
    """A region that is served; the usual one for "". Raises NotValid."""
    keys = [region.key for region in served()]
    if key and key not in keys:
        raise NotValid(f"This installation serves {', '.join(keys)}.", field="home_region")
    return key or keys[0]


@cache
def countries() -> Mapping[str, Country]:
    """By code."""
    with FILE.open(encoding="utf-8", newline="") as file:
        return {line["code"]: Country(**line) for line in csv.DictReader(file)}


def unsupported() -> list[Country]:
    """Countries left out, by name."""
    return sorted((each for each in countries().values() if not each.supported), key=lambda each: each.name)


def refusal(code: str) -> str:
    """Why no room may be enrolled in a country; "" where it may, and where the country is not known ("")."""
    if not code:
        return ""
    country = countries().get(code)
    if country is None:
        return f"Rooms in {code} cannot be enrolled: there is no such country."
    return (
        ""
        if country.supported
        else f"Rooms in {country.name} cannot be enrolled: the service is not offered there."
    )
