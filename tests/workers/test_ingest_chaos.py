"""Heartbeats through real processes that are killed: all arrive, none twice (security §11)."""

from __future__ import annotations

import os
import random
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.workers.agents import Agents
from tests.workers.installation import Installation, until

pytestmark = pytest.mark.chaos
LARGE = os.environ.get("GREENROOM_CHAOS") == "1"
SEED = 20261122


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    home = Path(tempfile.mkdtemp(prefix="chaos"))
    made = Installation(home)
    try:
        made.start()
        made.wait_ready()
        yield made
    finally:
        made.stop()
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def agents(installation: Installation, request: pytest.FixtureRequest) -> Iterator[Agents]:
    """Of as many devices and items as the test is given, resting so long between two requests (s)."""
    devices, items, rest_s = request.param
    fleet = installation.make_fleet(devices)
    made = Agents(installation.port, fleet, items=items, seed=SEED, rest_s=rest_s)
    made.start()
    try:
        yield made
    finally:
        made.stop()


def sizes(small: tuple[int, int, float], large: tuple[int, int, float]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("agents", [large if LARGE else small], indirect=True)


def wait_for_all(agents: Agents) -> None:
    until(lambda: agents.done, "not everything was committed", patience_s=600 if LARGE else 120)
    agents.stop()
    assert not agents.failures, agents.failures


def assert_each_arrived_once(installation: Installation, agents: Agents) -> None:
    """Points, watermarks and the turns of a signal that every item turned."""
    items = agents.agents[0].items
    keys = [agent.device["key"] for agent in agents.agents]
    ids = [agent.device["id"] for agent in agents.agents]
    wanted = dict.fromkeys(keys, items)
    points = "SELECT device_key, count(*) FROM fleet_point WHERE device_key = ANY(%s) GROUP BY 1"
    assert dict(installation.query(points, keys)) == wanted
    values = "SELECT device_key, count(*), sum(cpu) FROM fleet_point WHERE device_key = ANY(%s) GROUP BY 1"
    told = sum(10 * (seq % 100) for seq in range(1, items + 1))
    assert {total for _, _, total in installation.query(values, keys)} == {told}
    marks = "SELECT device_key, seq, lost FROM fleet_watermark WHERE device_key = ANY(%s)"
    assert sorted(installation.query(marks, keys)) == [(key, items, 0) for key in sorted(keys)]
    turns = "SELECT count(*) FROM fleet_signaltransition WHERE signal = 'led' AND device_id = ANY(%s::uuid[])"
    assert installation.query(turns, ids) == [(items * len(ids),)]


def redis_of(installation: Installation) -> redis.Redis:
    return redis.Redis.from_url(installation.environ["REDIS_URL"])


@sizes(small=(30, 50, 0.5), large=(200, 100, 1.0))
def test_kills_of_worker_and_accept_process_lose_and_double_nothing(installation, agents):
    source = random.Random(SEED)
    total = len(agents.agents) * agents.agents[0].items
    kills = 20 if LARGE else 4
    for kill in range(kills):
        share = (kill + 0.3) / kills * 0.8
        until(lambda share=share: agents.committed >= share * total or agents.done, "it does not go on")
        time.sleep(source.uniform(0, 0.4))
        installation.kill(("worker", "ingest")[kill % 2])
        if kill % 2:
            installation.wait_ready()
    wait_for_all(agents)
    assert set(agents.answers) <= {"202", "429", "503", "no answer"}
    assert_each_arrived_once(installation, agents)


@sizes(small=(20, 50, 0.5), large=(200, 100, 1.0))
def test_redis_killed_and_flushed_in_the_middle_loses_nothing(installation, agents):
    total = len(agents.agents) * agents.agents[0].items
    until(lambda: agents.committed >= 0.2 * total, "it does not begin")
    redis_of(installation).flushall()
    until(lambda: agents.committed >= 0.4 * total, "it does not go on after the flush")
    pid = installation.services.pids()["redis"]
    os.kill(pid, signal.SIGKILL)
    until(lambda: installation.services.pids()["redis"] not in (None, pid), "redis was not started again")
    until(lambda: agents.committed >= 0.6 * total, "it does not go on after the kill")
    redis_of(installation).flushall()
    wait_for_all(agents)
    assert set(agents.answers) <= {"202", "429", "503", "no answer"}
    assert_each_arrived_once(installation, agents)


@sizes(small=(20, 50, 1.0), large=(200, 100, 2.0))
def test_while_postgresql_is_away_devices_are_told_to_wait_and_it_recovers_by_itself(installation, agents):
    total = len(agents.agents) * agents.agents[0].items
    until(lambda: agents.committed >= 0.2 * total, "it does not begin")
    with installation.services.stopped("postgres"):
        until(lambda: agents.answers["503"] > 0, "nobody was told to wait", patience_s=30)
        time.sleep(30 if LARGE else 3)
    wait_for_all(agents)
    assert set(agents.answers) <= {"202", "429", "503", "no answer"}
    assert agents.waits
    assert all(wait_s >= 1 for wait_s in agents.waits)
    assert_each_arrived_once(installation, agents)
