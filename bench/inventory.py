"""Lists, searches, the page of a room and an edit of 10,000 rooms, at 1,000, 10,000 and 100,000 rooms.

All sizes are customers of one database. A room has a device and three things attached to it. A page is what a list's
page reads: its rows with the rooms they name. CPU time is this process's and the database's together.

    python -m bench.inventory [--plans]
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from uuid import UUID

from bench.rooms_list import _cpu, _estate, _set_up
from bench.rows import Row

if TYPE_CHECKING:
    from tenancy.models import Tenant

SIZES = (1_000, 10_000, 100_000)
EDITED = 10_000
FLAT = 1.2  # target: CPU at the largest size against the smallest
LONGEST_MS = 100  # target of every search, whatever the size
ROUNDS, PAGES = 3, 25
PAGE = 50
ONE_WORD, TWO_WORDS, RARE = "auro", "auro city0", "sn0000"


def measure() -> list[Row]:
    """In a process with a database of its own."""
    command = [sys.executable, "-m", "bench.inventory", "--json"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return [Row(**row) for row in json.loads(done.stdout)]


def _rows() -> list[Row]:
    from foundation.context import tenant

    estates = []
    for size in SIZES:
        estates.append(_furnished(size))
        _analyze()  # or keys are checked by plans for empty tables
    with tenant(estates[0].owner.id):
        names = list(_cases(estates[0]))
    rows = [_flat(name, estates) for name in names]
    rows += _edits(estates)
    return rows


def _cases(estate: Any) -> dict[str, Callable[[], Any]]:
    """What is measured, by name."""
    from fleet import lists
    from fleet.models import Device, Peripheral, Room
    from portal.paging import keyset_page
    from portal.web.search import hits

    tenant_id = estate.owner.id
    rooms = Room.objects.for_tenant(tenant_id).select_related("place")
    devices = Device.objects.for_tenant(tenant_id).select_related("room").defer("document", "inventory")
    things = Peripheral.objects.for_tenant(tenant_id).select_related("device__room")
    things = things.defer("device__document", "device__inventory")

    def listed(listing: str, order: tuple[str, ...], show: Any, **query: str) -> Callable[[], Any]:
        asked = {name: [value] for name, value in query.items()}
        return lambda: list(keyset_page(lists.filtered(listing, asked), order_by=order, size=PAGE, show=show))

    by_name, by_model = ("name", "id"), ("make", "model", "id")
    return {
        "devices, first page": listed("devices", by_name, devices),
        "devices, make and model": listed("devices", by_name, devices, make="Acme", model="Three"),
        "devices, app version": listed("devices", by_name, devices, app_version="5.4.7"),
        "devices, building": listed("devices", by_name, devices, site=str(estate.site)),
        "devices, two words": listed("devices", by_name, devices, q="acme auro"),
        "equipment, first page": listed("peripherals", by_model, things),
        "equipment, firmware": listed("peripherals", by_model, things, firmware="2.7"),
        "equipment, a serial": listed("peripherals", by_model, things, q=f"cam{estate.rooms // 2:07d}"),
        "rooms, type": listed("rooms", by_name, rooms, room_type="large"),
        "search everything, one word": lambda: hits(tenant_id, ONE_WORD, shown=8),
        "search everything, two words": lambda: hits(tenant_id, TWO_WORDS, shown=8),
        "search everything, a serial": lambda: hits(tenant_id, f"sn{estate.rooms // 2:07d}", shown=8),
        "search everything, no hit": lambda: hits(tenant_id, "aurora nowhere", shown=8),
        "page of a room": _room_page(estate),
    }


def _room_page(estate: Any) -> Callable[[], Any]:
    """The whole page, by a person signed in."""
    from django.test import Client

    from fleet.models import Room

    client = Client(HTTP_HOST="localhost")
    client.force_login(estate.person.user)
    room_id = Room.objects.for_tenant(estate.owner.id).order_by("name", "id").values_list("id", flat=True)[7]

    def get() -> None:
        assert client.get(f"/rooms/{room_id}").status_code == 200

    return get


def _flat(name: str, estates: list[Any]) -> Row:
    """The largest against the smallest; the middle one in words."""
    rounds = [[_timed(estate, name) for estate in estates] for _ in range(ROUNDS)]
    costs = [min(costs, key=lambda cost: cost[0]) for costs in zip(*rounds, strict=True)]
    (small, _), (middle, _), (large, p95) = costs
    print(f"  {name}: {[f'{cpu:.1f}' for cpu, _ in costs]}", file=sys.stderr, flush=True)
    ratio = large / small
    search = name.startswith("search")
    slowest = max(p95 for _, p95 in costs)
    target = f"≤ {LONGEST_MS} ms" if search else f"≤ {FLAT} ×, p95 ≤ {LONGEST_MS} ms"
    return Row(
        f"{name}: {SIZES[2]:,} rooms against {SIZES[0]:,}",
        f"{large:.1f} ms CPU, p95 {p95:.0f} ms",
        f"{small:.1f} ms; {middle:.1f} ms at {SIZES[1]:,}",
        round(ratio, 2),
        target,
        slowest <= LONGEST_MS and (search or ratio <= FLAT),
    )


def _timed(estate: Any, name: str) -> tuple[float, float]:
    """CPU and p95 of one page, in ms."""
    from foundation.context import tenant

    with tenant(estate.owner.id):
        page = _cases(estate)[name]
        for _ in range(3):
            page()
        times: list[float] = []
        with _cpu() as spent:
            for _ in range(PAGES):
                began = time.perf_counter()
                page()
                times.append(time.perf_counter() - began)
            cpu_s = spent()
    return cpu_s / PAGES * 1e3, statistics.quantiles(times, n=20)[18] * 1e3


def _edits(estates: list[Any]) -> list[Row]:
    """The same edit of 10,000 rooms at 10,000 and at 100,000: preview, carrying out, undoing."""
    ours, peer = _edited(estates[2]), _edited(estates[1])
    return [
        Row(
            f"edit of {EDITED:,} rooms, {name}: {SIZES[2]:,} rooms against {SIZES[1]:,}",
            f"{ours[name]:.1f} s CPU",
            f"{peer[name]:.1f} s CPU",
            round(ours[name] / peer[name], 2),
            f"≤ {FLAT} ×",
            ours[name] / peer[name] <= FLAT,
        )
        for name in ours
    ]


def _edited(estate: Any) -> dict[str, float]:
    from fleet import bulk_edit
    from fleet.models import Room
    from foundation import clock
    from foundation.context import tenant
    from foundation.models import Job

    found: dict[str, float] = {}

    def during(name: str, work: Callable[[], Any]) -> Any:
        with tenant(estate.owner.id), _cpu() as spent:
            result = work()
            found[name] = found.get(name, 0.0) + spent()
        return result

    def carried_out() -> bool:
        jobs = Job.objects.for_tenant(estate.owner.id).filter(kind=bulk_edit.KIND, state="queued")
        job = jobs.order_by("-id").first()
        progress = bulk_edit.step(job, clock.now())
        jobs.filter(id=job.id).update(
            cursor=progress.cursor,
            done=progress.done,
            total=progress.total,
            state="done" if progress.cursor is None else "queued",
        )
        return progress.cursor is None

    with tenant(estate.owner.id):
        ids = list(
            Room.objects.for_tenant(estate.owner.id).order_by("id").values_list("id", flat=True)[:EDITED]
        )
    at = clock.now()
    edit = during("drafted", lambda: bulk_edit.draft(room_ids=ids, by=None, at=at))
    changes = {"room_type": "large", "capacity": 12, "place_id": estate.spare}
    during("drafted", lambda: bulk_edit.set_changes(edit.id, changes, at=at))
    during("previewed", lambda: bulk_edit.preview(edit, shown=50))
    edit.changes = bulk_edit_changes(edit, estate)
    for name, begin in (("carried out", bulk_edit.start), ("undone", bulk_edit.undo)):
        during(name, lambda begin=begin: begin(edit.id, at=clock.now()))  # type: ignore[misc]
        while not during(name, carried_out):
            pass
    return found


def bulk_edit_changes(edit: Any, estate: Any) -> dict[str, Any]:
    from fleet.models import BulkEdit
    from foundation.context import tenant

    with tenant(estate.owner.id):
        return dict(BulkEdit.objects.for_tenant(estate.owner.id).get(id=edit.id).changes)


class Furnished:
    """An estate of bench.rooms_list with devices, equipment, somebody who signs in and an empty building."""

    def __init__(self, estate: Any, person: Any, spare: UUID) -> None:
        self.owner: Tenant = estate.owner
        self.rooms: int = estate.rooms
        self.site: UUID = estate.site
        self.person, self.spare = person, spare


def _furnished(rooms: int) -> Furnished:
    from django.db import connection, transaction

    from fleet import inventory
    from foundation import clock
    from foundation.context import tenant
    from tenancy.models import User
    from tenancy.tenants import add_person

    estate = _estate(rooms)
    at = clock.now()
    with transaction.atomic():
        user = User.objects.create_user(
            email=f"bench-{rooms}@example.com", name="Bench", home=estate.owner, password=None, at=at
        )
        person = add_person(user, to=estate.owner, role="site_lead", at=at)  # who needs no second factor
    values = {"tenant": estate.owner.id, "at": at}
    with tenant(estate.owner.id), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        spare = inventory.add_place(kind="building", name="Spare", at=at)
        for statement in (DEVICES, PERIPHERALS, DEVICE_WORDS, PERIPHERAL_WORDS):
            cursor.execute(statement, values)
    print(f"  {rooms:,} rooms", file=sys.stderr, flush=True)
    return Furnished(estate, person, spare.id)


DEVICES = """
INSERT INTO fleet_device (id, tenant_id, room_id, name, kind, platform, status, status_since, make, model, serial_number,
    firmware_uuid, macs, wanted_room, wanted_account, security_level, agent_name, agent_version, versions, clock_bad,
    document, inventory, inventory_digest, created_at)
