"""A rollout as proposed: who gets it, on which night, who is left out and why. Nothing happens before somebody says yes.

The proposal is the dry run: its rows are those the rollout works through later. Of an entered tenant; times aware, UTC.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import connection

from fleet import scope
from fleet.models import Device, Room
from foundation.context import current_tenant
from foundation.errors import NotValid
from foundation.ids import new_id
from tenancy import audit
from tenancy.models import Person, Tenant
from updates import clients, planning, releases, rings, rollouts, targets
from updates.applicability import EQUIPMENT, Fit, fit
from updates.errors import NoFile, ReleaseDeprecated
from updates.models import Release, Ring, Rollout, RolloutStage, RolloutTarget
from updates.planning import RoomOfRing
from updates.states import RolloutState, StageState, TargetState

AT_ONCE = 2_000
LATEST = timedelta(days=180)
LATEST_DEADLINE = timedelta(days=366)
HEALTH_MINUTES = 10
MOST_HEALTH_MINUTES = 24 * 60


@dataclass(frozen=True)
class Candidate:
    """A device the release may be for, and what became of comparing."""

    device_id: UUID
    room_id: UUID | None
    building: UUID | None
    model: str
    version: str
    left_out: str  # why, "" where it is in


@dataclass(frozen=True)
class Planned:
    """What becomes of a candidate: its ring's stage and night, or why it is left out."""

    candidate: Candidate
    stage_id: UUID | None
    night: date | None
    left_out: str


def propose(
    release_id: UUID,
    *,
    starts_on: date | None = None,
    ring_ids: Iterable[UUID] | None = None,
    health_minutes: int = HEALTH_MINUTES,
    needs_consent: bool = False,
    forced_at: datetime | None = None,
    download_only: bool = False,
    by: Person | None = None,
    at: datetime,
) -> Rollout:
    """Plan a release for every device it fits. `ring_ids`: these rings alone; all where None.

    `needs_consent`: update clients that can are asked before they begin.
    `forced_at`: from then on update clients are told to install, before it they may choose when.
    `download_only`: devices fetch the file and leave it at that; those whose client cannot are left out.
    `starts_on`: the first night; else the next Wednesday, or at once where the release is critical.
    Raises Missing, NotValid, NoFile, ReleaseDeprecated, NotAllowed.
    """
    scope.refuse_part("Planning a rollout")
    tenant_id = current_tenant()
    release = releases.release(release_id, field="release")
    require_file(release)
    today = at.astimezone(ZoneInfo(Tenant.objects.get(id=tenant_id).time_zone)).date()
    first = starts_on or rollouts.first_night(today, critical=release.critical)
    if not today - timedelta(days=1) <= first <= today + LATEST:
        raise NotValid("A day within the next six months.", field="starts_on")
    if not 0 <= health_minutes <= MOST_HEALTH_MINUTES:
        raise NotValid(f"From 0 to {MOST_HEALTH_MINUTES} minutes.", field="health_minutes")
    if forced_at is not None and not at < forced_at <= at + LATEST_DEADLINE:
        raise NotValid("A moment within the next year.", field="forced_at")
    every = rings.all_rings(at=at)
    chosen = _chosen(every, ring_ids)
    found, others = candidates(tenant_id, release)
    if download_only:
        able = clients.that_handle_skip(tenant_id)
        found = [
            each if each.left_out or each.device_id in able else replace(each, left_out="installs_too")
            for each in found
        ]
    row = Rollout(
        tenant_id=tenant_id,
        release=release,
        kind=Rollout.Kind.INSTALL,
        state=RolloutState.PROPOSED,
        starts_on=first,
        health_minutes=health_minutes,
        needs_consent=needs_consent,
        forced_at=forced_at,
        download_only=download_only,
        others=others,
        created_at=at,
        created_by=by,
    )
    row.save(force_insert=True)
    stages = _stages(row, chosen)
    plan(row, stages, found, at=at)
    after: dict[str, Any] = {
        "release": str(release),
        "starts_on": first.isoformat(),
        "rings": [each.name for each in stages],
    }
    after |= {"forced_at": forced_at.isoformat()} if forced_at else {}
    after |= {"download_only": True} if download_only else {}
    audit.record("rollout.propose", row, tenant_id=tenant_id, at=at, after=after)
    return row


