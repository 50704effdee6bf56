"""Devices in a rollout change their state here alone: conditionally, with the numbers of their ring in one transaction.

The tenant is entered; times are aware, UTC.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import F

from fleet.models import Device, Peripheral
from updates.applicability import EQUIPMENT, oldest
from updates.models import Release, RolloutStage, RolloutTarget
from updates.states import TargetState
from updates.versions import Scheme

ENDED = frozenset({TargetState.SUCCEEDED, TargetState.FAILED, TargetState.SKIPPED, TargetState.NOT_REQUIRED})
COUNTED = frozenset(TargetState) - {TargetState.NOT_REQUIRED}
COLUMNS = {each: each.value for each in COUNTED}
AT_ONCE = 2_000


def move(
    tenant_id: UUID,
    target_ids: Iterable[UUID],
    *,
    came_from: Iterable[TargetState],
    to: TargetState,
    at: datetime,
    reason: str = "",
    **values: Any,
) -> list[UUID]:
    """Those that were in a state of `came_from` are in `to` now; returns them. The others are left alone."""
    wanted = sorted(set(target_ids))
    moved: list[UUID] = []
    for start in range(0, len(wanted), AT_ONCE):
        rows = RolloutTarget.objects.for_tenant(tenant_id).filter(id__in=wanted[start : start + AT_ONCE])
        found = list(
            rows.filter(state__in=list(came_from))
            .order_by("id")
            .select_for_update(no_key=True)
            .values_list("id", "stage_id", "state")
        )
        ids = [key for key, _, _ in found]
        if not ids:
            continue
        rows.filter(id__in=ids).update(
            state=to,
            reason=reason,
            changed_at=at,
            ended_at=at if to in ENDED else None,
            **values,
        )
        changes: Tally[tuple[UUID, str]] = Tally()
        for _, stage_id, state in found:
            if stage_id is not None:
                changes[(stage_id, state)] -= 1
                changes[(stage_id, to)] += 1
        _count(tenant_id, changes)
        moved += ids
    return moved


def _count(tenant_id: UUID, changes: Mapping[tuple[UUID, str], int]) -> None:
    by_stage: dict[UUID, dict[str, Any]] = {}
    for (stage_id, state), amount in changes.items():
        if amount and TargetState(state) in COUNTED:
            column = COLUMNS[TargetState(state)]
            by_stage.setdefault(stage_id, {})[column] = F(column) + amount
    for stage_id in sorted(by_stage):
        RolloutStage.objects.for_tenant(tenant_id).filter(id=stage_id).update(**by_stage[stage_id])


def versions_now(tenant_id: UUID, release: Release, device_ids: Iterable[UUID]) -> dict[UUID, str]:
    """The version of what `release` is for that each device, or the equipment at it, says it runs; "" untold."""
    wanted = list(device_ids)
    if release.component == EQUIPMENT:
        return dict.fromkeys(wanted, "") | equipment_versions(tenant_id, release, wanted)
    rows = Device.objects.for_tenant(tenant_id).filter(id__in=wanted)
    return {
        key: version_in(release.component, versions, agent)
        for key, versions, agent in rows.values_list("id", "versions", "agent_version")
    }


def version_in(component: str, versions: Any, agent_version: str) -> str:
    told = versions.get(component) if isinstance(versions, dict) else None
    if isinstance(told, str) and told:
        return told
    return agent_version if component == "agent" else ""


def equipment_versions(
    tenant_id: UUID, release: Release, device_ids: list[UUID] | None = None
) -> dict[UUID, str]:
    """By device: the oldest firmware among its equipment of the release's make and model."""
    rows = Peripheral.objects.for_tenant(tenant_id).filter(
        connected=True, make__iexact=release.make, model__iexact=release.model
    )
    if device_ids is not None:
        rows = rows.filter(device_id__in=device_ids)
    told: dict[UUID, list[str]] = {}
    for device_id, firmware in rows.values_list("device_id", "firmware"):
        told.setdefault(device_id, []).append(firmware)
    return {key: oldest(Scheme(release.scheme), versions) for key, versions in told.items()}
