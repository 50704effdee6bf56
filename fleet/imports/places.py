"""Places as files name them, level by level: found in the tree, or planned below it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

from fleet import place_tree, scope, validation
from fleet.imports.planning import Line, folded
from fleet.models import Place
from foundation.context import current_tenant
from foundation.errors import NotValid
from foundation.ids import new_id
from foundation.narrowing import is_narrowed
from tenancy import regions
from tenancy.models import Tenant

LEVELS: tuple[str, ...] = tuple(str(kind) for kind in Place.Kind)
LONGEST_NAME = 400  # down to a place


@dataclass(frozen=True)
class Spot:
    """A place that is there, or `is_new`."""

    id: UUID
    kind: str
    name: str
    path: tuple[UUID, ...]
    full_name: str
    time_zone: str
    country_code: str = ""
    is_new: bool = False

    def as_json(self) -> dict[str, Any]:
        return {
            "id": str(self.id),
            "kind": self.kind,
            "name": self.name,
            "path": [str(each) for each in self.path],
            "full_name": self.full_name,
            "time_zone": self.time_zone,
            "country_code": self.country_code,
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Spot:
        path = tuple(UUID(each) for each in kept["path"])
        return cls(
            UUID(kept["id"]), kept["kind"], kept["name"], path, kept["full_name"], kept["time_zone"],
            kept["country_code"], True,
        )  # fmt: skip

    @property
    def parent_id(self) -> UUID | None:
        return self.path[-2] if len(self.path) > 1 else None


class Tree:
    """The places of the tenant entered, with those a run has planned so far."""

    def __init__(self, planned: Iterable[Mapping[str, Any]]) -> None:
        tenant_id = current_tenant()
        self.planned = [Spot.from_json(each) for each in planned]
        self._by_id: dict[UUID, Spot] = {}
        self._named: dict[tuple[str, str], list[Spot]] = defaultdict(list)
        self._beside: dict[tuple[UUID | None, str], Spot] = {}
        self._zone = Tenant.objects.get(id=tenant_id).time_zone
        rows = Place.objects.for_tenant(tenant_id).filter(retired_at=None)
        for key, kind, name, path, full, zone, country in rows.values_list(
            "id", "kind", "name", "path", "full_name", "time_zone", "country_code"
        ).iterator(2_000):
            self._add(Spot(key, kind, name, tuple(path), full, zone, country))
        for spot in self.planned:
            self._add(spot)

    def get(self, place_id: UUID) -> Spot | None:
        return self._by_id.get(place_id)

    def site_of(self, spot: Spot) -> UUID:
        above = (self._by_id[each] for each in spot.path)
        return next((each.id for each in above if each.kind == Place.Kind.BUILDING), spot.id)

    def find(self, line: Line) -> Spot | None:
        """The place of a line by its levels; None where it names none. Blames the line for what cannot be."""
        spot: Spot | None = None
        for level in LEVELS:
            name = line.get(level)
            if not name:
                continue
            found = [each for each in self._named[level, name] if spot is None or spot.id in each.path]
            exact = [each for each in found if each.parent_id == (spot.id if spot else None)]
            found = exact or found
            if len(found) > 1:
                line.blame(level, "Several places have this name. Name the levels above it too.")
                return None
            spot = found[0] if found else self._plan(line, level, name, spot)
            if spot is None:
                return None
        return spot

    def _plan(self, line: Line, level: str, name: str, above: Spot | None) -> Spot | None:
        if is_narrowed():
            line.blame(level, "There is no such place in your reach; your role covers some rooms only.")
            return None
        beside = self._beside.get((above.id if above else None, name))
        if beside is not None:
            line.blame(level, f"{name} is there already, as a {beside.kind}.")
            return None
        made = new_id()
        full = place_tree.SEPARATOR.join([above.full_name, name] if above else [name])
        if len(full) > LONGEST_NAME:
            line.blame(level, f"The names down to this place are longer than {LONGEST_NAME} characters.")
            return None
        zone = line.get("time_zone") or (above.time_zone if above else self._zone)
        country = above.country_code if above else ""
        if level == Place.Kind.COUNTRY:
            country = _country_codes().get(folded(name), country)
        spot = Spot(made, level, name, (*(above.path if above else ()), made), full, zone, country, True)
        self.planned.append(spot)
        self._add(spot)
        return spot

    def _add(self, spot: Spot) -> None:
        self._by_id[spot.id] = spot
        self._named[spot.kind, spot.name].append(spot)
        self._beside[spot.parent_id, spot.name] = spot


@cache
def _country_codes() -> Mapping[str, str]:
    """By the folded name of a country, and by its code."""
    known = regions.countries().values()
    return {folded(text): each.code for each in known for text in (each.name, each.code)}


def make(planned: Iterable[Mapping[str, Any]], *, at: Any) -> int:
    """Add planned places, parents first; returns how many. Raises DomainError where the tree has changed since."""
    number = 0
    for spot in map(Spot.from_json, planned):
        scope.refuse_part("Adding a place")
        place_tree.add_place(
            kind=spot.kind,
            name=spot.name,
            parent_id=spot.parent_id,
            time_zone=spot.time_zone,
            country_code=spot.country_code,
            place_id=spot.id,
            at=at,
        )
        number += 1
    return number


def level_check(level: str) -> Any:
    def check(text: str) -> str:
        name = validation.one_line(text, level, at_most=120)
        if place_tree.SEPARATOR.strip() in name:
            raise NotValid("Give each level a column of its own.")
        return name

    return check
