"""Nonces without memory: made and checked by HMAC, bound to a purpose and a subject, good for a while.

A device signs one to prove that it holds its key now. Form: base64url of version, time made, random, HMAC.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from datetime import UTC, datetime, timedelta

from django.conf import settings

LIFETIMES = {
    "enroll": timedelta(minutes=5),  # a challenge: for enrolling and for recovering
    "rotate": timedelta(hours=24),  # subject: public id of the credential to be renewed
}
_VERSION = 1
_TIME, _RANDOM, _MAC = 6, 9, 32  # bytes; with the version 48 in all: 64 characters, no padding
_LENGTH = 1 + _TIME + _RANDOM + _MAC
_AHEAD = timedelta(seconds=30)  # made by a process whose clock runs a little ahead of ours


def make(purpose: str, subject: str = "", *, at: datetime) -> str:
    """A fresh nonce, 64 characters. `purpose`: a key of LIFETIMES. `at`: aware. Reads neither database nor cache."""
    if purpose not in LIFETIMES:
        raise ValueError(f"No nonce has the purpose {purpose}.")
    made_ms = int(at.timestamp() * 1000)
    head = bytes([_VERSION]) + made_ms.to_bytes(_TIME, "big") + secrets.token_bytes(_RANDOM)
    return base64.urlsafe_b64encode(head + _mac(settings.SECRET_KEY, purpose, subject, head)).decode()


def check(purpose: str, nonce: str, subject: str = "", *, at: datetime) -> bool:
    """Whether we made `nonce` for this purpose and subject, and it is not too old at `at` (aware)."""
    try:
        raw = base64.b64decode(nonce.encode("ascii"), altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error):
        return False
    if len(raw) != _LENGTH or raw[0] != _VERSION:
        return False
    head, mac = raw[:-_MAC], raw[-_MAC:]
    keys = (str(settings.SECRET_KEY), *map(str, settings.SECRET_KEY_FALLBACKS))
    if not any(hmac.compare_digest(mac, _mac(key, purpose, subject, head)) for key in keys):
        return False
    made = datetime.fromtimestamp(int.from_bytes(head[1 : 1 + _TIME], "big") / 1000, tz=UTC)
    return made - _AHEAD <= at < made + LIFETIMES[purpose]


def _mac(secret: str, purpose: str, subject: str, head: bytes) -> bytes:
    key = hashlib.sha256(b"greenroom nonce\0" + secret.encode()).digest()
    bound = f"{purpose}\0{subject}\0".encode()
    return hmac.new(key, bound + head, hashlib.sha256).digest()
