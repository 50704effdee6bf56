"""The one way into a tenant's data, for requests, tasks, commands and tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from uuid import UUID

from django.db import connection, transaction

from foundation.errors import NoTenant

MAX_TENANTS = 200  # a longer list makes the policy's test slow; wider reads go through the sweep role
_current: ContextVar[tuple[UUID, ...]] = ContextVar("tenants", default=())


def current_tenants() -> tuple[UUID, ...]:
    """The tenants entered, in the order given. Raises NoTenant outside every tenant."""
    tenants = _current.get()
    if not tenants:
        raise NoTenant("Enter a tenant first: with foundation.context.tenant(id): ...")
    return tenants


def current_tenant() -> UUID:
    """The one tenant entered: writes belong to exactly one. Raises NoTenant for none or several."""
    tenants = current_tenants()
    if len(tenants) != 1:
        raise NoTenant("Exactly one tenant is needed here.")
    return tenants[0]


def entered() -> tuple[UUID, ...]:
    """The tenants entered, empty outside every tenant."""
    return _current.get()


@contextmanager
def tenant(*ids: UUID | str) -> Iterator[tuple[UUID, ...]]:
    """Enter tenants: an atomic block in which the database shows their rows and no others.

    Nested use narrows or changes the list and restores the outer one at its end. SET LOCAL stands alone in
    its execute: joined with other statements, or as set_config(), a distributed database shows no rows.
    """
    tenants = tuple(value if isinstance(value, UUID) else UUID(value) for value in dict.fromkeys(ids))
    if not tenants:
        raise NoTenant("tenant() needs at least one id.")
    if len(tenants) > MAX_TENANTS:
        raise ValueError(f"At most {MAX_TENANTS} tenants at once, not {len(tenants)}.")
    outer = _current.get()
    with transaction.atomic():
        _show_rows_of(tenants)
        token = _current.set(tenants)
        try:
            yield tenants
        finally:
            _current.reset(token)
        if connection.needs_rollback:  # as on an error, the rollback to the savepoint restores the outer list
            return
        if outer:
            _show_rows_of(outer)
        else:
            _hide_rows()


def _show_rows_of(tenants: tuple[UUID, ...]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL app.tenants = '{" + ",".join(str(value) for value in tenants) + "}'")


def _hide_rows() -> None:
    """Matters only inside an outer transaction: SET LOCAL lasts to its end, not to the savepoint's."""
    if len(connection.atomic_blocks) > 1:
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL app.tenants = ''")
