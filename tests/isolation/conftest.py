from __future__ import annotations

import pytest

from foundation import clock
from tests.isolation.world import World, build

_world: list[World] = []


@pytest.fixture
def world(committed_db: None) -> World:
    """Made once a process, committed: the console finds tickets through the sweep role's own connection."""
    if not _world:
        _world.append(build(at=clock.now()))
    return _world[0]
