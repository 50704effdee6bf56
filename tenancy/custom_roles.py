"""Roles a customer makes itself: named sets of permissions. Built-in ones are read-only.

All functions work in the one tenant entered. `by`: the rights of whoever asks; None for the installation itself.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Q

from foundation.context import current_tenant
from foundation.errors import NotValid, violated_constraint
from foundation.ids import new_id
from tenancy import audit
from tenancy.administrators import keep_one
from tenancy.errors import AlreadyThere, BuiltInRole, Missing, MoreThanOwn, StillInUse
from tenancy.models import ApiToken, Invitation, Role, Tenant
from tenancy.rights import EVERYWHERE, Reach, Rights, granted
from tenancy.roles import BY_CUSTOM_ROLE_ONLY, OPERATORS, OPERATORS_OWN, PERMISSIONS

MOST = 100  # of one customer


def role(role_id: UUID, *, field: str | None = None) -> Role:
    """Raises Missing."""
    found: Role | None = Role.objects.for_tenant(current_tenant()).filter(id=role_id).first()
    if found is None:
        raise Missing("role", field=field)
    return found


def add_role(
    *,
    name: str,
    permissions: Iterable[str],
    description: str = "",
    by: Rights | None,
    at: datetime,
) -> Role:
    """Raises NotValid, AlreadyThere, MoreThanOwn."""
    tenant_id = current_tenant()
    if Role.objects.for_tenant(tenant_id).count() >= MOST:
        raise NotValid(f"There are {MOST} roles already.")
    made = Role(
        tenant_id=tenant_id,
        key=_key(name),
        name=_name(name),
        description=_description(description),
        permissions=_permissions(permissions),
    )
    check_may_grant(by, made.permissions)
    _save(made, new=True)
    audit.record("role.create", made, tenant_id=tenant_id, at=at, after=_facts(made))
    return made


def edit_role(
    role_id: UUID,
    *,
    name: str | None = None,
    permissions: Iterable[str] | None = None,
    description: str | None = None,
    by: Rights | None,
    at: datetime,
) -> Role:
    """Change what is given; whoever holds the role has the new rights at the next request.

    Raises Missing, BuiltInRole, NotValid, AlreadyThere, MoreThanOwn, LastAdministrator.
    """
    changed = _held(role_id)
    before = _facts(changed)
    if name is not None:
        changed.name = _name(name)
    if description is not None:
        changed.description = _description(description)
    if permissions is not None:
        changed.permissions = _permissions(permissions)
        check_may_grant(by, set(changed.permissions) - set(before["permissions"]))
    after = _facts(changed)
    if before != after:
        _save(changed)
        keep_one()
        audit.record("role.update", changed, tenant_id=changed.tenant_id, at=at, before=before, after=after)
    return changed


def delete_role(role_id: UUID, *, at: datetime) -> None:
    """Raises Missing, BuiltInRole, and StillInUse while an assignment, token or invitation that holds names it.

    Tokens and invitations that have ended go with it: they are on record in the audit log.
    """
    gone = _held(role_id)
    tokens = ApiToken.objects.for_tenant(gone.tenant_id).filter(role=gone)
    invited = Invitation.objects.for_tenant(gone.tenant_id).filter(role=gone)
    try:
        with transaction.atomic():
            tokens.filter(Q(revoked_at__isnull=False) | Q(expires_at__lte=at)).delete()
            invited.filter(
                Q(accepted_at__isnull=False) | Q(revoked_at__isnull=False) | Q(expires_at__lte=at)
            ).delete()
            Role.objects.for_tenant(gone.tenant_id).filter(id=gone.id).delete()
    except IntegrityError as error:  # also Django's ProtectedError
        raise StillInUse("An assignment, token or invitation still has this role.") from error
    audit.record("role.delete", gone, tenant_id=gone.tenant_id, at=at, before=_facts(gone))


def check_may_grant(by: Rights | None, permissions: Iterable[str], reach: Reach = EVERYWHERE) -> None:
    """Raises MoreThanOwn where `by` would hand on what he does not hold there himself."""
    wanted = frozenset(permissions) - BY_CUSTOM_ROLE_ONLY
    if by is not None and by.everywhere("roles.modify") and _of_operator():
        wanted -= (
            OPERATORS  # its administrator gives its people their roles, and sees no customer's data himself
        )
    if by is not None and not by.covers(granted(wanted, reach)):
        raise MoreThanOwn("You cannot give rights that you do not have yourself.")


def _of_operator() -> bool:
    return Tenant.objects.filter(id=current_tenant(), kind=Tenant.Kind.OPERATOR).exists()


def _held(role_id: UUID) -> Role:
    rows = Role.objects.for_tenant(current_tenant()).filter(id=role_id)
    held: Role | None = rows.select_for_update(no_key=True).first()
    if held is None:
        raise Missing("role")
    if held.built_in:
        raise BuiltInRole("Built-in roles cannot be changed. Make a role of your own.")
    return held


def _save(changed: Role, *, new: bool = False) -> None:
    try:
        with transaction.atomic():
            changed.save(force_insert=new)
    except IntegrityError as error:
        if violated_constraint(error) != "tenancy_role_one_per_name":
            raise
        raise AlreadyThere(f"There is already a role {changed.name}.", field="name") from error


def _facts(of: Role) -> dict[str, Any]:
    return {"name": of.name, "description": of.description, "permissions": list(of.permissions)}


def _permissions(names: Iterable[str]) -> list[str]:
    wanted = list(dict.fromkeys(names))
    for name in wanted:
        if name not in PERMISSIONS or name in OPERATORS_OWN:
            raise NotValid(f"There is no permission {name[:60]!r}.", field="permissions")
    if not wanted:
        raise NotValid("Choose at least one permission.", field="permissions")
    return sorted(wanted)


def _key(name: str) -> str:
    """Never one of a built-in role: those have no digits at the end."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return f"{re.sub(r'[^a-z0-9]+', '_', plain).strip('_')[:30]}_{new_id().hex[-8:]}"


def _name(text: str) -> str:
    return one_line(text, "name", at_most=80)


def _description(text: str) -> str:
    return one_line(text, "description", at_most=300, required=False)


def one_line(text: str, field: str, *, at_most: int, required: bool = True) -> str:
    """Trimmed. Raises NotValid naming `field` for what is empty, too long or holds control characters."""
    line = " ".join(text.split())
    if required and not line:
        raise NotValid("This must not be empty.", field=field)
    if len(line) > at_most:
        raise NotValid(f"At most {at_most} characters.", field=field)
    if not line.isprintable():
        raise NotValid("This holds characters that cannot be shown.", field=field)
    return line
