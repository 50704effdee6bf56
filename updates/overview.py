"""What pages and programs are told of rollouts. Reading only; of an entered tenant."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from django.db.models import Count
from django.db.models.functions import TruncHour

from foundation.narrowing import is_narrowed
from updates import rollout_progress, rollouts
from updates.gates import Verdict
from updates.models import Attempt, Rollout, RolloutGate, RolloutStage, RolloutTarget
from updates.rollouts import Counts
from updates.states import StageState, TargetState


@dataclass(frozen=True)
class StageView:
    """A ring of a rollout as it stands. Counts are of what whoever asks may see."""

    stage: RolloutStage
    counts: Counts
    reported: int
    failed: int
    verdict: Verdict
    tonight: int  # devices whose night has come
    test_until: datetime | None
    waits_for_yes: bool

    @property
    def failed_pct(self) -> float:
        return 100 * self.failed / self.reported if self.reported else 0.0


def stage_views(rows: Sequence[Rollout], *, at: datetime) -> dict[UUID, list[StageView]]:
    """The rings of several rollouts, in their order. Three queries for all."""
    if not rows:
        return {}
    tenant_id = rows[0].tenant_id
    stages = list(
        RolloutStage.objects.for_tenant(tenant_id).filter(rollout__in=rows).order_by("rollout_id", "position")
    )
    ids = [stage.id for stage in stages]
    gates = {
        row.stage_id: row for row in RolloutGate.objects.for_tenant(tenant_id).filter(stage__in=ids, model="")
    }
    tripped = set(
        RolloutGate.objects.for_tenant(tenant_id)
        .filter(stage__in=ids, tripped=True)
        .values_list("stage_id", flat=True)
    )
    narrowed = _counted(tenant_id, ids) if is_narrowed() else {}
    tonight = dict(
        RolloutTarget.objects.for_tenant(tenant_id)
        .due()
        .filter(stage__in=[stage.id for stage in stages if stage.state == StageState.IN_PROGRESS])
        .filter(night__lte=(at + rollouts.FIRST_ZONE).date())
        .order_by()
        .values_list("stage_id")
        .annotate(number=Count("id"))
    )
    found: dict[UUID, list[StageView]] = {row.id: [] for row in rows}
    for stage in stages:
        gate = gates.get(stage.id)
        before = found[stage.rollout_id]
        waits = (
            stage.state == StageState.WAITING
            and stage.needs_approval
            and stage.approved_at is None
            and (stage.scheduled + stage.failed + stage.succeeded) > 0
        )
        found[stage.rollout_id].append(
            StageView(
                stage=stage,
                counts=narrowed.get(stage.id, Counts())
                if is_narrowed()
                else rollout_progress.counts_of(stage),
                reported=gate.reported if gate else 0,
                failed=gate.failed if gate else 0,
                verdict=Verdict.STOP if stage.id in tripped else Verdict.GO_ON if gate else Verdict.WAIT,
                tonight=tonight.get(stage.id, 0),
                test_until=stage.installed_at + timedelta(days=stage.test_days)
                if stage.installed_at
                else None,
                waits_for_yes=waits and all(each.stage.state == StageState.PASSED for each in before),
            )
        )
    return found


def totals(views: Sequence[StageView]) -> Counts:
    """Over all rings."""
    return Counts(
        *(
            sum(getattr(view.counts, name) for view in views)
            for name in ("scheduled", "in_progress", "succeeded", "failed", "skipped")
        )
    )


def progress(row: Rollout) -> list[tuple[datetime, int]]:
    """How many devices had succeeded by the end of each hour in which one did, oldest first."""
    rows = RolloutTarget.objects.for_tenant(row.tenant_id).filter(rollout=row, state=TargetState.SUCCEEDED)
    hours = rows.annotate(hour=TruncHour("ended_at")).order_by("hour").values_list("hour")
    total, found = 0, []
    for hour, number in hours.annotate(number=Count("id")):
        total += number
        found.append((hour, total))
    return found


def attempts_of(rows: Sequence[RolloutTarget]) -> dict[UUID, Attempt]:
    """The latest try of each."""
    if not rows:
        return {}
    found: dict[UUID, Attempt] = {}
    tries = Attempt.objects.for_tenant(rows[0].tenant_id).filter(target__in=rows).order_by("number")
    for attempt in tries:
        found[attempt.target_id] = attempt
    return found


def last_night(row: Rollout) -> date | None:
    """The last night planned."""
    rows = RolloutTarget.objects.for_tenant(row.tenant_id).filter(rollout=row).exclude(night=None)
    return rows.order_by("-night").values_list("night", flat=True).first()


def _counted(tenant_id: UUID, stage_ids: list[UUID]) -> dict[UUID, Counts]:
    rows = RolloutTarget.objects.for_tenant(tenant_id).filter(stage__in=stage_ids)
    by_stage: dict[UUID, Tally[str]] = {}
    for stage_id, state, number in (
        rows.order_by().values_list("stage_id", "state").annotate(number=Count("id"))
    ):
        if stage_id is not None and state != TargetState.NOT_REQUIRED:
            by_stage.setdefault(stage_id, Tally())[state] = number
    return {stage_id: Counts(**counted) for stage_id, counted in by_stage.items()}
