"""Issuers of client certificates a customer trusts. A proxy in front checks the certificate and names its issuers.

Of an entered tenant; times are aware, UTC.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.db import IntegrityError, transaction

from enrollment.models import TrustedIssuer
from fleet import scope, validation
from fleet.errors import AlreadyThere, Missing
from foundation.context import current_tenant
from foundation.errors import NotValid, violated_constraint
from tenancy import audit
from tenancy.models import Person

MOST = 20
MOST_SHOWN = 20  # of one certificate's chain
FINGERPRINT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")  # SHA-1, which nginx tells, or SHA-256


def add(*, label: str, fingerprint: str, by: Person | None = None, at: datetime) -> TrustedIssuer:
    """Devices with a certificate of this issuer get in by it. Raises NotValid, AlreadyThere, NotAllowed."""
    scope.refuse_part("Trusting an issuer")
    tenant_id = current_tenant()
    told = plain(fingerprint)
    if not FINGERPRINT.fullmatch(told):
        raise NotValid("A SHA-256 or SHA-1 fingerprint: 64 or 40 hex digits.", field="fingerprint")
    if TrustedIssuer.objects.for_tenant(tenant_id).count() >= MOST:
        raise NotValid(f"At most {MOST} issuers.", field="fingerprint")
    row = TrustedIssuer(
        tenant_id=tenant_id,
        label=validation.one_line(label, "label", at_most=80),
        fingerprint=told,
        created_by=by,
        created_at=at,
    )
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError as error:
        if violated_constraint(error) != "enrollment_issuer_once":
            raise
        raise AlreadyThere("This issuer is trusted already.", field="fingerprint") from error
    after = {"label": row.label, "fingerprint": row.fingerprint}
    audit.record("certificate_issuer.create", row, tenant_id=tenant_id, at=at, after=after)
    return row


def issuer(issuer_id: UUID) -> TrustedIssuer:
    """Raises Missing."""
    rows = TrustedIssuer.objects.for_tenant(current_tenant()).filter(id=issuer_id)
    found: TrustedIssuer | None = rows.first()
    if found is None:
        raise Missing("certificate issuer")
    return found


def remove(row: TrustedIssuer, *, at: datetime) -> None:
    """Certificates of this issuer let nobody in any more. Raises NotAllowed."""
    scope.refuse_part("Trusting an issuer no longer")
    before = {"label": row.label, "fingerprint": row.fingerprint}
    audit.record("certificate_issuer.delete", row, tenant_id=row.tenant_id, at=at, before=before)
    row.delete()


def is_trusted(tenant_id: UUID, fingerprints: Iterable[str]) -> bool:
    """Whether one of them is trusted. Takes as long whichever it is."""
    shown = [plain(each).encode() for each in list(fingerprints)[:MOST_SHOWN]]
    found = False
    rows = TrustedIssuer.objects.for_tenant(tenant_id).values_list("fingerprint", flat=True)
    for trusted in rows:
        for each in shown:
            found |= hmac.compare_digest(trusted.encode(), each)
    return found


def plain(fingerprint: str) -> str:
    """As it is kept, however it is written: AB:CD… or abcd…"""
    return fingerprint.replace(":", "").replace(" ", "").casefold()
