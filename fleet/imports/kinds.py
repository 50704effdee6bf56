"""What can be imported, and how each kind does it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from fleet.imports import assets, peripherals, rooms
from fleet.imports.planning import Column
from fleet.models import ImportRun


@dataclass(frozen=True)
class Kind:
    """`needs`: of each group of properties at least one must have a column."""

    key: str
    label: str
    columns: Sequence[Column]
    needs: Sequence[Sequence[str]]
    plan: Callable[..., Any]
    apply: Callable[..., None]
    follow: Callable[..., None]

    @cached_property
    def required(self) -> frozenset[str]:
        """What no row leaves empty."""
        return frozenset(group[0] for group in self.needs if len(group) == 1)

    @cached_property
    def by_key(self) -> Mapping[str, Column]:
        return {column.key: column for column in self.columns}


KINDS: dict[str, Kind] = {
    kind.key: kind
    for kind in (
        Kind(ImportRun.Kind.ROOMS, "Rooms", rooms.COLUMNS, [["name"]], rooms.plan, rooms.apply, rooms.follow),
        Kind(
            ImportRun.Kind.ASSETS, "Assets", assets.COLUMNS, [["name"], ["account", "room"]],
            assets.plan, assets.apply, assets.follow,
        ),
        Kind(
            ImportRun.Kind.PERIPHERALS, "Peripherals", peripherals.COLUMNS, [["kind"], ["account", "room"]],
            peripherals.plan, peripherals.apply, peripherals.follow,
        ),
    )
}  # fmt: skip
