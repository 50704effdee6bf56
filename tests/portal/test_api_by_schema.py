"""Requests made from the description of the API: whatever it allows, and what it does not, is answered as it says.

A case of every operation with a fixed seed here, ten thousand of all in `make chaos`. Each goes through the whole of
the application and is undone afterwards. Half of them name things that exist.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, transaction
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from foundation import clock
from portal.api.schema import document
from tests.factories.api import make_api_token
from tests.portal.test_api_access import make_things

CHAOS = os.environ.get("GREENROOM_CHAOS") == "1"
CASES = 10_000  # of all operations together
PREFIX = "/api/v1"
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


def operations() -> list[Any]:
    schema = schemathesis.openapi.from_dict(document())
    schema.app = get_wsgi_application()
    found = [each.ok() for each in schema.get_all_operations()]
    return [each for each in found if each.path.startswith(PREFIX)]


OPERATIONS = operations()


@pytest.fixture(autouse=True)
def _one_connection() -> Iterator[None]:
    """The test's transaction outlives a request, as it does for Django's own test client."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def things(customer: Any) -> dict[str, Any]:
    return make_things(customer, clock.now())


@pytest.fixture
def token(customer: Any) -> str:
    return make_api_token(customer, at=clock.now(), days=300)


def tried(operation: Any, things: dict[str, Any], token: str, *, cases: int) -> None:
    """Raises what the checks find."""

    @seed(20261122)
    @settings(
        max_examples=cases,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(), real=st.booleans())
    def try_one(case: Any, real: bool) -> None:
        if real and case.path_parameters:
            case.path_parameters = {
                name: str(things.get(name, value)) for name, value in case.path_parameters.items()
            }
        with transaction.atomic():
            answer = case.call(headers={"Authorization": f"Bearer {token}"})
            transaction.set_rollback(True)
        case.validate_response(answer, checks=CHECKS)

    try_one()


def test_every_operation_answers_as_described(things, token):
    """One case each, for what they need together is made once."""
    for operation in OPERATIONS:
        tried(operation, things, token, cases=1)


@pytest.mark.chaos
@pytest.mark.skipif(not CHAOS, reason="ten thousand cases run in make chaos")
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.label)
def test_many_cases_of_every_operation(operation, things, token):
    tried(operation, things, token, cases=-(-CASES // len(OPERATIONS)))
