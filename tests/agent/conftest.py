from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.clock import Moment
from tests.agent import standin
from tests.agent.recorded import plant


@pytest.fixture
def service() -> Iterator[standin.Service]:
    with standin.running(standin.Service()) as running:
        yield running
    assert running.sins == []


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
def room(tmp_path: Path) -> Path:
    """The recorded tree of a room PC: sys, proc and etc."""
    return plant("linux_room", tmp_path / "machine")


@pytest.fixture
def noon() -> Moment:
    return Moment(wall=1_795_348_800.0, mono=1000.0, boot="first")  # 2026-11-22T12:00:00Z
