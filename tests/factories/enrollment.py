"""Devices and the secrets they hold, without the ceremony of an enrollment."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import Any
from uuid import UUID, uuid4

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from enrollment import credentials, keys, nonces
from enrollment.canonical import canonical
from enrollment.hardware import described
from enrollment.models import EnrollmentKey
from enrollment.registration import Application, Enrollment, enroll, signed_digest
from enrollment.signatures import encoded
from fleet.models import Device
from fleet.room_groups import default_group
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


def make_key(
    owner: Tenant, *, at: datetime, label: str = "Installers", **terms: Any
) -> tuple[EnrollmentKey, str]:
    """A key of the customer's default group, and its text."""
    with tenant(owner.id):
        terms.setdefault("group", default_group())
        return keys.issue(label=label, at=at, **terms)


@dataclass
class Candidate:
    """A device that applies: who it is, what it says, and a signature over it."""

    key: KeyPair | None = field(default_factory=KeyPair.fresh)
    serial: str = field(default_factory=lambda: f"SN{next(_numbers):06d}")
    firmware_uuid: str = field(default_factory=lambda: str(uuid4()))
    macs: list[str] = field(default_factory=lambda: [f"54:bf:64:{os.urandom(3).hex(':')}"])
    room: dict[str, str] | None = None
    kind: str = "room_system"

    def body(self, key_text: str, *, at: datetime, nonce: str | None = None, **other: Any) -> dict[str, Any]:
        """What it posts to /enroll. `other` replaces members before they are signed."""
        body: dict[str, Any] = {
            "nonce": nonces.make("enroll", at=at) if nonce is None else nonce,
            "agent": {"name": "greenroom-agent", "version": "1.0.0"},
            "platform": "linux",
            "kind": self.kind,
            "hardware": {
                "make": "Dell",
                "model": "OptiPlex 7080",
                "serial": self.serial,
                "firmware_uuid": self.firmware_uuid,
                "macs": self.macs,
            },
            **({"room": self.room} if self.room is not None else {}),
            **({"public_key": self.key.public_text} if self.key else {}),
            **other,
        }
        return self.signed(body, key_text)

    def signed(self, body: dict[str, Any], key_text: str) -> dict[str, Any]:
        if self.key is None:
            return body
        digest = hashlib.sha256(canonical(body)).hexdigest()
        lines = ("greenroom-enroll-v1", body["nonce"], key_text.split("_")[1], digest)
        return {**body, "signature": self.key.sign(*lines)}

    def application(self, key_text: str, *, at: datetime, **other: Any) -> Application:
        body = self.body(key_text, at=at, **other)
        hardware, room = body["hardware"], body.get("room", {})
        return Application(
            nonce=body["nonce"],
            platform=body["platform"],
            kind=body["kind"],
            hardware=described(
                hardware["make"],
                hardware["model"],
                hardware["serial"],
                hardware["firmware_uuid"],
                hardware["macs"],
            ),
            digest=signed_digest(body),
            public_key=self.key.public if self.key else None,
            signature=body.get("signature", ""),
            agent_name="greenroom-agent",
            agent_version="1.0.0",
            room_name=room.get("name", ""),
            resource_account=room.get("resource_account", ""),
        )

    def enroll(
        self, key_text: str, *, at: datetime, address: str | None = "192.0.2.7", **other: Any
    ) -> Enrollment:
        """As the face does it: the key looked up, its tenant entered, everything undone on a refusal."""
        key = keys.find(key_text, at=at)
        assert key is not None, "this key is not valid"
        with tenant(key.tenant_id):
            return enroll(key, self.application(key_text, at=at, **other), address=address, at=at)
