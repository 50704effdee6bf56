"""Numbers pages show without counting: kept by the transaction that changes what they count.

Names: `rooms.<state>` (fleet.health); what other apps count, they name themselves. Every number exists for the
whole tenant (scope = its id) and, where it has one, for its site.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple
from uuid import UUID

from django.db import connection
from django.db.models import Count

from fleet.models import Counter, Room
from foundation.context import entered, tenant
from foundation.ids import new_id

ROOMS = "rooms."
BATCH = 500


class Figure(NamedTuple):
    """Which number. Sorted, it is the order in which all transactions lock."""

    tenant_id: UUID
    scope: UUID
    name: str


_gathered: ContextVar[Tally[Figure] | None] = ContextVar("counter_changes", default=None)


def add(changes: Mapping[Figure, int]) -> None:
    """Change numbers by amounts, of entered tenants. Inside `gathered()` they are written at its end."""
    waiting = _gathered.get()
    if waiting is None:
        _write(changes)
    else:
        waiting.update(changes)


@contextmanager
def gathered() -> Iterator[None]:
    """Collect all changes and write them once, in one order, at the end: transactions that change several
    things hold the hot rows shortly and never wait for each other in a circle. An inner use joins the outer at its
    end: what it collected before an error counts no more than what that error rolls back."""
    outer = _gathered.get()
    waiting: Tally[Figure] = Tally()
    token = _gathered.set(waiting)
    try:
        yield
    finally:
        _gathered.reset(token)
    if outer is not None:
        outer.update(waiting)
        return
    tenants = {figure.tenant_id for figure, amount in waiting.items() if amount}
    if tenants <= set(entered()):
        _write(waiting)
    else:
        with tenant(*tenants):
            _write(waiting)


def of(tenant_id: UUID, scope: UUID | None = None) -> dict[str, int]:
    """The numbers of a site, or of the whole tenant; absent means 0."""
    rows = Counter.objects.for_tenant(tenant_id).filter(scope=scope or tenant_id)
    return dict(rows.values_list("name", "value"))


def by_scope(tenant_id: UUID, scopes: Iterable[UUID], *, prefix: str = ROOMS) -> dict[UUID, dict[str, int]]:
    """Numbers of several sites at once, without their prefix: {site: {"healthy": 12}}."""
    found: dict[UUID, dict[str, int]] = {scope: {} for scope in scopes}
    rows = Counter.objects.for_tenant(tenant_id).filter(scope__in=list(found), name__startswith=prefix)
    for scope, name, value in rows.values_list("scope", "name", "value"):
        found[scope][name.removeprefix(prefix)] = value
    return found


def room_change(
    tenant_id: UUID, *, before: tuple[str, UUID | None] | None, after: tuple[str, UUID | None] | None
) -> Tally[Figure]:
    """A room came (no `before`), went (no `after`), or changed its (state, site)."""
    changes: Tally[Figure] = Tally()
    for facts, amount in ((before, -1), (after, 1)):
        if facts is not None:
            state, site_id = facts
            for scope in {tenant_id, site_id or tenant_id}:
                changes[Figure(tenant_id, scope, f"{ROOMS}{state}")] += amount
    return changes


def recount(
    tenant_id: UUID, prefix: str, count: Callable[[], Mapping[tuple[UUID, str], int]]
) -> dict[tuple[UUID, str], int]:
    """Put the numbers under `prefix` right, of an entered tenant; returns those that were wrong, by how much.

    `count` answers {(scope, name): number} and runs once the rows are locked: a change that is being made
    waits and is added to the true number afterwards.
    """
    rows = Counter.objects.for_tenant(tenant_id).filter(name__startswith=prefix)
    kept = {
        (row.scope, row.name): row.value
        for row in rows.select_for_update().order_by("tenant_id", "scope", "name")
    }
    true = count()
    wrong = {
        key: true.get(key, 0) - kept.get(key, 0)
        for key in {**kept, **true}
        if true.get(key, 0) != kept.get(key, 0)
    }
    _write({Figure(tenant_id, scope, name): amount for (scope, name), amount in wrong.items()})
    return wrong


def recount_rooms(tenant_id: UUID) -> dict[tuple[UUID, str], int]:
    """The nightly check of `rooms.*`, of an entered tenant; returns what was wrong."""
    return recount(tenant_id, ROOMS, lambda: _count_rooms(tenant_id))


def _count_rooms(tenant_id: UUID) -> Mapping[tuple[UUID, str], int]:
    counted: Tally[tuple[UUID, str]] = Tally()
    rooms = Room.objects.for_tenant(tenant_id).current().order_by().values_list("site_id", "state")
    for site_id, state, number in rooms.annotate(number=Count("id")):
        for scope in {tenant_id, site_id or tenant_id}:
            counted[(scope, f"{ROOMS}{state}")] += number
    return counted


def _write(changes: Mapping[Figure, int]) -> None:
    wanted = sorted((figure, amount) for figure, amount in changes.items() if amount)
    for start in range(0, len(wanted), BATCH):
        some = wanted[start : start + BATCH]
        values = ", ".join(["(%s, %s, %s, %s, %s)"] * len(some))
        parameters = [part for figure, amount in some for part in (new_id(), *figure, amount)]
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO fleet_counter (id, tenant_id, scope, name, value) VALUES {values} "  # noqa: S608 - placeholders
                "ON CONFLICT (tenant_id, scope, name) DO UPDATE SET value = fleet_counter.value + EXCLUDED.value",
                parameters,
            )
