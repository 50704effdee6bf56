"""Bringing tickets in line with the signals of some devices of one tenant.

It looks at what is, not at what was said to have changed, so it may be repeated. The number of statements is the
same for one component as for a thousand. Locks: signal states, then tickets, rooms, counters.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from fleet import counters
from fleet.models import Device, SignalState, SignalTransition
from incidents import causes, flapping, releases, stability, watching
from incidents.decisions import Situation, Step, Ticket, Watched, decide
from incidents.facts import HEALTHY, UNHEALTHY, UNKNOWN, DeviceFacts, Finding, SignalFact
from incidents.lifecycle import HEALTHY as CAUSE_HEALTHY
from incidents.lifecycle import UNENROLLED, resolve_all
from incidents.models import AccountFact, Incident
from incidents.opening import Fault, open_incidents
from incidents.quiet import quiet_in
from incidents.rules import RULES
from incidents.signal_values import EffectiveSignal, SignalValues, effective

APP_VERSION = "app_version"
Key = tuple[UUID, str, str]  # device, signal, instance
Pair = tuple[UUID, str]  # device, signal
_NEEDED = (
    "id", "tenant_id", "room_id", "kind", "status", "silent_since", "last_seen_at", "versions",
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

    `turned`, `recovered`: what a batch said in between (incidents.decisions). `turns`: how often each signal changed
    between healthy and unhealthy. `unexplained`: signals whose explanation is gone. `parents`: faults that outlived
    their common cause, with its ticket.
    """

    pairs: set[Pair] = field(default_factory=set)
    devices: set[UUID] = field(default_factory=set)
    turned: set[Key] = field(default_factory=set)
    recovered: set[Key] = field(default_factory=set)
    turns: Counter[Key] = field(default_factory=Counter)
    unexplained: set[Pair] = field(default_factory=set)
    parents: dict[Key, UUID] = field(default_factory=dict)
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
class _Known:
    """All that the plan rests on."""

    devices: Mapping[UUID, Device]
    states: Mapping[Key, SignalState]
    findings: Mapping[Key, Finding]
    tickets: Mapping[Key, Incident]
    values: SignalValues
    stability: Mapping[Key, flapping.Stability]
    explaining: set[Pair]  # at fault: may explain others of their device
    reported: set[Pair]  # may be judged instead of others


@dataclass
class _Plan:
    watch: dict[UUID, datetime] = field(default_factory=dict)
    calm: list[SignalState] = field(default_factory=list)
    healed: list[Key] = field(default_factory=list)  # faults that are gone, with or without a ticket
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
    context = _context(tenant_id, states)
    findings = _findings(devices, states, context, wanted, at=at)
    _sync_derived(tenant_id, devices, states, findings, wanted, at=at)
    tickets = {
        (each.device_id, each.signal, each.instance): each
        for each in wanted.narrowed(Incident.objects.for_tenant(tenant_id).filter(closed_at=None))
        if wanted.holds(each.device_id, each.signal)
        and (wanted.rows is None or (each.device_id, each.signal, each.instance) in states)
    }
    rooms = {device.room_id for device in devices.values() if device.room_id is not None}
    known = _Known(
        devices,
        states,
        findings,
        tickets,
        effective(tenant_id, rooms),
        stability.note_turns(tenant_id, wanted.turns, at=at),
        {(row.device_id, row.signal) for row in context if row.state == UNHEALTHY}
        | {key[:2] for key in findings},
        {(row.device_id, row.signal) for row in (*context, *states.values()) if row.state != UNKNOWN},
    )
    plan = _plan(known, wanted, at=at)
    with counters.gathered():
        faults = causes.hold_back(tenant_id, _raised_now(tenant_id, plan, known, at=at), at=at)
        watching.end(plan.calm, tenant_id=tenant_id)
        watching.begin({row.id: row for row in states.values()}, plan.watch, tenant_id=tenant_id)
        opened = open_incidents(tenant_id, faults, at=at)
        resolved = resolve_all(tenant_id, plan.recovered, cause=CAUSE_HEALTHY, at=at)
        resolved += resolve_all(tenant_id, plan.ended, cause=UNENROLLED, at=at)
        resolved += causes.released(tenant_id, plan.healed, at=at)
    return Outcome(len(opened.new), len(opened.reopened), len(resolved))


