"""What a customer is promised about its tickets: when Operations answers, when a healthy ticket closes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from incidents.errors import NotASetting
from incidents.models import IncidentTerms
from tenancy import audit

LONGEST_RESPONSE = timedelta(days=30)
SHORTEST_CLOSING, LONGEST_CLOSING = timedelta(hours=1), timedelta(days=90)


@dataclass(frozen=True)
class Terms:
    """`first_response`: from opening to the operator's first answer (domain: support terms).

    `close_after`: how long a resolved ticket must stay healthy; a fault before that reopens it.
    """

    first_response: timedelta = timedelta(hours=4)
    close_after: timedelta = timedelta(days=7)


def terms_of(tenant_id: UUID) -> Terms:
    """Of an entered tenant; the defaults where it has none of its own."""
    kept = IncidentTerms.objects.for_tenant(tenant_id).first()
    if kept is None:
        return Terms()
    return Terms(timedelta(seconds=kept.first_response_s), timedelta(seconds=kept.close_after_s))


def change_terms(tenant_id: UUID, terms: Terms, *, at: datetime) -> None:
    """For tickets that open or are resolved from now on. Raises NotASetting."""
    if not timedelta(0) < terms.first_response <= LONGEST_RESPONSE:
        raise NotASetting("The first response must be due within 30 days.", field="first_response")
    if not SHORTEST_CLOSING <= terms.close_after <= LONGEST_CLOSING:
        raise NotASetting("Closing must be between 1 hour and 90 days.", field="close_after")
    before = terms_of(tenant_id)
    if before == terms:
        return
    values = {
        "first_response_s": int(terms.first_response.total_seconds()),
        "close_after_s": int(terms.close_after.total_seconds()),
    }
    kept, _ = IncidentTerms.objects.for_tenant(tenant_id).update_or_create(defaults=values)
    audit.record(
        "settings.update",
        kept,
        tenant_id=tenant_id,
        at=at,
        name="Ticket terms",
        before=_plain(before),
        after=_plain(terms),
    )


def _plain(terms: Terms) -> dict[str, float]:
    return {
        "first_response_s": terms.first_response.total_seconds(),
        "close_after_s": terms.close_after.total_seconds(),
    }
