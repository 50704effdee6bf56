"""A rollout goes on by itself: what time and reports decide, the next ring, the next rooms.

`advance` may be called as often as one likes and by any number of workers: it holds the rollout while it works.
Of an entered tenant; times are aware, UTC.
"""

from __future__ import annotations

import math
from collections import Counter as Tally
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db.models import Count, F, Q

from fleet import faults, telemetry
from fleet.models import Device, Room, SignalState
from foundation.tenant_tables import TenantQuerySet
from tenancy import audit
from updates import attempts, clients, gates, readiness, rollout_ends, rollouts, targets
from updates.attempts import FORCED_LIVES, Offer
from updates.gates import Health, Verdict
from updates.models import Attempt, Rollout, RolloutGate, RolloutStage, RolloutTarget
from updates.readiness import OS_SIGNALS, Readiness
from updates.rings import Windows
from updates.rollout_ends import UPDATE_PAUSED
from updates.rollouts import Change, Counts, Stage, Standing
from updates.states import ENDED_ROLLOUTS, RolloutState, StageState, TargetState
from updates.windows import open_night

EVERY = timedelta(seconds=15)  # while a device is under way
SELDOM = timedelta(minutes=1)  # while rooms wait for their hours, or a ring is tested
SCANNED = 5_000  # waiting devices looked at in one go
OWN = ("state", "reason", "starts_on", "started_at", "installed_at", "passed_at", "failed_accepted")
NIGHTS = 3  # so many nights a device that cannot be reached is waited for


def advance(rollout_id: UUID, tenant_id: UUID, *, at: datetime) -> bool:
    """One look. False where another worker has it or there is nothing to do."""
    rows = Rollout.objects.for_tenant(tenant_id).filter(id=rollout_id)
    row = rows.select_related("release").select_for_update(skip_locked=True, of=("self",)).first()
    if row is None or row.due_at is None:
        return False
    if row.state == RolloutState.SCHEDULED and (at + rollouts.FIRST_ZONE).date() >= row.starts_on:
        begin(row, at=at)
    attempts.settle(row, at=at)
    if row.state == RolloutState.IN_PROGRESS:
        _give_up(row, at=at)
        take_steps(row, at=at)
    if row.state == RolloutState.IN_PROGRESS:
        _offer(row, at=at)
    row.due_at = _next_look(row, at)
    row.save()
    return True


def begin(row: Rollout, *, at: datetime) -> None:
    """The first ring may begin. Older releases of the same product go to no further room. Not saved."""
    row.state = rollouts.after(RolloutState(row.state), rollouts.Event.START)
    row.started_at, row.due_at = at, at
    audit.record("rollout.start", row, tenant_id=row.tenant_id, at=at)
    rollout_ends.supersede_older(row, at=at)


def take_steps(row: Rollout, *, at: datetime) -> None:
    """What follows from how the rings stand. Not saved."""
    stages = stages_of(row)
    facts = tuple(_facts(row, stage) for stage in stages)
    standing, steps = rollouts.advanced(Standing(RolloutState(row.state), facts), at=at)
    row.state = standing.state  # before offers are withdrawn: what they go back to follows from it
    for step in steps:
        stage = stages[step.stage] if step.stage is not None else None
        if stage is None:
            row.ended_at = at
            audit.record("rollout.end", row, tenant_id=row.tenant_id, at=at, after={"state": row.state})
            continue
        _change(row, stage, step, at=at)


def stages_of(row: Rollout) -> list[RolloutStage]:
    """In their order."""
    return list(RolloutStage.objects.for_tenant(row.tenant_id).filter(rollout=row).order_by("position"))


def counts_of(stage: RolloutStage) -> Counts:
    return Counts(stage.scheduled, stage.in_progress, stage.succeeded, stage.failed, stage.skipped)