def _raised_now(tenant_id: UUID, plan: _Plan, known: _Known, *, at: datetime) -> list[Fault]:
    """Faults that may open a ticket. What is kept quiet is watched to the end of the quiet instead."""
    if not plan.faults:
        return []
    rooms = {fault.device.room_id for fault in plan.faults if fault.device.room_id is not None}
    quiet = quiet_in(tenant_id, rooms, at=at)
    raised: list[Fault] = []
    for fault in plan.faults:
        until = quiet.until(fault.device.room_id, fault.rule.key)
        row = known.states.get(fault.key)
        if until is None or row is None:
            raised.append(fault)
            continue
        plan.watch[row.id] = until
        plan.calm = [each for each in plan.calm if each.id != row.id]
    return raised


def facts_of(
    device: Device,
    states: Iterable[SignalState],
    *,
    at: datetime,
    signed_in_at: datetime | None = None,
    published: frozenset[releases.Line] = frozenset(),
) -> DeviceFacts:
    """What the rules see of a device. `published`: lines of the meeting app; none where nobody asks for them."""
    app = str((device.versions or {}).get("app") or "")
    return DeviceFacts(
        kind=device.kind,
        observed_at=at,
        signals=tuple(
            SignalFact(row.signal, row.instance, row.state, row.since, row.detail) for row in states
        ),
        silent_since=device.silent_since,
        expected=device.room.expected if device.room is not None else {},
        signed_in_at=signed_in_at,
        app_version=app,
        lines_behind=releases.lines_behind(app, published) if published else None,
    )


def _devices(tenant_id: UUID, ids: set[UUID]) -> dict[UUID, Device]:
    rows = Device.objects.for_tenant(tenant_id).filter(id__in=ids).select_related("room").only(*_NEEDED)
    return {device.id: device for device in rows}


def _findings(
    devices: Mapping[UUID, Device],
    states: Mapping[Key, SignalState],
    context: Iterable[SignalState],
    wanted: Wanted,
    *,
    at: datetime,
) -> dict[Key, Finding]:
    by_device: dict[UUID, list[SignalState]] = {}
    for row in (*states.values(), *context):
        by_device.setdefault(row.device_id, []).append(row)
    signed_in = _signed_in(devices.values())
    looked_at = any(wanted.holds(device_id, APP_VERSION) for device_id in devices)
    published = releases.published_lines() if looked_at else frozenset()
    found: dict[Key, Finding] = {}
    for device_id, device in devices.items():
        its_account = signed_in.get(device.room_id) if device.room_id is not None else None
        facts = facts_of(
            device, by_device.get(device_id, ()), at=at, signed_in_at=its_account, published=published
        )
        for key, rule in RULES.items():
            if wanted.holds(device_id, key):
                found |= {(device_id, key, finding.instance): finding for finding in rule.findings(facts)}
    return found


def _signed_in(devices: Iterable[Device]) -> dict[UUID, datetime]:
    """By room, where the account of a silent device is known to sign in."""
    silent = [device for device in devices if device.silent_since is not None and device.room_id is not None]
    if not silent:
        return {}
    facts = AccountFact.objects.for_tenant(silent[0].tenant_id)
    rooms = [device.room_id for device in silent if device.room_id is not None]
    return dict(facts.filter(room_id__in=rooms).values_list("room_id", "signed_in_at"))


