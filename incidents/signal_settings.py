"""A customer's own values for a signal, for all rooms or those of a group: changing them, and going back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from fleet import room_groups, scope
from fleet.models import RoomGroup, SignalState
from incidents import watching
from incidents.detection import evaluate_signal
from incidents.errors import NotASetting, UnknownSignal
from incidents.lifecycle import close_all
from incidents.models import GroupSignalSetting, Incident, SignalSetting
from incidents.moves import held
from incidents.rules import RULES
from incidents.severity import Severity
from incidents.signal_values import EffectiveSignal, Origin, SignalValues, effective
from incidents.states import Event
from tenancy import audit

__all__ = ["EffectiveSignal", "Origin", "SignalValues", "change", "effective", "reset"]

LONGEST_WATCH = timedelta(days=7)
_COLUMNS = {"enabled": "enabled", "watch": "watch_s", "severity": "severity", "recover": "recover_s"}


def change(
    tenant_id: UUID, signal: str, values: Mapping[str, Any], *, at: datetime, group_id: UUID | None = None
) -> EffectiveSignal:
    """Set some of `enabled` (bool), `watch`, `recover` (timedelta) and `severity`; None goes back to what counts
    without it. With `group_id` for the rooms of a group; where a room is in several groups that say different, the
    one whose name comes first counts.

    Of an entered tenant. Where a signal is turned off its open tickets close for good and its watching periods end;
    where it is turned on, tickets are made of what is unhealthy now. A new watching period counts for those under
    way too, a new severity for tickets that open from now on. Raises UnknownSignal, NotASetting, Missing, NotAllowed.
    """
    if signal not in RULES or RULES[signal].raised:
        raise UnknownSignal(signal)
    columns = {_COLUMNS[name]: value for name, value in _checked(values).items()}
    if group_id is None:
        scope.refuse_part("A signal's setting in all rooms")
    group = room_groups.group(group_id) if group_id is not None else None
    with scope.whole():
        return _change(tenant_id, signal, group, columns, at=at)


def _change(
    tenant_id: UUID, signal: str, group: RoomGroup | None, columns: Mapping[str, Any], *, at: datetime
) -> EffectiveSignal:
    group_id = group.id if group else None
    rooms = _rooms_with(tenant_id, signal)
    values_before = effective(tenant_id, rooms)
    row = _store(tenant_id, signal, group, columns)
    values_after = effective(tenant_id, rooms)
    before, after = _shown(values_before, signal, group_id), _shown(values_after, signal, group_id)
    if before == after:
        return after
    audit.record(
        "signal_setting.update",
        row,
        tenant_id=tenant_id,
        at=at,
        name=f"{RULES[signal].name}, {group.name}" if group else RULES[signal].name,
        before=_difference(before, after),
        after=_difference(after, before),
    )
    _follow(tenant_id, signal, rooms, values_before, values_after, at=at)
    return after


def reset(tenant_id: UUID, signal: str, *, at: datetime, group_id: UUID | None = None) -> EffectiveSignal:
    """All values back to what counts without them. Raises UnknownSignal, Missing."""
    return change(tenant_id, signal, dict.fromkeys(_COLUMNS), at=at, group_id=group_id)


def _store(
    tenant_id: UUID, signal: str, group: RoomGroup | None, columns: Mapping[str, Any]
) -> SignalSetting | GroupSignalSetting:
    row: SignalSetting | GroupSignalSetting
    if group is None:
        row, _ = SignalSetting.objects.for_tenant(tenant_id).update_or_create(
            signal=signal, defaults=dict(columns), create_defaults=dict(columns)
        )
    else:
        row, _ = GroupSignalSetting.objects.for_tenant(tenant_id).update_or_create(
            signal=signal, group=group, defaults=dict(columns), create_defaults=dict(columns)
        )
    return row


def _shown(values: SignalValues, signal: str, group_id: UUID | None) -> EffectiveSignal:
    found = values.of(signal) if group_id is None else values.in_group(signal, group_id)
    assert found is not None
    return found


def _rooms_with(tenant_id: UUID, signal: str) -> set[UUID]:
    """Rooms the change may mean something to."""
    states = SignalState.objects.for_tenant(tenant_id).filter(signal=signal, device__room__isnull=False)
    tickets = Incident.objects.for_tenant(tenant_id).filter(signal=signal, closed_at=None, room__isnull=False)
    rooms = set(states.values_list("device__room_id", flat=True))
    found = rooms | set(tickets.values_list("room_id", flat=True))
    return {each for each in found if each is not None}


def _follow(
    tenant_id: UUID,
    signal: str,
    rooms: set[UUID],
    before: SignalValues,
    after: SignalValues,
    *,
    at: datetime,
) -> None:
    off: set[UUID] = set()
    on: set[UUID] = set()
    longer: dict[UUID, timedelta] = {}
    for room_id in rooms:
        was, now = before.of(signal, room_id), after.of(signal, room_id)
        if was is None or now is None:
            continue
        if was.enabled and not now.enabled:
            off.add(room_id)
        elif now.enabled and not was.enabled:
            on.add(room_id)
        elif now.enabled and now.watch != was.watch:
            longer[room_id] = now.watch - was.watch
    if off:
        watching.end(_watched(tenant_id, signal, off), tenant_id=tenant_id)
        gone = held(tenant_id, Event.DISABLE, signal=signal, room_id__in=list(off))
        close_all(gone, Event.DISABLE, at=at)
    if on:
        evaluate_signal(tenant_id, signal, on, at=at)
    if longer:
        _move_ends(tenant_id, signal, longer, at=at)


def _checked(values: Mapping[str, Any]) -> dict[str, Any]:
    checked: dict[str, Any] = {}
    for name, value in values.items():
        if name not in _COLUMNS:
            raise NotASetting("A signal has no such setting.", field=name)
        checked[name] = None if value is None else _CHECKS[name](value)
    return checked


def _enabled(value: Any) -> bool:
    if not isinstance(value, bool):
        raise NotASetting("This must be true or false.", field="enabled")
    return value


def _watch_s(value: Any) -> int:
    if not isinstance(value, timedelta) or not timedelta(0) <= value <= LONGEST_WATCH:
        raise NotASetting("The watching period must be between 0 seconds and 7 days.", field="watch")
    return int(value.total_seconds())


def _recover_s(value: Any) -> int:
    if not isinstance(value, timedelta) or not timedelta(0) <= value <= LONGEST_WATCH:
        raise NotASetting("The tolerance must be between 0 seconds and 7 days.", field="recover")
    return int(value.total_seconds())


def _severity(value: Any) -> Severity:
    if isinstance(value, bool) or value not in Severity.values:
        raise NotASetting("The severity must be from 1 (Critical) to 4 (Recommended).", field="severity")
    return Severity(value)


_CHECKS = {"enabled": _enabled, "watch": _watch_s, "severity": _severity, "recover": _recover_s}


def _difference(values: EffectiveSignal, other: EffectiveSignal) -> dict[str, Any]:
    plain, plain_other = _plain(values), _plain(other)
    return {name: value for name, value in plain.items() if value != plain_other[name]}


def _plain(values: EffectiveSignal) -> dict[str, Any]:
    return {
        "enabled": values.enabled,
        "enabled_from": values.enabled_from,
        "watch_s": values.watch.total_seconds(),
        "watch_from": values.watch_from,
        "recover_s": values.recover.total_seconds(),
        "severity": values.severity.label,
        "severity_from": values.severity_from,
    }


def _move_ends(tenant_id: UUID, signal: str, longer: Mapping[UUID, timedelta], *, at: datetime) -> None:
    rows = {row.id: row for row in _watched(tenant_id, signal, longer)}
    until = {
        key: max(row.watch_until + longer[row.device.room_id], at)
        for key, row in rows.items()
        if row.watch_until is not None and row.device.room_id is not None
    }
    watching.begin(rows, until, tenant_id=tenant_id)


def _watched(tenant_id: UUID, signal: str, rooms: Iterable[UUID]) -> list[SignalState]:
    rows = SignalState.objects.for_tenant(tenant_id).filter(
        signal=signal, watch_until__isnull=False, device__room_id__in=list(rooms), state="unhealthy"
    )
    ordered = rows.select_related("device").order_by("device_id", "signal", "instance")
    return list(ordered.select_for_update(no_key=True, of=("self",)))
