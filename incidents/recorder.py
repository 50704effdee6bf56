"""Telling whoever recorded an issue that somebody else closed it."""

from __future__ import annotations

from datetime import datetime

from foundation import mail
from incidents.models import Incident
from incidents.timeline import Author
from tenancy.models import Person


def tell(incident: Incident, author: Author, text: str, *, at: datetime) -> None:
    """A mail, in the transaction of the closing. Nobody recorded it, closed it himself or has gone: none."""
    if (
        incident.recorded_by_id is None
        or author.person is None
        or incident.recorded_by_id == author.person.id
    ):
        return
    rows = Person.objects.for_tenant(incident.tenant_id).filter(id=incident.recorded_by_id, ended_at=None)
    recorder = rows.first()
    if recorder is None or not recorder.email:
        return
    who = f"{author.person.name}, Operations" if author.by_operator else author.person.name
    mail.queue(
        tenant_id=incident.tenant_id,
        to=recorder.email,
        subject=f"{incident.number} is closed: {incident.summary}",
        text=(
            f"{who} closed the issue you recorded.\n\n{text}\n\n"
            f"If it is not solved, open {incident.number} in Greenroom and reopen it.\n"
        ),
        at=at,
    )
