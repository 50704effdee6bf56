"""The form in which audit events are hashed into a customer's chain. Pure: whoever has the rows can check them.

A link's hash is SHA-256 over the hash of the link before it, the link's own facts, and the rows of its events, each
as one line of JSON in a fixed order of columns.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from tenancy.models import AuditEvent, AuditSeal

FIRST = bytes(32)  # before the first link
COLUMNS = (
    "id",
    "tenant_id",
    "at",
    "actor_kind",
    "actor_id",
    "actor_name",
    "actor_tenant_id",
    "grant_id",
    "action",
    "object_kind",
    "object_id",
    "object_name",
    "result",
    "before",
    "after",
    "address",
    "request_id",
)


def canonical(event: AuditEvent) -> bytes:
    """One event, read from the database, as a line."""
    return _line([getattr(event, column) for column in COLUMNS])


def link_hash(link: AuditSeal, events: Iterable[AuditEvent]) -> bytes:
    """`events` in the order of the link's `event_ids`."""
    digest = hashlib.sha256(bytes(link.prev))
    ids = [str(key) for key in link.event_ids]
    digest.update(_line([link.id, link.tenant_id, link.seq, link.day.isoformat(), link.sealed_at, ids]))
    for event in events:
        digest.update(canonical(event))
    return digest.digest()


def _line(values: list[Any]) -> bytes:
    plain = [_plain(value) for value in values]
    text = json.dumps(plain, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "surrogatepass") + b"\n"


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if value is None or isinstance(value, str | int | list | dict):
        return value
    return str(value)
