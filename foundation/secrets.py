"""Secrets we must use again, encrypted at rest. A secret we only check is stored as a digest instead."""

from __future__ import annotations

import json
from functools import lru_cache
from uuid import UUID

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings

from foundation.keyring import kept_keys


class SecretUnreadable(Exception):
    """No key we hold opens it, or it was written for another tenant or field."""


@lru_cache(maxsize=1)
def _keyring() -> MultiFernet:
    """Newest first: it encrypts, all decrypt."""
    keys = settings.GREENROOM_FIELD_KEYS or kept_keys(settings.GREENROOM_HOME)
    return MultiFernet([Fernet(key) for key in keys])


def seal(plain: str, *, tenant_id: UUID, field: str) -> bytes:
    """Encrypt `plain` for one field of one tenant: a copy into another row or field does not open."""
    return _keyring().encrypt(json.dumps([str(tenant_id), field, plain]).encode())


def unseal(sealed: bytes | memoryview, *, tenant_id: UUID, field: str) -> str:
    """Raises SecretUnreadable."""
    try:
        owner, name, plain = json.loads(_keyring().decrypt(bytes(sealed)))
    except (InvalidToken, ValueError) as error:
        raise SecretUnreadable("No key opens this secret.") from error
    if (owner, name) != (str(tenant_id), field):
        raise SecretUnreadable("This secret belongs to another tenant or field.")
    return str(plain)


def resealed(sealed: bytes | memoryview) -> bytes:
    """The same secret under the newest key, for the rotation job."""
    return _keyring().rotate(bytes(sealed))
