"""Devices that come after their ring: new, set up anew, away on their night, or several versions behind.

A rollout that is under way, or was the last of its product, takes them in. Whoever runs at least the version before
(N-1) waits for its ring; what is older skips the rings once the first has passed. Of an entered tenant.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from fleet.models import Device
from updates import proposals, rings, rollout_progress, rollouts, targets, versions
from updates.models import Release, Ring, Rollout, RolloutStage, RolloutTarget
from updates.proposals import Candidate
from updates.states import RolloutState, StageState, TargetState
from updates.versions import NotAVersion, Scheme

TAKES_IN = (RolloutState.IN_PROGRESS, RolloutState.COMPLETED, RolloutState.COMPLETED_WITH_FAILURES)
COMES_BACK = {  # why a device is out, and comes in once that is over
    "not_watched",
    "no_room",
    "unreachable",
    "version_unknown",
    "already_current",
    "runs_newer",
}


def catch_up(tenant_id: UUID, *, at: datetime) -> int:
    """Take in what came since. Returns how many devices are scheduled now. Safe to repeat."""
    taken = 0
    for row in _latest(tenant_id):
        taken += _take_in(row, at=at)
    return taken


def _latest(tenant_id: UUID) -> list[Rollout]:
    """The newest rollout of each product for each kind of device, where it was not stopped."""
    rows = Rollout.objects.for_tenant(tenant_id).filter(
        kind=Rollout.Kind.INSTALL,
        download_only=False,
        state__in=TAKES_IN,
        release__state=Release.State.AVAILABLE,
    )
    newest: dict[tuple[str, ...], Rollout] = {}
    for row in rows.select_related("release").order_by("created_at", "id"):
        release = row.release
        newest[(release.name, release.scheme, release.make, release.model)] = row
    undone = set(
        Rollout.objects.for_tenant(tenant_id).exclude(undoes=None).values_list("undoes_id", flat=True)
    )
    return [row for row in newest.values() if row.id not in undone]


def _take_in(row: Rollout, *, at: datetime) -> int:
    found, _ = proposals.candidates(row.tenant_id, row.release)
    fits = {each.device_id: each for each in found if not each.left_out}
    there = {
        device_id: (key, state, reason, room_id)
        for device_id, key, state, reason, room_id in RolloutTarget.objects.for_tenant(row.tenant_id)
        .filter(rollout=row, device_id__in=list(fits))
        .values_list("device_id", "id", "state", "reason", "room_id")
    }
    new = [each for device_id, each in fits.items() if device_id not in there]
    away = _away(row.tenant_id, [key for key, (_, _, reason, _) in there.items() if reason == "unreachable"])
    back = [
        (there[device_id][0], each)
        for device_id, each in fits.items()
        if device_id in there
        and device_id not in away
        and _comes_back(row.release, each, there[device_id][1], there[device_id][2])
    ]
    if not new and not back:
        return 0
    stages = rollout_progress.stages_of(row)
    asked = [*new, *(each for _, each in back)]
    ring_of = rings.rings_of([each.room_id for each in asked if each.room_id], at=at)
    by_ring = {stage.ring_id: stage for stage in stages}
    taken = 0
    for each in new:
        taken += _add(row, each, _stage_of(each, ring_of, by_ring), stages, at=at)
    for target_id, each in back:
        taken += _return(row, target_id, each, _stage_of(each, ring_of, by_ring), stages, at=at)
    if taken:
        _wake(row, at=at)
    return taken


def _away(tenant_id: UUID, device_ids: list[UUID]) -> set[UUID]:
    """Those still not heard from."""
    rows = Device.objects.for_tenant(tenant_id).filter(id__in=device_ids).exclude(silent_since=None)
    return set(rows.values_list("id", flat=True))


def _comes_back(release: Release, each: Candidate, state: str, reason: str) -> bool:
    """Had it and tells an older version again; or was out for a reason that is over."""
    if state == TargetState.SUCCEEDED:
        try:
            return versions.compare(Scheme(release.scheme), each.version, release.version) < 0
        except NotAVersion:  # what cannot be read tells nothing: it would be updated for ever
            return False
    return state in (TargetState.NOT_REQUIRED, TargetState.SKIPPED) and reason in COMES_BACK


def _stage_of(
    each: Candidate, ring_of: dict[UUID, Ring], by_ring: dict[UUID, RolloutStage]
) -> RolloutStage | None:
    ring = ring_of.get(each.room_id) if each.room_id else None
    return by_ring.get(ring.id) if ring else None


def _skips_rings(row: Rollout, each: Candidate, stages: list[RolloutStage]) -> bool:
    """Older than N-1, and somebody tried the release before."""
    if not stages or stages[0].state != StageState.PASSED:
        return False
    before = row.release.supersedes
    if before is None:
        return False
    try:
        return versions.compare(Scheme(row.release.scheme), each.version, before.version) < 0
    except NotAVersion:
        return False


def _when(
    row: Rollout, each: Candidate, stage: RolloutStage, stages: list[RolloutStage], at: datetime
) -> dict[str, Any]:
    """With its ring; at the next opportunity where that has gone by or need not be waited for."""
    past = stage.state in (StageState.PASSED, StageState.TESTING)
    early = past or _skips_rings(row, each, stages)
    night = at.date() if early or stage.state == StageState.IN_PROGRESS else stage.starts_on
    return {"night": night, "catch_up": early, "before": each.version, "tries": 0}


def _add(
    row: Rollout, each: Candidate, stage: RolloutStage | None, stages: list[RolloutStage], *, at: datetime
) -> int:
    if stage is None:
        return 0
    target = RolloutTarget(
        tenant_id=row.tenant_id,
        rollout=row,
        stage=stage,
        device_id=each.device_id,
        room_id=each.room_id,
        model=each.model,
        building=each.building,
        state=TargetState.NOT_REQUIRED,
        changed_at=at,
        **_when(row, each, stage, stages, at),
    )
    RolloutTarget.objects.for_tenant(row.tenant_id).bulk_create([target], ignore_conflicts=True)
    return len(
        targets.move(
            row.tenant_id,
            [target.id],
            came_from=[TargetState.NOT_REQUIRED],
            to=TargetState.SCHEDULED,
            at=at,
        )
    )


def _return(
    row: Rollout,
    target_id: UUID,
    each: Candidate,
    stage: RolloutStage | None,
    stages: list[RolloutStage],
    *,
    at: datetime,
) -> int:
    rows = RolloutTarget.objects.for_tenant(row.tenant_id).filter(id=target_id)
    held = rows.first()
    if stage is None or held is None:
        return 0
    if held.stage_id is None or held.room_id != each.room_id:
        if held.state != TargetState.NOT_REQUIRED and held.stage_id not in (None, stage.id):
            stage = next(known for known in stages if known.id == held.stage_id)  # its counts are there
        rows.update(stage=stage, room_id=each.room_id, building=each.building)
    came_from = [TargetState.NOT_REQUIRED, TargetState.SKIPPED, TargetState.SUCCEEDED]
    moved = targets.move(
        row.tenant_id,
        [target_id],
        came_from=came_from,
        to=TargetState.SCHEDULED,
        at=at,
        detail="",
        **_when(row, each, stage, stages, at),
    )
    return len(moved)


def _wake(row: Rollout, *, at: datetime) -> None:
    """A rollout that was over goes on for those who came."""
    held = Rollout.objects.for_tenant(row.tenant_id).filter(id=row.id).select_for_update(no_key=True).get()
    held.state = rollouts.after(RolloutState(held.state), rollouts.Event.AGAIN)
    held.ended_at, held.due_at = None, at
    held.revision += 1
    held.save()
