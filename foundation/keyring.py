"""Secrets an installation makes for itself, once, readable by its owner alone."""

from __future__ import annotations

import hashlib
import secrets
import stat
from collections.abc import Callable
from pathlib import Path

from cryptography.fernet import Fernet

FIELD_KEYS = "field_keys"


def kept(home: Path, name: str, make: Callable[[], str]) -> str:
    """The secret `name` of the installation in `home`; made by the first of racing processes."""
    path = path_of(home, name)
    if not path.exists():
        fresh = _written(path, make())
        try:
            path.hardlink_to(fresh)
        except FileExistsError:
            pass  # another process was a moment faster: its secret is the one
        finally:
            fresh.unlink()
    return path.read_text()


def path_of(home: Path, name: str) -> Path:
    return home / "secrets" / name


def kept_keys(home: Path) -> list[str]:
    """Keys that encrypt stored secrets, newest first, one a line."""
    return kept(home, FIELD_KEYS, lambda: Fernet.generate_key().decode()).split()


def replace_keys(home: Path, keys: list[str]) -> None:
    """Keep these keys from now on, newest first. A reader sees the old ones or the new ones, never a part."""
    path = path_of(home, FIELD_KEYS)
    _written(path, "\n".join(keys)).replace(path)


def id_of(key: str) -> str:
    """Names a key in what it sealed, in logs and on the console; tells nothing of it."""
    return hashlib.sha256(key.encode()).hexdigest()[:8]


def _written(path: Path, text: str) -> Path:
    """A new file beside `path`, for its owner alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.parent.chmod(stat.S_IRWXU)
    fresh = path.parent / f".{path.name}.{secrets.token_hex(4)}"
    fresh.touch(mode=0o600)
    fresh.write_text(text)
    return fresh
