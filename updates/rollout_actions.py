"""What people do to rollouts: approve, start, pause, resume, cancel, try again, force, roll a ring back.

Of an entered tenant; times are aware, UTC. Each leaves its event.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import DateField, Exists, ExpressionWrapper, F, OuterRef, Q

from fleet import scope, validation
from fleet.errors import ChangedMeanwhile, Missing
from foundation.context import current_tenant
from foundation.errors import NotValid
from tenancy import audit
from tenancy.models import Person
from updates import attempts, proposals, releases, rollout_ends, rollout_progress, rollouts, targets, versions
from updates.attempts import Withdrawn
from updates.errors import NotNow
from updates.models import Attempt, Release, Rollout, RolloutGate, RolloutStage, RolloutTarget
from updates.rollouts import Event
from updates.states import RolloutState, StageState, TargetState
from updates.versions import Scheme

FORCES = ("now", "next_free")
FORCIBLE = (
    TargetState.SCHEDULED,
    TargetState.FAILED,
    TargetState.SKIPPED,
    TargetState.NOT_REQUIRED,
)
NEVER_FORCED = frozenset({"no_room", "not_watched", "installs_too"})  # nothing can be done there


@dataclass(frozen=True)
class Stopped:
    """A rollout that was paused or ended, and what became of the rooms under way."""

    rollout: Rollout
    withdrawn: Withdrawn


def rollout(rollout_id: UUID) -> Rollout:
    """Raises Missing."""
    rows = Rollout.objects.for_tenant(current_tenant()).filter(id=rollout_id)
    found: Rollout | None = rows.select_related("release", "created_by", "approved_by").first()
    if found is None:
        raise Missing("rollout")
    return found


def approve(
    rollout_id: UUID, *, revision: int | None = None, by: Person | None = None, at: datetime
) -> Rollout:
    """The plan is good: it begins on its first night. Raises Missing, NotNow, ChangedMeanwhile, NotAllowed."""
    row = _held(rollout_id, "Approving a rollout", revision)
    if row.release.state == Release.State.DEPRECATED:
        raise NotNow("Its release is deprecated.")
    row.state = rollouts.after(RolloutState(row.state), Event.APPROVE)
    row.approved_at, row.approved_by, row.due_at = at, by, at
    return _saved(row, "rollout.approve", at=at)


def start(rollout_id: UUID, *, revision: int | None = None, at: datetime) -> Rollout:
    """Begin now instead of on the day planned: every night comes earlier by as many days.

    Raises Missing, NotNow, ChangedMeanwhile, NotAllowed.
    """
    row = _held(rollout_id, "Starting a rollout", revision)
    if row.state != RolloutState.SCHEDULED:
        raise NotNow(rollouts.SAID[RolloutState(row.state)])
    earlier = row.starts_on - at.date()
    if earlier.days > 0:
        rows = RolloutTarget.objects.for_tenant(row.tenant_id).filter(rollout=row).exclude(night=None)
        rows.update(night=_minus("night", earlier))
        stages = RolloutStage.objects.for_tenant(row.tenant_id).filter(rollout=row)
        stages.update(starts_on=_minus("starts_on", earlier))
        row.starts_on = at.date()
    rollout_progress.begin(row, at=at)
    row.revision += 1
    row.save()
    rollout_progress.advance(row.id, row.tenant_id, at=at)
    return rollout(row.id)


def approve_ring(rollout_id: UUID, ring_id: UUID, *, at: datetime) -> RolloutStage:
    """A ring that waits for a yes may begin when its turn comes. Repeating it changes nothing.

    Raises Missing, NotNow, NotAllowed.
    """
    row = _held(rollout_id, "Approving a ring", None)
    stage = _stage(row, ring_id)
    if rollouts.is_over(RolloutState(row.state)):
        raise NotNow(rollouts.SAID[RolloutState(row.state)])
    if stage.approved_at is None:
        stage.approved_at = at
        stage.save(update_fields=["approved_at"])
        row.due_at = at if row.state == RolloutState.IN_PROGRESS else row.due_at
        _saved(row, "rollout.approve_ring", at=at, ring=stage.name)
    return stage


def pause(rollout_id: UUID, *, reason: str, revision: int | None = None, at: datetime) -> Stopped:
    """No further room, and a ticket. Who has not begun is taken back; who installs goes on.

    Raises Missing, NotValid, NotNow, ChangedMeanwhile, NotAllowed.
    """
    row = _held(rollout_id, "Pausing a rollout", revision)
    said = validation.one_line(reason, "reason", at_most=200)
    row.state = rollouts.after(RolloutState(row.state), Event.PAUSE)
    row.reason, row.stopped_by_gate, row.due_at = said, False, at
    row.paused_at = at
    withdrawn = attempts.withdraw(row, at=at)
    rollout_progress.raise_paused(row, None, at=at)
    _saved(row, "rollout.pause", at=at, reason=said, past_return=withdrawn.past)
    return Stopped(row, withdrawn)


def resume(rollout_id: UUID, *, revision: int | None = None, at: datetime) -> Rollout:
    """Go on. A ring that had stopped starts its count anew: what failed so far is known.

    Raises Missing, NotNow, ChangedMeanwhile, NotAllowed.
    """
    row = _held(rollout_id, "Resuming a rollout", revision)
    was_begun = row.started_at is not None
    row.state = rollouts.after(RolloutState(row.state), Event.RESUME)
    if not was_begun:  # paused before its first night
        row.state = RolloutState.SCHEDULED
    rollout_progress.put_off(row, at=at)
    row.reason, row.stopped_by_gate, row.due_at = "", False, at
    for stage in rollout_progress.stages_of(row):
        if stage.state != StageState.STOPPED:
            continue
        RolloutGate.objects.for_tenant(row.tenant_id).filter(stage=stage).update(
            reported=0, failed=0, score=0.0, tripped=False
        )
        again = rollouts.resumed(rollout_progress.plain(stage))
        stage.state, stage.failed_accepted, stage.reason = again.state, again.failed_accepted, ""
        stage.save(update_fields=rollout_progress.OWN)
    rollout_ends.end_paused(row, at=at)
    return _saved(row, "rollout.resume", at=at)


def cancel(rollout_id: UUID, *, reason: str, revision: int | None = None, at: datetime) -> Stopped:
    """For good. Raises Missing, NotValid, NotNow, ChangedMeanwhile, NotAllowed."""
    row = _held(rollout_id, "Cancelling a rollout", revision)
    said = validation.one_line(reason, "reason", at_most=200)
    withdrawn = rollout_ends.end(row, Event.CANCEL, reason=said, at=at)
    after = {"reason": said, "past_return": withdrawn.past}
    audit.record("rollout.cancel", row, tenant_id=row.tenant_id, at=at, after=after)
    return Stopped(row, withdrawn)


def deprecate_release(release_id: UUID, *, reason: str, withdraw: bool = False, at: datetime) -> Release:
    """It goes to no further room; rollouts of it end. Raises what releases.deprecate raises."""
    row = releases.deprecate(release_id, reason=reason, withdraw=withdraw, at=at)
    for each in Rollout.objects.for_tenant(row.tenant_id).filter(release=row).order_by("id"):
        if rollouts.is_over(RolloutState(each.state)):
            continue
        held = _held(each.id, "Ending a rollout", None)
        rollout_ends.end(held, Event.DEPRECATE, reason=row.deprecated_reason, at=at)
        after = {"state": held.state, "reason": held.reason}
        audit.record("rollout.end", held, tenant_id=row.tenant_id, at=at, after=after)
    return row


def retry_failed(rollout_id: UUID, *, at: datetime) -> int:
    """Every device that failed tries again in its next hours. Returns how many. Raises Missing, NotNow, NotAllowed."""
    row = _held(rollout_id, "Trying all failed rooms again", None)
    failed = RolloutTarget.objects.for_tenant(row.tenant_id).filter(rollout=row, state=TargetState.FAILED)
    ids = list(failed.values_list("id", flat=True))
    if not ids:
        raise NotNow("No room failed.")
    _again(row, at=at)
    moved = _schedule(row, ids, [TargetState.FAILED], at=at)
    _saved(row, "rollout.retry", at=at, rooms=len(moved))
    return len(moved)


def retry(rollout_id: UUID, target_id: UUID, *, at: datetime) -> RolloutTarget:
    """One device that failed or was skipped. Raises Missing, NotNow."""
    row, target = _of(rollout_id, target_id)
    if target.state not in (TargetState.FAILED, TargetState.SKIPPED):
        raise NotNow("Only a room that failed or was skipped can try again.")
    _again(row, at=at)
    _schedule(row, [target.id], [TargetState.FAILED, TargetState.SKIPPED], at=at)
    _saved(row, "rollout.retry", at=at, device=target.device.name)
    return _target(row, target.id)


def force(rollout_id: UUID, target_id: UUID, *, when: str, reason: str, at: datetime) -> RolloutTarget:
    """One device whatever its ring, night and hours: `now`, or `next_free` once no meeting is on. On record.

    Raises Missing, NotValid, NotNow.
    """
    row, target = _of(rollout_id, target_id)
    if when not in FORCES:
        raise NotValid("Now, or when next free.", field="when")
    said = validation.one_line(reason, "reason", at_most=200)
    if target.state not in FORCIBLE or target.reason in NEVER_FORCED or target.room_id is None:
        raise NotNow("This room cannot be forced.")
    _again(row, at=at)
    if target.stage_id is None:  # left out with its ring: it comes with the last one
        stage = rollout_progress.stages_of(row)[-1]
        RolloutTarget.objects.for_tenant(row.tenant_id).filter(id=target.id).update(stage=stage)
    targets.move(row.tenant_id, [target.id], came_from=FORCIBLE, to=TargetState.SCHEDULED, at=at, forced=when)
    _saved(row, "rollout.force", at=at, device=target.device.name, when=when, reason=said)
    return _target(row, target.id)


def roll_back(
    rollout_id: UUID,
    *,
    to_release_id: UUID,
    reason: str,
    ring_id: UUID | None = None,
    by: Person | None = None,
    at: datetime,
) -> Rollout:
    """Bring the rooms a ring (or all of them) updated back to an earlier release, at once and in their hours.

    The rollout itself is paused. Returns the new one. Raises Missing, NotValid, NotNow, NoFile, NotAllowed.
    """
    row = _held(rollout_id, "Rolling back", None)
    said = validation.one_line(reason, "reason", at_most=200)
    back = releases.release(to_release_id, field="release")
    proposals.require_file(back)
    if back.name != row.release.name or _order(back, row.release) >= 0:
        raise NotValid(f"Choose an earlier release of {row.release.name}.", field="release")
    # Those that failed their proof run the new version too, and need the old one most.
    tried = Attempt.objects.for_tenant(row.tenant_id).filter(
        target_id=OuterRef("id"), installed_at__isnull=False
    )
    updated = RolloutTarget.objects.for_tenant(row.tenant_id).filter(
        Q(state=TargetState.SUCCEEDED) | (Q(state=TargetState.FAILED) & Exists(tried)), rollout=row
    )
    if row.download_only:
        updated = updated.filter(Exists(tried))
    stages = rollout_progress.stages_of(row)
    of = _stage(row, ring_id) if ring_id is not None else None
    if of is not None:
        updated = updated.filter(stage=of)
    rooms = list(updated.order_by("id").select_related("device"))
    if not rooms:
        raise NotNow("No room has this update.")
    if row.state in (RolloutState.SCHEDULED, RolloutState.IN_PROGRESS):
        row.state = rollouts.after(RolloutState(row.state), Event.PAUSE)
        row.stopped_by_gate, row.paused_at = False, at
        attempts.withdraw(row, at=at)
        row.reason = f"Rolled back: {said}"[:200]
        rollout_progress.raise_paused(row, None, at=at)
    row.due_at = at
    made = _rollback(row, back, rooms, stages, said, by=by, at=at)
    where = of.name if of is not None else "all rings"
    _saved(row, "rollout.roll_back", at=at, to=str(back), ring=where, rooms=len(rooms), reason=said)
    return made


def previous(row: Rollout) -> list[Release]:
    """Earlier releases of the same product with a file, newest first: where it may be rolled back to."""
    same = (
        Release.objects.for_tenant(row.tenant_id)
        .offered()
        .filter(name=row.release.name, scheme=row.release.scheme)
    )
    older = [each for each in same.exclude(artifacts=None) if _order(each, row.release) < 0]
    scheme = Scheme(row.release.scheme)
    return sorted(older, key=lambda each: versions.sort_key(scheme, each.version), reverse=True)


def _rollback(
    row: Rollout,
    back: Release,
    rooms: list[RolloutTarget],
    stages: list[RolloutStage],
    reason: str,
    *,
    by: Person | None,
    at: datetime,
) -> Rollout:
    made = Rollout(
        tenant_id=row.tenant_id,
        release=back,
        kind=Rollout.Kind.ROLLBACK,
        undoes=row,
        state=RolloutState.IN_PROGRESS,
        starts_on=at.date(),
        health_minutes=row.health_minutes,
        reason=reason,
        due_at=at,
        created_at=at,
        created_by=by,
        approved_at=at,
        approved_by=by,
        started_at=at,
    )
    made.save(force_insert=True)
    terms = stages[0]
    stage = RolloutStage(
        tenant_id=row.tenant_id,
        rollout=made,
        ring_id=terms.ring_id,
        name=f"Back to {back.version}"[:80],
        position=1,
        rollout_days=1,
        test_days=0,
        at_once=max(each.at_once for each in stages),
        building_limit=terms.building_limit,
        model_limit=terms.model_limit,
        failure_limit_pct=terms.failure_limit_pct,
        state=StageState.IN_PROGRESS,
        starts_on=at.date(),
        started_at=at,
        scheduled=len(rooms),
    )
    stage.save(force_insert=True)
    RolloutTarget.objects.for_tenant(row.tenant_id).bulk_create(
        [
            RolloutTarget(
                tenant_id=row.tenant_id,
                rollout=made,
                stage=stage,
                device_id=each.device_id,
                room_id=each.room_id,
                model=each.model,
                building=each.building,
                before=row.release.version,
                night=at.date(),
                state=TargetState.SCHEDULED,
                changed_at=at,
            )
            for each in rooms
        ],
        batch_size=proposals.AT_ONCE,
    )
    after = {"release": str(back), "undoes": str(row.release)}
    audit.record("rollout.propose", made, tenant_id=row.tenant_id, at=at, after=after)
    return made


def _again(row: Rollout, *, at: datetime) -> None:
    """A rollout that was through goes on for one more room. Raises NotNow. Not saved."""
    if row.state == RolloutState.PAUSED:
        raise NotNow("It is paused. Resume it first.")
    if row.release.state == Release.State.DEPRECATED:
        raise NotNow(f"{row.release} is deprecated.")
    row.state = rollouts.after(RolloutState(row.state), Event.AGAIN)
    row.ended_at, row.due_at = None, at


def _schedule(row: Rollout, ids: Iterable[UUID], came_from: list[TargetState], *, at: datetime) -> list[UUID]:
    """In the next hours, whatever their ring does by now."""
    return targets.move(
        row.tenant_id,
        ids,
        came_from=came_from,
        to=TargetState.SCHEDULED,
        at=at,
        night=at.date(),
        tries=0,
        catch_up=True,
    )


def _held(rollout_id: UUID, what: str, revision: int | None) -> Rollout:
    scope.refuse_part(what)
    row = _locked(rollout_id)
    if revision is not None and revision != row.revision:
        raise ChangedMeanwhile("Somebody else changed this rollout. Look at it again.")
    return row


def _locked(rollout_id: UUID) -> Rollout:
    rows = Rollout.objects.for_tenant(current_tenant()).filter(id=rollout_id)
    row: Rollout | None = rows.select_related("release").select_for_update(no_key=True, of=("self",)).first()
    if row is None:
        raise Missing("rollout")
    return row


def _of(rollout_id: UUID, target_id: UUID) -> tuple[Rollout, RolloutTarget]:
    """A device in reach of whoever asks."""
    rollout(rollout_id)
    row = _locked(rollout_id)
    return row, _target(row, target_id)


def _target(row: Rollout, target_id: UUID) -> RolloutTarget:
    rows = RolloutTarget.objects.for_tenant(row.tenant_id).filter(rollout=row, id=target_id)
    found: RolloutTarget | None = rows.select_related("device", "room", "stage").first()
    if found is None:
        raise Missing("room of this rollout")
    return found


def _stage(row: Rollout, ring_id: UUID) -> RolloutStage:
    found: RolloutStage | None = (
        RolloutStage.objects.for_tenant(row.tenant_id).filter(rollout=row, ring_id=ring_id).first()
    )
    if found is None:
        raise Missing("ring of this rollout")
    return found


def _saved(row: Rollout, action: str, *, at: datetime, **after: object) -> Rollout:
    row.revision += 1
    row.save()
    audit.record(action, row, tenant_id=row.tenant_id, at=at, after=after or None)
    return row


def _order(left: Release, right: Release) -> int:
    return versions.compare(Scheme(right.scheme), left.version, right.version)


def _minus(column: str, span: timedelta) -> ExpressionWrapper[Any]:
    return ExpressionWrapper(F(column) - span, output_field=DateField())
