"""What is kept of one person, as one JSON file: written by a job, fetched by whoever may see people."""

from __future__ import annotations

import io
import json
from datetime import datetime
from typing import IO, Any
from uuid import UUID

from django.db.models import Q

from foundation import files, jobs
from foundation.context import current_tenant
from foundation.models import Job, StoredFile
from incidents.models import IncidentEntry
from tenancy import audit, people, privacy
from tenancy.errors import Missing
from tenancy.models import ApiToken, AuditEvent, Invitation, Person, RoleAssignment, SavedView

KIND = "person.export"
JSON = files.FileKind("application/json", b"")  # we wrote it ourselves
EVENTS_A_STEP = 5_000
LARGEST_BYTES = 1_000_000_000


def start(person_id: UUID, *, requested_by: UUID | None, at: datetime) -> Job:
    """Queue the export of a person of the tenant entered. Raises Missing, Conflict where too many wait."""
    person = people.person(person_id)
    jobs.check_few(KIND, tenant_id=person.tenant_id)
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
        else StoredFile.objects.for_tenant(tenant_id).filter(id=job.result.get("file")).first()
    )
    if job is None or row is None:
        raise Missing("file")
    audit.record("person.download", job, tenant_id=tenant_id, at=at, name=row.name)
    return row


def step(held: Job, at: datetime) -> jobs.Progress:
    """First what is kept of the person, then a part of the events a step; the last one joins the parts."""
    person = people.person(UUID(held.parameters["person"]))
    cursor: dict[str, Any] = held.cursor or {"after": None, "parts": []}
    parts: list[str] = cursor["parts"]
    if not parts:
        head = json.dumps(_kept(person), ensure_ascii=False, indent=2, default=str)
        parts = [_store(held, f'{head.rstrip("}").rstrip()},\n  "audit_log": [', at=at)]
    rows = AuditEvent.objects.for_tenant(person.tenant_id).filter(actor_id=person.user_id).order_by("id")
    if cursor["after"]:
        rows = rows.filter(id__gt=UUID(cursor["after"]))
    some = list(rows[:EVENTS_A_STEP])
    done = held.done + len(some)
    lines = ",".join(f"\n    {json.dumps(_event(row), ensure_ascii=False)}" for row in some)
    if len(some) == EVENTS_A_STEP:
        kept = _store(held, ("," if held.done else "") + lines, at=at)
        return jobs.Progress({"after": str(some[-1].id), "parts": [*parts, kept]}, done)
    parts = [*parts, _store(held, ("," if held.done and lines else "") + lines + "\n  ]\n}\n", at=at)]
    stored = StoredFile.objects.for_tenant(held.tenant_id)
    found = {str(row.id): row for row in stored.filter(id__in=parts)}
    whole = _written(held, files.joined([found[key] for key in parts]), at=at)
    for row in found.values():
        files.remove(row)
    return jobs.Progress(None, done, done, {"file": str(whole.id)})


def _store(held: Job, text: str, *, at: datetime) -> str:
    return str(_written(held, io.BytesIO(text.encode()), at=at).id)


def _written(held: Job, source: IO[bytes], *, at: datetime) -> StoredFile:
    name = f"person-{held.parameters['person']}.json"
    return files.store(
        source, name, tenant_id=held.tenant_id, kinds=(JSON,), limit_bytes=LARGEST_BYTES, at=at
    )


def erase(person_id: UUID, *, at: datetime) -> Person:
    """Forget a person (tenancy.privacy), with the files that were written for them. Raises Missing, LastAdministrator."""
    gone = privacy.erase(person_id, at=at)
    jobs_of = Job.objects.for_tenant(gone.tenant_id).filter(kind=KIND, parameters={"person": str(gone.id)})
    for job in jobs_of.select_for_update():
        jobs.cancel(job, at=at)
        for row in StoredFile.objects.for_tenant(gone.tenant_id).filter(id__in=jobs.files_of(job)):
            files.remove(row)
    jobs_of.update(result={}, cursor=None)
    return gone


def _kept(person: Person) -> dict[str, Any]:
    roles = RoleAssignment.objects.for_tenant(person.tenant_id).filter(person=person).select_related("role")
    tokens = ApiToken.objects.for_tenant(person.tenant_id).filter(person=person)
    invited = Invitation.objects.for_tenant(person.tenant_id).filter(
        Q(email=person.email.lower()) | Q(invited_by=person)
    )
    views = SavedView.objects.for_tenant(person.tenant_id).filter(owner=person)
    entries = IncidentEntry.objects.for_tenant(person.tenant_id).filter(author=person)
    return {
        "person": {"id": person.id, "name": person.name, "email": person.email, "ended_at": person.ended_at},
        "roles": [{"role": row.role.name, "scope": row.scope, "scope_id": row.scope_id} for row in roles],
        "api_tokens": list(tokens.order_by("id").values("label", "created_at", "expires_at", "last_used_at")),
        "invitations": list(invited.order_by("id").values("email", "name", "created_at", "accepted_at")),
        "saved_views": list(views.order_by("id").values("name", "listing", "query")),
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
