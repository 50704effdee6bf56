"""From a fault to its ticket with 20,000 rooms reporting once a minute, in real time; and what a change costs.

Heartbeats go into the stream as the accept process puts them there; drain, silence sweep and timers run at their
periods, one after the other in one process, so that a wait for each other counts. The agent's part is not played:
how long it takes at most to see a change is added.

    python -m bench.signal_latency
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import asdict
from datetime import datetime, timedelta
from statistics import median
from typing import TYPE_CHECKING, Any

import psutil

from bench.rows import Row

if TYPE_CHECKING:
    import redis

    from fleet.models import Device

ROOMS, SMALL = 20_000, 1_000  # all, and those of the small customer among them
SITE = 50  # rooms of a building
INTERVAL_S = 60
SECONDS = 300  # of the run
FIRST_FAULT, LAST_FAULT, FAULTS_A_SECOND = 70, 190, 2
STOPPED, STOP_AT = 60, 65
AGENT_S = 30 + 5  # the Windows reader's look at devices, and the shortest time between two heartbeats
CAMERA_S, OFFLINE_S = 60, 2 * INTERVAL_S + 60 + 30
CHANGES, ROUNDS = 100, 5


def measure() -> list[Row]:
    """In a process with services of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.signal_latency", "--json"], check=True, stdout=subprocess.PIPE
    )
    return [Row(**row) for row in json.loads(done.stdout)]


class Fleet:
    """Rooms with one device each, of a large customer and a small one; the first come from the large."""

    def __init__(self) -> None:
        from foundation import clock
        from tests.factories.tenancy import make_customer

        at = clock.now()
        self.large, self.small = make_customer(at=at), make_customer(at=at)
        self.devices = [*_devices(self.large, ROOMS - SMALL, at=at), *_devices(self.small, SMALL, at=at)]
        self.seq = [0] * len(self.devices)
        self.started = time.monotonic()

    def body(self, number: int, camera: str) -> bytes:
        from foundation import clock

        self.seq[number] += 1
        mono = 1_000 + time.monotonic() - self.started
        item = {
            "seq": self.seq[number],
            "t_wall": clock.now().isoformat(),
            "t_mono": mono,
            "signals": {"camera_room": camera, "network": "healthy"},
            "metrics": {"cpu_pct": 12.5, "mem_pct": 40.0},
        }
        epoch = f"{self.devices[number].key:016x}"
        return json.dumps({"epoch": epoch, "from": item["seq"], "sent_mono": mono, "items": [item]}).encode()


