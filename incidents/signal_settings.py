"""A customer's own values for a signal: changing them, and going back to the rule's defaults."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from fleet.models import SignalState
from incidents import watching
from incidents.detection import evaluate_signal
from incidents.errors import NotASetting, UnknownSignal
from incidents.lifecycle import close_all
from incidents.models import SignalSetting
from incidents.moves import held
from incidents.rules import RULES
from incidents.severity import Severity
from incidents.signal_values import EffectiveSignal, Origin, SignalValues, effective
from incidents.states import Event
from tenancy import audit

__all__ = ["EffectiveSignal", "Origin", "SignalValues", "change", "effective", "reset"]

LONGEST_WATCH = timedelta(days=7)
_COLUMNS = {"enabled": "enabled", "watch": "watch_s", "severity": "severity"}


def change(tenant_id: UUID, signal: str, values: Mapping[str, Any], *, at: datetime) -> EffectiveSignal:
    """Set some of `enabled` (bool), `watch` (timedelta) and `severity`; None goes back to the rule's default.

    Of an entered tenant. Turning a signal off closes its open tickets for good and ends its watching periods;
    turning it on makes tickets of what is unhealthy now. A new watching period counts for those under way too,
    a new severity for tickets that open from now on. Raises UnknownSignal, NotASetting.
    """
    if signal not in RULES:
        raise UnknownSignal(signal)
    columns = {_COLUMNS[name]: value for name, value in _checked(values).items()}
    before = _of(tenant_id, signal)
    row, _ = SignalSetting.objects.for_tenant(tenant_id).update_or_create(
        signal=signal, defaults=columns, create_defaults=columns
    )
    after = _of(tenant_id, signal)
    if before == after:
        return after
    audit.record(
        "signal_setting.update",
        row,
        tenant_id=tenant_id,
        at=at,
        name=RULES[signal].name,
        before=_difference(before, after),
        after=_difference(after, before),
    )
    if before.enabled and not after.enabled:
        _turn_off(tenant_id, signal, at=at)
    elif after.enabled and not before.enabled:
        evaluate_signal(tenant_id, signal, at=at)
    elif after.enabled and after.watch != before.watch:
        _move_ends(tenant_id, signal, by=after.watch - before.watch, at=at)
    return after


def reset(tenant_id: UUID, signal: str, *, at: datetime) -> EffectiveSignal:
    """All values back to the rule's defaults. Raises UnknownSignal."""
    return change(tenant_id, signal, dict.fromkeys(_COLUMNS), at=at)


def _of(tenant_id: UUID, signal: str) -> EffectiveSignal:
    found = effective(tenant_id).of(signal)
    if found is None:
        raise UnknownSignal(signal)
    return found


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


def _severity(value: Any) -> Severity:
    if isinstance(value, bool) or value not in Severity.values:
        raise NotASetting("The severity must be from 1 (Critical) to 4 (Recommended).", field="severity")
    return Severity(value)


_CHECKS = {"enabled": _enabled, "watch": _watch_s, "severity": _severity}


def _difference(values: EffectiveSignal, other: EffectiveSignal) -> dict[str, Any]:
    plain, plain_other = _plain(values), _plain(other)
    return {name: value for name, value in plain.items() if value != plain_other[name]}


def _plain(values: EffectiveSignal) -> dict[str, Any]:
    return {
        "enabled": values.enabled,
        "enabled_from": values.enabled_from,
        "watch_s": values.watch.total_seconds(),
        "watch_from": values.watch_from,
        "severity": values.severity.label,
        "severity_from": values.severity_from,
    }


def _turn_off(tenant_id: UUID, signal: str, *, at: datetime) -> None:
    watching.end(_watched(tenant_id, signal), tenant_id=tenant_id)
    close_all(held(tenant_id, Event.DISABLE, signal=signal), Event.DISABLE, at=at)


def _move_ends(tenant_id: UUID, signal: str, *, by: timedelta, at: datetime) -> None:
    rows = {row.id: row for row in _watched(tenant_id, signal)}
    until = {key: max(row.watch_until + by, at) for key, row in rows.items() if row.watch_until is not None}
    watching.begin(rows, until, tenant_id=tenant_id)


def _watched(tenant_id: UUID, signal: str) -> list[SignalState]:
    rows = SignalState.objects.for_tenant(tenant_id).filter(signal=signal, watch_until__isnull=False)
    return list(rows.order_by("device_id", "signal", "instance").select_for_update(no_key=True))
