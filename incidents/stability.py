"""How steady signals are, kept beside them: one row for each that turned lately."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

from incidents.flapping import Stability, turned
from incidents.models import SignalStability

Key = tuple[UUID, str, str]  # device, signal, instance
FORGOTTEN_AFTER = timedelta(days=1)  # nothing of a turn is left by then


def note_turns(tenant_id: UUID, turns: Mapping[Key, int], *, at: datetime) -> dict[Key, Stability]:
    """Count turns of signals whose states the caller holds; two statements, whatever their number."""
    if not turns:
        return {}
    rows = SignalStability.objects.for_tenant(tenant_id).filter(
        device_id__in={key[0] for key in turns}, signal__in={key[1] for key in turns}
    )
    known = {
        (row.device_id, row.signal, row.instance): Stability(row.score, row.scored_at, row.flapping)
        for row in rows
    }
    now = {key: turned(known.get(key), turns=number, at=at) for key, number in turns.items()}
    SignalStability.objects.for_tenant(tenant_id).bulk_create(
        [
            SignalStability(
                tenant_id=tenant_id,
                device_id=device_id,
                signal=signal,
                instance=instance,
                score=each.score,
                scored_at=each.scored_at,
                flapping=each.flapping,
            )
            for (device_id, signal, instance), each in sorted(now.items())
        ],
        update_conflicts=True,
        unique_fields=["tenant", "device", "signal", "instance"],
        update_fields=["score", "scored_at", "flapping"],
    )
    return now


def forget_old(tenant_id: UUID, *, at: datetime) -> int:
    """Drop what has faded, of an entered tenant."""
    old = SignalStability.objects.for_tenant(tenant_id).filter(scored_at__lt=at - FORGOTTEN_AFTER)
    deleted, _ = old.delete()
    return deleted
