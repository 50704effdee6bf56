"""Secrets an installation makes for itself, once, readable by its owner alone."""

from __future__ import annotations

import secrets
import stat
from collections.abc import Callable
from pathlib import Path

from cryptography.fernet import Fernet


def kept(home: Path, name: str, make: Callable[[], str]) -> str:
    """The secret `name` of the installation in `home`; made by the first of racing processes."""
    folder = home / "secrets"
    path = folder / name
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(stat.S_IRWXU)
        fresh = folder / f".{name}.{secrets.token_hex(4)}"
        fresh.touch(mode=0o600)
        fresh.write_text(make())
        try:
            path.hardlink_to(fresh)
        except FileExistsError:
            pass  # another process was a moment faster: its secret is the one
        finally:
            fresh.unlink()
    return path.read_text()


def kept_keys(home: Path) -> list[str]:
    """Keys that encrypt stored secrets, newest first, one a line."""
    return kept(home, "field_keys", lambda: Fernet.generate_key().decode()).split()
