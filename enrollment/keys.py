"""Enrollment keys: secrets with which devices register themselves. Shown once, limited, revocable."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from uuid import UUID

from django.db.models import F

from enrollment.errors import BadCredential, EnrollmentRefused
from enrollment.models import EnrollmentKey
from fleet import validation
from fleet.errors import Missing
from fleet.models import Device, RoomGroup
from foundation import tokens
from foundation.context import current_tenant, tenant
from foundation.errors import NotValid
from tenancy import audit
from tenancy.models import Person, Tenant
from tenancy.tenants import by_number

PREFIX = "grek"
USUAL_LIFE = timedelta(days=30)
LONGEST_LIFE = timedelta(days=366)
MOST_USES = 100_000
MOST_NETWORKS = 20


def issue(
    *,
    label: str,
    group: RoomGroup,
    kinds: Iterable[str] = (),
    approval: str = EnrollmentKey.Approval.MANUAL,
    simple_clients: bool = False,
    allowed_cidrs: Iterable[str] = (),
    max_uses: int = 100,
    expires_at: datetime | None = None,
    by: Person | None = None,
    at: datetime,
) -> tuple[EnrollmentKey, str]:
    """A key of the tenant entered, and its text, which exists nowhere else.

    `kinds` and `allowed_cidrs`: empty for all. `expires_at`: aware, within a year; 30 days from now unless given.
    Raises NotValid, naming the field.
    """
    row = EnrollmentKey(
        tenant_id=current_tenant(),
        label=validation.one_line(label, "label", at_most=80),
        group=group,
        kinds=_kinds(kinds),
        approval=_approval(approval),
        simple_clients=simple_clients,
        allowed_cidrs=_networks(allowed_cidrs),
        max_uses=_max_uses(max_uses),
        expires_at=_expiry(expires_at or at + USUAL_LIFE, at),
        created_by=by,
        created_at=at,
    )
    return row, _hand_out(row, at=at)


def revoke(key: EnrollmentKey, *, at: datetime) -> None:
    """Nobody enrolls with it any more; devices it let in stay. Repeating it changes nothing."""
    rows = EnrollmentKey.objects.for_tenant(key.tenant_id).filter(id=key.id, revoked_at=None)
    if rows.update(revoked_at=at):
        key.revoked_at = at
        audit.record("enrollment_key.revoke", key, tenant_id=key.tenant_id, at=at)


def reset(key: EnrollmentKey, *, by: Person | None = None, at: datetime) -> tuple[EnrollmentKey, str]:
    """Revoke the key and give one out with the same terms: the same length of life from now, no use counted."""
    revoke(key, at=at)
    life = min(key.expires_at - key.created_at, LONGEST_LIFE)
    successor = EnrollmentKey(
        tenant_id=key.tenant_id,
        label=key.label,
        group_id=key.group_id,
        kinds=key.kinds,
        approval=key.approval,
        simple_clients=key.simple_clients,
        allowed_cidrs=key.allowed_cidrs,
        max_uses=key.max_uses,
        expires_at=at + life,
        created_by=by,
        created_at=at,
    )
    return successor, _hand_out(successor, at=at)


def key(key_id: UUID) -> EnrollmentKey:
    """Of the tenant entered. Raises Missing."""
    found: EnrollmentKey | None = EnrollmentKey.objects.for_tenant(current_tenant()).filter(id=key_id).first()
    if found is None:
        raise Missing("enrollment key")
    return found


def owner_of(text: str) -> Tenant | None:
    """The tenant whose number `text` carries, whether or not the rest holds; None for what is no key at all."""
    presented = tokens.parse(PREFIX, text)
    return by_number(presented.tenant_number) if presented else None


def find(text: str, *, at: datetime) -> EnrollmentKey | None:
    """The key of this text. Enters the tenant itself.

    None for one that is malformed, unknown, expired or revoked: the answer is the same for all. A key that is
    used up is found: a device that lost the reply to the last use comes again with it.
    """
    presented = tokens.parse(PREFIX, text)
    owner = by_number(presented.tenant_number) if presented else None
    if presented is None or owner is None:
        return None
    with tenant(owner.id):
        rows = EnrollmentKey.objects.for_tenant(owner).select_related("tenant", "group")
        row: EnrollmentKey | None = rows.filter(public_id=presented.public_id).first()
        if row is None or not presented.matches(row.digest):
            return None
    return row if row.revoked_at is None and at < row.expires_at else None


def take_use(key: EnrollmentKey, *, at: datetime) -> None:
    """Count one more device, in one statement: racing devices share what is left. The key's tenant is entered.

    Its row stays locked to the end of the transaction, so this comes last. Raises EnrollmentRefused where the key
    is used up, BadCredential where it ended meanwhile.
    """
    rows = EnrollmentKey.objects.for_tenant(key.tenant_id).filter(id=key.id)
    if rows.usable(at=at).update(uses=F("uses") + 1, last_used_at=at):
        return
    if rows.filter(revoked_at=None, expires_at__gt=at).exists():
        raise EnrollmentRefused("limit", "This key has let in as many devices as it may. Make a new one.")
    raise BadCredential("This enrollment key is not valid.")


def check_allowed(key: EnrollmentKey, *, kind: str, address: str | None) -> None:
    """Raises EnrollmentRefused for a kind of device or an address the key is not for."""
    if key.kinds and kind not in key.kinds:
        raise EnrollmentRefused("kind", f"This key lets in {', '.join(key.kinds)} only.", field="kind")
    if key.allowed_cidrs and not _is_inside(address, key.allowed_cidrs):
        raise EnrollmentRefused("address", "This key is not for devices at this network address.")


def _hand_out(row: EnrollmentKey, *, at: datetime) -> str:
    issued = tokens.issue(PREFIX, row.tenant.number)
    row.public_id, row.digest = issued.public_id, issued.digest
    row.save(force_insert=True)
    terms = {
        "label": row.label,
        "group": row.group.name,
        "kinds": row.kinds,
        "approval": row.approval,
        "simple_clients": row.simple_clients,
        "allowed_cidrs": row.allowed_cidrs,
        "max_uses": row.max_uses,
        "expires_at": row.expires_at,
    }
    audit.record("enrollment_key.create", row, tenant_id=row.tenant_id, at=at, after=terms)
    return issued.text


def _is_inside(address: str | None, networks: Iterable[str]) -> bool:
    if address is None:
        return False
    where = ip_address(address)
    mapped = getattr(where, "ipv4_mapped", None)
    return any((mapped or where) in ip_network(network) for network in networks)


def _kinds(kinds: Iterable[str]) -> list[str]:
    wanted = list(dict.fromkeys(kinds))
    if unknown := [kind for kind in wanted if kind not in Device.Kind]:
        raise NotValid(f"There is no kind of device {unknown[0]!r}.", field="kinds")
    return wanted


def _approval(approval: str) -> str:
    if approval not in EnrollmentKey.Approval:
        raise NotValid(f"This is none of {', '.join(EnrollmentKey.Approval)}.", field="approval")
    return approval


def _networks(networks: Iterable[str]) -> list[str]:
    try:
        wanted = list(dict.fromkeys(str(ip_network(each.strip(), strict=False)) for each in networks))
    except ValueError:
        raise NotValid("Write networks like 192.0.2.0/24 or 2001:db8::/32.", field="allowed_cidrs") from None
    if len(wanted) > MOST_NETWORKS:
        raise NotValid(f"At most {MOST_NETWORKS} networks.", field="allowed_cidrs")
    return wanted


def _max_uses(max_uses: int) -> int:
    if not 1 <= max_uses <= MOST_USES:
        raise NotValid(f"This must be a number from 1 to {MOST_USES}.", field="max_uses")
    return max_uses


def _expiry(expires_at: datetime, at: datetime) -> datetime:
    if not at < expires_at <= at + LONGEST_LIFE:
        raise NotValid("The end must lie in the future, at most a year from now.", field="expires_at")
    return expires_at
