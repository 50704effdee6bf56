"""Each address × each role × own, foreign and missing objects; three times: both walls, and each one alone."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.urls import URLResolver, get_resolver, reverse

from foundation import context
from foundation.tenant_tables.models import TenantManager, TenantQuerySet
from tenancy.models import Tenant
from tenancy.roles import CUSTOMER_ROLES, CUSTOMERS_OWN, OPERATOR_ROLES
from tests.isolation.routes import API, CONSOLE, ELSEWHERE, PAGES, PARTNERS, Route
from tests.isolation.world import CUSTOM, World

PERMISSIONS = {role.key: role.permissions for role in (*CUSTOMER_ROLES, *OPERATOR_ROLES)}
ALL = os.environ.get("GREENROOM_CHAOS") == "1"
FEW = {"pro_manager", "site_technician", "global_reader"}
ROLES = sorted(role.key for role in CUSTOMER_ROLES if ALL or role.key in FEW)
WALLS = ("both walls", "only the database's", "only the ORM's")
# Whoever may most walks into each wall alone; the others into both.
RUNS = [
    (role, walls) for walls in WALLS for role in ROLES if ALL or walls == WALLS[0] or role == "pro_manager"
]
VARYING = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|\b[A-Za-z0-9]{64}\b")  # ids and CSRF tokens


def names(patterns: list[Any], prefix: str = "") -> Iterator[str]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from names(
                pattern.url_patterns, f"{prefix}{pattern.namespace}:" if pattern.namespace else prefix
            )
        else:
            assert pattern.name, f"{pattern} has no name"
            yield prefix + pattern.name


def test_every_address_has_an_entry():
    known = PAGES.keys() | CONSOLE.keys() | PARTNERS.keys() | API.keys() | ELSEWHERE.keys()
    assert sorted(set(names(get_resolver().url_patterns)) - known) == []


@contextmanager
def standing(walls: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Take one wall down: the other must hold alone."""
    with monkeypatch.context() as patch:
        if walls == "only the database's":
            plain = TenantManager.__mro__[1].get_queryset
            patch.setattr(TenantManager, "get_queryset", lambda self: plain(self))
            patch.setattr(TenantQuerySet, "for_tenant", _unfiltered)
        if walls == "only the ORM's":
            everyone = tuple(Tenant.objects.order_by("-created_at").values_list("id", flat=True)[:200])
            show = context._show_rows_of
            patch.setattr(context, "_show_rows_of", lambda tenants: show(everyone))
        yield


def _unfiltered(self: Any, *tenants: Any) -> Any:
    rows = self.all()
    rows._hints = {**rows._hints, "tenants": tuple(getattr(each, "id", each) for each in tenants)}
    return rows


def call(
    client: Client, world: World, name: str, route: Route, method: str, whose: str, **headers: str
) -> Any:
    """One request, undone afterwards."""
    holder = {"own": world.own, "foreign": world.foreign, "missing": world.own}[whose]
    ids = {
        key: world.missing if whose == "missing" else holder.ids[thing] for key, thing in route.things.items()
    }
    body = route.bodies.get(method, lambda _: {})(world.own)
    url = reverse(name, kwargs={**ids, **route.values}) + route.query
    sent = {"content_type": "application/json"} if name.startswith("api:") else {}
    with transaction.atomic():
        request = getattr(client, method.lower())
        response = (
            request(url, headers=headers) if method == "GET" else request(url, body, headers=headers, **sent)
        )
        transaction.set_rollback(True)
    assert response.status_code < 500, f"{method} {url}"
    if response.streaming:
        response.body = b"".join(response.streaming_content)
        for close in response._resource_closers:  # close() would end the test's connection too
            close()
    else:
        response.body = response.content
    assert world.foreign.canary.encode() not in response.body, f"{method} {url} shows another customer's data"
    return response


def without_ids(response: Any) -> str:
    return VARYING.sub("", response.body.decode())


