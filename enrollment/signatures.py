"""Signatures of devices: Ed25519 over lines of text, everything in base64url without padding."""

from __future__ import annotations

import base64
import binascii

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

PUBLIC_KEY_BYTES, SIGNATURE_BYTES = 32, 64


def decoded(text: str, length: int) -> bytes | None:
    """The `length` bytes that `text` is the base64url of, without padding; None for anything else."""
    padding = "=" * (-len(text) % 4)
    try:
        raw = base64.b64decode(text.encode("ascii") + padding.encode(), altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error):
        return None
    return raw if len(raw) == length and encoded(raw) == text else None


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def holds(public_key: bytes, signature: str, *lines: str) -> bool:
    """Whether `signature` is the key's over `lines` joined by LF, no LF at the end."""
    raw = decoded(signature, SIGNATURE_BYTES)
    if raw is None:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(raw, "\n".join(lines).encode())
    except (InvalidSignature, ValueError):
        return False
    return True
