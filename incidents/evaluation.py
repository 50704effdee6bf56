"""Bringing tickets in line with the signals of some devices of one tenant.

It looks at what is, not at what was said to have changed, so it may be repeated. The number of statements is the
same for one component as for a thousand. Locks: signal states, then tickets, rooms, counters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from fleet import counters
from fleet.models import Device, SignalState, SignalTransition
from incidents import watching
from incidents.decisions import Situation, Step, Ticket, Watched, decide
from incidents.facts import HEALTHY, UNHEALTHY, DeviceFacts, Finding, SignalFact
from incidents.lifecycle import HEALTHY as CAUSE_HEALTHY
from incidents.lifecycle import UNENROLLED, resolve_all
from incidents.models import Incident
from incidents.opening import Fault, open_incidents
from incidents.rules import RULES
from incidents.signal_values import SignalValues, effective

Key = tuple[UUID, str, str]  # device, signal, instance
Pair = tuple[UUID, str]  # device, signal
_NEEDED = (
    "id", "tenant_id", "room_id", "kind", "status", "silent_since", "last_seen_at",
    "room__tenant_id", "room__expected", "room__suppressed_until",
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """How many tickets an evaluation opened, reopened and resolved."""

    opened: int = 0
    reopened: int = 0
    resolved: int = 0

    def __add__(self, other: Outcome) -> Outcome:
        return Outcome(
            self.opened + other.opened, self.reopened + other.reopened, self.resolved + other.resolved
        )


@dataclass
class Wanted:
    """What to look at: pairs of device and signal, or all signals of some devices.

    `turned`, `recovered`: what a batch said in between (incidents.decisions).
    """

    pairs: set[Pair] = field(default_factory=set)
    devices: set[UUID] = field(default_factory=set)
    turned: set[Key] = field(default_factory=set)
    recovered: set[Key] = field(default_factory=set)
    rows: set[UUID] | None = None  # only these signal states, which the caller holds

    def device_ids(self) -> set[UUID]:
        return self.devices | {device_id for device_id, _ in self.pairs}

    def holds(self, device_id: UUID, signal: str) -> bool:
        return device_id in self.devices or (device_id, signal) in self.pairs

    def narrowed(self, rows: Any) -> Any:
        """A queryset with `device_id` and `signal`, down to a little more than what is wanted."""
        rows = rows.filter(device_id__in=self.device_ids())
        return rows if self.devices else rows.filter(signal__in={signal for _, signal in self.pairs})


@dataclass
class _Plan:
    watch: dict[UUID, datetime] = field(default_factory=dict)
    calm: list[SignalState] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    recovered: list[UUID] = field(default_factory=list)
    ended: list[UUID] = field(default_factory=list)


def reconcile(tenant_id: UUID, wanted: Wanted, *, at: datetime) -> Outcome:
    """Of an entered tenant."""
    devices = _devices(tenant_id, wanted.device_ids())
    if not devices:
        return Outcome()
    rows = wanted.narrowed(SignalState.objects.for_tenant(tenant_id)).order_by(
        "device_id", "signal", "instance"
    )
    if wanted.rows is not None:
        rows = rows.filter(id__in=wanted.rows)
    states = {
        key_of(row): row
        for row in rows.select_for_update(no_key=True)
        if wanted.holds(row.device_id, row.signal)
    }
    findings = _findings(devices, states, wanted, at=at)
    _sync_derived(tenant_id, devices, states, findings, wanted, at=at)
    tickets = {
        (each.device_id, each.signal, each.instance): each
        for each in wanted.narrowed(Incident.objects.for_tenant(tenant_id).filter(closed_at=None))
        if wanted.holds(each.device_id, each.signal)
        and (wanted.rows is None or (each.device_id, each.signal, each.instance) in states)
    }
    plan = _plan(devices, states, findings, tickets, effective(tenant_id), wanted, at=at)
    with counters.gathered():
        watching.end(plan.calm, tenant_id=tenant_id)
        watching.begin({row.id: row for row in states.values()}, plan.watch, tenant_id=tenant_id)
        opened = open_incidents(tenant_id, plan.faults, at=at)
        resolved = resolve_all(tenant_id, plan.recovered, cause=CAUSE_HEALTHY, at=at)
        resolved += resolve_all(tenant_id, plan.ended, cause=UNENROLLED, at=at)
    return Outcome(len(opened.new), len(opened.reopened), len(resolved))


def facts_of(device: Device, states: Iterable[SignalState], *, at: datetime) -> DeviceFacts:
    """What the rules see of a device."""
    return DeviceFacts(
        kind=device.kind,
        observed_at=at,
        signals=tuple(
            SignalFact(row.signal, row.instance, row.state, row.since, row.detail) for row in states
        ),
        silent_since=device.silent_since,
        expected=device.room.expected if device.room is not None else {},
    )


def _devices(tenant_id: UUID, ids: set[UUID]) -> dict[UUID, Device]:
    rows = Device.objects.for_tenant(tenant_id).filter(id__in=ids).select_related("room").only(*_NEEDED)
    return {device.id: device for device in rows}


def _findings(
    devices: Mapping[UUID, Device], states: Mapping[Key, SignalState], wanted: Wanted, *, at: datetime
) -> dict[Key, Finding]:
    by_device: dict[UUID, list[SignalState]] = {}
    for (device_id, _, _), row in states.items():
        by_device.setdefault(device_id, []).append(row)
    found: dict[Key, Finding] = {}
    for device_id, device in devices.items():
        facts = facts_of(device, by_device.get(device_id, ()), at=at)
        for key, rule in RULES.items():
            if wanted.holds(device_id, key):
                found |= {(device_id, key, finding.instance): finding for finding in rule.findings(facts)}
    return found


def _sync_derived(
    tenant_id: UUID,
    devices: Mapping[UUID, Device],
    states: dict[Key, SignalState],
    findings: Mapping[Key, Finding],
    wanted: Wanted,
    *,
    at: datetime,
) -> None:
    """Keep the state of signals we judge ourselves beside those devices report."""
    changed: list[SignalState] = []
    transitions: list[SignalTransition] = []
    for device_id, device in devices.items():
        for rule in RULES.values():
            if not (rule.derived and rule.applies_to(device.kind) and wanted.holds(device_id, rule.key)):
                continue
            key = (device_id, rule.key, "")
            finding, row = findings.get(key), states.get(key)
            after = UNHEALTHY if finding else HEALTHY
            if (row is None and finding is None) or (row is not None and row.state == after):
                continue
            since = (finding.fault_at if finding else None) or at
            before = row.state if row is not None else SignalState.State.UNKNOWN
            row = row or SignalState(tenant_id=tenant_id, device=device, signal=rule.key)
            row.state, row.since, row.detail = after, since, ""
            states[key] = row
            wanted.turned |= {key} if finding else set()
            changed.append(row)
            transitions.append(
                SignalTransition(
                    tenant_id=tenant_id, device=device, signal=rule.key, before=before, after=after, at=since
                )
            )
    if changed:
        SignalState.objects.for_tenant(tenant_id).bulk_create(
            changed,
            update_conflicts=True,
            unique_fields=["tenant", "device", "signal", "instance"],
            update_fields=["state", "since", "detail"],
        )
        SignalTransition.objects.for_tenant(tenant_id).bulk_create(transitions)
        _take_ids(tenant_id, changed)


def _take_ids(tenant_id: UUID, changed: Iterable[SignalState]) -> None:
    """A racing worker may have made the row: then its id is that one's."""
    by_key = {key_of(row): row for row in changed}
    kept = SignalState.objects.for_tenant(tenant_id).filter(
        device_id__in={row.device_id for row in by_key.values()},
        signal__in={row.signal for row in by_key.values()},
    )
    for row in kept:
        if key_of(row) in by_key:
            by_key[key_of(row)].id = row.id