def candidates(
    tenant_id: UUID, release: Release, *, device_ids: Sequence[UUID] | None = None
) -> tuple[list[Candidate], int]:
    """Every device of the release's make and model, and how many others there are. Two or three queries."""
    offered = releases.offered(release)
    of_equipment = release.component == EQUIPMENT
    equipment = (
        targets.equipment_versions(tenant_id, release, None if device_ids is None else list(device_ids))
        if of_equipment
        else {}
    )
    rows = Device.objects.for_tenant(tenant_id).filter(retired_at=None)
    rows = rows.exclude(status=Device.Status.UNENROLLED)
    if device_ids is not None:
        rows = rows.filter(id__in=list(device_ids))
    found: list[Candidate] = []
    others = 0
    # Buildings apart: a join of all devices with their rooms is planned badly until a new fleet is analysed.
    buildings = dict(Room.objects.for_tenant(tenant_id).current().values_list("id", "site_id"))
    columns = ("id", "room_id", "make", "model", "versions", "agent_version", "status")
    for key, room_id, make, model, versions, agent, status in rows.values_list(*columns):
        site_id = buildings.get(room_id) if room_id is not None else None
        if of_equipment:
            told = equipment.get(key)
            result = Fit.OTHER if told is None else fit(offered, release.make, release.model, told)
            version = told or ""
        else:
            version = targets.version_in(release.component, versions, agent)
            result = fit(offered, make, model, version)
        if result == Fit.OTHER:
            others += 1
            continue
        out = "" if result == Fit.FITS else result.value
        if not out and status != Device.Status.ENROLLED:
            out = "not_watched"
        if not out and room_id is None:
            out = "no_room"
        found.append(Candidate(key, room_id, site_id, f"{make} {model}".strip()[:201], version[:80], out))
    return found, others


def plan(row: Rollout, stages: Sequence[RolloutStage], found: Sequence[Candidate], *, at: datetime) -> None:
    """Each candidate becomes a target: with its ring and night, or left out with the reason."""
    by_ring = {stage.ring_id: stage for stage in stages}
    ring_of = rings.rings_of(at=at)
    rooms: dict[UUID, set[RoomOfRing]] = {stage.id: set() for stage in stages}
    where: dict[UUID, RolloutStage | None] = {}
    for each in found:
        ring = ring_of.get(each.room_id) if each.room_id else None
        stage = by_ring.get(ring.id) if ring else None
        where[each.device_id] = stage
        if stage is not None and each.room_id is not None and not each.left_out:
            rooms[stage.id].add(RoomOfRing(each.room_id, each.building))
    nights = {stage.id: planning.spread(rooms[stage.id], stage.rollout_days) for stage in stages}
    made: list[Planned] = []
    counted: Tally[UUID] = Tally()
    for each in found:
        stage, out = where[each.device_id], each.left_out
        if not out and stage is None:
            out = "ring_left_out" if each.room_id in ring_of else "no_room"
        night = None
        if not out and stage is not None and each.room_id is not None:
            night = planning.night(stage.starts_on, nights[stage.id][each.room_id])
            counted[stage.id] += 1
        made.append(Planned(each, stage.id if stage else None, night, out))
    for start in range(0, len(made), AT_ONCE):
        _insert(row, made[start : start + AT_ONCE], at=at)
    for stage in stages:
        stage.scheduled = counted[stage.id]
        RolloutStage.objects.for_tenant(row.tenant_id).filter(id=stage.id).update(scheduled=counted[stage.id])


