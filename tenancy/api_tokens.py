"""Tokens with which programs act under a role: issued once, checked by digest, revocable."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from foundation import tokens
from foundation.context import current_tenant, tenant
from foundation.errors import NotValid
from tenancy import audit, roles, scopes
from tenancy.custom_roles import check_may_grant, one_line
from tenancy.errors import Missing
from tenancy.models import ApiToken, Person, Role, Tenant
from tenancy.rights import Place, Rights, granted, reach_of
from tenancy.tenants import by_number

PREFIX = "grat"
LONGEST_LIFE = timedelta(days=366)
TOUCH_EVERY = timedelta(
    hours=1
)  # last use is known to the hour: a write per call would cost more than the call


@dataclass(frozen=True)
class TokenHolder:
    """What a valid token stands for."""

    tenant: Tenant
    token: ApiToken
    rights: Rights
    is_news: bool = False  # the first use in an hour


def issue(
    owner: Tenant,
    *,
    role: Role,
    label: str,
    expires_at: datetime,
    by: Person | None,
    at: datetime,
    person: Person | None = None,
    everywhere: bool = True,
    scope: Iterable[Place] = (),
    rights: Rights | None = None,
    made_with: ApiToken | None = None,
) -> tuple[ApiToken, str]:
    """The stored token and its text, which exists nowhere else. `owner` is entered.

    `person`: whose own it is; it never does more than he may. Without, it is a service account's. `rights`: of
    whoever makes it, None for the installation itself. `made_with`: the token that asks for another, which neither
    does more nor lives longer. Raises NotValid, MoreThanOwn.
    """
    if not at < expires_at <= at + LONGEST_LIFE:
        raise NotValid("The end must lie in the future, at most a year from now.", field="expires_at")
    if made_with is not None and expires_at > made_with.expires_at:
        raise NotValid("A token cannot outlive the one it is made with.", field="expires_at")
    places = scopes.checked(everywhere, scope)
    if (
        person is None or made_with is not None
    ):  # a person's own token is held to his rights whenever it is used
        check_may_grant(rights, role.permissions, reach_of(everywhere, places))
    issued = tokens.issue(PREFIX, owner.number)
    row = ApiToken.objects.for_tenant(owner).create(
        public_id=issued.public_id,
        digest=issued.digest,
        label=one_line(label, "label", at_most=80),
        role=role,
        person=person,
        everywhere=everywhere,
        scope=places,
        created_by=by,
        created_at=at,
        expires_at=expires_at,
    )
    audit.record(
        "api_token.create",
        row,
        tenant_id=owner.id,
        at=at,
        after={
            "label": row.label,
            "role": role.name,
            "person": person,
            "everywhere": everywhere,
            "scope": places,
            "expires_at": expires_at,
        },
        name=row.label,
    )
    return row, issued.text


def revoke(row: ApiToken, *, at: datetime) -> None:
    """Repeating it changes nothing."""
    changed = (
        ApiToken.objects.for_tenant(row.tenant_id).filter(id=row.id, revoked_at=None).update(revoked_at=at)
    )
    if changed:
        audit.record("api_token.revoke", row, tenant_id=row.tenant_id, at=at, name=row.label)


def token(token_id: UUID) -> ApiToken:
    """Of the tenant entered, with role and person. Raises Missing."""
    rows = ApiToken.objects.for_tenant(current_tenant()).filter(id=token_id)
    found: ApiToken | None = rows.select_related("role", "person", "created_by").first()
    if found is None:
        raise Missing("token")
    return found


def rights_of(row: ApiToken) -> Rights:
    """The token's role within its scope; of a person's own, what he may himself. Its tenant is entered."""
    own = granted(_worth(row), reach_of(row.everywhere, row.scope))
    return own if row.person is None else own & roles.rights_of(row.person)


def _worth(row: ApiToken) -> Iterable[str]:
    names: list[str] = row.role.permissions
    return names if row.everywhere else [name for name in names if name not in roles.NEEDS_EVERYWHERE]


def holder_of(text: str, *, at: datetime) -> TokenHolder | None:
    """None for a token that is malformed, unknown, expired or revoked: the answer is the same for all."""
    presented = tokens.parse(PREFIX, text)
    owner = by_number(presented.tenant_number) if presented else None
    if presented is None or owner is None:
        return None
    with tenant(owner.id):
        usable = ApiToken.objects.for_tenant(owner).usable(at=at)
        row = usable.filter(public_id=presented.public_id).select_related("role", "person").first()
        if row is None or not presented.matches(row.digest):
            return None
        rights = rights_of(row)
        if row.person is not None and not rights.permissions:
            return None  # whoever it belonged to has left, or may nothing any more
        is_due = row.last_used_at is None or at - row.last_used_at > TOUCH_EVERY
        same = ApiToken.objects.for_tenant(owner).filter(id=row.id, last_used_at=row.last_used_at)
        is_news = is_due and bool(same.update(last_used_at=at))  # of calls at the same moment one's
        return TokenHolder(owner, row, rights, is_news)
