"""From the stream to PostgreSQL: CPU of worker, PostgreSQL and Redis per heartbeat; and what is kept of one.

Peers: a drain of the same stream that does nothing but COPY each item as a row of JSONB with the key (tenant,
device, time), and that COPY alone. The fleet posts once a minute; once with every device as it is, once with faults
that come and go as in the simulation, whose rules are evaluated.

    python -m bench.heartbeats_ingest [--profile]
"""

from __future__ import annotations

import cProfile
import io
import json
import os
import pstats
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from bench.rows import Row

if TYPE_CHECKING:
    import redis

    from fleet.models import Device
    from foundation.embedded import Services

CUSTOMERS, DEVICES = 5, 1_000  # of each
ROUNDS, MINUTES_A_ROUND = 3, 4
BATCH = 1000
INGEST_TARGET, BYTES_TARGET = 2.0, 25.0
KEPT_DEVICES = 100
SEED = 11


def measure() -> list[Row]:
    """In a process with services of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.heartbeats_ingest", "--json"], check=True, stdout=subprocess.PIPE
    )
    return [Row(**row) for row in json.loads(done.stdout)]


@dataclass(frozen=True)
class Cost:
    """CPU per heartbeat, µs."""

    worker: float
    postgres: float
    redis: float

    @property
    def total(self) -> float:
        return self.worker + self.postgres + self.redis

    def __str__(self) -> str:
        redis = f" + Redis {self.redis:.0f}" if self.redis else ""
        return f"{self.total:.0f} µs (Python {self.worker:.0f} + PostgreSQL {self.postgres:.0f}{redis})"


class Meter:
    """CPU time of this process, of all of PostgreSQL's, and of Redis."""

    def __init__(self, services: Services) -> None:
        pids = services.pids()
        assert pids["postgres"] and pids["redis"]
        self._postgres, self._redis = psutil.Process(pids["postgres"]), psutil.Process(pids["redis"])

    def read(self) -> tuple[float, float, float]:
        own = psutil.Process().cpu_times()
        return own.user + own.system, _with_children(self._postgres), _with_children(self._redis)

    def cost(self, before: tuple[float, float, float], heartbeats: int) -> Cost:
        after = self.read()
        return Cost(*((now - then) / heartbeats * 1e6 for now, then in zip(after, before, strict=True)))


def _with_children(process: psutil.Process) -> float:
    total = 0.0
    for each in [process, *process.children(recursive=True)]:
        try:
            used = each.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += used.user + used.system
    return total


class Fleet:
    """Watched devices of some customers, and the bodies they post minute by minute."""

    def __init__(self) -> None:
        from fleet.models import Device
        from foundation import clock
        from foundation.context import tenant
        from portal.simulation.room import SimulatedRoom
        from tests.factories.fleet import make_device, make_place, make_room
        from tests.factories.tenancy import make_customer

        self.began = clock.now()
        self.minute = self.seq = 0
        self.faults = True
        self.devices: list[Device] = []
        for _ in range(CUSTOMERS):
            customer = make_customer(at=self.began)
            with tenant(customer.id):
                place = make_place(at=self.began)
                rooms = [make_room(place=place, at=self.began) for _ in range(10)]
                template = [make_device(rooms[number % 10], at=self.began) for number in range(10)]
                more = [
                    Device(
                        tenant_id=customer.id, room=rooms[number % 10], status="enrolled", status_since=self.began,
                        created_at=self.began, name=f"Device {number}", kind="room_system", platform="windows",
                        make="Nordlys", model="Room Base 3", serial_number=f"B{customer.number}-{number}",
                    )
                    for number in range(DEVICES - 10)
                ]  # fmt: skip
                Device.objects.for_tenant(customer).bulk_create(more)
                self.devices += [*template, *Device.objects.for_tenant(customer).filter(make="Nordlys")]
        self.rooms = [SimulatedRoom(SEED, number) for number in range(len(self.devices))]

    def next_minute(self) -> tuple[datetime, list[tuple[Device, bytes, bytes]]]:
        """When, and of each device the body it posts and the one item in it."""
        self.minute += 1
        self.seq += 1
        at = self.began + timedelta(minutes=self.minute)
        posted = []
        for device, room in zip(self.devices, self.rooms, strict=True):
            if self.faults:
                room.advance()
            item = {
                "seq": self.seq,
                "t_wall": at.isoformat(),
                "t_mono": 1000.0 + 60 * self.minute,
                **room.reading(local_hour=11),
                "inventory_digest": "sha256:" + "5e" * 32,
            }
            envelope = {
                "epoch": f"{device.key:016x}",
                "from": self.seq,
                "sent_mono": 1000.4 + 60 * self.minute,
            }
            posted.append(
                (device, json.dumps({**envelope, "items": [item]}).encode(), json.dumps(item).encode())
            )
        return at, posted


