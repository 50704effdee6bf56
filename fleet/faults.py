"""What is found at fault below incidents: rows with a beginning and an end, which become tickets there.

Raising and ending may be repeated. The tenant is entered; times are aware, UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from fleet import notices
from fleet.models import Device, Fault

LONGEST_SUMMARY = 300


def raise_fault(
    device: Device,
    kind: str,
    summary: str,
    *,
    at: datetime,
    subject: str = "",
    evidence: Mapping[str, Any] | None = None,
) -> Fault:
    """`kind`: the type of the ticket. `subject` (at most 64 characters) tells several of one kind apart."""
    fault, is_new = Fault.objects.for_tenant(device.tenant_id).get_or_create(
        device=device,
        kind=kind,
        subject=subject,
        ended_at=None,
        defaults={"summary": summary[:LONGEST_SUMMARY], "evidence": dict(evidence or {}), "raised_at": at},
    )
    if is_new:
        notices.faults_changed([fault.id], tenant_id=device.tenant_id, at=at)
    return fault


def end_fault(device: Device, kind: str, *, at: datetime, subject: str = "") -> bool:
    """Returns whether there was one."""
    rows = Fault.objects.for_tenant(device.tenant_id).filter(
        device=device, kind=kind, subject=subject, ended_at=None
    )
    ids = list(rows.select_for_update(no_key=True).values_list("id", flat=True))
    Fault.objects.for_tenant(device.tenant_id).filter(id__in=ids).update(ended_at=at)
    if ids:
        notices.faults_changed(ids, tenant_id=device.tenant_id, at=at)
    return bool(ids)