def plain(stage: RolloutStage) -> Stage:
    """As updates.rollouts knows it, before its gates are asked."""
    return Stage(
        state=StageState(stage.state),
        starts_on=stage.starts_on,
        test_days=stage.test_days,
        counts=counts_of(stage),
        needs_approval=stage.needs_approval,
        approved=stage.approved_at is not None,
        failure_limit_pct=stage.failure_limit_pct,
        failed_accepted=stage.failed_accepted,
        installed_at=stage.installed_at,
    )


def _facts(row: Rollout, stage: RolloutStage) -> Stage:
    bare = plain(stage)
    if bare.state not in (StageState.IN_PROGRESS, StageState.TESTING):
        return bare
    tripped = RolloutGate.objects.for_tenant(row.tenant_id).filter(stage=stage, tripped=True).exists()
    unwell = any(verdict == Verdict.STOP for _, _, _, verdict in health_of(row, stage))
    return replace(
        bare,
        gate=Verdict.STOP if tripped else Verdict.GO_ON,
        health=Verdict.STOP if unwell else Verdict.GO_ON,
    )


def health_of(row: Rollout, stage: RolloutStage) -> list[tuple[str, Health, Health, Verdict]]:
    """Of each model with updated rooms in this ring: rooms that have the update, rooms that have not, the verdict."""
    tenant_id = row.tenant_id
    mine = RolloutTarget.objects.for_tenant(tenant_id).filter(rollout=row)
    updated = mine.filter(stage=stage, state=TargetState.SUCCEEDED)
    here = _by_model(updated)
    if not here or (stage.installed_at or stage.started_at) is None:
        return []
    have_it = ["already_current", "runs_newer"]
    others = mine.filter(model__in=list(here)).exclude(room=None).exclude(reason__in=have_it)
    waiting = others.filter(state__in=[TargetState.SCHEDULED, TargetState.SKIPPED, TargetState.NOT_REQUIRED])
    rest = _by_model(waiting)
    return [
        (model, have, have_not, gates.health_verdict(have, have_not))
        for model, have in sorted(here.items())
        for have_not in [rest.get(model, Health(0, 0))]
    ]


def _by_model(rows: TenantQuerySet[RolloutTarget]) -> dict[str, Health]:
    """Rooms, and those with a fault, counted where they lie."""
    rooms = Count("room_id", distinct=True)
    unwell = Count("room_id", distinct=True, filter=Q(room__open_faults__gt=0))
    counted = rows.order_by().values_list("model").annotate(rooms=rooms, unwell=unwell)
    return {model: Health(number, faulty) for model, number, faulty in counted}


def _change(row: Rollout, stage: RolloutStage, step: rollouts.Step, *, at: datetime) -> None:
    match step.change:
        case Change.BEGIN:
            _postpone(row, stage, at=at)
            stage.state, stage.started_at = StageState.IN_PROGRESS, at
        case Change.TEST:
            stage.state, stage.installed_at = StageState.TESTING, at
        case Change.PASS:
            stage.state, stage.passed_at = StageState.PASSED, at
        case _:
            stage.state, stage.reason = StageState.STOPPED, step.reason
            row.reason, row.stopped_by_gate = f"{stage.name}: {step.reason}"[:200], True
            row.paused_at = at
            attempts.withdraw(row, at=at)
            raise_paused(row, stage, at=at)
    stage.save(update_fields=OWN)  # its counts move with its rooms
    action = "rollout.pause" if step.change == Change.STOP else "rollout.ring"
    after = {"ring": stage.name, "state": stage.state} | ({"reason": step.reason} if step.reason else {})
    audit.record(action, row, tenant_id=row.tenant_id, at=at, after=after)


