from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.conf import settings

from tests.factories.tenancy import make_customer, make_operator


def pytest_configure() -> None:
    """Passwords of tests need no slow hash, and the matrix writes more in a minute than people do."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.WRITES_PER_MINUTE = 1_000_000


LONGEST = (  # begin first, or one of two processes waits for the other at the end
    "portal/test_run.py",
    "portal/test_browser_pages.py",
    "isolation/test_matrix.py",
    "workers/test_ingest_chaos.py",
    "portal/test_outage.py",
    "portal/test_supervisor.py",
    "portal/test_browser_updates.py",
    "isolation/test_browser_policy.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        return next(
            (at for at, name in enumerate(LONGEST) if item.path.as_posix().endswith(name)), len(LONGEST)
        )

    items.sort(key=place)


@pytest.fixture(scope="session")
def django_db_setup() -> None:
    """The database is there: tests.environment cloned it before Django was loaded."""


@pytest.fixture
def committed_db(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """For tests that need other connections or processes: they commit, with tenants of their own, never flushed."""
    from django.db import connections

    with django_db_blocker.unblock():
        yield
        for connection in connections.all():
            connection.close()


@pytest.fixture
def at() -> datetime:
    """The moment a test happens at. Domain functions are told the time."""
    return datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


@pytest.fixture
def customer(db: None, at: datetime) -> Any:
    """A customer with its built-in roles, default group and settings, in the test's transaction. Not entered."""
    return make_customer(at=at)


@pytest.fixture
def operator(db: None, at: datetime) -> Any:
    return make_operator(at=at)
