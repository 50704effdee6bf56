"""Update packages: checked while they stream in, kept outside the database under the digest of their content.

The same bytes are kept once per customer. Nothing enters the store before it is checked whole, so what is there
under a digest has that digest.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, cast
from uuid import UUID

from django.core.files.base import File
from django.core.files.storage import default_storage

from foundation import files
from foundation.errors import NotValid

CHUNK_BYTES = 1024 * 1024
HEAD_BYTES = 64

SWU = files.FileKind("application/x-swupdate", b"07070")  # cpio, with or without checksums
SQUASHFS = files.FileKind("application/vnd.squashfs", b"hsqs")  # also how a RAUC bundle begins
EXECUTABLE = files.FileKind("application/vnd.microsoft.portable-executable", b"MZ")
INSTALLER = files.FileKind("application/x-msi", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
DEBIAN = files.FileKind("application/vnd.debian.binary-package", b"!<arch>\n")
XZ = files.FileKind("application/x-xz", b"\xfd7zXZ\x00")
ZSTANDARD = files.FileKind("application/zstd", b"\x28\xb5\x2f\xfd")
KINDS = (SWU, SQUASHFS, EXECUTABLE, INSTALLER, DEBIAN, files.ZIP, files.GZIP, XZ, ZSTANDARD)


@dataclass(frozen=True)
class Content:
    """What was received. Digests are lower-case hex: devices ask for any of the three."""

    name: str
    media_type: str
    size_bytes: int
    sha256: str
    sha1: str
    md5: str


def receive(
    source: IO[bytes],
    name: str,
    *,
    tenant_id: UUID,
    limit_bytes: int,
    kinds: tuple[files.FileKind, ...] = KINDS,
    size_bytes: int | None = None,
    sha256: str | None = None,
    progress: Callable[[int], None] = lambda received_bytes: None,
) -> Content:
    """Keep a stream. Raises NotValid for a wrong kind, size or digest, or more than `limit_bytes`; nothing stays.

    `size_bytes` and `sha256`: what the sender says it is, where it says so. `progress` hears after every piece how
    much has come. Memory holds one piece at a time.
    """
    if size_bytes is not None and size_bytes > limit_bytes:
        raise NotValid(f"The file is larger than {limit_bytes} bytes.", field="file")
    head = _head(source)
    kind = next((each for each in kinds if head[each.offset :].startswith(each.magic)), None)
    if kind is None:
        raise NotValid("This kind of file is not accepted.", field="file")

    most = limit_bytes if size_bytes is None else size_bytes
    # Old clients know these digests only. They find damage; sha256 is what content is known by.
    digests = hashlib.sha256(), hashlib.sha1(usedforsecurity=False), hashlib.md5(usedforsecurity=False)
    received = 0
    with tempfile.TemporaryFile() as checked:
        piece = head
        while piece:
            received += len(piece)
            if received > most:
                raise NotValid(_too_long(limit_bytes, size_bytes), field="file")
            for digest in digests:
                digest.update(piece)
            checked.write(piece)
            progress(received)
            piece = source.read(CHUNK_BYTES)
        if size_bytes is not None and received != size_bytes:
            raise NotValid(f"{received} of {size_bytes} bytes arrived. Send the file again.", field="file")
        content = Content(
            files.clean_name(name), kind.media_type, received, *(digest.hexdigest() for digest in digests)
        )
        if sha256 is not None and content.sha256 != sha256.lower():
            raise NotValid("The content does not have the SHA-256 that was given for it.", field="sha256")
        _keep(checked, path_of(tenant_id, content.sha256))
    return content


def path_of(tenant_id: UUID, sha256: str) -> str:
    """Where content is kept, as the storage names it."""
    return f"t/{tenant_id}/artifacts/{sha256}"


def size_of(tenant_id: UUID, sha256: str) -> int | None:
    """Bytes of kept content; None where it is not kept."""
    try:
        return default_storage.size(path_of(tenant_id, sha256))
    except FileNotFoundError:
        return None


def open_part(tenant_id: UUID, sha256: str, first: int, length: int) -> IO[bytes]:
    """Kept content from byte `first` on; whoever reads stops after `length`. Far storage is asked for that part alone."""
    path = path_of(tenant_id, sha256)
    bucket = getattr(default_storage, "bucket", None)
    if bucket is not None:  # S3-compatible: opened as a file it would be fetched whole
        span = f"bytes={first}-{first + length - 1}"
        return cast(IO[bytes], bucket.Object(path).get(Range=span)["Body"])
    content = cast(IO[bytes], default_storage.open(path, "rb"))
    content.seek(first)
    return content


def open_content(tenant_id: UUID, sha256: str) -> IO[bytes]:
    return cast(IO[bytes], default_storage.open(path_of(tenant_id, sha256), "rb"))


def remove(tenant_id: UUID, sha256: str) -> None:
    """Once nothing refers to it any more; call it after the commit that said so."""
    default_storage.delete(path_of(tenant_id, sha256))


def _head(source: IO[bytes]) -> bytes:
    """The first bytes of a stream that may hand out fewer at a time than asked for."""
    head = b""
    while len(head) < HEAD_BYTES and (piece := source.read(HEAD_BYTES - len(head))):
        head += piece
    return head


def _keep(checked: IO[bytes], path: str) -> None:
    if default_storage.exists(path):
        return
    checked.seek(0)
    saved = default_storage.save(path, File(checked))
    if saved != path:  # another upload of the same bytes was a moment faster: its copy is the one
        default_storage.delete(saved)


def _too_long(limit_bytes: int, size_bytes: int | None) -> str:
    if size_bytes is None:
        return f"The file is larger than {limit_bytes} bytes."
    return f"More than the {size_bytes} bytes arrived that were said to come."