def _devices(customer: Any, number: int, *, at: datetime) -> list[Device]:
    from fleet.models import Device, Room
    from foundation.context import tenant
    from tests.factories.fleet import make_place

    with tenant(customer.id):
        places = [make_place(name=f"Building {each}", at=at) for each in range(max(number // SITE, 1))]
        rooms = Room.objects.for_tenant(customer).bulk_create(
            Room(
                tenant_id=customer.id, place=places[each % len(places)], site_id=places[each % len(places)].id,
                name=f"Room {each}", time_zone="UTC", state="healthy", state_since=at, created_at=at,
            )
            for each in range(number)
        )  # fmt: skip
        Device.objects.for_tenant(customer).bulk_create(
            Device(
                tenant_id=customer.id, room=room, status="enrolled", status_since=at, created_at=at,
                name=f"Device {each}", kind="room_system", platform="windows", make="Nordlys", model="Base",
                serial_number=f"L{each}",
            )
            for each, room in enumerate(rooms)
        )  # fmt: skip
        return list(Device.objects.for_tenant(customer).order_by("id"))


def _send(client: redis.Redis, fleet: Fleet, told: list[tuple[int, str]]) -> None:
    from fleet import stream
    from foundation import clock

    received_ms = int(clock.now().timestamp() * 1000)
    by_shard: dict[int, list[bytes]] = {}
    for number, camera in told:
        device = fleet.devices[number]
        sender = stream.sender(device.tenant_id, device.id, device.key)
        by_shard.setdefault(0, []).append(stream.payload(sender, received_ms, fleet.body(number, camera)))
    for shard, payloads in by_shard.items():
        stream.add(client, shard, payloads)


def _play(fleet: Fleet) -> tuple[dict[int, datetime], dict[int, datetime]]:
    """When the camera of each faulty device broke, and when each stopped device was last heard."""
    from fleet import liveness, stream
    from foundation import clock, timers
    from workers.drains import Drain
    from workers.effects import TIMERS, TIMERS_TOGETHER
    from workers.tasks import detection as _  # noqa: F401 - registers the timers
    from workers.tasks.heartbeats import sweep_silence

    client = stream.connect()
    drain = Drain(0, client=client)
    stopped = set(range(7, 7 + STOPPED * 211, 211))
    to_break = iter(each for each in range(3, len(fleet.devices), 61) if each not in stopped)
    broke: dict[int, datetime] = {}
    heard: dict[int, datetime] = {}
    began = clock.now()
    behind = 0.0
    for second in range(SECONDS):
        wait = fleet.started + second - time.monotonic()
        behind = max(behind, -wait)
        time.sleep(max(wait, 0))
        told = []
        for number in range(second % INTERVAL_S, len(fleet.devices), INTERVAL_S):
            if number in stopped and second >= STOP_AT:
                continue
            told.append((number, "unhealthy" if number in broke else "healthy"))
            if number in stopped:
                heard[number] = clock.now()
        if FIRST_FAULT <= second < LAST_FAULT:
            for _n in range(FAULTS_A_SECOND):
                number = next(to_break)
                broke[number] = clock.now()
                told.append((number, "unhealthy"))
        if second % 5 == 0:
            liveness.beat("bench", started_at=began, at=clock.now())
        _send(client, fleet, told)
        wanted = drain.done.stored + len(told)
        drain.run(seconds=30, until=lambda wanted=wanted: drain.done.stored >= wanted)
        if second % 2 == 0:
            timers.fire_due(TIMERS, at=clock.now(), together=TIMERS_TOGETHER)
        if second % 10 == 0:
            sweep_silence()
    print(f"at most {behind:.1f} s behind", file=sys.stderr)
    client.close()
    return broke, heard


def _waits(fleet: Fleet, since: dict[int, datetime], signal: str) -> list[float]:
    """Seconds to each ticket; infinity where there is none."""
    from foundation.context import tenant
    from incidents.models import Incident

    opened: dict[Any, datetime] = {}
    for customer in (fleet.large, fleet.small):
        with tenant(customer.id):
            rows = Incident.objects.for_tenant(customer).filter(signal=signal)
            opened |= dict(rows.values_list("device_id", "opened_at"))
    return sorted(
        (opened[device.id] - begun).total_seconds() if (device := fleet.devices[number]).id in opened else 1e9
        for number, begun in since.items()
    )


def _cost_of_changes(fleet: Fleet, customer: Any, first: int) -> float:
    """CPU of Python and PostgreSQL for one change of a signal, ms."""
    from fleet import signal_states
    from fleet.heartbeats import Changes
    from fleet.signal_states import SignalChange, Written
    from foundation import clock
    from foundation.context import tenant
    from incidents import detection

    best = 1e9
    some = [device for device in fleet.devices if device.tenant_id == customer.id][first : first + CHANGES]
    for _ in range(ROUNDS):
        spent = 0.0
        for before, state in (("healthy", "unhealthy"), ("unhealthy", "healthy")):
            at = clock.now()
            start = _cpu()
            with tenant(customer.id):
                signal_states.write(
                    [Written(customer.id, device.id, "mic_conf", "", state, "", at) for device in some]
                )
                changes = [
                    SignalChange(
                        customer.id, device.id, device.room_id, "mic_conf", "", before, state, "", at
                    )
                    for device in some
                ]
                detection.evaluate(Changes(signals=changes), at=at)
            spent += _cpu() - start
        best = min(best, spent / (2 * CHANGES) * 1000)
    return best


def _cpu() -> float:
    used = psutil.Process().cpu_times()
    total = used.user + used.system
    for each in psutil.Process(_postgres[0]).children(recursive=True):
        try:
            times = each.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


_postgres: list[int] = []


def _rows() -> list[Row]:
    from bench.heartbeats_ingest import _services

    services = _services()
    from django.db import connections

    pid = services.pids()["postgres"]
    assert pid
    _postgres.append(pid)
    fleet = Fleet()
    with connections["owner"].cursor() as cursor:
        cursor.execute("ANALYZE")  # as the autovacuum does within a minute
    large = _cost_of_changes(fleet, fleet.large, 10_000)
    small = _cost_of_changes(fleet, fleet.small, 500)
    fleet.started = time.monotonic()
    broke, heard = _play(fleet)
    camera, offline = _waits(fleet, broke, "camera_room"), _waits(fleet, heard, "offline")
    ratio = round(large / small, 2)
    return [
        Row(
            f"camera fault to its ticket, {ROOMS:,} rooms",
            f"median {median(camera):.1f} s, longest {camera[-1]:.1f} s; with the agent's look {camera[-1] + AGENT_S:.1f} s",
            f"{len(camera)} faults; watching period {_watch('camera_room'):.0f} s",
            None,
            f"≤ {CAMERA_S} s",
            camera[-1] + AGENT_S <= CAMERA_S,
        ),
        Row(
            f"last heartbeat to the ticket of a silent device, {ROOMS:,} rooms",
            f"median {median(offline):.1f} s, longest {offline[-1]:.1f} s",
            f"{len(offline)} devices; two deadlines of {INTERVAL_S} s and a watching period of {_watch('offline'):.0f} s",
            None,
            f"≤ {OFFLINE_S} s",
            offline[-1] <= OFFLINE_S,
        ),
        Row(
            f"one change of a signal: customer with {ROOMS - SMALL:,} rooms against {SMALL:,}",
            f"{large:.2f} ms CPU",
            f"{small:.2f} ms CPU",
            ratio,
            "≤ 1.2 ×",
            ratio <= 1.2,
        ),
    ]


def _watch(signal: str) -> float:
    from incidents.rules import RULES

    watch: timedelta = RULES[signal].watch
    return watch.total_seconds()


if __name__ == "__main__":
    found = _rows()
    print(json.dumps([asdict(row) for row in found]) if "--json" in sys.argv else "\n".join(map(str, found)))