def _fill(fleet: Fleet, client: redis.Redis, minutes: int) -> None:
    """What the accept process does; it is not counted here."""
    from fleet import stream

    for _ in range(minutes):
        at, posted = fleet.next_minute()
        received_ms = int(at.timestamp() * 1000)
        payloads = [
            stream.payload(stream.sender(device.tenant_id, device.id, device.key), received_ms, body)
            for device, body, _ in posted
        ]
        for first in range(0, len(payloads), BATCH):
            stream.add(client, 0, payloads[first : first + BATCH])


def _ours(fleet: Fleet, meter: Meter, minutes: int, profile: cProfile.Profile | None = None) -> Cost:
    """Drain what was accepted in some minutes."""
    from fleet import stream
    from workers.drains import Drain

    client = stream.connect()
    _fill(fleet, client, minutes)
    left = stream.length(client, 0)
    drain = Drain(0, client=client)
    before = meter.read()
    if profile:
        profile.enable()
    done = drain.run(seconds=300, until=lambda: drain.done.stored >= left)
    if profile:
        profile.disable()
    cost = meter.cost(before, done.stored)
    assert (done.stored, done.buried) == (left, 0)
    client.close()
    return cost


def _copied(fleet: Fleet, meter: Meter, minutes: int) -> Cost:
    """The peer: read from the stream, COPY, trim. No order, no repetition, no state, no reply."""
    from django.db import connection, transaction

    from fleet import stream

    client = stream.connect()
    _fill(fleet, client, minutes)
    left = stream.length(client, 0)
    before = meter.read()
    while batch := stream.read(client, 0, count=BATCH):
        lines = []
        for entry in batch.entries:
            start = f"{entry.tenant_id}\t{entry.device_key}\t{entry.received_at.isoformat()}\t"
            lines += [start + bytes(item).decode().replace("\\", "\\\\") for item in entry.items]
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.copy_expert("COPY keyed_rows FROM STDIN", io.StringIO("\n".join(lines)))
        stream.finish(client, 0, through=batch.last)
    cost = meter.cost(before, left)
    client.close()
    return cost


def _bare_copy(fleet: Fleet, meter: Meter, minutes: int) -> Cost:
    """COPY of lines that are there already."""
    from django.db import connection, transaction

    batches = []
    for _ in range(minutes):
        at, posted = fleet.next_minute()
        moment = at.isoformat()
        lines = [f"{device.tenant_id}\t{device.key}\t{moment}\t{item.decode()}" for device, _, item in posted]
        batches += [lines[first : first + BATCH] for first in range(0, len(lines), BATCH)]
    before = meter.read()
    for batch in batches:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.copy_expert("COPY keyed_rows FROM STDIN", io.StringIO("\n".join(batch)))
    return meter.cost(before, sum(map(len, batches)))


def _least(costs: list[Cost]) -> Cost:
    return min(costs, key=lambda cost: cost.total)


def _rows() -> list[Row]:
    services = _services()
    fleet, meter = Fleet(), Meter(services)
    _as_superuser(
        services,
        "CREATE TABLE keyed_rows (tenant_id uuid, device_key bigint, at timestamptz, item jsonb, "
        "PRIMARY KEY (tenant_id, device_key, at))",
        "GRANT ALL ON keyed_rows TO greenroom_app",
    )
    _ours(fleet, meter, 2)  # the first heartbeats make the rows that later ones change
    steady, faulty, copied, bare = [], [], [], []
    for _ in range(ROUNDS):
        fleet.faults = False
        steady.append(_ours(fleet, meter, MINUTES_A_ROUND))
        fleet.faults = True
        faulty.append(_ours(fleet, meter, MINUTES_A_ROUND))
        ours_ended = fleet.seq
        copied.append(_copied(fleet, meter, MINUTES_A_ROUND))
        bare.append(_bare_copy(fleet, meter, MINUTES_A_ROUND))
        fleet.seq = ours_ended  # what was only copied has taken no number
    peer = _least(copied)
    rows = [
        _against("ingest, every device as it was", _least(steady), "drain that COPYs JSONB", peer),
        _against("ingest, with faults and their rules", _least(faulty), "drain that COPYs JSONB", peer),
        _against(
            "ingest, every device as it was", _least(steady), "COPY of JSONB alone", _least(bare), target=None
        ),
    ]
    return [*rows, *_kept(services)]


def _against(figure: str, ours: Cost, what: str, peer: Cost, *, target: float | None = INGEST_TARGET) -> Row:
    ratio = round(ours.total / peer.total, 2)
    holds = None if target is None else ratio <= target
    return Row(figure, str(ours), f"{what}: {peer}", ratio, f"≤ {target:g} ×" if target else "", holds)


# What is kept --------------------------------------------------------------------------------------------------


