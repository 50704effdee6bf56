"""Links to update packages that need no token: signed, for one file of one customer, for a short time."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote
from uuid import UUID

from django.utils.crypto import salted_hmac

SALT = "updates.artifact_links"
LIVES = timedelta(hours=24)  # longer than the slowest download: a range asked for late must still be answered
PATH = "/device/v1/artifacts"
SIGNATURE_LENGTH = 32  # hex digits, 128 bits: small clients keep 199 characters of an address


@dataclass(frozen=True)
class Link:
    tenant_id: UUID
    sha256: str
    name: str
    expires: int  # seconds since 1970

    @property
    def signature(self) -> str:
        signed = "\n".join((str(self.tenant_id), self.sha256, str(self.expires), self.name))
        return salted_hmac(SALT, signed, algorithm="sha256").hexdigest()[:SIGNATURE_LENGTH]

    def holds(self, signature: str, *, at: datetime) -> bool:
        genuine = hmac.compare_digest(signature.encode(), self.signature.encode())
        return genuine and at.timestamp() < self.expires

    @property
    def address(self) -> str:
        """Path and query, to be put behind the address of the installation."""
        path = f"{PATH}/{self.tenant_id}/{self.sha256}/{quote(self.name, safe='')}"
        return f"{path}?expires={self.expires}&signature={self.signature}"


def make(tenant_id: UUID, sha256: str, name: str, *, at: datetime, lives: timedelta = LIVES) -> Link:
    return Link(tenant_id, sha256, name, int((at + lives).timestamp()))
