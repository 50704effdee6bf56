"""A noisy week of 2,000 rooms, replayed minute by minute through detection: what is told, and what is missed.

True faults of half an hour and more, rooms whose camera flaps every few minutes, sites that go dark, heartbeats that
get lost. Against one notification for every change of a state. The week repeats exactly; its clock is its own.

    python -m bench.signal_quality [--days 7]
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from bench.rows import Row

if TYPE_CHECKING:
    from uuid import UUID

    from fleet.models import Device

ROOMS, SITES = 2_000, 20
FAULTS_A_ROOM, FLAPPING, OUTAGES, LOST = 0.3, 0.02, 3, 0.01  # faults a room and week
LEAST_SAVED = 0.80
GRACE = timedelta(minutes=5)
FAULTY = ("camera_room", "mic_conf", "spk_conf", "display_front")
MINUTE = timedelta(minutes=1)
SEED = 5


def measure() -> list[Row]:
    """In a process with services of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.signal_quality", "--json"], check=True, stdout=subprocess.PIPE
    )
    return [Row(**row) for row in json.loads(done.stdout)]


@dataclass
class Week:
    """What happens, by minute: (device, signal, state) and devices that fall silent or return."""

    minutes: int
    changes: dict[int, list[tuple[int, str, str]]] = field(default_factory=lambda: defaultdict(list))
    silent: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    back: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    faults: list[tuple[int, str, int]] = field(default_factory=list)  # true ones: device, signal, minute
    dark: list[tuple[int, int]] = field(default_factory=list)  # devices of sites without power, and when


def made_up(days: int) -> Week:
    chance = random.Random(SEED)
    week = Week(days * 24 * 60)
    flapping = set(chance.sample(range(ROOMS), int(ROOMS * FLAPPING)))
    for device in flapping:
        _flap(week, device, chance)
    busy: set[tuple[int, str]] = {(device, "camera_room") for device in flapping}
    while len(week.faults) < int(ROOMS * FAULTS_A_ROOM * days / 7):
        device, signal = chance.randrange(ROOMS), chance.choice(FAULTY)
        lasts = chance.randint(30, 480)
        if (device, signal) in busy or lasts >= week.minutes:
            continue
        busy.add((device, signal))  # one each, so that every one of them must be named
        begins = chance.randrange(week.minutes - lasts)
        week.faults.append((device, signal, begins))
        week.changes[begins].append((device, signal, "unhealthy"))
        week.changes[begins + lasts].append((device, signal, "healthy"))
    _silences(week, chance)
    return week


def _flap(week: Week, device: int, chance: random.Random) -> None:
    minute, state = chance.randint(1, 10), "unhealthy"
    while minute < week.minutes:
        week.changes[minute].append((device, "camera_room", state))
        state = "healthy" if state == "unhealthy" else "unhealthy"
        minute += chance.randint(1, 10)


def _silences(week: Week, chance: random.Random) -> None:
    """A device is silent once two heartbeats in a row are missing, and back with the next that arrives."""
    dark: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for number in range(OUTAGES):
        site, lasts = chance.randrange(SITES), chance.randint(20, 90)
        begins = (2 * number + 1) * week.minutes // (2 * OUTAGES) + chance.randrange(60)
        for device in range(site, ROOMS, SITES):
            dark[device].append((begins, begins + lasts))
            week.dark.append((device, begins))
    for device in range(ROOMS):
        missing = {minute for begins, ends in dark[device] for minute in range(begins, ends)}
        minute = int(chance.expovariate(LOST))
        while minute < week.minutes:
            missing.add(minute)
            minute += 1 + int(chance.expovariate(LOST))
        for minute in sorted(missing):
            if minute - 1 in missing and minute - 2 not in missing:
                week.silent[minute].append(device)
                returns = minute
                while returns in missing:
                    returns += 1
                week.back[returns].append(device)


class Replay:
    def __init__(self, week: Week) -> None:
        from foundation.context import tenant
        from tests.factories.tenancy import make_customer

        self.week = week
        self.began = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        self.customer = make_customer(at=self.began)
        with tenant(self.customer.id):
            self.devices = _fleet(self.customer, at=self.began)
        self.states: dict[tuple[int, str], str] = {}
        self.turns = 0

    def at(self, minute: int) -> datetime:
        return self.began + minute * MINUTE

    def run(self) -> None:
        from foundation import timers
        from workers.effects import TIMERS, TIMERS_TOGETHER
        from workers.tasks import detection as _  # noqa: F401 - registers the timers

        for minute in range(self.week.minutes + 120):
            at = self.at(minute)
            timers.fire_due(TIMERS, at=at, together=TIMERS_TOGETHER)
            self._happen(minute, at)
            if minute % 1440 == 0:
                print(f"day {minute // 1440}", file=sys.stderr, flush=True)

    def _happen(self, minute: int, at: datetime) -> None:
        from fleet import signal_states
        from fleet.heartbeats import Changes, Returned
        from fleet.models import Device
        from fleet.signal_states import SignalChange, Written
        from foundation.context import tenant
        from incidents import detection

        week = self.week
        told = week.changes.get(minute, ())
        back = [self.devices[number] for number in week.back.get(minute, ())]
        silent = [self.devices[number] for number in week.silent.get(minute, ())]
        if not (told or back or silent):
            return
        changes: list[SignalChange] = []
        written: list[Written] = []
        for number, signal, state in told:
            device = self.devices[number]
            before = self.states.get((number, signal), "unknown")
            self.states[number, signal] = state
            self.turns += before != state and "unhealthy" in (before, state)
            written.append(Written(device.tenant_id, device.id, signal, "", state, "", at))
            changes.append(
                SignalChange(device.tenant_id, device.id, device.room_id, signal, "", before, state, "", at)
            )
        self.turns += len(back) + len(silent)
        with tenant(self.customer.id):
            rows = Device.objects.for_tenant(self.customer)
            signal_states.write(written)
            rows.filter(id__in=[device.id for device in back]).update(silent_since=None, last_seen_at=at)
            returned = [
                Returned(device.tenant_id, device.id, device.room_id, device.silent_since or at, at)
                for device in back
            ]
            for device in back:
                device.silent_since = None
            detection.evaluate(Changes(signals=changes, returned=returned), at=at)
            rows.filter(id__in=[device.id for device in silent]).update(silent_since=at - MINUTE)
            for device in silent:
                device.silent_since = at - MINUTE
            detection.evaluate_silence(silent, at=at)


