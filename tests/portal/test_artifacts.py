from __future__ import annotations

import io
from datetime import timedelta
from uuid import UUID

import pytest

from foundation import clock
from updates import artifact_links, artifacts

CUSTOMER = UUID("018f0000-0000-7000-8000-000000000001")
OTHER = UUID("018f0000-0000-7000-8000-000000000002")
PACKAGE = b"070702" + bytes(range(256)) * 4_000
SIZE = len(PACKAGE)


@pytest.fixture(autouse=True)
def store(settings, tmp_path):
    settings.STORAGES = settings.STORAGES | {
        "default": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": tmp_path},
        }
    }


@pytest.fixture
def link(db) -> artifact_links.Link:
    content = artifacts.receive(io.BytesIO(PACKAGE), 'größe "1".swu', tenant_id=CUSTOMER, limit_bytes=10**7)
    return artifact_links.make(CUSTOMER, content.sha256, content.name, at=clock.now())


def body(response) -> bytes:
    return b"".join(response.streaming_content) if response.streaming else response.content


def test_a_link_gives_the_whole_file_without_a_token(client, link):
    response = client.get(link.address)
    assert response.status_code == 200
    assert body(response) == PACKAGE
    assert response.headers["Content-Length"] == str(SIZE)
    assert response.headers["ETag"] == f'"{link.sha256}"'
    assert response.headers["Accept-Ranges"] == "bytes"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Content-Type"] == "application/octet-stream"
    assert "attachment" in response.headers["Content-Disposition"]

    head = client.head(link.address, headers={"Range": "bytes=0-3"})
    assert (head.status_code, head.headers["Content-Length"], head.content) == (200, str(SIZE), b"")


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-3", 0, 3),
        ("bytes=300000-700000", 300000, 700000),
        ("bytes=1000-", 1000, SIZE - 1),
        ("bytes=-5", SIZE - 5, SIZE - 1),
        (f"bytes=-{SIZE + 5}", 0, SIZE - 1),
        (f"bytes={SIZE - 1}-{SIZE + 50}", SIZE - 1, SIZE - 1),
        ("Bytes = 7-7", 7, 7),
    ],
)
def test_a_part_is_exactly_the_bytes_asked_for(client, link, asked, first, last):
    response = client.get(link.address, headers={"Range": asked})
    assert response.status_code == 206
    assert response.headers["Content-Range"] == f"bytes {first}-{last}/{SIZE}"
    assert response.headers["Content-Length"] == str(last - first + 1)
    assert body(response) == PACKAGE[first : last + 1]


@pytest.mark.parametrize(
    "asked",
    [f"bytes={SIZE}-", "bytes=5-4", "bytes=-0", "bytes=-", "bytes=x-1", "bytes", "bytes=1-2-3", "bytes=²-"],
)
def test_what_is_no_range_of_the_file_is_said_with_its_size(client, link, asked):
    response = client.get(link.address, headers={"Range": asked.encode().decode("latin-1")})
    assert response.status_code == 416
    assert response.headers["Content-Range"] == f"bytes */{SIZE}"


@pytest.mark.parametrize("asked", ["bytes=0-1,5-6", "pages=1-2"])
def test_several_parts_and_other_units_get_the_whole_file(client, link, asked):
    response = client.get(link.address, headers={"Range": asked})
    assert (response.status_code, body(response)) == (200, PACKAGE)


def test_conditions_keep_parts_of_two_files_from_being_joined(client, link):
    same, other = f'"{link.sha256}"', '"another"'

    def status(**conditions: str) -> int:
        headers = {name.replace("_", "-"): value for name, value in conditions.items()}
        response = client.get(link.address, headers=headers)
        body(response)
        return response.status_code

    assert status(Range="bytes=0-3", If_Range=same) == 206
    assert status(Range="bytes=0-3", If_Range=other) == 200
    assert status(Range="bytes=0-3", If_Range=f"W/{same}") == 200
    assert status(Range="bytes=0-3", If_Range="Sun, 06 Nov 1994 08:49:37 GMT") == 200
    assert status(If_Match=f"{other}, {same}") == 200
    assert status(If_Match="*") == 200
    assert status(If_Match=other) == 412
    assert status(If_None_Match=same) == 304
    assert status(If_None_Match=other) == 200


def test_a_link_holds_for_its_file_its_customer_and_its_time_only(client, link):
    late = artifact_links.make(CUSTOMER, link.sha256, link.name, at=clock.now() - timedelta(hours=25))
    refused = [
        late.address,
        link.address.replace(str(CUSTOMER), str(OTHER)),
        link.address.replace(link.sha256, "0" * 64),
        link.address.replace(".swu", ".exe"),
        link.address.replace("expires=", "expires=9"),
        link.address.replace("expires=", "expires=x"),
        link.address[:-1],
        link.address.partition("?")[0],
        f"{link.address.partition('&')[0]}&signature=%F0%9F%A6%86",
    ]
    assert [client.get(address).status_code for address in refused] == [403] * len(refused)
    assert client.post(link.address).status_code == 405


def test_a_file_taken_back_is_not_found(client, link):
    artifacts.remove(CUSTOMER, link.sha256)
    assert client.get(link.address).status_code == 404


def test_a_range_writes_nothing_and_asks_only_the_time(client, link, django_assert_max_num_queries):
    with django_assert_max_num_queries(1) as queries:
        assert body(client.get(link.address, headers={"Range": "bytes=0-3"})) == PACKAGE[:4]
    assert all("tenancy" not in query["sql"] for query in queries.captured_queries)


def test_a_front_server_is_told_where_the_file_lies(client, link, settings):
    settings.FILES_FRONT = "/internal-files"
    response = client.get(link.address, headers={"Range": "bytes=0-3"})
    assert response.status_code == 200
    assert response.headers["X-Accel-Redirect"] == f"/internal-files/t/{CUSTOMER}/artifacts/{link.sha256}"
    assert response.content == b""
    assert client.get(link.address[:-1]).status_code == 403
