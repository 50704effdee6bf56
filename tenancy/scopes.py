"""How models keep a scope, [["room", id], …], checked on its way in."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from foundation.errors import NotValid
from tenancy.rights import Place

KINDS = ("room", "group")
MOST = 500
Scope = list[list[str]]


def checked(everywhere: bool, places: Iterable[Place]) -> Scope:
    """In one order. Raises NotValid for places beside everywhere, none without it, or too many.

    Whether the rooms and groups are there is for the faces: tenancy stands below them.
    """
    wanted = sorted({(kind, str(UUID(str(key)))) for kind, key in places})
    if everywhere and wanted:
        raise NotValid("Either everywhere, or named rooms and groups.", field="scope")
    if not everywhere and not wanted:
        raise NotValid("Name at least one room or group.", field="scope")
    if len(wanted) > MOST:
        raise NotValid(f"At most {MOST} rooms and groups; make a group of them.", field="scope")
    if any(kind not in KINDS for kind, _ in wanted):
        raise NotValid("A scope names rooms and groups.", field="scope")
    return [[kind, key] for kind, key in wanted]


def rows(everywhere: bool, scope: Scope) -> list[tuple[str, UUID | None]]:
    """As RoleAssignment keeps them."""
    return [("all", None)] if everywhere else [(kind, UUID(key)) for kind, key in scope]
