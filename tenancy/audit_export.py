"""The audit log as CSV: a job that writes parts and joins them at its end, in constant memory however long it is."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from typing import IO, Any
from uuid import UUID

from foundation import files, jobs
from foundation.context import current_tenant
from foundation.models import Job, StoredFile
from foundation.tables.cells import cell
from tenancy import audit
from tenancy.audit_log import Asked, Names, events
from tenancy.errors import Missing
from tenancy.models import AuditEvent

KIND = "audit.export"
ROWS_A_STEP = 20_000
LARGEST_BYTES = 5_000_000_000
CSV = files.FileKind("text/csv", b"")  # we wrote it ourselves
COLUMNS = (
    "time_utc",
    "actor_kind",
    "actor",
    "actor_id",
    "actor_organisation",
    "grant",
    "action",
    "object_kind",
    "object",
    "object_id",
    "result",
    "before",
    "after",
    "address",
    "request_id",
    "id",
)


def start(asked: Asked, *, requested_by: UUID | None, at: datetime) -> Job:
    """Queue an export of the tenant entered; that it was asked for is on record. Raises Conflict where too many wait."""
    tenant_id = current_tenant()
    jobs.check_few(KIND, tenant_id=tenant_id)
    job = jobs.add(KIND, asked.as_json(), tenant_id=tenant_id, requested_by=requested_by, at=at)
    audit.record("audit.export", job, tenant_id=tenant_id, at=at, after=asked.as_json(), name="Audit log")
    return job


def job(job_id: UUID) -> Job:
    """An export of the tenant entered. Raises Missing."""
    found: Job | None = Job.objects.for_tenant(current_tenant()).filter(id=job_id, kind=KIND).first()
    if found is None:
        raise Missing("export")
    return found


def file_of(done: Job, *, at: datetime) -> StoredFile:
    """What a finished export wrote; fetching it is on record. Raises Missing before it is there."""
    rows = StoredFile.objects.for_tenant(done.tenant_id).filter(id=done.result.get("file"))
    found = rows.first() if done.state == Job.State.DONE else None
    if found is None:
        raise Missing("file")
    audit.record("audit.download", done, tenant_id=done.tenant_id, at=at, name=found.name)
    return found


def step(held: Job, at: datetime) -> jobs.Progress:
    """One part, oldest events first up to when it was asked; the last step joins them."""
    cursor = held.cursor or {"after": None, "parts": []}
    rows = events(Asked.from_json(held.parameters)).filter(at__lt=held.created_at).order_by("id")
    if cursor["after"]:
        rows = rows.filter(id__gt=UUID(cursor["after"]))
    some = list(rows[:ROWS_A_STEP])
    parts: list[str] = cursor["parts"]
    if some or not parts:
        part = _store(_text(some, heading=not parts), f"part-{len(parts)}.csv", held, at)
        parts = [*parts, str(part.id)]
    done = held.done + len(some)
    if len(some) == ROWS_A_STEP:
        return jobs.Progress({"after": str(some[-1].id), "parts": parts}, done)
    whole = _join(parts, held, at)
    return jobs.Progress(None, done, done, {"file": str(whole.id), "rows": done})


def _text(rows: list[AuditEvent], *, heading: bool) -> IO[bytes]:
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    if heading:
        writer.writerow(COLUMNS)
    names = Names(rows)
    writer.writerows([cell(value) for value in _values(row, names)] for row in rows)
    return io.BytesIO(text.getvalue().encode())


def _values(row: AuditEvent, names: Names) -> tuple[Any, ...]:
    return (
        *(
            row.at.astimezone(UTC).isoformat(),
            row.actor_kind,
            names.actor(row),
            row.actor_id,
            row.actor_tenant_id,
        ),
        *(row.grant_id, row.action, row.object_kind, names.about(row), row.object_id, row.result),
        *(_json(names.plain(row.before)), _json(names.plain(row.after)), row.address, row.request_id, row.id),
    )


def _json(value: Any) -> str:
    return "" if value is None else json.dumps(value, ensure_ascii=False, sort_keys=True)


def _store(source: IO[bytes], name: str, held: Job, at: datetime) -> StoredFile:
    return files.store(source, name, tenant_id=held.tenant_id, kinds=(CSV,), limit_bytes=LARGEST_BYTES, at=at)


def _join(parts: list[str], held: Job, at: datetime) -> StoredFile:
    rows = {str(row.id): row for row in StoredFile.objects.for_tenant(held.tenant_id).filter(id__in=parts)}
    joined = files.joined([rows[key] for key in parts])
    whole = _store(joined, f"audit-{held.created_at:%Y-%m-%d}.csv", held, at)
    for row in rows.values():
        files.remove(row)
    return whole
