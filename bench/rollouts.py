"""A rollout over 20,000 devices: how long its plan takes and one look of the worker. Polls of update clients."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

from bench.rooms_list import _set_up
from bench.rows import Row

DEVICES, BUILDINGS = 20_000, 100
PLANNED_IN_S, LOOKED_IN_S = 5.0, 1.0
POLLS, FEWEST_A_SECOND = 2_000, 500
RINGS = {"Staging": 200, "General": 19_000, "Executive": 800}


def measure() -> list[Row]:
    """In a process with a database of its own."""
    command = [sys.executable, "-m", "bench.rollouts", "--json"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return [Row(**row) for row in json.loads(done.stdout)]


def _rows() -> list[Row]:
    from django.conf import settings

    with tempfile.TemporaryDirectory() as folder:
        store = {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": Path(folder)},
        }
        settings.STORAGES = settings.STORAGES | {"default": store}
        return [*_plan(), *_polls()]


def _plan() -> list[Row]:
    from foundation import clock
    from foundation.context import tenant
    from tests.factories.tenancy import make_customer
    from tests.factories.updates import make_fleet, make_release
    from updates import proposals, rollout_actions, rollout_progress

    at = clock.now()
    owner = make_customer("20,000 devices", at=at)
    with tenant(owner.id):
        for _ in range(BUILDINGS):
            make_fleet(rings_of={name: number // BUILDINGS for name, number in RINGS.items()}, at=at)
        release = make_release(critical=True, at=at)
    with tenant(owner.id):
        began = time.perf_counter()
        row = proposals.propose(release.id, at=at)
        planned_s = time.perf_counter() - began
        rollout_actions.approve(row.id, at=at)
    night = at + timedelta(days=1)
    with tenant(owner.id):
        rollout_actions.start(row.id, at=at)
        began = time.perf_counter()
        rollout_progress.advance(row.id, owner.id, at=night)
        looked_s = time.perf_counter() - began
    return [
        Row(
            f"rollout: plan of {DEVICES:,} devices in three rings",
            f"{planned_s:.2f} s",
            "",
            None,
            f"≤ {PLANNED_IN_S:g} s",
            planned_s <= PLANNED_IN_S,
        ),
        Row(
            "rollout: one look of the worker at it",
            f"{looked_s * 1e3:.0f} ms",
            "",
            None,
            f"≤ {LOOKED_IN_S:g} s",
            looked_s <= LOOKED_IN_S,
        ),
    ]


def _polls() -> list[Row]:
    """Unchanged polls through the whole of Django, one after the other in one process."""
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    from enrollment import credentials
    from foundation import clock
    from foundation.context import tenant
    from tests.factories.tenancy import make_customer
    from tests.factories.updates import make_fleet

    at = clock.now()
    owner = make_customer("Polls", at=at)
    with tenant(owner.id):
        [device] = make_fleet(rings_of={"General": 1}, at=at)["General"]
        token = credentials.issue(device, public_key=None, at=at)
    client = Client(headers={"Authorization": f"TargetToken {token.text}"}, SERVER_NAME="localhost")
    address = f"/DEFAULT/controller/v1/{device.id}"

    def poll() -> Any:
        return client.get(address)

    for _ in range(50):
        assert poll().status_code == 200
    with CaptureQueriesContext(connection) as queries:
        poll()
    began = time.process_time(), time.perf_counter()
    for _ in range(POLLS):
        poll()
    cpu_s, wall_s = time.process_time() - began[0], time.perf_counter() - began[1]
    a_second = POLLS / cpu_s
    return [
        Row(
            "update clients: SQL statements of an unchanged poll",
            str(len(queries)),
            "",
            None,
            "0",
            not queries,
        ),
        Row(
            "update clients: unchanged polls a second of one core",
            f"{a_second:.0f}",
            f"{POLLS / wall_s:.0f} by the wall clock",
            None,
            f"≥ {FEWEST_A_SECOND}",
            a_second >= FEWEST_A_SECOND,
        ),
    ]


if __name__ == "__main__":
    _set_up()
    if "--json" in sys.argv:
        print(json.dumps([asdict(row) for row in _rows()]))
    else:
        for row in _rows():
            print(row.figure, row.ours, row.target, row.holds, sep=" | ", flush=True)
