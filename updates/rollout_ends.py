"""Rollouts that go no further: cancelled, or their release superseded or withdrawn.

Of an entered tenant; times are aware, UTC.
"""

from __future__ import annotations

from datetime import datetime

from fleet import faults
from fleet.models import Device
from tenancy import audit
from updates import attempts, rollouts, targets, versions
from updates.attempts import Withdrawn
from updates.models import Release, Rollout, RolloutTarget
from updates.rollouts import Event
from updates.states import ENDED_ROLLOUTS, RolloutState, TargetState
from updates.versions import Scheme

UPDATE_PAUSED = "update_paused"  # type of the ticket


def end(row: Rollout, event: Event, *, reason: str, at: datetime) -> Withdrawn:
    """No further room: what waits is skipped, what can be is taken back, what installs goes on to its end.

    Saves the rollout. Raises NotNow.
    """
    row.state = rollouts.after(RolloutState(row.state), event)
    row.reason, row.ended_at, row.due_at = reason, at, at
    row.revision += 1
    row.save()
    waiting = RolloutTarget.objects.for_tenant(row.tenant_id).due().filter(rollout=row)
    why = "deprecated" if event == Event.DEPRECATE else "cancelled"
    targets.move(
        row.tenant_id,
        list(waiting.values_list("id", flat=True)),
        came_from=[TargetState.SCHEDULED],
        to=TargetState.SKIPPED,
        at=at,
        reason=why,
        forced="",
    )
    end_paused(row, at=at)
    return attempts.withdraw(row, at=at)


def end_paused(row: Rollout, *, at: datetime) -> None:
    rows = Device.objects.for_tenant(row.tenant_id).filter(
        faults__kind=UPDATE_PAUSED, faults__subject=str(row.id), faults__ended_at=None
    )
    for device in rows:
        faults.end_fault(device, UPDATE_PAUSED, at=at, subject=str(row.id))


def supersede_older(row: Rollout, *, at: datetime) -> None:
    """Rollouts of older releases of the same product for the same devices end where a newer one begins."""
    if row.kind == Rollout.Kind.ROLLBACK or row.download_only:  # nothing newer is installed by it
        return
    release = row.release
    same = Release.objects.for_tenant(row.tenant_id).filter(
        name=release.name, scheme=release.scheme, make=release.make, model=release.model
    )
    scheme = Scheme(release.scheme)
    older = [each for each in same if versions.compare(scheme, each.version, release.version) < 0]
    running = Rollout.objects.for_tenant(row.tenant_id).filter(release__in=older, kind=Rollout.Kind.INSTALL)
    going_on = running.exclude(state__in=ENDED_ROLLOUTS).select_related("release")
    for other in going_on.select_for_update(no_key=True, of=("self",)).order_by("id"):
        reason = f"{release} is rolled out instead."
        end(other, Event.DEPRECATE, reason=reason, at=at)
        audit.record(
            "rollout.end",
            other,
            tenant_id=row.tenant_id,
            at=at,
            after={"state": other.state, "reason": reason},
        )
