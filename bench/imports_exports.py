"""Tables of 100,000 rooms in and out: CPU time, and how much memory the process takes at its highest.

A customer of 10,000 rooms is the peer of one of 100,000: a row must cost the same, and the memory must not grow with
the table. Rooms come by an import, so that what is measured is what people do; then they are exported.

    python -m bench.imports_exports [--rooms N]
"""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import psutil

from bench.rows import Row

if TYPE_CHECKING:
    from foundation.models import Job
    from tenancy.models import Tenant

SMALL, LARGE = 10_000, 100_000
EQUAL = 1.2  # target: a row of the large table against one of the small one
MOST_GROWTH = 1.25  # target: highest memory of the large table against the small one
LONGEST_IMPORT_S, LONGEST_EXPORT_S = 300, 120
NAMES = "aurora borealis corona fjord glacier harbour island juniper kelvin lagoon".split()


def measure() -> list[Row]:
    """In a process with a database of its own."""
    command = [sys.executable, "-m", "bench.imports_exports", "--json"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return [Row(**row) for row in json.loads(done.stdout)]


@dataclass(frozen=True)
class Cost:
    rows: int
    cpu_s: float  # of this process and the database's together
    wall_s: float
    peak_mb: float  # of this process, whole

    @property
    def row_us(self) -> float:
        return self.cpu_s / self.rows * 1e6

    def __str__(self) -> str:
        return f"{self.row_us:.0f} µs CPU a row, {self.cpu_s:.1f} s CPU in {self.wall_s:.0f} s"


def _rows(large: int) -> list[Row]:
    from django.db import connections

    small = min(SMALL, large // 10)
    costs: dict[str, list[Cost]] = {}
    for rooms in (small, large):
        owner = _customer(rooms)
        found = _import(owner, rooms)
        with connections["owner"].cursor() as cursor:
            cursor.execute("ANALYZE")  # as the autovacuum does within a minute
        for name, cost in (*found, *_export(owner, rooms)):
            print(f"  {rooms:,}: {name}: {cost}", file=sys.stderr, flush=True)
            costs.setdefault(name, []).append(cost)
    return [row for name, (peer, ours) in costs.items() for row in _two(name, ours, peer)]


def _two(name: str, ours: Cost, peer: Cost) -> list[Row]:
    limit = LONGEST_EXPORT_S if name.startswith("export") else LONGEST_IMPORT_S
    ratio = ours.row_us / peer.row_us
    growth = ours.peak_mb / peer.peak_mb
    figure = f"{name}: {ours.rows:,} rooms against {peer.rows:,}"
    return [
        Row(
            f"{figure}, time a row", str(ours), str(peer), round(ratio, 2), f"≤ {EQUAL} ×, ≤ {limit} s CPU",
            ratio <= EQUAL and ours.cpu_s <= limit,
        ),
        Row(
            f"{figure}, memory", f"{ours.peak_mb:.0f} MB", f"{peer.peak_mb:.0f} MB", round(growth, 2),
            f"≤ {MOST_GROWTH} ×", growth <= MOST_GROWTH,
        ),
    ]  # fmt: skip


def _import(owner: Tenant, rooms: int) -> list[tuple[str, Cost]]:
    from fleet.imports import runs
    from foundation import clock
    from foundation.context import tenant
    from tenancy.audit import SYSTEM
    from tenancy.on_behalf import By
    from tenancy.rights import granted

    by = By(SYSTEM, granted([runs.PERMISSION]))
    with tenant(owner.id):
        run = runs.receive("rooms", _table(rooms), "rooms.csv", by=by, at=clock.now())
        runs.check(run.id, None, by=by, at=clock.now())
    checked = _work(rooms)
    with tenant(owner.id):
        run.refresh_from_db()
        assert (run.state, run.creates, run.problems) == ("checked", rooms, 0), run.note
        runs.apply(run.id, by=by, at=clock.now())
    applied = _work(rooms)
    with tenant(owner.id):
        run.refresh_from_db()
        assert run.state == "done", run.note
    return [("import, check", checked), ("import, apply and search", applied)]


def _export(owner: Tenant, rooms: int) -> list[tuple[str, Cost]]:
    from fleet import exports
    from foundation import clock
    from foundation.context import tenant
    from tenancy.audit import SYSTEM
    from tenancy.on_behalf import By
    from tenancy.rights import granted

    by = By(SYSTEM, granted([exports.PERMISSION]))
    found = []
    for form in ("csv", "xlsx", "json"):
        with tenant(owner.id):
            job: Job = exports.start("rooms", form, {}, by=by, at=clock.now())
        cost = _work(rooms)
        with tenant(owner.id):
            job.refresh_from_db()
            assert (job.state, job.done) == ("done", rooms), job.error
        found.append((f"export to {form.upper()}", cost))
    return found


def _work(rooms: int) -> Cost:
    """Every step that is due, as a worker does it."""
    from foundation import clock, jobs
    from workers.effects import JOB_STEPS

    _reset_peak()
    began, before = time.perf_counter(), _cpu_s()
    while jobs.step_due(JOB_STEPS, at=clock.now()):
        pass
    return Cost(rooms, _cpu_s() - before, time.perf_counter() - began, _peak_mb())


def _cpu_s() -> float:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    return sum(sum(each.cpu_times()[:2]) for each in (psutil.Process(), psutil.Process(pid)))


def _reset_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def _peak_mb() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def _table(rooms: int) -> IO[bytes]:
    """100 rooms a building, 10 buildings a city."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["Name", "Account", "Country", "City", "Building", "Type", "Seats", "Time zone"])
    for number in range(rooms):
        house = number // 100
        writer.writerow(
            [
                *(f"{NAMES[number % 10].title()} {number}", f"room{number}@example.com", "Norway"),
                *(f"City {house // 10}", f"House {house}", "medium", 2 + number % 20, "Europe/Oslo"),
            ]
        )
    return io.BytesIO(text.getvalue().encode())


def _customer(rooms: int) -> Tenant:
    from django.db import transaction

    from fleet import room_groups
    from foundation import clock
    from tenancy.tenants import create_tenant

    with transaction.atomic():
        owner = create_tenant(f"{rooms} rooms", at=clock.now())
        room_groups.set_up_customer(owner, at=clock.now())
    return owner


def _set_up() -> None:
    import os

    import tests.environment  # noqa: F401 - gives this process its database, before Django is loaded

    os.environ["DJANGO_SETTINGS_MODULE"] = "portal.settings"
    import django

    django.setup()


def _wanted() -> int:
    return int(sys.argv[sys.argv.index("--rooms") + 1]) if "--rooms" in sys.argv else LARGE


if __name__ == "__main__":
    _set_up()
    rows: Callable[[], Any] = lambda: _rows(_wanted())  # noqa: E731
    if "--json" in sys.argv:
        print(json.dumps([asdict(row) for row in rows()]))
    else:
        for row in rows():
            print(row.figure, row.ours, row.peer, row.ratio, row.target, row.holds, sep=" | ", flush=True)
