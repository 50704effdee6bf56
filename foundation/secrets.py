"""Secrets we must use again, encrypted at rest. A secret we only check is stored as a digest instead.

A sealed secret names the key that sealed it: `grs1.<key id>.<Fernet token>`. So what an old key still holds is found
without opening anything (foundation.rotation).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from uuid import UUID

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings

from foundation import keyring

MARK = "grs1."
_PARTS = re.compile(rb"grs1\.([0-9a-f]{8})\.(.+)", re.DOTALL)


class SecretUnreadable(Exception):
    """No key we hold opens it, or it was written for another tenant or field."""


@dataclass(frozen=True)
class Keys:
    """By id, newest first: the newest seals, all open."""

    by_id: dict[str, Fernet]

    @property
    def newest(self) -> str:
        return next(iter(self.by_id))


_read: tuple[object, Keys] | None = None  # what the keys were read from, and the keys


def keys() -> Keys:
    """From the settings, else from the installation's own file, read anew when that has changed.

    So a key added while the processes run is used by all of them at once, and none meets a secret it cannot open.
    """
    global _read
    given: tuple[str, ...] = tuple(settings.GREENROOM_FIELD_KEYS)
    source: object = given
    if not given:
        path = keyring.path_of(settings.GREENROOM_HOME, keyring.FIELD_KEYS)
        try:
            status = path.stat()
            source = (path, status.st_ino, status.st_mtime_ns)
        except FileNotFoundError:
            source = None
    if _read is None or source is None or _read[0] != source:
        found = given or keyring.kept_keys(settings.GREENROOM_HOME)
        _read = (source, Keys({keyring.id_of(key): Fernet(key) for key in found}))
    return _read[1]


def seal(plain: str, *, tenant_id: UUID, field: str) -> bytes:
    """Encrypt `plain` for one field of one tenant: a copy into another row or field does not open."""
    return _sealed(json.dumps([str(tenant_id), field, plain]).encode())


def unseal(sealed: bytes | memoryview, *, tenant_id: UUID, field: str) -> str:
    """Raises SecretUnreadable."""
    try:
        owner, name, plain = json.loads(_opened(bytes(sealed)))
    except ValueError as error:
        raise SecretUnreadable("No key opens this secret.") from error
    if (owner, name) != (str(tenant_id), field):
        raise SecretUnreadable("This secret belongs to another tenant or field.")
    return str(plain)


def resealed(sealed: bytes | memoryview) -> bytes:
    """The same secret under the newest key. Raises SecretUnreadable."""
    return _sealed(_opened(bytes(sealed)))


def key_of(sealed: str) -> str:
    """The id of the key that sealed it; "" for what is no sealed secret."""
    parts = _PARTS.fullmatch(sealed.encode())
    return parts[1].decode() if parts else ""


def _sealed(plain: bytes) -> bytes:
    held = keys()
    return f"{MARK}{held.newest}.".encode() + held.by_id[held.newest].encrypt(plain)


def _opened(sealed: bytes) -> bytes:
    parts = _PARTS.fullmatch(sealed)
    key = keys().by_id.get(parts[1].decode()) if parts else None
    if parts is None or key is None:
        raise SecretUnreadable("No key opens this secret.")
    try:
        return key.decrypt(parts[2])
    except InvalidToken as error:
        raise SecretUnreadable("No key opens this secret.") from error
