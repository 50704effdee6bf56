"""One effect for one Idempotency-Key, however often the request arrives (24 h)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from foundation.errors import Conflict, NotValid
from foundation.models import IdempotencyRecord
from foundation.sweep import tenants_due

KEPT = timedelta(hours=24)
MAX_KEY = 128


@dataclass(frozen=True)
class Given:
    """The answer once given."""

    status: int
    body: Any


class Running(Conflict):
    """The first request with this key has not been answered yet."""

    code = "running"


class Different(NotValid):
    """The key was used for another request."""

    code = "idempotency_key_reused"


def fingerprint(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def begin(
    tenant_id: UUID, route: str, key: str, request_hash: str, *, by: UUID | None = None, at: datetime
) -> Given | None:
    """None: carry the request out and call `finish` in the same transaction. Else the answer to repeat.

    Raises Running, Different, or NotValid for a key of the wrong form. A racing request waits for the first one's
    transaction; if that rolled back, this one carries the request out. `by`: who asks; another's key of the same
    name is another key. The tenant is entered.
    """
    if not 0 < len(key) <= MAX_KEY or not key.isprintable():
        raise NotValid(f"Idempotency-Key must be 1 to {MAX_KEY} printable characters.")
    records, key = IdempotencyRecord.objects.for_tenant(tenant_id), _kept_as(key, by)
    records.filter(route=route, key=key, created_at__lt=at - KEPT).delete()
    fresh = IdempotencyRecord(
        tenant_id=tenant_id, route=route, key=key, request_hash=request_hash, created_at=at
    )
    records.bulk_create([fresh], ignore_conflicts=True)
    record = records.get(route=route, key=key)
    if record.id == fresh.id:
        return None
    if record.request_hash != request_hash:
        raise Different("This Idempotency-Key belongs to another request.")
    if record.status is None:
        raise Running("The first request with this Idempotency-Key is still running.")
    return Given(record.status, record.body)


def finish(tenant_id: UUID, route: str, key: str, *, status: int, body: Any, by: UUID | None = None) -> None:
    """Keep the answer, in the transaction of the effect. `body` is what the JSON answer holds."""
    IdempotencyRecord.objects.for_tenant(tenant_id).filter(route=route, key=_kept_as(key, by)).update(
        status=status, body=json.loads(json.dumps(body, default=str))
    )


def _kept_as(key: str, by: UUID | None) -> str:
    return key if by is None else hashlib.sha256(f"{by}\n{key}".encode()).hexdigest()


def tenants_with_old(*, at: datetime) -> list[UUID]:
    return tenants_due(IdempotencyRecord._meta.db_table, at=at - KEPT, column="created_at")


def forget_old(tenant_id: UUID, *, at: datetime) -> int:
    """Drop an entered tenant's answers older than 24 h."""
    deleted, _ = IdempotencyRecord.objects.for_tenant(tenant_id).filter(created_at__lt=at - KEPT).delete()
    return deleted
