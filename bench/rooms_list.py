"""The list of rooms at 1,000 and at 100,000 rooms, and what row-level security costs it.

Both sizes are customers of one database, so the tables are the same. A page is what the API makes of a request: the
rooms with their places and groups, 50 of them. CPU time is this process's and the database's together.

    python -m bench.rooms_list [--plans]
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

import psutil

from bench.rows import Row

if TYPE_CHECKING:
    from tenancy.models import Tenant

SMALL, LARGE = 1_000, 100_000
PAGE = 50
ROUNDS, FEWEST_PAGES, MOST_PAGES, ENOUGH_CPU_S = 3, 30, 300, 1.0  # a clock tick of CPU is 10 ms
EQUAL = 1.2  # target: CPU at 100,000 against 1,000 rooms
FLAT = ("first page", "deep page", "one word", "a serial", "no hit", "state", "building")
LONGEST_MS = 100  # target of every list at either size, so that a slow peer cannot pass for a good ratio
OTHERS = ("two words", "two states", "city", "group", "state and word")
COST_OF_ROWS = 1.3  # target: row-level security against plain
SECURED = ("first page", "deep page", "state", "two words")
ADJECTIVES = "north south east west upper lower grand little old new"
NAMES = "aurora borealis corona fjord glacier harbour island juniper kelvin lagoon"
TABLES = ("fleet_place", "fleet_room", "fleet_roomword", "fleet_roomgroup", "fleet_roomgroupmember")


def measure() -> list[Row]:
    """In a process with a database of its own."""
    command = [sys.executable, "-m", "bench.rooms_list", "--json"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return [Row(**row) for row in json.loads(done.stdout)]


@dataclass(frozen=True)
class Cost:
    """Of one page."""

    cpu_ms: float
    p95_ms: float

    def __str__(self) -> str:
        return f"{self.cpu_ms:.2f} ms CPU, p95 {self.p95_ms:.1f} ms"


@dataclass(frozen=True)
class Estate:
    """A customer and what its lists are asked for."""

    owner: Tenant
    rooms: int
    site: UUID
    city: UUID
    group: UUID

    @property
    def serial(self) -> str:
        return f"sn{self.rooms // 2:07d}"


def _rows() -> list[Row]:
    small, large = _estate(SMALL), _estate(LARGE)
    _analyze()
    rows = [_against_size(name, *_interleaved(large, small, name)) for name in (*FLAT, *OTHERS)]
    _copy_without_security()
    for name in SECURED:
        ours, peer = _interleaved(large, large, name, plain=True)
        ratio = ours.cpu_ms / peer.cpu_ms
        figure = f"rooms list, {name}: row-level security against plain"
        rows.append(_row(figure, ours, peer, f"≤ {COST_OF_ROWS} ×", ratio <= COST_OF_ROWS))
    return rows


def _against_size(name: str, ours: Cost, peer: Cost) -> Row:
    """A list, a state, a building are walked in an index: flat. Other filters look at more: bounded."""
    print(f"  {name}: {ours}", file=sys.stderr, flush=True)
    figure = f"rooms list, {name}: {LARGE:,} rooms against {SMALL:,}"
    quick = max(ours.p95_ms, peer.p95_ms) <= LONGEST_MS
    if name in FLAT:
        even = ours.cpu_ms / peer.cpu_ms <= EQUAL
        return _row(figure, ours, peer, f"≤ {EQUAL} ×, p95 ≤ {LONGEST_MS} ms", even and quick)
    return _row(figure, ours, peer, f"p95 ≤ {LONGEST_MS} ms", quick)


def _row(figure: str, ours: Cost, peer: Cost, target: str, holds: bool) -> Row:
    return Row(figure, str(ours), str(peer), round(ours.cpu_ms / peer.cpu_ms, 2), target, holds)


def _cases(estate: Estate) -> dict[str, Callable[[], Any]]:
    """Pages by name: each answers the arguments of keyset_page."""
    from fleet import search
    from fleet.models import Room

    rooms = Room.objects.for_tenant(estate.owner.id).current()
    deep = _cursor_at(rooms, estate.rooms * 9 // 10)
    return {
        "first page": lambda: (rooms, None),
        "deep page": lambda: (rooms, deep),
        "one word": lambda: (search.matching(rooms, "auro"), None),
        "two words": lambda: (search.matching(rooms, "auro city1"), None),
        "a serial": lambda: (search.matching(rooms, estate.serial), None),
        "no hit": lambda: (search.matching(rooms, "aurora nowhere"), None),
        "state": lambda: (rooms.filter(state__in=["unhealthy"]), None),
        "two states": lambda: (rooms.filter(state__in=["unhealthy", "unmonitored"]), None),
        "building": lambda: (rooms.inside(estate.site), None),
        "city": lambda: (rooms.inside(estate.city), None),
        "group": lambda: (rooms.in_group(estate.group), None),
        "state and word": lambda: (search.matching(rooms.filter(state__in=["unhealthy"]), "fjo"), None),
    }


def _cursor_at(rooms: Any, position: int) -> str | None:
    """A cursor deep in the list, found once by offset."""
    from portal.paging import keyset_page

    row = rooms.order_by("name", "id")[position : position + 1].get()
    return keyset_page(rooms.filter(name__gte=row.name), size=1).next


def _interleaved(ours: Estate, peer: Estate, name: str, *, plain: bool = False) -> list[Cost]:
    """The least of several rounds of each, taken in turns. `plain`: the peer without row-level security."""
    rounds = [(_pages(ours, name), _pages(peer, name, plain=plain)) for _ in range(ROUNDS)]
    return [
        Cost(min(cost.cpu_ms for cost in costs), min(cost.p95_ms for cost in costs))
        for costs in zip(*rounds, strict=True)
    ]


def _pages(estate: Estate, name: str, *, plain: bool = False) -> Cost:
    from django.db import connection

    from foundation.context import tenant

    with tenant(estate.owner.id), connection.cursor() as cursor:
        if plain:  # the same queries on copies of the tables that have no policy
            cursor.execute("SET LOCAL search_path = plain, public")
        return _timed(estate, _cases(estate)[name])


def _timed(estate: Estate, make: Callable[[], Any]) -> Cost:
    from portal.api.rooms import rooms_of
    from portal.paging import keyset_page

    def page() -> None:
        rooms, after = make()
        for room in keyset_page(rooms, after=after, size=PAGE, show=rooms_of(estate.owner.id)):
            _ = room.place.full_name, [member.group_id for member in room.group_members.all()]

    for _ in range(5):
        page()
    times: list[float] = []
    with _cpu() as spent:
        while len(times) < FEWEST_PAGES or (len(times) < MOST_PAGES and spent() < ENOUGH_CPU_S):
            began = time.perf_counter()
            page()
            times.append(time.perf_counter() - began)
        cpu_s = spent()
    return Cost(cpu_s / len(times) * 1e3, statistics.quantiles(times, n=20)[18] * 1e3)


@contextmanager
def _cpu() -> Iterator[Callable[[], float]]:
    """Seconds of CPU since the start, of this process and its connection's."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    processes = [psutil.Process(), psutil.Process(pid)]

    def total() -> float:
        return sum(sum(each.cpu_times()[:2]) for each in processes)

    before = total()
    yield lambda: total() - before


