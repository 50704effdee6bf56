"""Tokens of devices: issued, checked, renewed, recovered, revoked.

A device keeps working with the token it has until it uses a new one, so a lost reply locks nobody out: it asks
again. The first use of a new token confirms it and ends the others. A token that was in use and comes back
after that is in two hands: the device is kept apart and its whole family revoked.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from uuid import UUID

import redis
from django.conf import settings
from django.db import connections, transaction
from django.db.models import OuterRef, Subquery

from enrollment import copies, nonces, signatures
from enrollment.errors import BadCredential, Refused, Revoked
from enrollment.models import DeviceCredential
from fleet.models import Device, MonitoringSettings
from foundation import tokens
from foundation.context import tenant
from foundation.sweep import SWEEP
from foundation.tenant_tables import TenantQuerySet
from tenancy import audit
from tenancy.tenants import by_number

PREFIX = "grdt"
OVERLAP = timedelta(hours=24)  # how long a token lives on beside a successor nobody used yet
MOST_UNUSED = 3  # successors kept at once: replies may overtake each other, and the device uses what it got
DEFAULT_INTERVAL_S = 60
CHANNEL = "credentials"  # Redis: public ids that changed, comma-separated; a hint, changed_at is the fact

CHANGED = "credentials:changed:"  # and the public id: set in Redis for whoever keeps answers by token
CHANGED_FOR_S = 3600
log = logging.getLogger(__name__)


class Standing(StrEnum):
    VALID = "valid"
    EXPIRED = "expired"  # the device may recover with its key
    ENDED = "ended"  # handed out, never used, and another was used instead
    REVOKED = "revoked"  # a person, or a suspected copy


@dataclass(frozen=True, slots=True)
class Holder:
    """The device a token stands for, as plain values that may be kept."""

    standing: Standing
    tenant_id: UUID
    placement: int
    device_id: UUID
    device_key: int
    credential_id: UUID
    public_id: str
    interval_s: int
    issued_at: datetime
    ends_at: datetime  # the earlier of its expiry and the end of the overlap with a successor

    @property
    def valid(self) -> bool:
        return self.standing is Standing.VALID

    @property
    def revoked(self) -> bool:
        return self.standing is Standing.REVOKED

    @property
    def rotate_from(self) -> datetime:
        """From half of its life on, replies carry a nonce to renew it."""
        return self.issued_at + (self.ends_at - self.issued_at) / 2


@dataclass(frozen=True, slots=True)
class NewToken:
    """`text` exists nowhere else."""

    text: str
    expires_at: datetime


def find(text: str, *, at: datetime) -> Holder | None:
    """Who presents this token; None where it is malformed or none of ours. Enters the tenant itself.

    The first use of a token confirms it here; an old one that comes back shuts the device out here.
    What `valid` says may be kept until `ends_at`, as long as `changed_at` and CHANNEL are watched.
    """
    presented = tokens.parse(PREFIX, text)
    owner = by_number(presented.tenant_number) if presented else None
    if presented is None or owner is None:
        return None
    with tenant(owner.id):
        row = (
            DeviceCredential.objects.for_tenant(owner)
            .filter(public_id=presented.public_id)
            .select_related("device")
            .defer("device__document", "device__inventory")
            .annotate(interval_s=_interval())
            .first()
        )
        if row is None or not presented.matches(row.digest):
            return None
        standing = _standing(row, at)
        if standing is Standing.VALID and row.confirmed_at is None:
            standing = _confirm(row, at=at)
        if standing is Standing.ENDED and row.confirmed_at is not None:
            copies.quarantine(row.device, copies.Sign.REUSED, at=at)
            revoke(row.device, at=at)
            standing = Standing.REVOKED
        return Holder(
            standing=standing,
            tenant_id=owner.id,
            placement=owner.placement,
            device_id=row.device_id,
            device_key=row.device.key,
            credential_id=row.id,
            public_id=row.public_id,
            interval_s=row.interval_s or DEFAULT_INTERVAL_S,
            issued_at=row.created_at,
            ends_at=_ends_at(row),
        )


def issue(device: Device, *, public_key: bytes | None, at: datetime) -> NewToken:
    """A token beside those the device has. Its tenant is entered."""
    issued = tokens.issue(PREFIX, device.tenant.number)
    expires_at = at + timedelta(days=settings.DEVICE_TOKEN_DAYS)
    DeviceCredential.objects.for_tenant(device.tenant_id).create(
        device=device,
        public_id=issued.public_id,
        digest=issued.digest,
        public_key=public_key,
        created_at=at,
        expires_at=expires_at,
        changed_at=at,
    )
    return NewToken(issued.text, expires_at)


def end_unused(device: Device, *, at: datetime) -> None:
    """End what was handed out and never used: a repeated enrollment replaces it. Its tenant is entered."""
    _end([row for row in _lock_live(device.tenant_id, device.id) if row.confirmed_at is None], at=at)


def replace_all(device: Device, *, at: datetime) -> None:
    """Let every token of the device end with the first use of one issued from now on, at the latest after OVERLAP."""
    _overlap(_lock_live(device.tenant_id, device.id), at=at)


def rotate(holder: Holder, *, nonce: str, signature: str | None, at: datetime) -> NewToken:
    """A new token for a device that shows its old one and signs the nonce of a heartbeat reply.

    A simple client has no key and signs nothing. `holder` is valid and its tenant entered. May be repeated:
    each answer works until one of them is used. Raises Refused.
    """
    live = _lock_live(holder.tenant_id, holder.device_id)
    current = next((row for row in live if row.id == holder.credential_id), None)
    if current is None or not nonces.check("rotate", nonce, current.public_id, at=at):
        raise Refused("nonce", "This nonce was not made for this token, or is too old.", field="nonce")
    device = Device.objects.for_tenant(holder.tenant_id).get(id=holder.device_id)
    key = bytes(current.public_key) if current.public_key is not None else None
    lines = ("greenroom-rotate-v1", nonce, str(device.id))
    if key is not None and not signatures.holds(key, signature or "", *lines):
        raise Refused("signature", "The signature does not hold.", field="signature")
    token = _succeed(device, live, key, at=at)
    audit.record("device.token_rotate", device, tenant_id=device.tenant_id, at=at)
    return token


def recover(device_id: UUID, *, nonce: str, signature: str, at: datetime) -> NewToken:
    """A new token for a device that lost its own or let it expire, and signs a challenge. Enters the tenant itself.

    Raises BadCredential for an unknown device, a wrong signature or an old nonce, all alike; Revoked for one
    that proved to be the device and was shut out.
    """
    refusal = BadCredential("This device is not known, or its signature does not hold.")
    owner_id = _tenant_of(device_id)
    if owner_id is None or not nonces.check("enroll", nonce, at=at):
        raise refusal
    with tenant(owner_id):
        live = _lock_live(owner_id, device_id)
        latest = (
            DeviceCredential.objects.for_tenant(owner_id).filter(device_id=device_id).order_by("-id").first()
        )
        key = bytes(latest.public_key) if latest is not None and latest.public_key is not None else None
        lines = ("greenroom-recover-v1", nonce, str(device_id))
        if latest is None or key is None or not signatures.holds(key, signature, *lines):
            raise refusal
        if latest.revoked_at is not None:
            raise Revoked
        device = Device.objects.for_tenant(owner_id).get(id=device_id)
        token = _succeed(device, live, key, at=at)
        audit.record("device.token_recover", device, tenant_id=owner_id, at=at)
        return token


def revoke(device: Device, *, at: datetime) -> None:
    """Shut the device out: every token it ever had. Its tenant is entered. Repeating it changes nothing."""
    family = DeviceCredential.objects.for_tenant(device.tenant_id).filter(device=device, revoked_at=None)
    revoked = [row.public_id for row in family.select_for_update().order_by("id")]
    if revoked:
        family.update(revoked_at=at, changed_at=at)
        audit.record("device.token_revoke", device, tenant_id=device.tenant_id, at=at)
        _tell(revoked)


def _standing(row: DeviceCredential, at: datetime) -> Standing:
    if row.revoked_at is not None:
        return Standing.REVOKED
    if row.superseded_at is not None:
        return Standing.ENDED
    return Standing.VALID if at < _ends_at(row) else Standing.EXPIRED


def _ends_at(row: DeviceCredential) -> datetime:
    return row.expires_at if row.replaced_at is None else min(row.expires_at, row.replaced_at + OVERLAP)


def _confirm(row: DeviceCredential, *, at: datetime) -> Standing:
    """First use. Of several tokens used for the first time at once, one is; the others end."""
    live = _lock_live(row.tenant_id, row.device_id)
    current = next((each for each in live if each.id == row.id), None)
    if current is None:  # another was used, or all were revoked, while we waited for the lock
        row.refresh_from_db(fields=["confirmed_at", "superseded_at", "revoked_at"])
        return _standing(row, at)
    if current.confirmed_at is None:
        _rows(current.tenant_id, [current]).update(confirmed_at=at, changed_at=at)
        _end([each for each in live if each.id != current.id], at=at)
    return Standing.VALID


def _succeed(
    device: Device, live: list[DeviceCredential], public_key: bytes | None, *, at: datetime
) -> NewToken:
    """One more token; those in use run on beside it, and of those never used only the latest few are kept."""
    unused = [row for row in live if row.confirmed_at is None]
    _end(unused[: max(0, len(unused) - MOST_UNUSED + 1)], at=at)
    _overlap([row for row in live if row.confirmed_at is not None], at=at)
    return issue(device, public_key=public_key, at=at)


def _lock_live(tenant_id: UUID, device_id: UUID) -> list[DeviceCredential]:
    """The family's tokens that may still be used or expired by time, oldest first, locked."""
    live = DeviceCredential.objects.for_tenant(tenant_id).filter(
        device_id=device_id, superseded_at=None, revoked_at=None
    )
    return list(live.select_for_update().order_by("id"))


