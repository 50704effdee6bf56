"""Lines of a ticket's timeline, and who wrote them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from foundation.errors import NotValid
from incidents.models import Incident, IncidentEntry
from tenancy.models import Person

LONGEST_TEXT = 10_000


@dataclass(frozen=True)
class Author:
    """A person of the customer or of the operator, as the customer sees him; nobody: Greenroom itself."""

    person: Person | None = None
    by_operator: bool = False


GREENROOM = Author()


def cleaned(text: str, *, required: bool = False) -> str:
    """What a person wrote, fit to be stored. Raises NotValid."""
    kept = text.replace("\r\n", "\n").strip()
    if required and not kept:
        raise NotValid("Write something first.", field="text")
    if "\x00" in kept:
        raise NotValid("The text holds characters that cannot be stored.", field="text")
    if len(kept) > LONGEST_TEXT:
        raise NotValid(f"The text may have at most {LONGEST_TEXT:,} characters.", field="text")
    return kept


@dataclass(frozen=True)
class Line:
    """One entry to be. `before` and `after` are states, where the state changed."""

    incident: Incident
    kind: IncidentEntry.Kind
    text: str = ""
    before: str = ""
    after: str = ""


def write(
    lines: Iterable[Line], *, tenant_id: UUID, at: datetime, author: Author = GREENROOM
) -> list[IncidentEntry]:
    """In one statement; entries of the same moment keep the order given."""
    entries = [
        IncidentEntry(
            tenant_id=tenant_id,
            incident=line.incident,
            kind=line.kind,
            at=at,
            author=author.person,
            by_operator=author.by_operator,
            text=line.text[:LONGEST_TEXT],
            before=line.before,
            after=line.after,
        )
        for line in lines
    ]
    IncidentEntry.objects.for_tenant(tenant_id).bulk_create(entries)
    return entries