def _fleet(customer: Any, *, at: datetime) -> list[Device]:
    """A device in each room; room N stands at site N modulo SITES."""
    from fleet.models import Device, Room
    from tests.factories.fleet import make_place

    places = [make_place(name=f"Site {number}", at=at) for number in range(SITES)]
    rooms = Room.objects.for_tenant(customer).bulk_create(
        Room(
            tenant_id=customer.id, place=places[number % SITES], site_id=places[number % SITES].id,
            name=f"Room {number}", time_zone="UTC", state="healthy", state_since=at, created_at=at,
        )
        for number in range(ROOMS)
    )  # fmt: skip
    Device.objects.for_tenant(customer).bulk_create(
        Device(
            tenant_id=customer.id, room=room, status="enrolled", status_since=at, created_at=at,
            name=f"Device {number}", kind="room_system", platform="windows", make="Nordlys", model="Base",
            serial_number=f"Q{number}",
        )
        for number, room in enumerate(rooms)
    )  # fmt: skip
    by_room = {device.room_id: device for device in Device.objects.for_tenant(customer)}
    return [by_room[room.id] for room in rooms]


def _told(tenant_id: UUID) -> dict[str, int]:
    """Lines a person would be told of, by kind."""
    from django.db.models import Count

    from incidents.models import IncidentEntry

    rows = IncidentEntry.objects.for_tenant(tenant_id).filter(kind__in=["opened", "reopened", "resolved"])
    return dict(rows.order_by().values_list("kind").annotate(number=Count("id")))


def _named(tenant_id: UUID) -> dict[tuple[UUID, str], list[tuple[datetime, datetime | None]]]:
    """When each device and signal had a ticket, or was held under one."""
    from incidents.models import FaultSpan, HeldFinding

    found: dict[tuple[UUID, str], list[tuple[datetime, datetime | None]]] = defaultdict(list)
    spans = FaultSpan.objects.for_tenant(tenant_id).filter(incident__device__isnull=False)
    for device, signal, began, ended in spans.values_list(
        "incident__device_id", "incident__signal", "started_at", "ended_at"
    ):
        found[device, signal].append((began, ended))
    held = HeldFinding.objects.for_tenant(tenant_id)
    for device, signal, began, ended in held.values_list("device_id", "signal", "held_at", "released_at"):
        found[device, signal].append((began, ended))
    return found


def _missed(replay: Replay) -> Iterator[tuple[int, str, int]]:
    from incidents.rules import RULES

    named = _named(replay.customer.id)
    silences = [(device, "offline", minute) for device, minute in replay.week.dark]
    for number, signal, minute in [*replay.week.faults, *silences]:
        begins = replay.at(minute)
        until = begins + RULES[signal].watch + GRACE
        spans = named.get((replay.devices[number].id, signal), ())
        if not any(began <= until and (ended is None or ended >= begins) for began, ended in spans):
            yield number, signal, minute


def _rows(days: int) -> list[Row]:
    from bench.heartbeats_ingest import _services

    services = _services()
    assert services
    from foundation.context import tenant

    replay = Replay(made_up(days))
    replay.run()
    with tenant(replay.customer.id):
        told = _told(replay.customer.id)
        missed = list(_missed(replay))
    total, faults = sum(told.values()), len(replay.week.faults) + len(replay.week.dark)
    saved = 1 - total / replay.turns
    parts = ", ".join(f"{number} {kind}" for kind, number in sorted(told.items()))
    return [
        Row(
            f"noisy {'week' if days == 7 else f'{days} days'} of {ROOMS:,} rooms: notifications",
            f"{total:,} ({parts})",
            f"one for each change of a state: {replay.turns:,}",
            round(total / replay.turns, 3),
            f"≥ {LEAST_SAVED:.0%} fewer",
            saved >= LEAST_SAVED,
        ),
        Row(
            "faults neither named themselves nor by their cause within watch + 5 min",
            f"{len(missed)} of {faults:,}",
            "",
            None,
            "none",
            not missed,
        ),
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found = _rows(given.days)
    print(json.dumps([asdict(row) for row in found]) if given.json else "\n".join(map(str, found)))
