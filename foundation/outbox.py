"""Effects outside PostgreSQL: a row in the transaction of the cause, sent later, at least once, in order per lane.

Claimed per tenant with SKIP LOCKED under a lease; called with no transaction open; finished only by the holder of the
lease. What fails waits `random(0, min(15 min, 2^tries s))`, or as long as the other side asked; after MAX_TRIES it is
dead until a person replays it.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from django.db.models import Exists, OuterRef, Q

from foundation import clock
from foundation.context import tenant
from foundation.models import OutboxEntry
from foundation.sweep import tenants_due

log = logging.getLogger(__name__)
LEASE = timedelta(seconds=60)
MAX_TRIES = 8
LONGEST_WAIT = timedelta(minutes=15)
LONGEST_WAIT_ASKED = timedelta(hours=1)
LEASES_PER_TENANT = 2
MAIL = "mail"
FORGOTTEN_ONCE_SENT = frozenset({MAIL})  # kinds whose payload is about people: only that it was sent is kept
DONE_KEPT, DEAD_KEPT = timedelta(days=30), timedelta(days=90)
FORGOTTEN_AT_ONCE = 1_000


class TryLater(Exception):
    """The other side cannot take it now. `after` is how long it asked us to wait, if it did."""

    def __init__(self, message: str, *, after: timedelta | None = None) -> None:
        super().__init__(message)
        self.after = after


class Refused(Exception):
    """The other side will never take it: no further try."""


@dataclass(frozen=True)
class Delivery:
    """What a sender is given. `id` stays the same over all tries: use it to recognise an effect already had."""

    id: UUID
    tenant_id: UUID
    kind: str
    payload: dict[str, Any]
    tries: int


Sender = Callable[[Delivery], None]


def add(
    *,
    tenant_id: UUID,
    lane: str,
    kind: str,
    payload: dict[str, Any],
    at: datetime,
    delay: timedelta = timedelta(),
) -> OutboxEntry:
    """Write an effect beside its cause. `delay` leaves time for Undo. The tenant is entered."""
    entry: OutboxEntry = OutboxEntry.objects.for_tenant(tenant_id).create(
        lane=lane, kind=kind, payload=payload, due_at=at + delay, created_at=at
    )
    return entry


def send_due(senders: Mapping[str, Sender], *, at: datetime, limit: int = 100) -> int:
    """Send what is due, until `limit` or nothing is left. Returns how many were tried."""
    tried = 0
    for tenant_id in tenants_due(OutboxEntry._meta.db_table, at=at, where="state = 'due'"):
        while tried < limit and (entry := _claim(tenant_id, list(senders), at=at)):
            _send(senders[entry.kind], entry)
            tried += 1
    return tried


def replay(entry: OutboxEntry, *, at: datetime) -> bool:
    """A person wants a dead entry tried again. False if it is not dead."""
    dead = OutboxEntry.objects.for_tenant(entry.tenant_id).filter(id=entry.id, state=OutboxEntry.State.DEAD)
    return bool(dead.update(state=OutboxEntry.State.DUE, tries=0, due_at=at))


def forget_old(*, at: datetime) -> int:
    """Drop what was sent a month ago, and what could not be for three; returns how many. Safe to repeat."""
    forgotten = 0
    for state, kept in ((OutboxEntry.State.DONE, DONE_KEPT), (OutboxEntry.State.DEAD, DEAD_KEPT)):
        for tenant_id in tenants_due(OutboxEntry._meta.db_table, at=at - kept, where=f"state = '{state}'"):
            with tenant(tenant_id):
                rows = OutboxEntry.objects.for_tenant(tenant_id).filter(state=state, due_at__lte=at - kept)
                some = list(rows.order_by("due_at", "id").values_list("id", flat=True)[:FORGOTTEN_AT_ONCE])
                rows.filter(id__in=some).delete()
                forgotten += len(some)
    return forgotten


def _claim(tenant_id: UUID, kinds: list[str], *, at: datetime) -> OutboxEntry | None:
    """Lease the oldest due entry that is first of its lane; None where there is none or enough are in flight."""
    with tenant(tenant_id):
        waiting = OutboxEntry.objects.for_tenant(tenant_id).filter(state=OutboxEntry.State.DUE)
        if waiting.filter(lease_until__gt=at).count() >= LEASES_PER_TENANT:
            return None
        earlier = waiting.filter(
            tenant_id=OuterRef("tenant_id"), lane=OuterRef("lane"), id__lt=OuterRef("id")
        )
        due = waiting.filter(~Exists(earlier), kind__in=kinds, due_at__lte=at)
        free = due.filter(Q(lease_until=None) | Q(lease_until__lte=at)).order_by("due_at", "id")
        entry: OutboxEntry | None = free.select_for_update(skip_locked=True).first()
        if entry is None:
            return None
        entry.lease_token, entry.lease_until, entry.tries = uuid4(), at + LEASE, entry.tries + 1
        entry.save(update_fields=["lease_token", "lease_until", "tries"])
        return entry


def _send(sender: Sender, entry: OutboxEntry) -> None:
    delivery = Delivery(entry.id, entry.tenant_id, entry.kind, entry.payload, entry.tries)
    try:
        sender(delivery)
    except Refused as error:
        _finish(entry, state=OutboxEntry.State.DEAD, last_error=str(error)[:500])
    except TryLater as error:
        _try_again(entry, str(error), after=error.after)
    except Exception as error:
        log.exception("Sending %s %s failed", entry.kind, entry.id)
        _try_again(entry, f"{type(error).__name__}: {error}", after=None)
    else:
        left: dict[str, Any] = {"payload": {}} if entry.kind in FORGOTTEN_ONCE_SENT else {}
        _finish(entry, state=OutboxEntry.State.DONE, done_at=clock.now(), last_error="", **left)


def _try_again(entry: OutboxEntry, reason: str, *, after: timedelta | None) -> None:
    if entry.tries >= MAX_TRIES:
        _finish(entry, state=OutboxEntry.State.DEAD, last_error=reason[:500])
        return
    if after is not None:
        wait = min(after, LONGEST_WAIT_ASKED)
    else:
        wait = random.uniform(0, 1) * min(LONGEST_WAIT, timedelta(seconds=2**entry.tries))  # noqa: S311 - jitter
    _finish(entry, due_at=clock.now() + wait, last_error=reason[:500])


def _finish(entry: OutboxEntry, **values: Any) -> None:
    """Only the holder of the lease writes the outcome: a sender that was too slow has lost it."""
    with tenant(entry.tenant_id):
        held = OutboxEntry.objects.for_tenant(entry.tenant_id).filter(
            id=entry.id, lease_token=entry.lease_token
        )
        held.update(lease_token=None, lease_until=None, **values)