def raise_paused(row: Rollout, stage: RolloutStage | None, *, at: datetime) -> None:
    """One ticket, at a device that shows why: one that failed, else one that is waiting."""
    rows = RolloutTarget.objects.for_tenant(row.tenant_id).filter(rollout=row).exclude(room=None)
    if stage is not None:
        rows = rows.filter(stage=stage)
    order = (F("ended_at").desc(nulls_last=True), "id")
    shown = (
        rows.filter(state=TargetState.FAILED).order_by(*order).select_related("device").first()
        or rows.exclude(state=TargetState.NOT_REQUIRED).order_by("id").select_related("device").first()
    )
    if shown is None:
        return
    evidence = {"rollout": str(row.id), "release": str(row.release), "reason": row.reason}
    summary = f"The rollout of {row.release} is paused: {row.reason}"
    faults.raise_fault(shown.device, UPDATE_PAUSED, summary, at=at, subject=str(row.id), evidence=evidence)


def _postpone(row: Rollout, stage: RolloutStage, *, at: datetime) -> None:
    """A ring that begins later than planned has its nights later, by as many days."""
    begins = at.date()
    late = (begins - stage.starts_on).days
    if late > 0:
        waiting = RolloutTarget.objects.for_tenant(row.tenant_id).filter(
            stage=stage, state=TargetState.SCHEDULED
        )
        waiting.update(night=F("night") + timedelta(days=late))
        stage.starts_on = begins


def _give_up(row: Rollout, *, at: datetime) -> None:
    """Devices that could not be reached on their nights are skipped: they catch up when they are back."""
    last = (at - timedelta(hours=12)).date() - timedelta(days=NIGHTS)
    waiting = RolloutTarget.objects.for_tenant(row.tenant_id).filter(
        rollout=row, state=TargetState.SCHEDULED, night__lt=last, forced=""
    )
    missed = waiting.filter(stage__state=StageState.IN_PROGRESS) | waiting.filter(catch_up=True)
    ids = list(missed.values_list("id", flat=True)[:SCANNED])
    if ids:
        targets.move(
            row.tenant_id,
            ids,
            came_from=[TargetState.SCHEDULED],
            to=TargetState.SKIPPED,
            at=at,
            reason="unreachable",
        )


def put_off(row: Rollout, *, at: datetime) -> None:
    """After a pause: the nights that were missed come later, by as many days as it lasted."""
    days = (at - row.paused_at).days if row.paused_at else 0
    if days > 0:
        waiting = RolloutTarget.objects.for_tenant(row.tenant_id).due().filter(rollout=row)
        begun = waiting.filter(stage__started_at__isnull=False).exclude(night=None)
        ids = list(begun.values_list("id", flat=True))
        RolloutTarget.objects.for_tenant(row.tenant_id).filter(id__in=ids).update(
            night=F("night") + timedelta(days=days)
        )


def _next_look(row: Rollout, at: datetime) -> datetime | None:
    if row.state == RolloutState.PROPOSED:
        return None
    under_way = Attempt.objects.for_tenant(row.tenant_id).open().filter(rollout=row).exists()
    if row.state in ENDED_ROLLOUTS or row.state == RolloutState.PAUSED:
        return at + EVERY if under_way else None
    if row.state == RolloutState.SCHEDULED:
        return datetime.combine(row.starts_on, datetime.min.time(), ZoneInfo("UTC")) - rollouts.FIRST_ZONE
    return at + (EVERY if under_way else SELDOM)


# Offers ----------------------------------------------------------------------------------------------------------


@dataclass
class _Room:
    """Under way: how many in all, by building, by model."""

    of_stage: Tally[UUID]
    of_building: Tally[UUID | None]
    of_model: Tally[str]


