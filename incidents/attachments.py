"""Pictures, videos and logs of a ticket: checked by their content, kept outside the database, never shown by us.

Of an entered tenant; times are aware, UTC.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import IO
from uuid import UUID

from django.db import transaction

from foundation import files
from foundation.errors import DomainError, NotFound, NotValid
from foundation.tenant_tables import TenantQuerySet
from incidents.lifecycle import hold
from incidents.models import Incident, IncidentAttachment, IncidentEntry
from incidents.rooms import touch
from incidents.timeline import Author, Line, write
from tenancy import audit

Kind = IncidentEntry.Kind
MOST = 20  # of one ticket
PICTURE_BYTES, LOG_BYTES, VIDEO_BYTES = 15_000_000, 50_000_000, 200_000_000
KINDS = (
    *(replace(kind, limit_bytes=PICTURE_BYTES) for kind in (files.PNG, files.JPEG, files.WEBP, files.GIF)),
    *(replace(kind, limit_bytes=VIDEO_BYTES) for kind in (files.MP4, files.WEBM)),
    *(replace(kind, limit_bytes=LOG_BYTES) for kind in (files.ZIP, files.GZIP, files.EVTX, files.TEXT)),
)
ACCEPTED = "Pictures up to 15 MB, videos up to 200 MB, logs as text, zip, gzip or evtx up to 50 MB."


def attach(
    incident: Incident, source: IO[bytes], name: str, *, author: Author, at: datetime
) -> IncidentAttachment:
    """Keep a file with the ticket. Raises NotValid for another kind, a larger one or one too many, IncidentClosed."""
    hold(incident)
    if of(incident).count() >= MOST:
        raise NotValid(f"A ticket may have {MOST} attachments.", field="file")
    file = files.store(
        source, name, tenant_id=incident.tenant_id, kinds=KINDS, limit_bytes=VIDEO_BYTES, at=at
    )
    made = IncidentAttachment(
        tenant_id=incident.tenant_id,
        incident=incident,
        file=file,
        by=author.person,
        by_operator=author.by_operator,
        at=at,
    )
    made.save(force_insert=True)
    touch(incident, at=at)
    write([Line(incident, Kind.ATTACHED, file.name)], tenant_id=incident.tenant_id, at=at, author=author)
    audit.record(
        "incident.attach",
        incident,
        tenant_id=incident.tenant_id,
        at=at,
        after={"file": file.name, "size_bytes": file.size_bytes, "sha256": file.sha256},
    )
    return made


def attach_all(
    incident: Incident, named: Iterable[tuple[IO[bytes], str]], *, author: Author, at: datetime
) -> list[IncidentAttachment]:
    """Several files, or none of them. Raises what `attach` raises."""
    kept: list[IncidentAttachment] = []
    try:
        with transaction.atomic():
            for source, name in named:
                kept.append(attach(incident, source, name, author=author, at=at))
    except DomainError:
        for each in kept:
            files.discard(each.file)
        raise
    return kept


def detach(incident: Incident, attachment_id: UUID, *, author: Author, at: datetime) -> None:
    """Remove a file, content and all; that it was there stays on record. Raises NotFound, IncidentClosed."""
    hold(incident)
    found = attachment(incident, attachment_id)
    file = found.file
    found.delete()
    files.remove(file)
    touch(incident, at=at)
    write([Line(incident, Kind.DETACHED, file.name)], tenant_id=incident.tenant_id, at=at, author=author)
    audit.record(
        "incident.detach",
        incident,
        tenant_id=incident.tenant_id,
        at=at,
        before={"file": file.name, "sha256": file.sha256},
    )


def of(incident: Incident) -> TenantQuerySet[IncidentAttachment]:
    """Oldest first, each with its file and who attached it."""
    rows = IncidentAttachment.objects.for_tenant(incident.tenant_id).filter(incident=incident)
    return rows.select_related("file", "by").order_by("at", "id")


def attachment(incident: Incident, attachment_id: UUID) -> IncidentAttachment:
    """Raises NotFound."""
    found = of(incident).filter(id=attachment_id).first()
    if found is None:
        raise NotFound("This does not exist.")
    return found
