"""Checks a customer's audit log against its chain: any change, removal, insertion or reordering is found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection

from foundation.context import tenant
from foundation.ids import made_at
from tenancy.audit_chain import FIRST, link_hash
from tenancy.models import AuditEvent, AuditSeal

SHORTEST_KEEP = timedelta(days=180)  # the least that GREENROOM_AUDIT_KEEP_DAYS may be

LINKS_AT_ONCE = 50
SHOWN = 20  # of one kind of problem


@dataclass(frozen=True)
class Problem:
    """`kind`: changed, missing, inserted, chain, head or waiting."""

    kind: str
    detail: str


@dataclass(frozen=True)
class Verified:
    tenant_id: UUID
    links: int
    events: int
    waiting: int  # recorded since the last seal
    problems: tuple[Problem, ...]


def verify(tenant_id: UUID, *, heads: Mapping[int, bytes], at: datetime) -> Verified:
    """`heads`: ends of the chain as kept outside the database, by number. `at` is aware."""
    with tenant(tenant_id):
        checker = _Checker(tenant_id, dict(heads), at)
        problems = [*checker.walk(), *checker.strays()]
        return Verified(tenant_id, checker.links, checker.events, checker.waiting, tuple(problems))


class _Checker:
    def __init__(self, tenant_id: UUID, heads: dict[int, bytes], at: datetime) -> None:
        self.tenant_id, self.heads = tenant_id, heads
        self.links = self.events = self.waiting = 0
        self.dropped_before = _dropped_before(tenant_id, at)

    def walk(self) -> Iterator[Problem]:
        """Link by link: numbers, joints, rows, heads."""
        previous = FIRST
        expected = 1
        while some := self._next(expected):
            for link in some:
                if link.seq != expected:
                    yield Problem("chain", f"Links {expected} to {link.seq - 1} are missing")
                elif bytes(link.prev) != previous:
                    yield Problem("chain", f"Link {link.seq} does not follow the one before it")
                yield from self._check(link)
                previous, expected = bytes(link.hash), link.seq + 1
                self.links += 1
        for seq in sorted(self.heads):
            if seq >= expected:
                yield Problem("head", f"Link {seq}, kept outside, is missing")

    def _next(self, seq: int) -> list[AuditSeal]:
        rows = AuditSeal.objects.for_tenant(self.tenant_id).filter(seq__gte=seq).order_by("seq")
        return list(rows[:LINKS_AT_ONCE])

    def _check(self, link: AuditSeal) -> Iterator[Problem]:
        head = self.heads.get(link.seq)
        if head is not None and head != bytes(link.hash):
            yield Problem("head", f"Link {link.seq} differs from the one kept outside")
        rows = AuditEvent.objects.for_tenant(self.tenant_id).filter(id__in=link.event_ids)
        events = {event.id: event for event in rows}
        self.events += len(events)
        if not events and self.dropped_before is not None and link.day < self.dropped_before:
            return  # past its keep: the link alone remains, held by its neighbours
        missing = [key for key in link.event_ids if key not in events]
        for key in missing[:SHOWN]:
            yield Problem("missing", f"Event {key} of link {link.seq} is missing")
        if missing:
            return
        if any(made_at(key).date() != link.day for key in link.event_ids):
            yield Problem("chain", f"Link {link.seq} holds events of another day")
        if link_hash(link, [events[key] for key in link.event_ids]) != bytes(link.hash):
            yield Problem("changed", f"Link {link.seq} or an event of it was changed")

    def strays(self) -> Iterator[Problem]:
        """What is in no link and does not wait, what waits without being there, what is there twice."""
        self.waiting = _ask("SELECT count(*) FROM tenancy_auditpending WHERE tenant_id = %s", self.tenant_id)[
            0
        ][0]
        for (key,) in _ask(_INSERTED, self.tenant_id, self.tenant_id, self.tenant_id):
            yield Problem("inserted", f"Event {key} is in no link and does not wait for one")
        for (key,) in _ask(_VANISHED, self.tenant_id, self.tenant_id):
            yield Problem("missing", f"Event {key} waits for its link and is missing")
        for (key,) in _ask(_TWICE, self.tenant_id, self.tenant_id):
            yield Problem("waiting", f"Event {key} is listed twice")


_SEALED = "SELECT unnest(event_ids) AS id FROM tenancy_auditseal WHERE tenant_id = %s"
_INSERTED = (
    "SELECT e.id FROM tenancy_auditevent e "  # noqa: S608 - our own words
    f"LEFT JOIN ({_SEALED}) s ON s.id = e.id "
    "LEFT JOIN tenancy_auditpending p ON p.tenant_id = %s AND p.id = e.id "
    f"WHERE e.tenant_id = %s AND s.id IS NULL AND p.id IS NULL ORDER BY e.id LIMIT {SHOWN}"
)
_VANISHED = (
    "SELECT p.id FROM tenancy_auditpending p "  # noqa: S608 - our own words
    "LEFT JOIN tenancy_auditevent e ON e.tenant_id = %s AND e.id = p.id "
    f"WHERE p.tenant_id = %s AND e.id IS NULL ORDER BY p.id LIMIT {SHOWN}"
)
_TWICE = (
    f"SELECT id FROM ({_SEALED} UNION ALL SELECT id FROM tenancy_auditpending WHERE tenant_id = %s) listed "  # noqa: S608 - our own words
    f"GROUP BY id HAVING count(*) > 1 ORDER BY id LIMIT {SHOWN}"
)


def _dropped_before(tenant_id: UUID, at: datetime) -> date | None:
    """Days before it are past their keep, as the log itself says: never younger than the shortest keep there is.

    So an event that was slipped in to explain what is missing explains nothing of the last half year.
    """
    events = AuditEvent.objects.for_tenant(tenant_id).filter(action="audit.drop", actor_kind="system")
    last = events.order_by("-id").first()
    if last is None:
        return None
    said = date.fromisoformat((last.after or {})["before"])
    return min(said, (min(made_at(last.id), at) - SHORTEST_KEEP).date())


def _ask(statement: str, *parameters: UUID) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, list(parameters))
        return list(cursor.fetchall())
