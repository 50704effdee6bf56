"""The values in force for a signal, of a customer or in one of its rooms, each with where it comes from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from fleet.models import RoomGroupMember
from incidents.models import GroupSignalSetting, SignalSetting
from incidents.rules import RULES, Rule
from incidents.severity import Severity


class Origin(StrEnum):
    """Nearest last: a later one wins."""

    DEFAULT = "default"  # of the rule
    CUSTOMER = "customer"
    GROUP = "group"


@dataclass(frozen=True)
class EffectiveSignal:
    """What counts for one signal, and the origin of each value.

    `recover`: how long it must be healthy before its ticket is resolved. `group`: the name of the group a value
    comes from.
    """

    rule: Rule
    enabled: bool
    watch: timedelta
    severity: Severity
    recover: timedelta = timedelta(0)
    enabled_from: Origin = Origin.DEFAULT
    watch_from: Origin = Origin.DEFAULT
    severity_from: Origin = Origin.DEFAULT
    recover_from: Origin = Origin.DEFAULT
    group: str = ""

    @property
    def is_default(self) -> bool:
        origins = {self.enabled_from, self.watch_from, self.severity_from, self.recover_from}
        return origins == {Origin.DEFAULT}

    def has_own(self, origin: Origin) -> bool:
        """Whether any value comes from there."""
        return origin in {self.enabled_from, self.watch_from, self.severity_from, self.recover_from}


Setting = SignalSetting | GroupSignalSetting


class SignalValues:
    """All signals that are judged, of one customer, in the order of the rules."""

    def __init__(
        self,
        own: Mapping[str, SignalSetting],
        of_groups: Sequence[GroupSignalSetting] = (),
        groups_of_rooms: Mapping[UUID, Iterable[UUID]] | None = None,
    ) -> None:
        """`of_groups`: by the name of their group; where several name one value the first counts."""
        self._own = own
        self._of_groups: dict[str, list[GroupSignalSetting]] = {}
        for each in of_groups:
            self._of_groups.setdefault(each.signal, []).append(each)
        self._groups_of_rooms = {room: frozenset(groups) for room, groups in (groups_of_rooms or {}).items()}

    def of(self, signal: str, room_id: UUID | None = None) -> EffectiveSignal | None:
        """For a room, or what counts where no group says otherwise. None for a key that is not judged."""
        rule = RULES.get(signal)
        if rule is None or rule.raised:
            return None
        groups = self._groups_of_rooms.get(room_id, frozenset()) if room_id is not None else frozenset()
        nearer = [each for each in self._of_groups.get(signal, ()) if each.group_id in groups]
        return _effective(rule, self._own.get(signal), nearer)

    def in_group(self, signal: str, group_id: UUID) -> EffectiveSignal | None:
        """For rooms of one group that are in no other."""
        rule = RULES.get(signal)
        if rule is None or rule.raised:
            return None
        nearer = [each for each in self._of_groups.get(signal, ()) if each.group_id == group_id]
        return _effective(rule, self._own.get(signal), nearer)

    def watch_of(self, signal: str, room_id: UUID | None = None) -> timedelta:
        values = self.of(signal, room_id)
        return timedelta(0) if values is None else values.watch

    def groups_with_own(self, signal: str) -> list[GroupSignalSetting]:
        return list(self._of_groups.get(signal, ()))

    def __iter__(self) -> Iterator[EffectiveSignal]:
        return (_effective(rule, self._own.get(key), ()) for key, rule in RULES.items() if not rule.raised)


def effective(tenant_id: UUID, room_ids: Iterable[UUID] | None = None) -> SignalValues:
    """Of an entered tenant, in two queries; a third where groups have values and `room_ids` are named."""
    own = {row.signal: row for row in SignalSetting.objects.for_tenant(tenant_id)}
    rows = GroupSignalSetting.objects.for_tenant(tenant_id).select_related("group")
    of_groups = list(rows.order_by("group__name", "group_id"))
    groups_of_rooms: dict[UUID, set[UUID]] = {}
    if of_groups and room_ids is not None:
        members = RoomGroupMember.objects.for_tenant(tenant_id).filter(
            group_id__in={row.group_id for row in of_groups}, room_id__in=list(room_ids)
        )
        for room_id, group_id in members.values_list("room_id", "group_id"):
            groups_of_rooms.setdefault(room_id, set()).add(group_id)
    return SignalValues(own, of_groups, groups_of_rooms)


def _effective(
    rule: Rule, own: SignalSetting | None, nearer: Sequence[GroupSignalSetting]
) -> EffectiveSignal:
    layers: list[tuple[Origin, Setting]] = [(Origin.GROUP, each) for each in nearer]
    if own is not None:
        layers.append((Origin.CUSTOMER, own))
    group = ""

    def value(name: str) -> tuple[Any, Origin]:
        nonlocal group
        for origin, layer in layers:
            found = getattr(layer, name)
            if found is not None:
                if isinstance(layer, GroupSignalSetting):
                    group = group or layer.group.name
                return found, origin
        return None, Origin.DEFAULT

    enabled, enabled_from = value("enabled")
    watch_s, watch_from = value("watch_s")
    severity, severity_from = value("severity")
    recover_s, recover_from = value("recover_s")
    usual = rule.severity or Severity.RECOMMENDED
    return EffectiveSignal(
        rule,
        enabled=not rule.optional if enabled is None else enabled,
        watch=rule.watch if watch_s is None else timedelta(seconds=watch_s),
        severity=usual if severity is None else Severity(severity),
        recover=rule.recover if recover_s is None else timedelta(seconds=recover_s),
        enabled_from=enabled_from,
        watch_from=watch_from,
        severity_from=severity_from,
        recover_from=recover_from,
        group=group,
    )
