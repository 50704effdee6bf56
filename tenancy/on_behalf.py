"""On whose behalf a job works: who asked and where his right held then, kept with the job as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from tenancy.audit import Actor
from tenancy.rights import Reach, Rights, granted

Kept = Mapping[str, Any]


def kept(actor: Actor, rights: Rights, permission: str) -> dict[str, Any]:
    """For the parameters of a job. `permission`: the one it works with; what it reaches now is what it may touch."""
    unions = [sorted([kind, str(key)] for kind, key in union) for union in rights.reach(permission).unions]
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


def rights_of(kept: Kept) -> Rights:
    """The one permission, where it held."""
    unions = tuple(frozenset((kind, UUID(key)) for kind, key in union) for union in kept["unions"])
    return granted([kept["permission"]], Reach(unions))


def _text(value: UUID | None) -> str | None:
    return str(value) if value else None


def _id(value: str | None) -> UUID | None:
    return UUID(value) if value else None