def _offer(row: Rollout, *, at: datetime) -> None:
    stages = {stage.id: stage for stage in stages_of(row)}
    open_now = list(
        Attempt.objects.for_tenant(row.tenant_id)
        .open()
        .filter(rollout=row)
        .values_list("target__stage_id", "target__building", "target__model")
    )
    under_way = _Room(
        Tally(stage for stage, _, _ in open_now if stage),
        Tally(building for _, building, _ in open_now),
        Tally(model for _, _, model in open_now),
    )
    forced = RolloutTarget.objects.for_tenant(row.tenant_id).due().filter(rollout=row).exclude(forced="")
    full = all(under_way.of_stage[stage.id] >= stage.at_once for stage in stages.values())
    if full and not forced.exists():
        return
    wanted: list[Offer] = []
    for target, reason, ends_at in looked_at(row, stages, at=at):
        if reason == "clock_wrong":
            _fail_clock(row, target, at=at)
        elif reason == "installs_too":
            _skip(row, target, reason, at=at)
        if reason or ends_at is None or target.stage_id is None or target.room_id is None:
            continue
        stage = stages[target.stage_id]
        if not target.forced and limit_reached(stage, target, under_way):
            continue
        under_way.of_stage[stage.id] += 1
        under_way.of_building[target.building] += 1
        under_way.of_model[target.model] += 1
        wanted.append(Offer(target, target.room_id, ends_at))
    attempts.offer(row, wanted, at=at)


def limit_reached(stage: RolloutStage, target: RolloutTarget, under_way: _Room) -> str:
    """Why one more at a time would be too many, "" where it is not."""
    if under_way.of_stage[stage.id] >= stage.at_once:
        return "at_once"
    if stage.building_limit is not None and under_way.of_building[target.building] >= stage.building_limit:
        return "building_limit"
    if stage.model_limit is not None and under_way.of_model[target.model] >= stage.model_limit:
        return "model_limit"
    return ""


def looked_at(
    row: Rollout,
    stages: dict[UUID, RolloutStage],
    *,
    at: datetime,
    some: Sequence[RolloutTarget] | None = None,
) -> list[tuple[RolloutTarget, str, datetime | None]]:
    """Waiting devices whose night has come, in the order of their nights: why each still waits ("" for none), and
    until when it may be offered. `some`: these alone, whatever their night."""
    if some is None:
        going = [stage.id for stage in stages.values() if stage.state == StageState.IN_PROGRESS]
        waiting = RolloutTarget.objects.for_tenant(row.tenant_id).due().filter(rollout=row)
        latest = (at + rollouts.FIRST_ZONE).date()
        due = waiting.filter(night__lte=latest)
        some = list(waiting.exclude(forced="").order_by("night", "id")[:SCANNED])
        some += _in_turn(
            due.filter(forced="", stage_id__in=going) | due.filter(forced="", catch_up=True), at=at
        )
    if not some:
        return []
    rooms = {
        room.id: room
        for room in Room.objects.for_tenant(row.tenant_id)
        .filter(id__in={target.room_id for target in some if target.room_id})
        .only("id", "tenant", "time_zone")
    }
    windows = Windows(rooms)
    zones = {name: ZoneInfo(name) for name in {room.time_zone for room in rooms.values()}}
    found: list[tuple[RolloutTarget, str, datetime | None]] = []
    open_for: dict[UUID, datetime] = {}
    for target in some:
        room = rooms.get(target.room_id) if target.room_id else None
        if room is None:
            found.append((target, "no_room", None))
            continue
        if target.forced:
            open_for[target.id] = at + FORCED_LIVES
            continue
        night = open_night(windows.of(room.id), zones[room.time_zone], at=at)
        if night is None:
            found.append((target, "outside_window", None))
        elif target.night is not None and night.day < target.night:
            found.append((target, "night_not_come", None))
        else:
            open_for[target.id] = night.ends_at
    ready = _ready(row, [target for target in some if target.id in open_for], at=at)
    for target in some:
        if target.id in open_for:
            found.append((target, ready[target.id], open_for[target.id]))
    return found


def _in_turn(due: TenantQuerySet[RolloutTarget], *, at: datetime) -> list[RolloutTarget]:
    """Some of those that are due: where they are more than fit one look, another piece each minute, so that devices
    which cannot begin do not keep the others from it."""
    pieces = max(1, math.ceil(due.count() / SCANNED))
    first = int(at.timestamp()) // 60 % pieces * SCANNED
    return list(due.order_by("night", "id")[first : first + SCANNED])


