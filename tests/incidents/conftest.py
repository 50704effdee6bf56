from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from foundation.context import tenant


@pytest.fixture
def inside(customer: Any) -> Iterator[Any]:
    """The customer, entered."""
    with tenant(customer.id):
        yield customer