def _context(tenant_id: UUID, states: Mapping[Key, SignalState]) -> list[SignalState]:
    """States of signals that explain or replace some of those looked at; no query where there are none."""
    devices, signals = set(), set()
    for device_id, signal, _ in states:
        rule = RULES.get(signal)
        if rule is not None and (rule.held_by or rule.replaced_by):
            devices.add(device_id)
            signals |= {*rule.held_by, rule.replaced_by} - {""}
    if not devices:
        return []
    rows = SignalState.objects.for_tenant(tenant_id).filter(device_id__in=devices, signal__in=signals)
    return [row for row in rows if key_of(row) not in states]


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
            wanted.turns[key] += 1 if finding or before == UNHEALTHY else 0
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


def _plan(known: _Known, wanted: Wanted, *, at: datetime) -> _Plan:
    plan = _Plan()
    for key in sorted(known.states.keys() | known.tickets.keys()):
        device, row, ticket = known.devices.get(key[0]), known.states.get(key), known.tickets.get(key)
        if device is None:
            continue
        of_signal = known.values.of(key[1], device.room_id)
        if of_signal is None:
            if _watched(device) is Watched.NO_MORE and ticket is not None and ticket.is_open:
                plan.ended.append(ticket.id)  # raised by no signal, over with its device
            continue
        situation = _situation(key, device, of_signal, known, wanted, at=at)
        step = decide(situation, at=at)
        if step is Step.LEAVE:
            continue
        if step in (Step.WATCH, Step.WAIT) and row is not None:
            plan.watch[row.id] = at + (of_signal.watch if step is Step.WATCH else situation.patience)
            continue
        if row is not None:
            plan.calm.append(row)
        if step is Step.OPEN:
            plan.faults.append(_fault(key, device, of_signal, known, wanted, at=at))
        elif step in (Step.RECOVER, Step.END):
            plan.healed.append(key)
            if ticket is not None and ticket.is_open:
                (plan.recovered if step is Step.RECOVER else plan.ended).append(ticket.id)
    return plan


def _situation(
    key: Key, device: Device, of_signal: EffectiveSignal, known: _Known, wanted: Wanted, *, at: datetime
) -> Situation:
    row, steady = known.states.get(key), known.stability.get(key)
    replacement = (key[0], of_signal.rule.replaced_by)
    replaced = key not in known.findings and replacement in known.reported
    calm = flapping.calm_at(steady) - at if steady is not None and steady.flapping else timedelta(0)
    return Situation(
        watched=_watched(device),
        enabled=of_signal.enabled,
        state=row.state if row is not None and not replaced else None,
        faulty=key in known.findings,
        ticket=_ticket(known.tickets.get(key)),
        watch=of_signal.watch,
        watch_until=row.watch_until if row is not None else None,
        turned=key in wanted.turned or key[0] in wanted.devices or key[:2] in wanted.unexplained,
        recovered=key in wanted.recovered,
        flapping=steady is not None and steady.flapping,
        patience=max(of_signal.recover, calm),
        held=any(
            (key[0], holder) in known.explaining and _judged(known.values, holder, device)
            for holder in of_signal.rule.held_by
        )
        or (of_signal.rule.derived and _is_told(key, known)),
    )


def _is_told(key: Key, known: _Known) -> bool:
    """Has what this explains a ticket already? It was opened before the reason was known, and once is enough."""
    explained = (name for name, rule in RULES.items() if key[1] in rule.held_by)
    tickets = (known.tickets.get((key[0], name, "")) for name in explained)
    return any(ticket is not None and ticket.is_open for ticket in tickets)


def _judged(values: SignalValues, signal: str, device: Device) -> bool:
    found = values.of(signal, device.room_id)
    return found is not None and found.enabled


def _fault(
    key: Key, device: Device, of_signal: EffectiveSignal, known: _Known, wanted: Wanted, *, at: datetime
) -> Fault:
    finding, steady = known.findings[key], known.stability.get(key)
    if steady is not None and steady.flapping:
        summary = f"{finding.summary[:280]}, on and off"
        finding = replace(finding, summary=summary, evidence={**finding.evidence, "comes_and_goes": "yes"})
    quiet = device.room is not None and (device.room.suppressed_until or at) > at
    return Fault(device, of_signal.rule, finding, of_signal.severity, quiet, wanted.parents.get(key))


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
