"""Seals what was recorded: every minute the events that wait become a link of their customer's chain.

An event and the row that says it waits are written together; taking that row and writing the link happen together
too. Two sealers at once want the same number, and one of them rolls back.
"""

from __future__ import annotations

import json
import logging
import os
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from uuid import UUID

from django.db import IntegrityError, connection, connections

from foundation.context import tenant
from foundation.errors import violated_constraint
from foundation.ids import lower_bound, made_at
from foundation.sweep import SWEEP, tenants_due
from tenancy.audit_chain import FIRST, link_hash
from tenancy.models import AuditEvent, AuditPending, AuditSeal

log = logging.getLogger(__name__)
AT_ONCE = 1_000  # events in one link
MOST_LINKS = 20  # of one customer in one run; the rest waits a minute


def seal_due(*, at: datetime) -> int:
    """Seal what waits, customer by customer. Returns how many events were sealed. Safe to repeat and to race."""
    sealed = 0
    for tenant_id in tenants_due(AuditPending._meta.db_table, at=at, column="at"):
        for _ in range(MOST_LINKS):
            count = seal(tenant_id, at=at)
            sealed += count
            if not count:
                break
    return sealed


def seal(tenant_id: UUID, *, at: datetime) -> int:
    """One link of up to AT_ONCE waiting events of one day. Returns how many; 0 where nothing waits or another
    sealer was faster."""
    try:
        with tenant(tenant_id):
            return _seal(tenant_id, at=at)
    except IntegrityError as error:
        if violated_constraint(error) != "tenancy_audit_seal_once":
            raise
        return 0


def _seal(tenant_id: UUID, *, at: datetime) -> int:
    waiting = AuditPending.objects.for_tenant(tenant_id).order_by("id").values_list("id", flat=True)
    first = waiting.first()
    if first is None:
        return 0
    day = made_at(first).date()
    ids = _take(tenant_id, before=lower_bound(_midnight(day) + timedelta(days=1)))
    events = {event.id: event for event in AuditEvent.objects.for_tenant(tenant_id).filter(id__in=ids)}
    lost = [key for key in ids if key not in events]
    if lost:  # they stay in sight: verify_audit names them
        log.error("Tenant %s: %d audit events vanished before they were sealed", tenant_id, len(lost))
        AuditPending.objects.for_tenant(tenant_id).bulk_create(
            [AuditPending(id=key, tenant_id=tenant_id, at=at + timedelta(days=1)) for key in lost]
        )
    listed = [key for key in ids if key in events]
    if not listed:
        return 0
    last = AuditSeal.objects.for_tenant(tenant_id).order_by("-seq").first()
    link = AuditSeal(
        tenant_id=tenant_id,
        seq=last.seq + 1 if last else 1,
        day=day,
        event_ids=listed,
        prev=bytes(last.hash) if last else FIRST,
        sealed_at=at,
    )
    link.hash = link_hash(link, [events[key] for key in listed])
    AuditSeal.objects.for_tenant(tenant_id).bulk_create([link])
    return len(listed)


def _take(tenant_id: UUID, *, before: UUID) -> list[UUID]:
    """Take the oldest waiting events up to a day's end; what another sealer holds is left to it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM tenancy_auditpending WHERE tenant_id = %s AND id IN ("
            "SELECT id FROM tenancy_auditpending WHERE tenant_id = %s AND id < %s "
            "ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED) RETURNING id",
            [tenant_id, tenant_id, before, AT_ONCE],
        )
        return sorted(key for (key,) in cursor.fetchall())


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=UTC)


def keep_heads(folder: Path, *, at: datetime) -> Path:
    """Write the end of every chain to a file outside the database, one an hour: a chain that is cut short or
    computed anew no longer meets it. Repeating it within the hour writes the file again."""
    with connections[SWEEP].cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT ON (tenant_id) tenant_id, seq, hash FROM tenancy_auditseal ORDER BY tenant_id, seq DESC"
        )
        heads = {str(tenant_id): [seq, bytes(digest).hex()] for tenant_id, seq, digest in cursor.fetchall()}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{at.astimezone(UTC):%Y-%m-%dT%H}.json"
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps({"at": at.isoformat(), "heads": heads}))
    os.replace(fresh, path)
    return path


def kept_heads(folder: Path) -> dict[UUID, dict[int, bytes]]:
    """What was kept outside: {tenant: {seq: hash}}; empty where nothing was."""
    kept: dict[UUID, dict[int, bytes]] = {}
    for path in sorted(folder.glob("*.json")):
        for key, (seq, digest) in json.loads(path.read_text())["heads"].items():
            kept.setdefault(UUID(key), {})[seq] = bytes.fromhex(digest)
    return kept
