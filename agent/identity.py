"""The device's own Ed25519 key: made here, kept in a file, never sent."""

import base64
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.errors import AgentError
from agent.home import write_durably


class Identity:
    """Signs as this device. Texts are base64url without padding."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    @property
    def public_key(self) -> str:
        """The raw 32 bytes."""
        raw = serialization.Encoding.Raw, serialization.PublicFormat.Raw
        return _base64url(self._key.public_key().public_bytes(*raw))

    def sign(self, *lines: str) -> str:
        """The signature over the lines joined by LF (no LF at the end)."""
        return _base64url(self._key.sign("\n".join(lines).encode()))


def load_identity(path: Path) -> Identity:
    """Read the key; raises AgentError if there is none or it is not one."""
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except FileNotFoundError:
        raise AgentError(f"no device key in {path.parent}; enroll first") from None
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise AgentError(f"cannot read the device key {path}: {error}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise AgentError(f"{path} is not an Ed25519 key")
    return Identity(key)


def load_or_make_identity(path: Path) -> Identity:
    """The key of this home, made on first use. The same key on a repeated enrollment is the same device."""
    if path.exists():
        return load_identity(path)
    key = Ed25519PrivateKey.generate()
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    write_durably(path, key.private_bytes(*form))
    return Identity(key)


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
