from __future__ import annotations

import re

import pytest
from django.test import Client
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.validation import validate_schema

from portal.api import urls
from portal.api.schema import document


def test_the_description_is_valid_openapi_3_1_and_complete(db):
    document.cache_clear()
    GENERATOR_STATS.reset()
    described = document()
    validate_schema(described)
    assert described["openapi"].startswith("3.1")
    assert not GENERATOR_STATS, "the generator had to guess"
    wanted = {
        "/api/v1" + re.sub(r"<\w+:(\w+)>", r"{\1}", str(pattern.pattern))
        for pattern in urls.urlpatterns
        if pattern.name not in ("schema", "docs")
    }
    assert wanted <= set(described["paths"])


def test_every_operation_names_its_permission_its_refusals_and_an_id_of_its_own(db):
    operations = [
        operation
        for path, item in document()["paths"].items()
        if path.startswith("/api/v1")
        for operation in item.values()
    ]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    for operation in operations:
        assert operation["x-permission"]
        assert {"400", "401", "403"} <= set(operation["responses"])
        assert operation["security"] == [{"token": []}]
        problem = operation["responses"]["403"]["content"]["application/problem+json"]["schema"]
        assert problem == {"$ref": "#/components/schemas/Problem"}


def test_bodies_take_no_other_members(db):
    for name, shape in document()["components"]["schemas"].items():
        if name.endswith("Input"):
            assert shape["additionalProperties"] is False, name


def test_the_schema_is_served_to_anybody_as_json(db):
    answer = Client().get("/api/v1/schema")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")
    assert answer.json() == document()


@pytest.mark.parametrize("path", ["/api/v1/docs"])
def test_the_page_for_people_shows_every_operation_under_the_strict_policy(db, path):
    answer = Client().get(path)
    assert answer.status_code == 200
    page = answer.content.decode()
    for item in document()["paths"].values():
        for operation in item.values():
            assert f'id="{operation["operationId"]}"' in page
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<script(?![^>]*\bsrc=\")|\sstyle=|\son\w+=|<style|https?://(?!testserver)", page)
    ids = re.findall(r'\sid="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]*)"', page)) <= set(ids)
