"""Lists as files: a job that writes parts by key and joins them at its end, in constant memory however long they are.

Whoever asked for an export gets what their role showed them then. The export and its file are theirs, and of whoever
sees all rooms. All functions work in the one tenant entered.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from fleet import scope
from fleet.errors import Missing
from fleet.export_tables import TABLES, Query, Table
from foundation import files, jobs
from foundation.context import current_tenant
from foundation.errors import NotValid
from foundation.models import Job, StoredFile
from foundation.tables.writing import FORMATS, ROWS_A_PART, Format
from foundation.tenant_tables import TenantQuerySet
from tenancy import audit, on_behalf
from tenancy.on_behalf import By

KIND = "export"
PERMISSION = "rooms.view"
LARGEST_BYTES = 5_000_000_000
LIVE = (Job.State.QUEUED, Job.State.RUNNING)
PART = files.FileKind("application/octet-stream", b"")  # we wrote it ourselves


def visible(by: By) -> TenantQuerySet[Job]:
    rows = Job.objects.for_tenant(current_tenant()).filter(kind=KIND)
    return rows if by.rights.everywhere(PERMISSION) else rows.filter(requested_by=by.actor.id)


def export(job_id: UUID, by: By) -> Job:
    """Raises Missing."""
    found: Job | None = visible(by).filter(id=job_id).first()
    if found is None:
        raise Missing("export")
    return found


def start(what: str, form: str, query: Query, *, by: By, at: datetime) -> Job:
    """Queue an export of a list, filtered by `query` ({filter: values}). Raises NotValid, naming the field, and Conflict
    while too many are being written."""
    if what not in TABLES:
        raise NotValid(f"This is none of {', '.join(TABLES)}.", field="what")
    if form not in FORMATS:
        raise NotValid(f"This is none of {', '.join(FORMATS)}.", field="format")
    tenant_id = current_tenant()
    kept = {"what": what, "format": form, "filters": TABLES[what].cleaned(query)}
    jobs.check_few(KIND, tenant_id=tenant_id)
    parameters = {**kept, "by": by.kept(PERMISSION)}
    job = jobs.add(KIND, parameters, tenant_id=tenant_id, requested_by=by.actor.id, at=at)
    audit.record("export.create", job, tenant_id=tenant_id, at=at, after=kept, name=TABLES[what].label)
    return job


def cancel(job_id: UUID, *, by: By, at: datetime) -> Job:
    """Repeating it, or cancelling one that has ended, changes nothing. Raises Missing."""
    held = export(job_id, by)
    if jobs.cancel(held, at=at):
        audit.record("export.cancel", held, tenant_id=held.tenant_id, at=at, name=label(held))
        held.refresh_from_db()
    return held


def file_of(held: Job, *, at: datetime) -> StoredFile:
    """What a finished export wrote; fetching it is on record. Raises Missing before it is there."""
    rows = StoredFile.objects.for_tenant(held.tenant_id).filter(id=held.result.get("file"))
    found = rows.first() if held.state == Job.State.DONE else None
    if found is None:
        raise Missing("file")
    audit.record("export.download", held, tenant_id=held.tenant_id, at=at, name=found.name)
    return found


def label(held: Job) -> str:
    return TABLES[held.parameters["what"]].label if held.parameters.get("what") in TABLES else "Export"


def step(held: Job, at: datetime) -> jobs.Progress:
    """One part, in the order of ids; the last step joins the parts."""
    by: Mapping[str, Any] = held.parameters["by"]
    table, form = TABLES[held.parameters["what"]], FORMATS[held.parameters["format"]]
    cursor = held.cursor or {"after": None, "parts": []}
    parts: list[str] = cursor["parts"]
    with scope.within(on_behalf.rights_of(by, held.tenant_id, at=at), PERMISSION, reading=True):
        total = held.total if held.cursor else table.count(held.parameters["filters"])
        last, rows = table.some(held.parameters["filters"], cursor["after"], ROWS_A_PART)
        number, text = _part(table, form, rows, first=not parts)
    with scope.whole():
        if text:
            parts = [*parts, str(_store(text, f"part-{len(parts)}", held, at).id)]
        done = held.done + number
        if last is not None and number == ROWS_A_PART:
            return jobs.Progress({"after": str(last), "parts": parts}, done, max(total or 0, done))
        whole = _join(table, form, parts, held, at)
        return jobs.Progress(
            None, done, done, {"file": str(whole.id), "rows": done, "size_bytes": whole.size_bytes}
        )


def _part(table: Table, form: Format, rows: Iterable[Any], *, first: bool) -> tuple[int, bytes]:
    values = list(rows)
    return len(values), form.part(table.names(form.name), values, first=first)


def _store(content: bytes, name: str, held: Job, at: datetime) -> StoredFile:
    return files.store(
        io.BytesIO(content), name, tenant_id=held.tenant_id, kinds=(PART,), limit_bytes=LARGEST_BYTES, at=at
    )


def _join(table: Table, form: Format, parts: list[str], held: Job, at: datetime) -> StoredFile:
    found = {str(row.id): row for row in StoredFile.objects.for_tenant(held.tenant_id).filter(id__in=parts)}
    name = f"{table.key}-{held.created_at:%Y-%m-%d}.{form.name}"
    with form.whole(table.names(form.name), [found[key] for key in parts]) as stream:
        whole = files.store(
            stream, name, tenant_id=held.tenant_id, kinds=(form.kind,), limit_bytes=LARGEST_BYTES, at=at
        )
    for row in found.values():
        files.remove(row)
    return whole
