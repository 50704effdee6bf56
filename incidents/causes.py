"""Common causes: one ticket with its rooms under it, and the single faults held back while it lasts.

What is one cause is in incidents.dependencies. The tenant is entered; times are aware, UTC.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Count, QuerySet

from fleet.models import Device, Place, SignalState
from incidents import dependencies
from incidents.counting import Tally
from incidents.dependencies import FAMILIES, Affected, Family, Scope
from incidents.lifecycle import HEALTHY, close_all, reopen_all, resolve_all
from incidents.models import HeldFinding, Incident, IncidentEntry, IncidentRoom
from incidents.moves import held
from incidents.numbers import random_numbers
from incidents.opening import FIRST_STATE, Fault, insert, note_new
from incidents.severity import Severity
from incidents.states import OPEN, Event, State
from incidents.terms import terms_of
from incidents.timeline import Line, write

Key = tuple[UUID, str, str]  # device, signal, instance
ONE_PER_CAUSE = "(tenant_id, signal, cause_key) WHERE closed_at IS NULL AND NOT (cause_key = '')"


@dataclass
class _Seen:
    """What of one family is at fault now, and how many devices each scope has."""

    affected: list[Affected]
    totals: Mapping[Scope, int]


def hold_back(tenant_id: UUID, faults: Sequence[Fault], *, at: datetime) -> list[Fault]:
    """Faults that have a common cause become held findings under its ticket; returns those that stand alone."""
    alone: list[Fault] = []
    for family, some in _by_family(faults, alone).items():
        where = _places(tenant_id, [fault.device.id for fault in some])
        open_now = {
            each.cause_key: each
            for each in Incident.objects.for_tenant(tenant_id).filter(
                signal=family.value, state__in=OPEN, cause_key__gt=""
            )
        }
        seen: _Seen | None = None
        by_scope: dict[Scope, list[Fault]] = {}
        for fault in some:
            one = _affected(fault.device.id, where, fault.began(at=at))
            scope = _open_scope(one, open_now)
            if scope is None:
                seen = seen or _seen(tenant_id, family)
                scope = dependencies.common_cause(one, seen.affected, seen.totals, family)
            if scope is None or fault.parent_id is not None:
                alone.append(fault)
            else:
                by_scope.setdefault(scope, []).append(fault)
        for scope, members in by_scope.items():
            _hold_under(tenant_id, family, scope, members, at=at)
    return alone


def released(tenant_id: UUID, keys: Iterable[Key], *, at: datetime) -> list[Incident]:
    """Faults of these keys are gone. A cause with few left is resolved; returns those."""
    wanted = {key for key in keys if key[1] in FAMILIES}
    if not wanted:
        return []
    rows = HeldFinding.objects.for_tenant(tenant_id).filter(
        device_id__in={key[0] for key in wanted}, released_at=None
    )
    gone = [row for row in rows if (row.device_id, row.signal, row.instance) in wanted]
    if not gone:
        return []
    causes = held(tenant_id, id__in={row.cause_id for row in gone})
    running = HeldFinding.objects.for_tenant(tenant_id)
    running.filter(id__in=[row.id for row in gone]).update(released_at=at)
    over: list[Incident] = []
    for cause in causes:
        active = running.filter(cause=cause, released_at=None)
        _leave_rooms(cause, set(active.values_list("room_id", flat=True)), at=at)
        if cause.state in OPEN and dependencies.is_over(active.count(), _total(tenant_id, cause)):
            over += resolve_all(tenant_id, [cause.id], cause=HEALTHY, at=at)
    return over


def left_over(tenant_id: UUID, cause_id: UUID, *, at: datetime) -> tuple[Incident, set[Key]] | None:
    """Some time after a cause was resolved: what is still held under it is let go and gets tickets of its own.

    None while the cause is open (again), or where nothing is left.
    """
    causes = held(tenant_id, id=cause_id)
    if not causes or causes[0].state in OPEN:
        return None
    rows = HeldFinding.objects.for_tenant(tenant_id).filter(cause_id=cause_id, released_at=None)
    keys = {(row.device_id, row.signal, row.instance) for row in rows}
    rows.update(released_at=at)
    return (causes[0], keys) if keys else None


def members_of(cause: Incident) -> QuerySet[HeldFinding]:
    """What is or was held back under a cause, the latest first."""
    rows = HeldFinding.objects.for_tenant(cause.tenant_id).filter(cause=cause)
    return rows.select_related("device", "room").order_by("-held_at", "-id")


def _by_family(faults: Sequence[Fault], alone: list[Fault]) -> dict[Family, list[Fault]]:
    found: dict[Family, list[Fault]] = {}
    for fault in faults:
        family = FAMILIES.get(fault.rule.key)
        if family is None or fault.suppressed:
            alone.append(fault)
        else:
            found.setdefault(family, []).append(fault)
    return found


def _places(tenant_id: UUID, device_ids: Iterable[UUID]) -> dict[UUID, tuple[UUID | None, str]]:
    rows = Device.objects.for_tenant(tenant_id).filter(id__in=list(device_ids))
    return {
        device_id: (site_id, _switch(switch))
        for device_id, site_id, switch in rows.values_list(
            "id", "room__site_id", "inventory__network__switch"
        )
    }


def _switch(told: Any) -> str:
    return told[:64] if isinstance(told, str) else ""


def _affected(device_id: UUID, where: Mapping[UUID, tuple[UUID | None, str]], fault_at: datetime) -> Affected:
    site_id, switch = where.get(device_id, (None, ""))
    return Affected(device_id, site_id, fault_at, switch)


def _open_scope(one: Affected, open_now: Mapping[str, Incident]) -> Scope | None:
    """The scope of a cause that lasts and reaches the device; its fault may not be much older than the cause."""
    for scope in dependencies.scopes_of(one):
        cause = open_now.get(scope.key)
        if cause is not None and one.fault_at >= cause.fault_at - dependencies.WINDOW:
            return scope
    return None


def _seen(tenant_id: UUID, family: Family) -> _Seen:
    watched = Device.objects.for_tenant(tenant_id).filter(status=Device.Status.ENROLLED)
    if family is Family.SILENCE:
        silent = watched.filter(silent_since__isnull=False).values_list("id", "silent_since")
        times = {device_id: since for device_id, since in silent if since is not None}
    else:
        signals = [signal for signal, of in FAMILIES.items() if of is family]
        states = SignalState.objects.for_tenant(tenant_id).filter(
            signal__in=signals, state=SignalState.State.UNHEALTHY, device__status=Device.Status.ENROLLED
        )
        times = {}
        for device_id, since in states.order_by("-since").values_list("device_id", "since"):
            times[device_id] = since  # the earliest
    if len(times) < dependencies.LEAST:
        return _Seen([], {})
    where = _places(tenant_id, times)
    affected = [_affected(device_id, where, since) for device_id, since in times.items()]
    by_site = watched.order_by().values_list("room__site_id").annotate(number=Count("id"))
    totals = {Scope(site_id=site_id): number for site_id, number in by_site if site_id is not None}
    totals[Scope()] = watched.count()
    for switch in {each.switch for each in affected if each.switch}:
        totals[Scope(switch=switch)] = watched.filter(inventory__network__switch=switch).count()
    return _Seen(affected, totals)


def _total(tenant_id: UUID, cause: Incident) -> int:
    watched = Device.objects.for_tenant(tenant_id).filter(status=Device.Status.ENROLLED)
    kind, _, name = cause.cause_key.partition(":")
    if kind == "site":
        watched = watched.filter(room__site_id=UUID(name))
    elif kind == "switch":
        watched = watched.filter(inventory__network__switch=name)
    return watched.count()


def _hold_under(
    tenant_id: UUID, family: Family, scope: Scope, members: Sequence[Fault], *, at: datetime
) -> None:
    cause = _opened(tenant_id, family, scope, members, at=at)
    HeldFinding.objects.for_tenant(tenant_id).bulk_create(
        [
            HeldFinding(
                tenant_id=tenant_id,
                cause=cause,
                device=fault.device,
                room_id=fault.device.room_id,
                signal=fault.rule.key,
                instance=fault.finding.instance,
                severity=fault.severity,
                summary=fault.finding.summary,
                fault_at=fault.began(at=at),
                held_at=at,
            )
            for fault in members
        ],
        ignore_conflicts=True,  # held already, by an earlier or racing worker
    )
    _join_rooms(cause, members, at=at)
    _adopt(cause, family, members, at=at)


def _opened(
    tenant_id: UUID, family: Family, scope: Scope, members: Sequence[Fault], *, at: datetime
) -> Incident:
    """The one ticket of the cause, held; new, reopened or known."""
    for _ in range(2):
        made = _ticket(tenant_id, family, scope, members, at=at)
        ids = insert([made], ONE_PER_CAUSE)
        if made.id in ids:
            note_new(tenant_id, [made], at=at)
            return made
        (known,) = held(tenant_id, id__in=list(ids))
        if known.state != State.RESOLVED:
            return known
        if known.resolved_at is None or made.fault_at < known.resolved_at + terms_of(tenant_id).close_after:
            Incident.objects.for_tenant(tenant_id).filter(id=known.id).update(fault_at=made.fault_at)
            known.fault_at = made.fault_at
            reopen_all([known], at=at)
            return known
        close_all([known], Event.EXPIRE, at=at)
    raise RuntimeError("A closed cause still holds its key")


def _ticket(
    tenant_id: UUID, family: Family, scope: Scope, members: Sequence[Fault], *, at: datetime
) -> Incident:
    due_at = at + terms_of(tenant_id).first_response
    place = None
    if scope.site_id is not None:
        place = Place.objects.for_tenant(tenant_id).filter(id=scope.site_id).first()
    where = place.name if place else f"Switch {scope.switch}" if scope.switch else "Several sites"
    what = "devices are silent" if family is Family.SILENCE else "rooms cannot sign in"
    return Incident(
        tenant_id=tenant_id,
        number=next(random_numbers()),
        signal=family.value,
        cause_key=scope.key,
        place=place,
        severity=min(fault.severity for fault in members),
        state=FIRST_STATE,
        summary=f"{where}: many {what}" if family is Family.SILENCE else f"Many {what}",
        opened_at=at,
        fault_at=min(fault.began(at=at) for fault in members),
        respond_by=due_at,
        due_at=due_at,
        updated_at=at,
    )


def _join_rooms(cause: Incident, members: Sequence[Fault], *, at: datetime) -> None:
    wanted = {fault.device.room_id for fault in members if fault.device.room_id is not None}
    rows = IncidentRoom.objects.for_tenant(cause.tenant_id).filter(incident=cause)
    here = set(rows.filter(left_at=None).values_list("room_id", flat=True))
    worst = Severity(min(cause.severity, *(fault.severity for fault in members)))
    new = wanted - here
    if not new and worst == cause.severity:
        return
    tally = Tally(cause.tenant_id)
    tally.was([cause])
    rows.filter(room_id__in=new).update(left_at=None)
    IncidentRoom.objects.for_tenant(cause.tenant_id).bulk_create(
        [IncidentRoom(tenant_id=cause.tenant_id, incident=cause, room_id=each) for each in sorted(new)],
        ignore_conflicts=True,
    )
    _touch(cause, at=at, severity=worst)
    tally.now([cause])
    tally.write(at=at)


def _leave_rooms(cause: Incident, staying: set[UUID | None], *, at: datetime) -> None:
    rows = IncidentRoom.objects.for_tenant(cause.tenant_id).filter(incident=cause, left_at=None)
    gone = [row.id for row in rows if row.room_id not in staying]
    if not gone:
        return
    tally = Tally(cause.tenant_id)
    tally.was([cause])
    rows.filter(id__in=gone).update(left_at=at)
    _touch(cause, at=at)
    tally.now([cause])
    tally.write(at=at)


def _touch(cause: Incident, *, at: datetime, **values: Any) -> None:
    for name, value in values.items():
        setattr(cause, name, value)
    cause.version, cause.updated_at = cause.version + 1, at
    cause.save(update_fields=["version", "updated_at", *values])


def _adopt(cause: Incident, family: Family, members: Sequence[Fault], *, at: datetime) -> None:
    """Single tickets that opened just before the cause was seen belong under it."""
    rooms = IncidentRoom.objects.for_tenant(cause.tenant_id).filter(incident=cause, left_at=None)
    signals = [signal for signal, of in FAMILIES.items() if of is family]
    near = Incident.objects.for_tenant(cause.tenant_id).filter(
        signal__in=signals,
        state__in=OPEN,
        parent=None,
        fault_at__gte=cause.fault_at - dependencies.WINDOWS[family],
        opened_at__lte=at,
    )
    if cause.place_id is not None:
        near = near.filter(room__site_id=cause.place_id)
    else:
        near = near.filter(room_id__in=list(rooms.values_list("room_id", flat=True)))
    ids = list(near.order_by("id").select_for_update(no_key=True).values_list("id", flat=True))
    if not ids:
        return
    Incident.objects.for_tenant(cause.tenant_id).filter(id__in=ids).update(parent=cause, updated_at=at)
    adopted = Incident.objects.for_tenant(cause.tenant_id).filter(id__in=ids)
    write(
        [Line(each, IncidentEntry.Kind.LINKED, f"put it under {cause.number}") for each in adopted],
        tenant_id=cause.tenant_id,
        at=at,
    )
