"""Long work in short steps: a row with a cursor and progress, so it survives any crash and shows how far it is."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from django.db import transaction

from foundation import files
from foundation.context import tenant
from foundation.errors import Conflict, DomainError
from foundation.models import Job, StoredFile
from foundation.sweep import tenants_due

log = logging.getLogger(__name__)
LEASE = timedelta(seconds=60)  # a step takes at most 35 s
KEPT_FOR = timedelta(days=7)  # after its end, with what it wrote
FORGOTTEN_AT_ONCE = 200
EXPORTS_AT_ONCE = 5  # of a kind and organisation
ENDED = (Job.State.DONE, Job.State.FAILED, Job.State.CANCELLED)


@dataclass(frozen=True)
class Progress:
    """What one step achieved. `cursor` None: the job is done, with `result`."""

    cursor: Any
    done: int
    total: int | None = None
    result: dict[str, Any] | None = None


Step = Callable[[Job, datetime], Progress]
Breakdown = Callable[[Job, Exception, datetime], None]  # what becomes of the work whose job failed


def add(
    kind: str, parameters: dict[str, Any], *, tenant_id: UUID, requested_by: UUID | None, at: datetime
) -> Job:
    """Queue a job of an entered tenant."""
    job: Job = Job.objects.for_tenant(tenant_id).create(
        kind=kind, parameters=parameters, requested_by=requested_by, due_at=at, created_at=at
    )
    return job


def check_few(kind: str, *, tenant_id: UUID) -> None:
    """Raises Conflict while as many exports of this kind as may are on their way. The tenant is entered."""
    waiting = Job.objects.for_tenant(tenant_id).filter(
        kind=kind, state__in=[Job.State.QUEUED, Job.State.RUNNING]
    )
    if waiting.count() >= EXPORTS_AT_ONCE:
        raise Conflict("Five exports are being written already. Wait for one to end.")


def cancel(job: Job, *, at: datetime) -> bool:
    """False if it has ended already. The step under way finishes and is thrown away."""
    live = Job.objects.for_tenant(job.tenant_id).filter(id=job.id, state__in=["queued", "running"])
    return bool(live.update(state=Job.State.CANCELLED, ended_at=at, lease_token=None))


def step_due(
    steps: Mapping[str, Step], *, at: datetime, breakdowns: Mapping[str, Breakdown] | None = None
) -> int:
    """One step of each tenant's oldest job that is due. The step and its cursor commit together.

    A step that raises ends its job as failed, and `breakdowns` of its kind hears of it.
    """
    stepped = 0
    for tenant_id in tenants_due(Job._meta.db_table, at=at, where="state IN ('queued', 'running')"):
        token = _claim(tenant_id, list(steps), at=at)
        if token is not None:
            stepped += _step(steps, tenant_id, token, at=at, breakdowns=breakdowns or {})
    return stepped


def _claim(tenant_id: UUID, kinds: list[str], *, at: datetime) -> UUID | None:
    """Lease a job by moving its due time: a worker that dies lets it fall due again."""
    with tenant(tenant_id):
        due = Job.objects.for_tenant(tenant_id).filter(
            state__in=[Job.State.QUEUED, Job.State.RUNNING], due_at__lte=at, kind__in=kinds
        )
        job: Job | None = due.order_by("due_at", "id").select_for_update(skip_locked=True).first()
        if job is None:
            return None
        token = uuid4()
        due.filter(id=job.id).update(state=Job.State.RUNNING, lease_token=token, due_at=at + LEASE)
        return token


def _step(
    steps: Mapping[str, Step],
    tenant_id: UUID,
    token: UUID,
    *,
    at: datetime,
    breakdowns: Mapping[str, Breakdown],
) -> int:
    try:
        with tenant(tenant_id):
            held = Job.objects.for_tenant(tenant_id).filter(lease_token=token, state=Job.State.RUNNING)
            job: Job | None = held.select_for_update().first()
            if job is None:
                return 0
            progress = steps[job.kind](job, at)
            ended = progress.cursor is None
            held.update(
                cursor=progress.cursor,
                done=progress.done,
                total=progress.total,
                result=progress.result or {},
                state=Job.State.DONE if ended else Job.State.RUNNING,
                ended_at=at if ended else None,
                lease_token=None,
                due_at=at,
            )
    except DomainError as error:  # a sentence for people, and no mistake of ours
        _fail(tenant_id, token, error, error.message, at=at, breakdowns=breakdowns)
        return 0
    except Exception as error:
        log.exception("A step of a job failed")
        _fail(tenant_id, token, error, f"{type(error).__name__}: {error}", at=at, breakdowns=breakdowns)
        return 0
    return 1


def _fail(
    tenant_id: UUID,
    token: UUID,
    error: Exception,
    text: str,
    *,
    at: datetime,
    breakdowns: Mapping[str, Breakdown],
) -> None:
    with tenant(tenant_id):
        held = Job.objects.for_tenant(tenant_id).filter(lease_token=token)
        job: Job | None = held.select_for_update().first()
        if job is None:
            return
        held.update(state=Job.State.FAILED, error=text[:500], ended_at=at, lease_token=None)
        try:
            with transaction.atomic():
                breakdowns.get(job.kind, _nothing)(job, error, at)
        except Exception:  # the job stays failed: it would come again for ever
            log.exception("The breakdown of a job could not be followed up")


def _nothing(job: Job, error: Exception, at: datetime) -> None:
    """Of most kinds the failed job says it all."""


def forget_old(*, at: datetime) -> int:
    """Jobs that ended a week ago, with the files they wrote; returns how many. Safe to repeat."""
    forgotten = 0
    ended = f"state IN ({', '.join(repr(str(each)) for each in ENDED)})"
    for tenant_id in tenants_due(Job._meta.db_table, at=at - KEPT_FOR, where=ended):
        with tenant(tenant_id):
            rows = Job.objects.for_tenant(tenant_id).filter(state__in=ENDED, due_at__lte=at - KEPT_FOR)
            some = list(rows.order_by("due_at", "id")[:FORGOTTEN_AT_ONCE])
            kept = [key for job in some for key in files_of(job)]
            for stored in StoredFile.objects.for_tenant(tenant_id).filter(id__in=kept):
                files.remove(stored)
            rows.filter(id__in=[job.id for job in some]).delete()
            forgotten += len(some)
    return forgotten


def files_of(job: Job) -> list[str]:
    """Ids of the files a job has written: its result, or the parts so far."""
    written = [job.result.get("file"), *(job.cursor or {}).get("parts", [])]
    return [key for key in written if key]
