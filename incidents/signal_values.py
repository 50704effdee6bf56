"""The values in force for a signal of a customer, each with where it comes from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from uuid import UUID

from incidents.models import SignalSetting
from incidents.rules import RULES, Rule
from incidents.severity import Severity


class Origin(StrEnum):
    """Nearest last: a later one wins."""

    DEFAULT = "default"  # of the rule
    CUSTOMER = "customer"


@dataclass(frozen=True)
class EffectiveSignal:
    """What counts for one signal, and the origin of each value."""

    rule: Rule
    enabled: bool
    watch: timedelta
    severity: Severity
    enabled_from: Origin = Origin.DEFAULT
    watch_from: Origin = Origin.DEFAULT
    severity_from: Origin = Origin.DEFAULT

    @property
    def is_default(self) -> bool:
        return {self.enabled_from, self.watch_from, self.severity_from} == {Origin.DEFAULT}


class SignalValues:
    """All signals that have a rule, of one customer, in the order of the rules."""

    def __init__(self, own: dict[str, SignalSetting]) -> None:
        self._own = own

    def of(self, signal: str) -> EffectiveSignal | None:
        """None for a key no rule knows: it is kept and shown, never evaluated."""
        rule = RULES.get(signal)
        return None if rule is None or rule.raised else _effective(rule, self._own.get(signal))

    def watch_of(self, signal: str) -> timedelta:
        values = self.of(signal)
        return timedelta(0) if values is None else values.watch

    def __iter__(self) -> Iterator[EffectiveSignal]:
        return (_effective(rule, self._own.get(key)) for key, rule in RULES.items() if not rule.raised)


def effective(tenant_id: UUID) -> SignalValues:
    """Of an entered tenant, in one query."""
    return SignalValues({row.signal: row for row in SignalSetting.objects.for_tenant(tenant_id)})


def _effective(rule: Rule, own: SignalSetting | None) -> EffectiveSignal:
    if own is None:
        return EffectiveSignal(rule, enabled=True, watch=rule.watch, severity=rule.severity)
    return EffectiveSignal(
        rule,
        enabled=True if own.enabled is None else own.enabled,
        watch=rule.watch if own.watch_s is None else timedelta(seconds=own.watch_s),
        severity=rule.severity if own.severity is None else Severity(own.severity),
        enabled_from=_origin(own.enabled),
        watch_from=_origin(own.watch_s),
        severity_from=_origin(own.severity),
    )


def _origin(value: object) -> Origin:
    return Origin.DEFAULT if value is None else Origin.CUSTOMER
