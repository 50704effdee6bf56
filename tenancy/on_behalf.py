"""On whose behalf a job works: who asked and where his right held then, kept with the job as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from foundation.errors import NotAllowed
from tenancy import standing
from tenancy.audit import Actor
from tenancy.rights import EVERYWHERE, Reach, Rights, granted

Kept = Mapping[str, Any]


@dataclass(frozen=True)
class By:
    """Who asks, and what he may."""

    actor: Actor
    rights: Rights

    def kept(self, permission: str) -> dict[str, Any]:
        return kept(self.actor, self.rights, permission)


class Ended(NotAllowed):
    """The rights somebody had are gone."""


def kept(actor: Actor, rights: Rights | None, permission: str) -> dict[str, Any]:
    """For the parameters of a job. `permission`: the one it works with; what it reaches now is what it may touch.

    `rights` None: of Greenroom itself.
    """
    reach = EVERYWHERE if rights is None else rights.reach(permission)
    unions = [sorted([kind, str(key)] for kind, key in union) for union in reach.unions]
    return {
        "kind": actor.kind,
        "id": _text(actor.id),
        "name": actor.name,
        "address": actor.address,
        "request_id": actor.request_id,
        "tenant_id": _text(actor.tenant_id),
        "grant_id": _text(actor.grant_id),
        "permission": permission,
        "unions": unions,
    }


def actor_of(kept: Kept) -> Actor:
    return Actor(
        kept["kind"],
        _id(kept["id"]),
        kept["name"],
        address=kept["address"],
        request_id=kept["request_id"],
        tenant_id=_id(kept["tenant_id"]),
        grant_id=_id(kept["grant_id"]),
    )


def rights_then(kept: Kept) -> Rights:
    """The one permission, where it held."""
    unions = tuple(frozenset((kind, UUID(key)) for kind, key in union) for union in kept["unions"])
    return granted([kept["permission"]], Reach(unions))


def rights_of(kept: Kept, tenant_id: UUID, *, at: datetime) -> Rights:
    """The one permission, where it held and holds still: a job does not outlive the rights of whoever asked for it.

    Raises Ended where nothing is left of them.
    """
    actor, then = actor_of(kept), rights_then(kept)
    rights = then & standing.rights_now(actor, tenant_id, at=at) if actor.kind in standing.OF_PEOPLE else then
    if not rights.permissions:
        raise Ended("Whoever asked for this may no longer do it.")
    return rights


def _text(value: UUID | None) -> str | None:
    return str(value) if value else None


def _id(value: str | None) -> UUID | None:
    return UUID(value) if value else None
