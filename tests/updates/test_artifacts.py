from __future__ import annotations

import hashlib
import io
from uuid import UUID

import pytest
from django.core.files.storage import default_storage

from foundation.errors import NotValid
from updates import artifacts

CUSTOMER = UUID("018f0000-0000-7000-8000-000000000001")
PACKAGE = b"070702" + bytes(range(256)) * 10_000
LIMIT = 10**7


def kept_files(store) -> list:
    return [path for path in store.rglob("*") if path.is_file()]


def test_a_package_is_kept_by_its_content_once_and_its_progress_is_told(store):
    heard: list[int] = []
    for _ in range(2):
        content = artifacts.receive(
            io.BytesIO(PACKAGE), "../os 1.swu", tenant_id=CUSTOMER, limit_bytes=LIMIT, progress=heard.append
        )
    assert (content.name, content.media_type) == ("os 1.swu", "application/x-swupdate")
    assert content.sha256 == hashlib.sha256(PACKAGE).hexdigest()
    assert content.sha1 == hashlib.sha1(PACKAGE, usedforsecurity=False).hexdigest()
    assert content.md5 == hashlib.md5(PACKAGE, usedforsecurity=False).hexdigest()
    assert [path.read_bytes() for path in kept_files(store)] == [PACKAGE]
    assert heard[-1] == artifacts.size_of(CUSTOMER, content.sha256) == len(PACKAGE)
    assert len(heard) > 4


@pytest.mark.parametrize(
    ("sent", "said", "field"),
    [
        (b"<html>", {}, "file"),
        (b"", {}, "file"),
        (PACKAGE, {"limit_bytes": len(PACKAGE) - 1}, "file"),
        (PACKAGE, {"size_bytes": len(PACKAGE) + 1}, "file"),
        (PACKAGE, {"size_bytes": len(PACKAGE) - 1}, "file"),
        (PACKAGE, {"size_bytes": LIMIT + 1}, "file"),
        (PACKAGE, {"sha256": "0" * 64}, "sha256"),
    ],
    ids=["kind", "empty", "limit", "broken off", "longer than said", "said too long", "other content"],
)
def test_what_is_not_as_it_should_be_is_refused_and_leaves_nothing(store, sent, said, field):
    with pytest.raises(NotValid) as refusal:
        artifacts.receive(io.BytesIO(sent), "a.swu", **({"tenant_id": CUSTOMER, "limit_bytes": LIMIT} | said))
    assert refusal.value.field == field
    assert kept_files(store) == []


def test_a_long_upload_stops_at_the_limit_without_being_read_on():
    class Endless(io.RawIOBase):
        given = 0

        def read(self, size: int = -1) -> bytes:
            self.given += size
            return b"070702".ljust(size, b"x")

    source = Endless()
    with pytest.raises(NotValid):
        artifacts.receive(source, "a.swu", tenant_id=CUSTOMER, limit_bytes=LIMIT)  # type: ignore[arg-type]
    assert source.given <= LIMIT + 2 * artifacts.CHUNK_BYTES


def test_a_faster_upload_of_the_same_bytes_leaves_one_copy(store):
    path = artifacts.path_of(CUSTOMER, hashlib.sha256(PACKAGE).hexdigest())

    def other_upload(received: int) -> None:
        if received == len(PACKAGE):
            default_storage.save(path, io.BytesIO(PACKAGE))

    artifacts.receive(
        io.BytesIO(PACKAGE), "a.swu", tenant_id=CUSTOMER, limit_bytes=LIMIT, progress=other_upload
    )
    assert len(kept_files(store)) == 1
