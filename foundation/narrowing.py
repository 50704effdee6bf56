"""A third wall in the ORM: inside it, queries on tenant tables show only the rows somebody's scope reaches.

The faces put it up around a request of a person whose role covers some rooms only. The ground knows no scopes: it
keeps the function that narrows, and every tenant manager asks it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

Narrow = Callable[[Any], Any]  # a queryset of a tenant model into the rows of it that may be seen
_narrow: ContextVar[Narrow | None] = ContextVar("narrowing", default=None)


@contextmanager
def narrowed(by: Narrow | None) -> Iterator[None]:
    """Queries made inside are narrowed by `by` alone; None shows all rows of the tenants entered."""
    token = _narrow.set(by)
    try:
        yield
    finally:
        _narrow.reset(token)


def is_narrowed() -> bool:
    return _narrow.get() is not None


def narrow(rows: Any) -> Any:
    """For the tenant managers."""
    by = _narrow.get()
    return rows if by is None else by(rows)
