"""Mail as an outbox row: written with its cause, sent later, one after the other to each address."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from foundation import outbox
from foundation.models import OutboxEntry

KIND = "mail"


def queue(*, tenant_id: UUID, to: str, subject: str, text: str, at: datetime) -> OutboxEntry:
    """A plain-text mail to one address. The tenant is entered."""
    payload = {"to": to, "subject": " ".join(subject.split()), "text": text}
    return outbox.add(tenant_id=tenant_id, lane=f"mail:{to}"[:80], kind=KIND, payload=payload, at=at)
