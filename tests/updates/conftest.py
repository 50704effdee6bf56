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


@pytest.fixture(autouse=True)
def store(settings: Any, tmp_path: Any) -> Any:
    """Files of a test lie in its own folder."""
    settings.STORAGES = settings.STORAGES | {
        "default": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": tmp_path / "files"},
        }
    }
    return tmp_path / "files"
