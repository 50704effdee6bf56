"""Update files on S3-compatible storage: kept by content, fetched in parts, never whole in memory or on disk here."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from django.core.files.storage import default_storage
from django.test import Client

from foundation import clock
from tests.standins import s3
from updates import artifact_links, artifacts

CUSTOMER = UUID("018f0000-0000-7000-8000-000000000001")
CONTENT = b"070702" + os.urandom(9_000_000)  # more than one part
LIMIT = 10**8


@pytest.fixture
def remote(settings: Any) -> Iterator[s3.Store]:
    with s3.running() as store:
        settings.STORAGES = settings.STORAGES | {"default": s3.options(store)}
        yield store
        default_storage.connection.meta.client.close()


def test_a_file_is_kept_by_its_content_once_and_goes_again(remote):
    for _ in range(2):
        content = artifacts.receive(io.BytesIO(CONTENT), "app.swu", tenant_id=CUSTOMER, limit_bytes=LIMIT)
    assert remote.objects == {f"t/{CUSTOMER}/artifacts/{hashlib.sha256(CONTENT).hexdigest()}": CONTENT}
    uploads = [key for method, key, _ in remote.asked if method == "PUT"]
    assert len(uploads) == 2, "its two parts, once"
    assert artifacts.size_of(CUSTOMER, content.sha256) == len(CONTENT)
    artifacts.remove(CUSTOMER, content.sha256)
    assert artifacts.size_of(CUSTOMER, content.sha256) is None


def test_a_device_fetches_a_part_and_no_more_than_that_is_read(db, remote):
    content = artifacts.receive(io.BytesIO(CONTENT), "app.swu", tenant_id=CUSTOMER, limit_bytes=LIMIT)
    link = artifact_links.make(CUSTOMER, content.sha256, "app.swu", at=clock.now())
    for wanted, part in (("bytes=5000000-5000009", slice(5_000_000, 5_000_010)), ("", slice(None))):
        remote.asked.clear()
        answer = Client().get(link.address, headers={"Range": wanted} if wanted else {})
        assert b"".join(answer.streaming_content) == CONTENT[part]
        for close in answer._resource_closers:  # close() would end the test's connection too
            close()
        [asked] = [span for method, _, span in remote.asked if method == "GET"]
        assert asked == (wanted or f"bytes=0-{len(CONTENT) - 1}")