def _insert(row: Rollout, planned: Sequence[Planned], *, at: datetime) -> None:
    """Targets by columns: through models the same 20,000 rows take three times as long."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO updates_rollouttarget (tenant_id, rollout_id, changed_at, detail, tries, forced, catch_up, "
            "id, device_id, room_id, stage_id, building, model, before, night, reason, state, ended_at) "
            "SELECT %s, %s, %s, '', 0, '', false, planned.* FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], "
            "%s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::date[], %s::text[], %s::text[], %s::timestamptz[]) "
            "AS planned",
            [
                *(row.tenant_id, row.id, at),
                [str(new_id()) for _ in planned],
                [_key(each.candidate.device_id) for each in planned],
                [_key(each.candidate.room_id) for each in planned],
                [_key(each.stage_id) for each in planned],
                [_key(each.candidate.building) for each in planned],
                [each.candidate.model for each in planned],
                [each.candidate.version for each in planned],
                [each.night for each in planned],
                [each.left_out for each in planned],
                [TargetState.NOT_REQUIRED if each.left_out else TargetState.SCHEDULED for each in planned],
                [at if each.left_out else None for each in planned],
            ],
        )


def _key(value: UUID | None) -> str | None:
    return str(value) if value is not None else None


def left_out(row: Rollout) -> dict[str, int]:
    """How many were left out for each reason."""
    rows = RolloutTarget.objects.for_tenant(row.tenant_id).filter(rollout=row, state=TargetState.NOT_REQUIRED)
    return dict(Tally(rows.values_list("reason", flat=True)).most_common())


def nights_of(row: Rollout) -> dict[UUID, dict[date, int]]:
    """Devices planned for each night, by stage."""
    rows = RolloutTarget.objects.for_tenant(row.tenant_id).filter(rollout=row).exclude(night=None)
    found: dict[UUID, dict[date, int]] = {}
    for (stage_id, night), number in sorted(
        Tally(rows.values_list("stage_id", "night")).items(), key=lambda each: (str(each[0][0]), each[0][1])
    ):
        if stage_id is not None and night is not None:
            found.setdefault(stage_id, {})[night] = number
    return found


def stage_of(row: Rollout, ring: Ring, position: int, starts_on: date, **given: Any) -> RolloutStage:
    """A ring's terms as they are now, not saved."""
    return RolloutStage(
        **{
            "tenant_id": row.tenant_id,
            "rollout": row,
            "ring_id": ring.id,
            "name": ring.name,
            "position": position,
            "rollout_days": ring.rollout_days,
            "test_days": ring.test_days,
            "needs_approval": ring.needs_approval,
            "at_once": ring.at_once,
            "building_limit": ring.building_limit,
            "model_limit": ring.model_limit,
            "failure_limit_pct": ring.failure_limit_pct,
            "state": StageState.WAITING,
            "starts_on": starts_on,
            **given,
        }
    )


def require_file(release: Release) -> None:
    """Raises ReleaseDeprecated, NoFile."""
    if release.state == Release.State.DEPRECATED:
        raise ReleaseDeprecated(f"{release} is deprecated.", field="release")
    if releases.artifact_of(release) is None:
        raise NoFile(f"{release} has no file yet.", field="release")


def _chosen(every: list[Ring], ring_ids: Iterable[UUID] | None) -> list[Ring]:
    if ring_ids is None:
        return every
    wanted = set(ring_ids)
    chosen = [ring for ring in every if ring.id in wanted]
    if not wanted or len(chosen) != len(wanted):
        raise NotValid("Choose rings of yours.", field="rings")
    return chosen


def _stages(row: Rollout, chosen: list[Ring]) -> list[RolloutStage]:
    starts = rollouts.planned_starts(row.starts_on, [(ring.rollout_days, ring.test_days) for ring in chosen])
    stages = [
        stage_of(row, ring, place, start)
        for place, (ring, start) in enumerate(zip(chosen, starts, strict=True), 1)
    ]
    RolloutStage.objects.for_tenant(row.tenant_id).bulk_create(stages)
    return stages
