"""Files outside the database: under random names, by tenant, checked by their content while they stream."""

from __future__ import annotations

import codecs
import hashlib
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import IO, cast
from uuid import UUID

from django.core.files.base import File
from django.core.files.storage import default_storage
from django.db import transaction

from foundation.errors import NotValid
from foundation.models import StoredFile

CHUNK = 256 * 1024
NOT_ACCEPTED = "This kind of file is not accepted."
NEVER_SHOWN = "application/octet-stream"


@dataclass(frozen=True)
class FileKind:
    """A kind of content we accept: how it begins, what it is called.

    `is_text`: all of it must be text, for what has no beginning of its own. `limit_bytes`: of this kind, below the
    limit of all.
    """

    media_type: str
    magic: bytes
    offset: int = 0
    is_text: bool = False
    limit_bytes: int | None = None


PNG = FileKind("image/png", b"\x89PNG\r\n\x1a\n")
JPEG = FileKind("image/jpeg", b"\xff\xd8\xff")
WEBP = FileKind("image/webp", b"WEBP", offset=8)
GIF = FileKind("image/gif", b"GIF8")
MP4 = FileKind("video/mp4", b"ftyp", offset=4)
WEBM = FileKind("video/webm", b"\x1aE\xdf\xa3")
EVTX = FileKind("application/x-ms-evtx", b"ElfFile\x00")  # a Windows event log
TEXT = FileKind("text/plain", b"", is_text=True)
ZIP = FileKind("application/zip", b"PK\x03\x04")
GZIP = FileKind("application/gzip", b"\x1f\x8b")
XLSX = FileKind("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", b"PK\x03\x04")


class _Measured:
    """Passes a stream on in chunks while it is counted and hashed; stops one that is too long or no text."""

    def __init__(
        self, source: IO[bytes], head: bytes, limit_bytes: int, text: codecs.IncrementalDecoder | None
    ) -> None:
        self._source, self._head, self._limit, self._text = source, head, limit_bytes, text
        self.size, self.digest = 0, hashlib.sha256()

    def __iter__(self) -> Iterator[bytes]:
        chunk = self._head + self._source.read(CHUNK)
        while chunk:
            self.size += len(chunk)
            if self.size > self._limit:
                raise NotValid(f"The file is larger than {_size(self._limit)}.", field="file")
            self._read_text(chunk)
            self.digest.update(chunk)
            yield chunk
            chunk = self._source.read(CHUNK)
        self._read_text(b"", final=True)

    def _read_text(self, chunk: bytes, *, final: bool = False) -> None:
        if self._text is None:
            return
        try:
            read = self._text.decode(chunk, final)
        except UnicodeDecodeError:
            raise NotValid(NOT_ACCEPTED, field="file") from None
        if "\0" in read:
            raise NotValid(NOT_ACCEPTED, field="file")


class _ChunkedFile(File):  # type: ignore[type-arg]
    def __init__(self, measured: _Measured, name: str) -> None:
        super().__init__(None, name)
        self._measured = measured

    def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:
        return iter(self._measured)

    def multiple_chunks(self, chunk_size: int | None = None) -> bool:
        return True


def store(
    source: IO[bytes],
    name: str,
    *,
    tenant_id: UUID,
    kinds: tuple[FileKind, ...],
    limit_bytes: int,
    at: datetime,
) -> StoredFile:
    """Keep a stream that begins like one of `kinds`. Raises NotValid for another content or a longer one.

    The content decides, not the name or what the sender called it. Nothing stays behind of a refused file.
    The tenant is entered.
    """
    head = source.read(64)
    if not head:
        raise NotValid("The file is empty.", field="file")
    kind = next((each for each in kinds if head[each.offset :].startswith(each.magic)), None)
    if kind is None:
        raise NotValid(NOT_ACCEPTED, field="file")
    limit_bytes = min(limit_bytes, kind.limit_bytes or limit_bytes)
    measured = _Measured(source, head, limit_bytes, _decoder(head) if kind.is_text else None)
    path = f"t/{tenant_id}/{secrets.token_urlsafe(24)}"
    try:
        saved = default_storage.save(path, _ChunkedFile(measured, path))
    except NotValid:
        default_storage.delete(path)
        raise
    row: StoredFile = StoredFile.objects.for_tenant(tenant_id).create(
        path=saved,
        name=clean_name(name),
        media_type=kind.media_type,
        size_bytes=measured.size,
        sha256=measured.digest.hexdigest(),
        created_at=at,
    )
    return row


def _decoder(head: bytes) -> codecs.IncrementalDecoder:
    """Text is UTF-8, or UTF-16 where it says so at its beginning, as Windows writes it."""
    utf_16 = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return codecs.getincrementaldecoder("utf-16" if utf_16 else "utf-8")()


def _size(number_bytes: int) -> str:
    return f"{number_bytes // 1_000_000} MB" if number_bytes >= 1_000_000 else f"{number_bytes} bytes"


def open_stored(row: StoredFile) -> IO[bytes]:
    return cast(IO[bytes], default_storage.open(row.path, "rb"))


def remove(row: StoredFile) -> None:
    """The row now, its content once the transaction has committed. The tenant is entered."""
    StoredFile.objects.for_tenant(row.tenant_id).filter(id=row.id).delete()
    transaction.on_commit(partial(default_storage.delete, row.path))


def discard(row: StoredFile) -> None:
    """The content of a file whose row is rolled back."""
    default_storage.delete(row.path)


def clean_name(name: str) -> str:
    """A name to show and to download under: no path, no control characters, never empty."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    return "".join(character for character in last if character.isprintable()).strip(". ")[:200] or "file"


def download_headers(row: StoredFile) -> dict[str, str]:
    """Headers under which a stored file can do no harm in a browser."""
    quoted = row.name.encode("ascii", "replace").decode().replace('"', "'").replace("\\", "_")
    return {
        "Content-Type": NEVER_SHOWN,
        "Content-Disposition": f'attachment; filename="{quoted}"',
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "Cache-Control": "no-store",
    }


def joined(rows: Sequence[StoredFile]) -> IO[bytes]:
    """Several stored files read as one, so that long work can write parts. Only `read` works."""
    return cast(IO[bytes], _Joined(rows))


class _Joined:
    def __init__(self, rows: Sequence[StoredFile]) -> None:
        self._rows = iter(rows)
        self._now: IO[bytes] | None = None

    def read(self, size: int = -1) -> bytes:
        while True:
            if self._now is None:
                row = next(self._rows, None)
                if row is None:
                    return b""
                self._now = open_stored(row)
            if chunk := self._now.read(size):
                return chunk
            self._now.close()
            self._now = None
