"""How models keep a scope, [["room", id], …], checked on its way in."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.db.models import Q

from foundation.errors import NotValid
from tenancy.models import ApiToken, Invitation, Partnership, RoleAssignment
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


def stand_in(tenant_id: UUID, group_ids: Iterable[UUID]) -> bool:
    """Whether a role, a token, an open invitation or a partnership of the tenant entered holds within one of the groups."""
    keys = [str(key) for key in group_ids]
    given = RoleAssignment.objects.for_tenant(tenant_id).filter(scope=RoleAssignment.Scope.GROUP)
    if given.filter(scope_id__in=keys).exists():
        return True
    named = Q()
    for key in keys:
        named |= Q(scope__contains=[["group", key]])
    return bool(keys) and (
        ApiToken.objects.for_tenant(tenant_id).filter(named, revoked_at=None).exists()
        or Invitation.objects.for_tenant(tenant_id).filter(named, accepted_at=None, revoked_at=None).exists()
        or Partnership.objects.for_tenant(tenant_id).filter(named).exists()
    )


def rows(everywhere: bool, scope: Scope) -> list[tuple[str, UUID | None]]:
    """As RoleAssignment keeps them."""
    return [("all", None)] if everywhere else [(kind, UUID(key)) for kind, key in scope]