def _estate(rooms: int) -> Estate:
    """A customer with 100 rooms a building, 10 buildings a city, 10 words a room; 6 in 100 rooms unhealthy, so that a page of them is full at either size."""
    from django.db import connection, transaction

    from fleet import inventory, room_groups
    from foundation import clock
    from foundation.context import tenant
    from tenancy.tenants import create_tenant

    at = clock.now()
    with transaction.atomic():
        owner = create_tenant(f"{rooms} rooms", at=at)
        room_groups.set_up_customer(owner, at=at)
    with tenant(owner.id), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        sites, city = [], None
        for number in range(max(rooms // 100, 1)):
            if number % 10 == 0:
                city = inventory.add_place(kind="city", name=f"City{number // 10}", at=at)
            sites.append(
                inventory.add_place(kind="building", name=f"House{number}", parent_id=city.id, at=at)  # type: ignore[union-attr]
            )
        cursor.execute("CREATE TEMP TABLE site (number int, id uuid, city text) ON COMMIT DROP")
        cursor.executemany(
            "INSERT INTO site VALUES (%s, %s, %s)",
            [(number, site.id, f"city{number // 10}") for number, site in enumerate(sites)],
        )
        cursor.execute("ANALYZE site")
        cursor.execute(ROOMS, {"tenant": owner.id, "at": at, "rooms": rooms, "a": ADJECTIVES, "n": NAMES})
        cursor.execute(WORDS, {"tenant": owner.id, "rooms": rooms})
        group = room_groups.default_group()
        vip = room_groups.add_group(name="Boards", at=at)
        for chosen, every in ((group, 1), (vip, 20)):
            cursor.execute(MEMBERS, {"tenant": owner.id, "group": chosen.id, "every": every})
    return Estate(owner, rooms, sites[len(sites) // 2].id, sites[len(sites) // 2].parent_id, vip.id)  # type: ignore[arg-type]


ROOMS = """
INSERT INTO fleet_room (id, tenant_id, place_id, site_id, name, resource_account, room_type, licence, labels, time_zone, expected,
    state, state_since, open_faults, open_warnings, suppressed_reason, version, created_at)
SELECT gen_random_uuid(), %(tenant)s, site.id, site.id,
    initcap((string_to_array(%(a)s, ' '))[1 + n * 7 %% 10] || ' ' || (string_to_array(%(n)s, ' '))[1 + n / 10 * 3 %% 10])
        || ' ' || n,
    'room' || n || '@example.com', CASE WHEN n %% 10 = 0 THEN 'large' ELSE 'medium' END, '', '{}',
    'Europe/Oslo', '{}',
    CASE WHEN n %% 100 < 6 THEN 'unhealthy' WHEN n %% 100 = 6 THEN 'unmonitored' ELSE 'healthy' END,
    %(at)s, 0, 0, '', n, %(at)s
FROM generate_series(0, %(rooms)s - 1) n JOIN site ON site.number = n / 100
ON CONFLICT DO NOTHING
"""
WORDS = """
INSERT INTO fleet_roomword (id, tenant_id, room_id, word)
SELECT gen_random_uuid(), room.tenant_id, room.id, word
FROM fleet_room room JOIN site ON site.id = room.site_id CROSS JOIN LATERAL unnest(
    string_to_array(lower(room.name), ' ') || ARRAY['room' || room.version, 'example', 'com', site.city,
        'house' || site.number, 'acme', 'one', 'sn' || lpad(room.version::text, 7, '0')]
) word WHERE room.tenant_id = %(tenant)s
ON CONFLICT DO NOTHING
"""
MEMBERS = """
INSERT INTO fleet_roomgroupmember (id, tenant_id, group_id, room_id, by_hand, by_rule)
SELECT gen_random_uuid(), tenant_id, %(group)s, id, true, false FROM fleet_room
WHERE tenant_id = %(tenant)s AND version %% %(every)s = 0
ON CONFLICT DO NOTHING
"""


def _analyze(schema: str = "public") -> None:
    from django.db import connections

    with connections["owner"].cursor() as cursor:
        for table in TABLES:
            cursor.execute(f'VACUUM ANALYZE "{schema}"."{table}"')


def _copy_without_security() -> None:
    from django.db import connections

    from tenancy.models import Tenant

    tenants = ",".join(str(each) for each in Tenant.objects.values_list("id", flat=True))
    with connections["owner"].cursor() as cursor:
        cursor.execute("CREATE SCHEMA plain")
        cursor.execute("GRANT USAGE ON SCHEMA plain TO greenroom_app")
        cursor.execute(f"SET app.tenants = '{{{tenants}}}'")
        for table in TABLES:
            cursor.execute(f"CREATE TABLE plain.{table} (LIKE public.{table} INCLUDING ALL)")
            cursor.execute(f"INSERT INTO plain.{table} SELECT * FROM public.{table}")
            cursor.execute(f"GRANT SELECT ON plain.{table} TO greenroom_app")
    _analyze("plain")


def _print_plans() -> None:
    """How the database answers each page of the large customer."""
    from django.db import connection

    from foundation.context import tenant
    from portal.api.rooms import rooms_of
    from portal.paging import keyset_page

    estates = [_estate(SMALL), _estate(LARGE)]
    _analyze()
    with tenant(estates[1].owner.id):
        for name, make in _cases(estates[1]).items():
            statements: list[str] = []

            def note(
                execute: Any, sql: str, params: Any, many: bool, context: Any, kept: Any = statements
            ) -> Any:
                with connection.connection.cursor() as cursor:
                    kept.append(cursor.mogrify(sql, params).decode())
                return execute(sql, params, many, context)

            with connection.execute_wrapper(note):
                rooms, after = make()
                keyset_page(rooms, after=after, size=PAGE, show=rooms_of(estates[1].owner.id))
            wanted = next(each for each in statements if 'FROM "fleet_room"' in each and "ORDER BY" in each)
            with connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS) {wanted}")
                print(f"-- {name}", *(line for (line,) in cursor.fetchall()), sep="\n", flush=True)


def _set_up() -> None:
    import os

    import tests.environment  # noqa: F401 - gives this process its database, before Django is loaded

    os.environ["DJANGO_SETTINGS_MODULE"] = "portal.settings"
    import django

    django.setup()


if __name__ == "__main__":
    _set_up()
    if "--plans" in sys.argv:
        _print_plans()
    elif "--json" in sys.argv:
        print(json.dumps([asdict(row) for row in _rows()]))
    else:
        for row in _rows():
            print(row.figure, row.ours, row.peer, row.ratio, row.target, row.holds, sep=" | ", flush=True)