def _plan(
    devices: Mapping[UUID, Device],
    states: Mapping[Key, SignalState],
    findings: Mapping[Key, Finding],
    tickets: Mapping[Key, Incident],
    values: SignalValues,
    wanted: Wanted,
    *,
    at: datetime,
) -> _Plan:
    plan = _Plan()
    for key in sorted(states.keys() | tickets.keys()):
        device, row, ticket, of_signal = (
            devices.get(key[0]),
            states.get(key),
            tickets.get(key),
            values.of(key[1]),
        )
        if device is None or of_signal is None:
            continue
        situation = Situation(
            watched=_watched(device),
            enabled=of_signal.enabled,
            state=row.state if row is not None else None,
            faulty=key in findings,
            ticket=_ticket(ticket),
            watch=of_signal.watch,
            watch_until=row.watch_until if row is not None else None,
            turned=key in wanted.turned or key[0] in wanted.devices,
            recovered=key in wanted.recovered,
        )
        step = decide(situation, at=at)
        if step is Step.LEAVE:
            continue
        if step is Step.WATCH and row is not None:
            plan.watch[row.id] = at + of_signal.watch
            continue
        if row is not None:
            plan.calm.append(row)
        if step is Step.OPEN:
            quiet = device.room is not None and (device.room.suppressed_until or at) > at
            plan.faults.append(Fault(device, of_signal.rule, findings[key], of_signal.severity, quiet))
        elif ticket is not None and ticket.is_open and step in (Step.RECOVER, Step.END):
            (plan.recovered if step is Step.RECOVER else plan.ended).append(ticket.id)
    return plan


def _watched(device: Device) -> Watched:
    if device.status == Device.Status.ENROLLED:
        return Watched.YES
    return Watched.NO_MORE if device.status == Device.Status.UNENROLLED else Watched.NOT_NOW


def _ticket(ticket: Incident | None) -> Ticket:
    if ticket is None:
        return Ticket.NONE
    return Ticket.OPEN if ticket.is_open else Ticket.RESOLVED


def key_of(row: SignalState) -> Key:
    return row.device_id, row.signal, row.instance
