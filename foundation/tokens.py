"""The form of every secret we hand out: `<prefix>_<id>_<secret>_<check>`.

`id`: 12 base32 characters, of which the first 5 are the tenant's number, so the tenant is known before any
row is read. `secret`: 32 random bytes, base64url. `check`: CRC-32, so a mistyped secret costs no look-up.
Parsed by fixed lengths: base64url contains `_`. Only SHA-256 of the secret is stored.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import zlib
from dataclasses import dataclass

ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
NUMBER_LENGTH, ID_LENGTH, SECRET_LENGTH, CHECK_LENGTH = 5, 12, 43, 6
MAX_NUMBER = 32**NUMBER_LENGTH - 1


@dataclass(frozen=True)
class Issued:
    """A new secret: `text` is shown once, the rest is stored."""

    text: str
    public_id: str
    digest: bytes


@dataclass(frozen=True)
class Presented:
    """A well-formed secret somebody presented. Whether it is ours, the digest tells."""

    public_id: str
    tenant_number: int
    digest: bytes

    def matches(self, digest: bytes | memoryview) -> bool:
        return hmac.compare_digest(self.digest, bytes(digest))


def issue(prefix: str, tenant_number: int) -> Issued:
    if not 0 < tenant_number <= MAX_NUMBER:
        raise ValueError(f"No tenant has the number {tenant_number}.")
    number = "".join(ALPHABET[tenant_number >> 5 * place & 31] for place in reversed(range(NUMBER_LENGTH)))
    public_id = number + "".join(secrets.choice(ALPHABET) for _ in range(ID_LENGTH - NUMBER_LENGTH))
    secret = _base64url(secrets.token_bytes(32))
    body = f"{prefix}_{public_id}_{secret}"
    return Issued(f"{body}_{_check(body)}", public_id, _digest(secret))


def parse(prefix: str, text: str) -> Presented | None:
    """None for anything that cannot be one of ours: wrong prefix, length, alphabet or check."""
    start = len(prefix) + 1
    middle, end = start + ID_LENGTH, start + ID_LENGTH + 1 + SECRET_LENGTH
    if len(text) != end + 1 + CHECK_LENGTH or not text.isascii() or not text.startswith(f"{prefix}_"):
        return None
    public_id, secret, check = text[start:middle], text[middle + 1 : end], text[end + 1 :]
    if (
        text[middle] != "_"
        or text[end] != "_"
        or check != _check(text[:end])
        or set(public_id) - set(ALPHABET)
    ):
        return None
    number = 0
    for character in public_id[:NUMBER_LENGTH]:
        number = number * 32 + ALPHABET.index(character)
    return Presented(public_id, number, _digest(secret))


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _check(body: str) -> str:
    return _base64url(zlib.crc32(body.encode()).to_bytes(4, "big"))


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
