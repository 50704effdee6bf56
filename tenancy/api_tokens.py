"""Tokens with which programs act under a role: issued once, checked by digest, revocable."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from foundation import tokens
from foundation.context import tenant
from tenancy import audit
from tenancy.models import ApiToken, Person, Role, Tenant
from tenancy.tenants import by_number

PREFIX = "grat"
TOUCH_EVERY = timedelta(
    hours=1
)  # last use is known to the hour: a write per call would cost more than the call


@dataclass(frozen=True)
class TokenHolder:
    """What a valid token stands for."""

    tenant: Tenant
    token: ApiToken
    permissions: frozenset[str]


def issue(
    owner: Tenant, *, role: Role, label: str, expires_at: datetime, by: Person | None, at: datetime
) -> tuple[ApiToken, str]:
    """The stored token and its text, which exists nowhere else. `owner` is entered."""
    issued = tokens.issue(PREFIX, owner.number)
    row = ApiToken.objects.for_tenant(owner).create(
        public_id=issued.public_id,
        digest=issued.digest,
        label=label,
        role=role,
        created_by=by,
        created_at=at,
        expires_at=expires_at,
    )
    audit.record(
        "api_token.create",
        row,
        tenant_id=owner.id,
        at=at,
        after={"label": label, "role": role.name},
        name=label,
    )
    return row, issued.text


def revoke(row: ApiToken, *, at: datetime) -> None:
    """Repeating it changes nothing."""
    changed = (
        ApiToken.objects.for_tenant(row.tenant_id).filter(id=row.id, revoked_at=None).update(revoked_at=at)
    )
    if changed:
        audit.record("api_token.revoke", row, tenant_id=row.tenant_id, at=at, name=row.label)


def holder_of(text: str, *, at: datetime) -> TokenHolder | None:
    """None for a token that is malformed, unknown, expired or revoked: the answer is the same for all."""
    presented = tokens.parse(PREFIX, text)
    owner = by_number(presented.tenant_number) if presented else None
    if presented is None or owner is None:
        return None
    with tenant(owner.id):
        usable = ApiToken.objects.for_tenant(owner).usable(at=at)
        row = usable.filter(public_id=presented.public_id).select_related("role").first()
        if row is None or not presented.matches(row.digest):
            return None
        if row.last_used_at is None or at - row.last_used_at > TOUCH_EVERY:
            ApiToken.objects.for_tenant(owner).filter(id=row.id).update(last_used_at=at)
        return TokenHolder(owner, row, frozenset(row.role.permissions))