def check(
    client: Client,
    world: World,
    name: str,
    route: Route,
    granted: frozenset[str],
    *,
    compares: bool = True,
    **headers: str,
) -> None:
    """Own: as the role allows. Foreign: refused, and where it `compares` not to be told apart from missing."""
    for method, permission in route.methods.items():
        own = call(client, world, name, route, method, "own", **headers)
        allowed = permission in granted
        assert (own.status_code not in (401, 403, 404)) == allowed, f"{method} {name}: {own.status_code}"
        if not allowed:
            assert own.status_code == 403, f"{method} {name}: {own.status_code}"
        if route.things and (allowed or ALL):
            foreign = call(client, world, name, route, method, "foreign", **headers)
            assert foreign.status_code == (404 if allowed else 403), f"{method} {name}"
            if not (compares or ALL):
                continue
            missing = call(client, world, name, route, method, "missing", **headers)
            assert foreign.status_code == missing.status_code, f"{method} {name}"
            assert without_ids(foreign) == without_ids(missing), f"{method} {name}"


@pytest.mark.parametrize(("role", "walls"), RUNS)
def test_pages(world, role, walls, monkeypatch):
    client = Client()
    client.force_login(world.own.people[role])
    with standing(walls, monkeypatch):
        for name, route in PAGES.items():
            check(client, world, name, route, PERMISSIONS[role], compares=walls == WALLS[0])


@pytest.mark.parametrize(("role", "walls"), RUNS)
def test_api(world, role, walls, monkeypatch):
    token = world.own.tokens[role]
    with standing(walls, monkeypatch):
        for name, route in API.items():
            check(
                Client(), world, name, route, PERMISSIONS[role],
                compares=walls == WALLS[0], Authorization=f"Bearer {token}",
            )  # fmt: skip


@pytest.mark.parametrize("walls", WALLS)
@pytest.mark.parametrize("role", [role.key for role in OPERATOR_ROLES])
def test_console(world, role, walls, monkeypatch):
    client = Client()
    client.force_login(world.agents[role])
    with standing(walls, monkeypatch):
        for name, route in CONSOLE.items():
            check(client, world, name, route, PERMISSIONS[role])


def partners_person(world: World) -> Client:
    """Somebody of a partner, looking at the customer."""
    client = Client()
    client.force_login(world.own.people["partner"])
    client.post("/organisation", {"organisation": str(world.own.tenant.id)})
    return client


def test_pages_of_a_partners_person(world):
    client = partners_person(world)
    granted = PERMISSIONS["partner_admin"] - CUSTOMERS_OWN
    for name, route in PAGES.items():
        check(client, world, name, route, granted)


def test_pages_of_a_role_of_ones_own(world):
    client = Client()
    client.force_login(world.own.people["custom"])
    for name, route in PAGES.items():
        check(client, world, name, route, CUSTOM)


def test_api_of_a_role_of_ones_own_and_of_a_partners_program(world):
    granted = PERMISSIONS["partner_admin"] - CUSTOMERS_OWN
    for key, permissions in (("custom", CUSTOM), ("partner", granted)):
        headers = {"Authorization": f"Bearer {world.own.tokens[key]}"}
        for name, route in API.items():
            if (key, name) != ("partner", "api:view"):  # the customer's own, which others may only read
                check(Client(), world, name, route, permissions, **headers)


@pytest.mark.parametrize("role", ["pro_manager", "global_reader"])
def test_pages_of_a_partner_at_home(world, role):
    """Its own customers, another partner's, and none."""
    client = Client()
    client.force_login(world.own.people[f"partner {role}"])
    for name, route in PARTNERS.items():
        check(client, world, name, route, PERMISSIONS[role])


def test_customers_do_not_reach_the_console(world):
    client = Client()
    client.force_login(world.own.people["pro_manager"])
    for name, route in CONSOLE.items():
        for method in route.methods:
            assert call(client, world, name, route, method, "own").status_code in (302, 403), name


def test_strangers_are_sent_to_sign_in_or_refused(world):
    for name, route in {**PAGES, **CONSOLE}.items():
        for method in route.methods:
            answer = call(Client(), world, name, route, method, "own")
            assert answer.status_code == 302, name
            assert answer["Location"].startswith("/sign-in"), name
    for name, route in API.items():
        for method in route.methods:
            for headers in ({}, {"Authorization": "Bearer grat_nonsense"}):
                answer = call(Client(), world, name, route, method, "own", **headers)
                assert (answer.status_code, answer["Content-Type"]) == (401, "application/problem+json"), name