def _ready(row: Rollout, some: Sequence[RolloutTarget], *, at: datetime) -> dict[UUID, str]:
    """Why devices whose hour has come cannot be updated right now, "" where they can."""
    if not some:
        return {}
    tenant_id = row.tenant_id
    devices = {
        device.id: device
        for device in Device.objects.for_tenant(tenant_id)
        .filter(id__in=[target.device_id for target in some])
        .only("id", "tenant", "key", "status", "silent_since", "clock_bad", "retired_at")
    }
    busy = set(
        Attempt.objects.for_tenant(tenant_id)
        .open()
        .filter(room_id__in={target.room_id for target in some})
        .values_list("room_id", flat=True)
    )
    unwell: dict[UUID, set[str]] = {}
    signals = SignalState.objects.for_tenant(tenant_id).filter(
        device_id__in=list(devices), state=SignalState.State.UNHEALTHY, signal__in=["disk_space", *OS_SIGNALS]
    )
    for device_id, signal in signals.values_list("device_id", "signal"):
        unwell.setdefault(device_id, set()).add(signal)
    meeting = telemetry.in_meeting(tenant_id, [device.key for device in devices.values()], at=at)
    able = clients.that_handle_skip(tenant_id) if row.download_only else devices.keys()
    found: dict[UUID, str] = {}
    for target in some:
        device = devices[target.device_id]
        state = Readiness(
            enrolled=device.status == Device.Status.ENROLLED and device.retired_at is None,
            silent=device.silent_since is not None,
            in_meeting=device.key in meeting,
            clock_wrong=device.clock_bad,
            unhealthy=unwell.get(device.id, frozenset()),
        )
        reason = readiness.blocker(row.release.kind, state, forced=target.forced)
        if target.device_id not in able:
            reason = "installs_too"
        if not reason and target.room_id in busy:
            reason = "other_update"
        if not reason and target.room_id is not None:
            busy.add(target.room_id)  # one device of a room at a time
        found[target.id] = reason
    return found


def _skip(row: Rollout, target: RolloutTarget, reason: str, *, at: datetime) -> None:
    targets.move(
        row.tenant_id,
        [target.id],
        came_from=[TargetState.SCHEDULED],
        to=TargetState.SKIPPED,
        at=at,
        reason=reason,
        forced="",
    )


def _fail_clock(row: Rollout, target: RolloutTarget, *, at: datetime) -> None:
    """A device whose clock is wrong cannot check what it fetches; somebody has to see to it."""
    moved = targets.move(
        row.tenant_id,
        [target.id],
        came_from=[TargetState.SCHEDULED],
        to=TargetState.FAILED,
        at=at,
        reason="clock_wrong",
        forced="",
    )
    if moved:
        device = Device.objects.for_tenant(row.tenant_id).get(id=target.device_id)
        attempts.raise_failure(device, row.release, row, "clock_wrong", "", at=at)


def why_waiting(row: Rollout, some: Sequence[RolloutTarget], *, at: datetime) -> dict[UUID, str]:
    """For people: why each of these waiting devices has not begun, in a word of updates.reasons."""
    stages = {stage.id: stage for stage in stages_of(row)}
    waiting = [target for target in some if target.state == TargetState.SCHEDULED]
    found: dict[UUID, str] = {}
    for target in waiting:
        stage = stages.get(target.stage_id) if target.stage_id else None
        if row.state == RolloutState.PAUSED:
            found[target.id] = "paused"
        elif row.state != RolloutState.IN_PROGRESS:
            found[target.id] = "night_not_come"
        elif not target.forced and not target.catch_up and stage and stage.state != StageState.IN_PROGRESS:
            found[target.id] = "ring_not_reached"
    rest = [target for target in waiting if target.id not in found]
    for target, reason, _ in looked_at(row, stages, at=at, some=rest):
        found[target.id] = reason or "at_once"
    return found
