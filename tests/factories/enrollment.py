"""Devices and the secrets they hold, without the ceremony of an enrollment."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from enrollment import credentials
from enrollment.signatures import encoded
from fleet.models import Device
from foundation.context import tenant
from tenancy.models import Tenant

_numbers = count(1)


@dataclass
class KeyPair:
    """A device's own key."""

    private: Ed25519PrivateKey

    @classmethod
    def fresh(cls) -> KeyPair:
        return cls(Ed25519PrivateKey.from_private_bytes(os.urandom(32)))

    @property
    def public(self) -> bytes:
        return self.private.public_key().public_bytes_raw()

    @property
    def public_text(self) -> str:
        return encoded(self.public)

    def sign(self, *lines: str) -> str:
        return encoded(self.private.sign("\n".join(lines).encode()))

    def rotation(self, nonce: str, device_id: UUID) -> str:
        return self.sign("greenroom-rotate-v1", nonce, str(device_id))

    def recovery(self, nonce: str, device_id: UUID) -> str:
        return self.sign("greenroom-recover-v1", nonce, str(device_id))


def make_device(
    owner: Tenant, *, at: datetime, status: str = Device.Status.ENROLLED, **values: object
) -> Device:
    """A device row alone, in no room."""
    number = next(_numbers)
    with tenant(owner.id):
        return Device.objects.for_tenant(owner).create(
            **{
                "name": f"Device {number}",
                "kind": Device.Kind.ROOM_SYSTEM,
                "platform": Device.Platform.LINUX,
                "status": status,
                "status_since": at,
                "make": "Dell",
                "model": "OptiPlex 7080",
                "created_at": at,
                **values,
            }
        )


def make_token(device: Device, key: KeyPair | None, *, at: datetime) -> str:
    with tenant(device.tenant_id):
        return credentials.issue(device, public_key=key.public if key else None, at=at).text
