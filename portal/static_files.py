"""Static files: from the sources while nobody has collected them, by hashed names for good once somebody has.

Tests and `runserver` work at once; the `web` command collects first (`collect_if_stale`).
"""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from whitenoise.middleware import WhiteNoiseMiddleware  # type: ignore[import-untyped]
from whitenoise.storage import CompressedManifestStaticFilesStorage  # type: ignore[import-untyped]

COLLECTED = "collected"  # beside the files: what they were collected from
UNUSED = ["rest_framework", "*-4*.js", "htmx-2.js", "ext"]  # of installed apps: no page of ours loads them


class StaticFiles(CompressedManifestStaticFilesStorage):  # type: ignore[misc]
    """Hashed, compressed, kept by browsers for good; plain names where nothing was collected yet."""

    def stored_name(self, name: str) -> str:
        if not self.hashed_files:
            return name
        return str(super().stored_name(name))


class ServeStaticFiles(WhiteNoiseMiddleware):  # type: ignore[misc]
    """Collected files, and the sources under their plain names."""

    def add_files(self, root: str, prefix: str | None = None) -> None:
        if Path(root).is_dir():  # before the first collecting there is none
            super().add_files(root, prefix)


def collect_if_stale() -> bool:
    """Collect where a source changed since it was done last; returns whether it did. Safe to repeat."""
    sources = _sources()
    note = Path(settings.STATIC_ROOT) / COLLECTED
    if note.exists() and note.read_text() == sources:
        return False
    call_command("collectstatic", interactive=False, verbosity=0, ignore_patterns=UNUSED)
    note.write_text(sources)
    return True


def _sources() -> str:
    """A digest over names, sizes and times of all static files; their content is not read."""
    digest = blake2b(digest_size=16)
    for finder in get_finders():
        for name, storage in finder.list(UNUSED):
            stat = Path(storage.path(name)).stat()
            digest.update(f"{name}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()
