"""Who administers, operates or comes as a partner reaches nothing before a second factor: every address is tried."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction
from django.test import Client

from portal.sign_in.factors import ADMINISTERS
from tenancy.roles import CUSTOMER_ROLES, OPERATOR_ROLES
from tests.factories.sign_in import sign_in
from tests.isolation.routes import CONSOLE, PAGES, Route
from tests.isolation.test_matrix import PERMISSIONS, call
from tests.isolation.world import World

ADMINISTRATORS = sorted(role.key for role in CUSTOMER_ROLES if ADMINISTERS & role.permissions)
OPERATORS = sorted(role.key for role in OPERATOR_ROLES)


@pytest.fixture(autouse=True)
def _strict(settings: Any) -> None:
    """As production has it."""
    settings.DEMO_WITHOUT_MFA = False


def reached(client: Client, world: World, routes: dict[str, Route], granted: frozenset[str]) -> list[str]:
    """Addresses that the role may use and that let this browser in."""
    let_in = []
    for name, route in routes.items():
        for method, permission in route.methods.items():
            if permission not in granted:
                continue
            answer = call(client, world, name, route, method, "own")
            if (answer.status_code, answer["Location"].partition("?")[0]) != (302, "/account"):
                let_in.append(f"{method} {name}: {answer.status_code}")
    return let_in


@pytest.mark.parametrize("role", ADMINISTRATORS)
def test_an_administrators_password_alone_opens_no_page(world, role):
    assert reached(sign_in(world.own.people[role]), world, PAGES, PERMISSIONS[role]) == []


@pytest.mark.parametrize("role", OPERATORS)
def test_an_operators_password_alone_opens_neither_the_console_nor_a_customer(world, role):
    client = sign_in(world.agents[role])
    assert reached(client, world, CONSOLE, PERMISSIONS[role]) == []
    with transaction.atomic():
        client.post("/organisation", {"organisation": str(world.own.tenant.id)})
        transaction.set_rollback(True)
    assert client.get("/rooms")["Location"].startswith("/account")