def _kept(services: Services) -> list[Row]:
    """Two days of a small fleet, written and rolled up for real, each table's bytes scaled to its keep."""
    from django.db import connection

    from fleet import rollups
    from foundation.context import tenant
    from tests.factories.fleet import make_device
    from tests.factories.tenancy import make_customer

    end = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    start = end - timedelta(days=2)
    customer = make_customer(at=start)
    tables = ("fleet_point", "fleet_rollup", "fleet_rollup_day", "fleet_watermark")
    _as_superuser(services, *(f"TRUNCATE {table}" for table in tables), "TRUNCATE fleet_rollup_due")
    with tenant(customer.id):
        keys = [make_device(at=start, serial_number=f"K{number}").key for number in range(KEPT_DEVICES)]
        with connection.cursor() as cursor:
            cursor.execute(_TWO_DAYS, {"tenant": customer.id, "keys": keys, "start": start, "end": end})
            beats = cursor.rowcount
            cursor.execute(_MARKS, {"tenant": customer.id, "keys": keys, "start": start, "end": end})
    for hour in range(48):
        at = start + timedelta(hours=hour)
        with tenant(customer.id), connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO fleet_rollup_due (tenant_id, starts, device_key, due_at) VALUES (%s, %s, 0, %s)",
                [customer.id, at, at],
            )
            rollups.roll_up(customer.id, at=at + timedelta(minutes=65))
    with tenant(customer.id):
        while rollups.roll_up(customer.id, at=end + timedelta(hours=2)):
            pass
    sizes = {table: _size(services, table) for table in tables}
    of_90_days = KEPT_DEVICES * 90 * 1440
    kept = {
        "points, 48 hours": sizes["fleet_point"],
        "five minutes, 90 days": sizes["fleet_rollup"] / 2 * 90,
        "days, 90 days": sizes["fleet_rollup_day"] / 2 * 90,
        "watermarks": sizes["fleet_watermark"],
    }
    total = sum(kept.values()) / of_90_days
    parts = ", ".join(f"{name} {size / of_90_days:.1f}" for name, size in kept.items())
    note = f"{beats} heartbeats stored, a point takes {sizes['fleet_point'] / beats:.0f} bytes for 48 hours"
    return [
        Row(
            "bytes kept per heartbeat over 90 days",
            f"{total:.1f} ({parts})",
            note,
            None,
            f"≤ {BYTES_TARGET:g}",
            total <= BYTES_TARGET,
        )
    ]


_TWO_DAYS = """
INSERT INTO fleet_point (tenant_id, device_key, "time", healthy, unhealthy, cpu, mem, disk, rtt, loss, temp, "usage")
SELECT %(tenant)s, key, at + random() * interval '50 seconds', 68987912193, nullif((random() < 0.01)::int * 4096, 0),
    60 + random() * 400, 400 + random() * 100, 600 + random() * 40, 90 + random() * 200, 0, 440 + random() * 80,
    CASE WHEN extract(hour FROM at) BETWEEN 8 AND 18 THEN 9 ELSE 0 END
FROM generate_series(%(start)s, %(end)s - interval '1 minute', '1 minute') AS at, unnest(%(keys)s::bigint[]) AS key
ORDER BY at, random()
"""
_MARKS = """
INSERT INTO fleet_watermark (tenant_id, device_key, epoch, seq, seen_at, due_at, digest)
SELECT %(tenant)s, key, md5(key::text), 2880, %(end)s, %(end)s, 4000000000 FROM unnest(%(keys)s::bigint[]) AS key
"""


def _size(services: Services, table: str) -> float:
    """With indexes, over all partitions that have rows. What vacuum may give back counts: it is there in real life."""
    found = _as_superuser(
        services,
        "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0) FROM pg_class c "
        f"WHERE c.relkind = 'r' AND (c.relname = '{table}' OR c.relname ~ '^{table}_[0-9]{{8}}$') "
        "AND pg_relation_size(c.oid) > 0",
    )
    return float(found[0][0])


# Services of this run's own ------------------------------------------------------------------------------------


def _services() -> Services:
    from foundation.embedded import services

    home = Path(tempfile.mkdtemp(prefix="bench"))
    running = services(home)
    os.environ.update(running.environment())
    os.environ.update(
        GREENROOM_HOME=str(home), GREENROOM_STREAM_SHARDS="1", DJANGO_SETTINGS_MODULE="portal.settings"
    )
    subprocess.run(
        [
            sys.executable,
            "-W",
            "ignore",
            "-m",
            "django",
            "migrate",
            "--database",
            "owner",
            "--verbosity",
            "0",
        ],
        check=True,
    )
    import django

    django.setup()
    return running


def _as_superuser(services: Services, *statements: str) -> list[tuple[Any, ...]]:
    import psycopg2

    connection = psycopg2.connect(services.superuser_url.rsplit("/", 1)[0] + "/greenroom")
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def _profile() -> None:
    """Where the worker's time goes; its figures are those of a profiled run, so only their shares tell."""
    services = _services()
    fleet, meter = Fleet(), Meter(services)
    _ours(fleet, meter, 2)
    print(_ours(fleet, meter, 4))
    profile = cProfile.Profile()
    print(_ours(fleet, meter, 4, profile))
    pstats.Stats(profile).sort_stats("tottime").print_stats(30).sort_stats("cumtime").print_stats(
        "fleet|workers|redis.client|psycopg2", 40
    )


if __name__ == "__main__":
    if "--profile" in sys.argv:
        _profile()
    else:
        found = _rows()
        if "--json" in sys.argv:
            print(json.dumps([asdict(row) for row in found]))
        else:
            for row in found:
                print(row)
