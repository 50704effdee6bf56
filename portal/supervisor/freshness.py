"""What a start may skip because an earlier one did it and nothing has changed since."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import psycopg2

from .programs import ROOT

_PACKAGES = (
    "agent",
    "enrollment",
    "fleet",
    "foundation",
    "incidents",
    "insights",
    "portal",
    "tenancy",
    "updates",
    "workers",
)


def code() -> str:
    """A digest of our Python, of the data that goes with it and of the versions of everything else."""
    sources = (path for package in _PACKAGES for path in (ROOT / package).rglob("*.py"))
    data = (path for package in _PACKAGES for path in (ROOT / package).rglob("*_data/*.csv"))
    return _digest([*sources, *data, ROOT / "requirements.lock"])


def assets() -> str:
    """A digest of the static files and of what could bring others."""
    return _digest(
        [*(ROOT / "static").rglob("*"), ROOT / "requirements.lock", ROOT / "portal" / "settings.py"]
    )


def database(owner_url: str) -> str:
    """Which database this is and what was migrated in it; empty while nothing was."""
    connection = psycopg2.connect(owner_url, connect_timeout=10)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*), max(applied)::text FROM django_migrations")
            count, last = cursor.fetchone() or (0, None)
    except psycopg2.errors.UndefinedTable:
        return ""
    finally:
        connection.close()
    return f"{count} migrations, last {last}"


def _digest(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in sorted(paths):
        if path.is_file():
            content = path.read_bytes()
            digest.update(f"{path.relative_to(ROOT)}\0{len(content)}\0".encode())
            digest.update(content)
    return digest.hexdigest()