SELECT gen_random_uuid(), tenant_id, id, name, 'room_system', 'windows', 'enrolled', %(at)s, 'Acme',
    (ARRAY['One', 'Two', 'Three', 'Four'])[1 + version %% 4], 'sn' || lpad(version::text, 7, '0'), '', '{}', '', '', 2,
    'greenroom', '1.0', jsonb_build_object('app', '5.4.' || version %% 10), false, '{}', '{}', '', %(at)s
FROM fleet_room WHERE tenant_id = %(tenant)s
ON CONFLICT DO NOTHING
"""
PERIPHERALS = """
INSERT INTO fleet_peripheral (id, tenant_id, device_id, kind, make, model, vendor_id, product_id, serial, firmware,
    connected, identity, first_seen_at, last_seen_at, moves_lately)
SELECT gen_random_uuid(), device.tenant_id, device.id, thing.kind, 'Halyard', thing.model, '2e7e', '0001',
    thing.prefix || right(device.serial_number, 7), '2.' || (right(device.serial_number, 2)::int %% 10), true,
    thing.kind, %(at)s, %(at)s, 0
FROM fleet_device device
CROSS JOIN (VALUES ('camera', 'E70', 'cam'), ('speaker', 'S1', 'spk'), ('display', 'W75', 'dsp')) thing (kind, model, prefix)
WHERE device.tenant_id = %(tenant)s
ON CONFLICT DO NOTHING
"""
DEVICE_WORDS = """
INSERT INTO fleet_thingword (id, tenant_id, kind, thing_id, word)
SELECT gen_random_uuid(), device.tenant_id, 'device', device.id, word
FROM fleet_device device CROSS JOIN LATERAL unnest(
    string_to_array(lower(device.name), ' ') || ARRAY['acme', lower(device.model), device.serial_number, 'example', 'com']
) word WHERE device.tenant_id = %(tenant)s
ON CONFLICT DO NOTHING
"""
PERIPHERAL_WORDS = """
INSERT INTO fleet_thingword (id, tenant_id, kind, thing_id, word)
SELECT gen_random_uuid(), thing.tenant_id, 'peripheral', thing.id, word
FROM fleet_peripheral thing
CROSS JOIN LATERAL unnest(ARRAY[thing.kind, 'halyard', lower(thing.model), '2e7e', '0001', thing.serial]) word
WHERE thing.tenant_id = %(tenant)s
ON CONFLICT DO NOTHING
"""


def _analyze() -> None:
    from django.db import connections

    with connections["owner"].cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def _print_plans(name: str) -> None:
    """How the database answers one case of the large customer."""
    from django.db import connection

    from foundation.context import tenant

    estates = [_furnished(SIZES[0]), _furnished(SIZES[2])]
    _analyze()
    for estate in estates:
        with tenant(estate.owner.id):
            page = _cases(estate)[name]
            statements: list[str] = []

            def note(
                execute: Any, sql: str, params: Any, many: bool, context: Any, kept: Any = statements
            ) -> Any:
                with connection.connection.cursor() as cursor:
                    kept.append(cursor.mogrify(sql, params).decode())
                return execute(sql, params, many, context)

            with connection.execute_wrapper(note):
                page()
            for statement in [each for each in statements if each.startswith("SELECT")]:
                with connection.cursor() as cursor:
                    cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS) {statement}")
                    print(
                        f"-- {estate.rooms}: {statement[:300]}",
                        *(line for (line,) in cursor.fetchall()),
                        sep="\n",
                    )


if __name__ == "__main__":
    _set_up()
    if "--plans" in sys.argv:
        _print_plans(sys.argv[sys.argv.index("--plans") + 1])
    elif "--json" in sys.argv:
        print(json.dumps([asdict(row) for row in _rows()]))
    else:
        for row in _rows():
            print(row.figure, row.ours, row.peer, row.ratio, row.target, row.holds, sep=" | ", flush=True)