def _rows(tenant_id: UUID, rows: list[DeviceCredential]) -> TenantQuerySet[DeviceCredential]:
    return DeviceCredential.objects.for_tenant(tenant_id).filter(id__in=[row.id for row in rows])


def _end(rows: list[DeviceCredential], *, at: datetime) -> None:
    if rows:
        _rows(rows[0].tenant_id, rows).update(superseded_at=at, changed_at=at)
        _tell([row.public_id for row in rows])


def _overlap(rows: list[DeviceCredential], *, at: datetime) -> None:
    if rows:
        _rows(rows[0].tenant_id, rows).update(replaced_at=at, changed_at=at)
        _tell([row.public_id for row in rows])


def _interval() -> Subquery:
    settings_rows = MonitoringSettings.objects.filter(tenant_id=OuterRef("tenant_id"))
    return Subquery(settings_rows.values("heartbeat_interval_s")[:1])


def _tenant_of(device_id: UUID) -> UUID | None:
    """Whose device this is: asked before any tenant is known, so through the sweep role."""
    with connections[SWEEP].cursor() as cursor:
        cursor.execute(
            "SELECT tenant_id FROM enrollment_devicecredential WHERE device_id = %s LIMIT 1", [device_id]
        )
        row = cursor.fetchone()
    return row[0] if row else None


def _tell(public_ids: list[str]) -> None:
    """Hint to accepting processes, after the commit, that what they keep of these tokens is no longer true."""
    transaction.on_commit(lambda: _publish(",".join(public_ids)), robust=True)


def _publish(message: str) -> None:
    try:
        pipe = _client().pipeline(transaction=False)
        for public_id in message.split(","):
            pipe.set(f"{CHANGED}{public_id}", 1, ex=CHANGED_FOR_S)
        pipe.publish(CHANNEL, message)
        pipe.execute()
    except redis.RedisError as error:
        log.warning("No hint about changed credentials was sent: %s. They are polled for.", error)


@lru_cache(maxsize=1)
def _client() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=0.5, socket_timeout=0.5)
