from __future__ import annotations

import io
from datetime import timedelta

import pytest

from foundation import files, idempotency
from foundation.context import tenant
from foundation.errors import NotValid
from foundation.models import StoredFile

PNG = b"\x89PNG\r\n\x1a\n" + b"x" * 300_000


def test_a_file_is_kept_under_a_random_name_of_its_tenant(customer, at, settings, tmp_path):
    with tenant(customer.id):
        row = files.store(
            io.BytesIO(PNG),
            "../../photo.png",
            tenant_id=customer.id,
            kinds=(files.PNG,),
            limit_bytes=10**6,
            at=at,
        )
        assert (row.name, row.media_type, row.size_bytes) == ("photo.png", "image/png", len(PNG))
        assert row.path.startswith(f"t/{customer.id}/")
        assert "photo" not in row.path
        with files.open_stored(row) as stored:
            assert stored.read() == PNG


@pytest.mark.parametrize(
    ("content", "limit"),
    [(b"<script>alert(1)</script>", 10**6), (PNG, 1000), (b"", 10)],
    ids=["html", "long", "empty"],
)
def test_another_content_or_a_longer_one_is_refused_and_leaves_nothing(customer, at, content, limit):
    with tenant(customer.id):
        with pytest.raises(NotValid):
            files.store(
                io.BytesIO(content),
                "a.png",
                tenant_id=customer.id,
                kinds=(files.PNG,),
                limit_bytes=limit,
                at=at,
            )
        assert not StoredFile.objects.for_tenant(customer).exists()


def test_a_repeated_request_gets_the_answer_once_given(customer, at):
    with tenant(customer.id):
        assert idempotency.begin(customer.id, "POST /rooms", "k", "hash", at=at) is None
        with pytest.raises(idempotency.Running):
            idempotency.begin(customer.id, "POST /rooms", "k", "hash", at=at)
        idempotency.finish(customer.id, "POST /rooms", "k", status=201, body={"id": 1})
        assert idempotency.begin(customer.id, "POST /rooms", "k", "hash", at=at) == idempotency.Given(
            201, {"id": 1}
        )
        with pytest.raises(idempotency.Different):
            idempotency.begin(customer.id, "POST /rooms", "k", "other", at=at)
        assert (
            idempotency.begin(customer.id, "POST /rooms", "k", "new", at=at + timedelta(hours=24, seconds=1))
            is None
        )


@pytest.mark.parametrize("key", ["", "x" * 129, "a\x00b", "a\nb"])
def test_a_key_of_the_wrong_form_is_refused(customer, at, key):
    with tenant(customer.id), pytest.raises(NotValid):
        idempotency.begin(customer.id, "POST /rooms", key, "hash", at=at)
