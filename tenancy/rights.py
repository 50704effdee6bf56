"""What somebody may do, and where. Pure values: read once per request, asked many times."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import product
from uuid import UUID

Place = tuple[str, UUID]  # ("room" or "group", its id)


@dataclass(frozen=True)
class Reach:
    """Where a permission holds: in every one of `unions`, each of which is a set of rooms and groups of rooms.

    No union at all is everywhere; an empty union is nowhere. Several come from a token that narrows its owner.
    """

    unions: tuple[frozenset[Place], ...] = ()

    @property
    def everywhere(self) -> bool:
        return not self.unions

    @property
    def nowhere(self) -> bool:
        return any(not union for union in self.unions)

    def __or__(self, other: Reach) -> Reach:
        return Reach(tuple({one | two: None for one, two in product(self.unions, other.unions)}))

    def __and__(self, other: Reach) -> Reach:
        return Reach(tuple(dict.fromkeys([*self.unions, *other.unions])))


EVERYWHERE = Reach()
NOWHERE = Reach((frozenset(),))


def reach_of(everywhere: bool, scope: Iterable[Iterable[str]]) -> Reach:
    """From how models keep a scope: [["room", id], …]."""
    return EVERYWHERE if everywhere else Reach((frozenset((kind, UUID(key)) for kind, key in scope),))


@dataclass(frozen=True)
class Rights:
    """The reach of each permission held anywhere; a permission that is absent is held nowhere."""

    reaches: Mapping[str, Reach] = field(default_factory=dict)

    @property
    def permissions(self) -> frozenset[str]:
        return frozenset(self.reaches)

    def may(self, permission: str) -> bool:
        """Anywhere at all."""
        return permission in self.reaches

    def reach(self, permission: str) -> Reach:
        return self.reaches.get(permission, NOWHERE)

    def everywhere(self, permission: str) -> bool:
        return self.reach(permission).everywhere

    def covers(self, other: Rights) -> bool:
        """Whether whoever holds these may hand `other` on: each permission of it everywhere, or in the same places."""
        return all(
            (mine := self.reach(name)).everywhere or (not mine.nowhere and mine == reach)
            for name, reach in other.reaches.items()
        )

    def __or__(self, other: Rights) -> Rights:
        names = self.reaches.keys() | other.reaches.keys()
        return Rights({name: self.reach(name) | other.reach(name) for name in names})

    def __and__(self, other: Rights) -> Rights:
        names = self.reaches.keys() & other.reaches.keys()
        both = {name: self.reach(name) & other.reach(name) for name in names}
        return Rights({name: reach for name, reach in both.items() if not reach.nowhere})


def granted(permissions: Iterable[str], reach: Reach = EVERYWHERE) -> Rights:
    return Rights({} if reach.nowhere else dict.fromkeys(permissions, reach))
