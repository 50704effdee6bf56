"""What went out by mail."""

from __future__ import annotations

import re

from foundation import mail
from foundation.context import tenant
from foundation.models import OutboxEntry
from tenancy.models import Tenant


def link_in_mail(customer: Tenant) -> str:
    """The link of the invitation mailed last."""
    with tenant(customer.id):
        entry = OutboxEntry.objects.for_tenant(customer).order_by("-id").first()
        text = mail.text_of(entry.payload, tenant_id=customer.id)
    return re.search(r"https?://[^/]+(/invitation/\S+)", text)[1]  # type: ignore[index]
