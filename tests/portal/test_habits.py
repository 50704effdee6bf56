"""Habits that a reader cannot see in one place."""

from __future__ import annotations

import re
from pathlib import Path

from django.urls import URLPattern, URLResolver, get_resolver

from foundation.tenant_tables.models import TenantModel

ROOT = Path(__file__).resolve().parents[2]


def subclasses(model: type) -> set[type]:
    below = set(model.__subclasses__())
    return below.union(*(subclasses(each) for each in below))


def test_the_faces_start_every_read_of_a_tenant_table_with_for_tenant():
    names = "|".join(sorted(each.__name__ for each in subclasses(TenantModel)))
    bare = re.compile(rf"\b(?:{names})\.objects(?!\s*\.for_tenant\()")
    found = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for folder in ("portal/web", "portal/api", "portal/middleware")
        for path in (ROOT / folder).rglob("*.py")
        for match in bare.finditer(path.read_text())
    ]
    assert found == []


def routes(patterns: list, prefix: str = "") -> list[str]:
    found = []
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        found += routes(pattern.url_patterns, route) if isinstance(pattern, URLResolver) else [route]
        assert isinstance(pattern, URLPattern | URLResolver)
    return found


def test_no_route_for_programs_ends_in_a_slash():
    programs = [
        route for route in routes(get_resolver().url_patterns) if route.startswith(("api/", "device/"))
    ]
    assert programs
    assert [route for route in programs if route.endswith("/")] == []
