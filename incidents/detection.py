"""From what the fleet saw to tickets: after a batch of heartbeats, after silence, when a timer is due.

Callers read the clock and hand in the time; `at` is aware, UTC, and by the server's clock: watching periods count
from when a fault was heard of, while the fault itself keeps the time of its event.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from fleet.heartbeats import Changes, SignalChange
from fleet.models import Device, Fault, SignalState
from foundation import timers
from foundation.context import tenant
from foundation.tenant_tables import TenantQuerySet
from incidents import causes, opening, watching
from incidents.counting import Tally
from incidents.evaluation import APP_VERSION, Key, Outcome, Wanted, key_of, reconcile
from incidents.facts import UNHEALTHY, UNKNOWN, Finding
from incidents.lifecycle import HEALTHY, MERGED, reopen_all, resolve_all
from incidents.models import Incident, IncidentEntry
from incidents.moves import held
from incidents.opening import open_incidents
from incidents.rules import RULES, Source
from incidents.severity import Severity
from incidents.signal_values import effective
from incidents.states import OPEN, Event
from incidents.timeline import Line, write

BUSY = timedelta(seconds=1)  # until a row another worker holds is looked at again
DERIVED = frozenset(key for key, rule in RULES.items() if rule.derived)
HELD_BY = {  # a signal that explains others: those others
    holder: frozenset(key for key, rule in RULES.items() if holder in rule.held_by)
    for each in RULES.values()
    for holder in each.held_by
}
REPLACES = {rule.replaced_by: rule.key for rule in RULES.values() if rule.replaced_by}
REPORTED = frozenset(key for key, rule in RULES.items() if rule.source is Source.DEVICE)


def evaluate(changes: Changes, *, at: datetime) -> Outcome:
    """After a batch, in its transaction. Enters each tenant with changes, in the order of their ids; the cost is
    a fixed number of statements for each of them, whatever the number of its changes."""
    by_tenant: dict[UUID, Wanted] = {}
    for change in changes.signals:
        if change.signal in REPORTED:
            _want(by_tenant.setdefault(change.tenant_id, Wanted()), change)
    for heard in changes.returned:
        pairs = by_tenant.setdefault(heard.tenant_id, Wanted()).pairs
        pairs |= {(heard.device_id, signal) for signal in DERIVED}
    for told in changes.versions:
        by_tenant.setdefault(told.tenant_id, Wanted()).pairs.add((told.device_id, APP_VERSION))
    return _reconcile_each(by_tenant, at=at)


def evaluate_silence(devices: Iterable[Device], *, at: datetime) -> Outcome:
    """Devices that were just marked silent (fleet.silence), in the transaction that marked them."""
    by_tenant: dict[UUID, Wanted] = {}
    for device in devices:
        pairs = by_tenant.setdefault(device.tenant_id, Wanted()).pairs
        pairs |= {(device.id, signal) for signal in DERIVED}
    return _reconcile_each(by_tenant, at=at)


def evaluate_timer(tenant_id: UUID, subject: str, *, at: datetime) -> Outcome:
    """A watching period has ended (kind watching.WATCH): the ticket opens if the signal is still unhealthy."""
    return evaluate_timers(tenant_id, [subject], at=at)


def evaluate_timers(tenant_id: UUID, subjects: Iterable[str], *, at: datetime) -> Outcome:
    """The same for many, of an entered tenant. Safe when late or repeated.

    A signal a batch of heartbeats holds at this moment is looked at again shortly, so that neither waits for the
    other.
    """
    keys = {watching.parse(subject): subject for subject in subjects}
    watched = SignalState.objects.for_tenant(tenant_id).filter(
        device_id__in={key[0] for key in keys}, signal__in={key[1] for key in keys}, watch_until__lte=at
    )
    due = {row.id: key_of(row) for row in watched if key_of(row) in keys}
    free = watched.filter(id__in=list(due)).order_by("device_id", "signal", "instance")
    held_ids = {row.id for row in free.select_for_update(no_key=True, skip_locked=True)}
    again: list[tuple[str, str, datetime, dict[str, Any]]] = [
        (watching.WATCH, keys[key], at + BUSY, {}) for row_id, key in due.items() if row_id not in held_ids
    ]
    if again:
        timers.set_timers(again, tenant_id=tenant_id)
    if not held_ids:
        return Outcome()
    pairs = {due[row_id][:2] for row_id in held_ids}
    return reconcile(tenant_id, Wanted(pairs=pairs, rows=held_ids), at=at)


def evaluate_devices(tenant_id: UUID, device_ids: Iterable[UUID], *, at: datetime) -> Outcome:
    """Devices that were accepted, unenrolled, moved or quarantined, of an entered tenant.

    Faults of one now enrolled are evaluated, tickets of one unenrolled end, tickets follow a device to its room.
    """
    wanted = Wanted(devices=set(device_ids))
    if not wanted.devices:
        return Outcome()
    outcome = reconcile(tenant_id, wanted, at=at)
    _follow(tenant_id, wanted.devices, at=at)
    return outcome


def evaluate_signal(tenant_id: UUID, signal: str, room_ids: Iterable[UUID], *, at: datetime) -> Outcome:
    """A signal was turned on in rooms: what is unhealthy now becomes a fault. Of an entered tenant."""
    rows = SignalState.objects.for_tenant(tenant_id).filter(
        signal=signal, state=UNHEALTHY, device__room_id__in=list(room_ids)
    )
    keys = {(row.device_id, row.signal, row.instance) for row in rows}
    wanted = Wanted(pairs={key[:2] for key in keys}, turned=keys)
    return reconcile(tenant_id, wanted, at=at) if keys else Outcome()


def evaluate_apps(tenant_id: UUID, device_ids: Iterable[UUID], *, at: datetime) -> Outcome:
    """A version of the meeting app was published: these devices may be late now. Of an entered tenant."""
    pairs = {(device_id, APP_VERSION) for device_id in device_ids}
    return reconcile(tenant_id, Wanted(pairs=pairs), at=at) if pairs else Outcome()


def recheck(tenant_id: UUID, incident_id: UUID, *, at: datetime) -> bool:
    """One watching period after a person resolved a ticket: still unhealthy reopens it. Returns whether it did.

    Of an entered tenant. A fault that went away and came back in between has a watching period of its own.
    """
    rows = Incident.objects.for_tenant(tenant_id).filter(id=incident_id)
    known = rows.select_related("device", "parent").first()
    if known is None or known.device is None or known.device.status != Device.Status.ENROLLED:
        return False
    if known.cause == MERGED and known.parent is not None and known.parent.is_open:
        return False  # the other ticket stands for it
    of_signal = effective(tenant_id, [known.room_id] if known.room_id else ()).of(known.signal, known.room_id)
    states = _states(tenant_id, (known.device.id, known.signal, known.instance))
    row = states.select_for_update(no_key=True).first()
    if row is None or row.state != UNHEALTHY or row.watch_until is not None:
        return False
    if of_signal is None or not of_signal.enabled:
        return False
    found = held(tenant_id, Event.REOPEN, id=incident_id)
    reopen_all(found, at=at, text="Still unhealthy after it was resolved.")
    return bool(found)


def release_held(tenant_id: UUID, cause_id: UUID, *, at: datetime) -> Outcome:
    """Some time after a common cause was over: what is still at fault gets tickets of its own. Of an entered tenant."""
    found = causes.left_over(tenant_id, cause_id, at=at)
    if found is None:
        return Outcome()
    cause, keys = found
    pairs = {key[:2] for key in keys}
    rows = SignalState.objects.for_tenant(tenant_id).filter(
        device_id__in={key[0] for key in keys}, signal__in={key[1] for key in keys}, state=UNHEALTHY
    )
    left = {
        row.id: row for row in rows.order_by("device_id", "signal", "instance").select_for_update(no_key=True)
    }
    waited = {row_id: at for row_id, row in left.items() if key_of(row) in keys}
    watching.begin(left, waited, tenant_id=tenant_id)  # their own watching periods are long over
    return reconcile(tenant_id, Wanted(pairs=pairs, parents=dict.fromkeys(keys, cause.id)), at=at)


def evaluate_fault(tenant_id: UUID, fault_id: UUID, *, at: datetime) -> Outcome:
    """A fault found below us (fleet.faults) was raised or has ended. Of an entered tenant; safe to repeat."""
    fault = Fault.objects.for_tenant(tenant_id).select_related("device__room").filter(id=fault_id).first()
    rule = RULES.get(fault.kind) if fault is not None else None
    if fault is None or rule is None:
        return Outcome()
    device = fault.device
    if fault.ended_at is not None:
        same = Incident.objects.for_tenant(tenant_id).filter(
            device=device, signal=fault.kind, instance=fault.subject, state__in=OPEN
        )
        if Fault.objects.for_tenant(tenant_id).filter(
            device=device, kind=fault.kind, subject=fault.subject, ended_at=None
        ):
            return Outcome()
        ids = list(same.values_list("id", flat=True))
        return Outcome(resolved=len(resolve_all(tenant_id, ids, cause=HEALTHY, at=at)))
    quiet = device.room is not None and (device.room.suppressed_until or at) > at
    finding = Finding(fault.subject, fault.summary, fault.evidence, fault.raised_at)
    severity = rule.severity or Severity.IMPORTANT
    opened = open_incidents(tenant_id, [opening.Fault(device, rule, finding, severity, quiet)], at=at)
    return Outcome(len(opened.new), len(opened.reopened))


def _want(wanted: Wanted, change: SignalChange) -> None:
    key = (change.device_id, change.signal, change.instance)
    wanted.pairs.add(key[:2])
    if change.after != UNHEALTHY:
        wanted.recovered.add(key)
    elif change.before != UNHEALTHY:
        wanted.turned.add(key)
    if change.after != change.before and UNHEALTHY in (change.after, change.before):
        wanted.turns[key] += 1
    for explained in HELD_BY.get(change.signal, ()):
        wanted.pairs.add((change.device_id, explained))
        if change.after != UNHEALTHY:
            wanted.unexplained.add((change.device_id, explained))
    if change.signal in REPLACES:
        pair = (change.device_id, REPLACES[change.signal])
        wanted.pairs |= {pair, key[:2]}
        if change.after == UNKNOWN:
            wanted.unexplained.add(pair)


def _reconcile_each(by_tenant: dict[UUID, Wanted], *, at: datetime) -> Outcome:
    outcome = Outcome()
    for tenant_id in sorted(by_tenant):
        with tenant(tenant_id):
            outcome += reconcile(tenant_id, by_tenant[tenant_id], at=at)
    return outcome


def _states(tenant_id: UUID, key: Key) -> TenantQuerySet[SignalState]:
    device_id, signal, instance = key
    rows = SignalState.objects.for_tenant(tenant_id)
    return rows.filter(device_id=device_id, signal=signal, instance=instance)


def _follow(tenant_id: UUID, device_ids: set[UUID], *, at: datetime) -> None:
    """Open tickets go with their device to its room, and count there."""
    devices = Device.objects.for_tenant(tenant_id).filter(id__in=device_ids, room__isnull=False)
    rooms: dict[UUID | None, UUID | None] = dict(devices.values_list("id", "room_id"))
    known = held(tenant_id, device_id__in=list(rooms), state__in=OPEN)
    moved = [each for each in known if rooms[each.device_id] != each.room_id]
    if not moved:
        return
    tally = Tally(tenant_id)
    tally.was(moved)
    for incident in moved:
        incident.room_id, incident.updated_at = rooms[incident.device_id], at
        incident.version += 1
    Incident.objects.for_tenant(tenant_id).bulk_update(moved, ["room_id", "updated_at", "version"])
    write([Line(each, IncidentEntry.Kind.MOVED) for each in moved], tenant_id=tenant_id, at=at)
    tally.now(moved)
    tally.write(at=at)
