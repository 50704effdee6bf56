"""What is kept of one person, as one JSON file: written by a job, fetched by whoever may see people."""

from __future__ import annotations

import io
import json
from datetime import datetime
from typing import Any
from uuid import UUID

from foundation import files, jobs
from foundation.context import current_tenant
from foundation.models import Job, StoredFile
from incidents.models import IncidentEntry
from tenancy import audit, people
from tenancy.errors import Missing
from tenancy.models import ApiToken, AuditEvent, Person, RoleAssignment

KIND = "person.export"
JSON = files.FileKind("application/json", b"{")
EVENTS_A_STEP = 5_000
LARGEST_BYTES = 1_000_000_000


def start(person_id: UUID, *, requested_by: UUID | None, at: datetime) -> Job:
    """Queue the export of a person of the tenant entered. Raises Missing."""
    person = people.person(person_id)
    made = jobs.add(
        KIND, {"person": str(person.id)}, tenant_id=person.tenant_id, requested_by=requested_by, at=at
    )
    audit.record("person.export", person, tenant_id=person.tenant_id, at=at)
    return made


def of_person(person: Person) -> Job | None:
    """The latest one."""
    rows = Job.objects.for_tenant(person.tenant_id).filter(kind=KIND, parameters={"person": str(person.id)})
    found: Job | None = rows.order_by("-created_at", "-id").first()
    return found


def file_of(job_id: UUID, *, at: datetime) -> StoredFile:
    """What a finished export wrote; fetching it is on record. Raises Missing."""
    tenant_id = current_tenant()
    job = Job.objects.for_tenant(tenant_id).filter(id=job_id, kind=KIND, state=Job.State.DONE).first()
    row = (
        None
        if job is None
        else StoredFile.objects.for_tenant(tenant_id).filter(id=job.result["file"]).first()
    )
    if job is None or row is None:
        raise Missing("file")
    audit.record("audit.download", job, tenant_id=tenant_id, at=at, name=row.name)
    return row


def step(held: Job, at: datetime) -> jobs.Progress:
    """One part of the person's events; the last step writes the file."""
    person = people.person(UUID(held.parameters["person"]))
    cursor: dict[str, Any] = held.cursor or {"after": None, "events": []}
    rows = AuditEvent.objects.for_tenant(person.tenant_id).filter(actor_id=person.user_id).order_by("id")
    if cursor["after"]:
        rows = rows.filter(id__gt=UUID(cursor["after"]))
    some = list(rows[:EVENTS_A_STEP])
    seen = [*cursor["events"], *map(_event, some)]
    done = held.done + len(some)
    if len(some) == EVENTS_A_STEP:
        return jobs.Progress({"after": str(some[-1].id), "events": seen}, done)
    text = json.dumps({**_kept(person), "audit_log": seen}, ensure_ascii=False, indent=2, default=str)
    row = files.store(
        io.BytesIO(text.encode()),
        f"person-{person.id}.json",
        tenant_id=person.tenant_id,
        kinds=(JSON,),
        limit_bytes=LARGEST_BYTES,
        at=at,
    )
    return jobs.Progress(None, done, done, {"file": str(row.id)})


def _kept(person: Person) -> dict[str, Any]:
    roles = RoleAssignment.objects.for_tenant(person.tenant_id).filter(person=person).select_related("role")
    tokens = ApiToken.objects.for_tenant(person.tenant_id).filter(person=person)
    entries = IncidentEntry.objects.for_tenant(person.tenant_id).filter(author=person)
    return {
        "person": {"id": person.id, "name": person.name, "email": person.email, "ended_at": person.ended_at},
        "roles": [{"role": row.role.name, "scope": row.scope, "scope_id": row.scope_id} for row in roles],
        "api_tokens": list(tokens.order_by("id").values("label", "created_at", "expires_at", "last_used_at")),
        "ticket_entries": list(entries.order_by("at", "id").values("incident__number", "at", "kind", "text")),
    }


def _event(row: AuditEvent) -> dict[str, Any]:
    return {
        "at": row.at.isoformat(),
        "action": row.action,
        "object_kind": row.object_kind,
        "object_id": str(row.object_id) if row.object_id else None,
        "result": row.result,
        "address": row.address,
    }
