"""Mail as an outbox row: written with its cause, sent later, one after the other to each address."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils.crypto import salted_hmac

from foundation import outbox, secrets
from foundation.models import OutboxEntry

KIND = outbox.MAIL
HERE = "{secret}"  # in the text, where the secret goes when the mail is sent
FIELD = "mail.secret"


def queue(
    *, tenant_id: UUID, to: str, subject: str, text: str, secret: str | None = None, at: datetime
) -> OutboxEntry:
    """A plain-text mail to one address. `secret` is kept encrypted until it takes the place of HERE in `text`.

    The tenant is entered.
    """
    payload: dict[str, Any] = {"to": to, "subject": " ".join(subject.split()), "text": text}
    if secret is not None:
        payload["sealed"] = secrets.seal(secret, tenant_id=tenant_id, field=FIELD).decode()
    return outbox.add(tenant_id=tenant_id, lane=_lane(to), kind=KIND, payload=payload, at=at)


def forget(*, tenant_id: UUID, to: str) -> None:
    """Whoever had this address is erased: nothing more is sent to it, and no row of it is left. The tenant is entered."""
    OutboxEntry.objects.for_tenant(tenant_id).filter(kind=KIND, lane=_lane(to)).delete()


def _lane(to: str) -> str:
    """The same for one address, which nobody reads out of it: the row outlives the mail."""
    return f"mail:{salted_hmac('foundation.mail.lane', to.lower(), algorithm='sha256').hexdigest()[:40]}"


def text_of(payload: dict[str, Any], *, tenant_id: UUID) -> str:
    """What the reader gets."""
    text: str = payload["text"]
    if "sealed" not in payload:
        return text
    return text.replace(HERE, secrets.unseal(payload["sealed"].encode(), tenant_id=tenant_id, field=FIELD))
