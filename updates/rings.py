"""Rings: the order rooms are updated in, who is in which, and the hours they may be updated in.

A room's ring is its own, else the last in order among those of its groups, else General. All functions but
`set_up_customer` work in the one tenant entered; times are aware, UTC.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, time
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from fleet import room_groups, scope, validation
from fleet.errors import AlreadyThere, ChangedMeanwhile, Missing, StillInUse
from fleet.models import Room, RoomGroup, RoomGroupMember
from foundation.context import current_tenant, tenant
from foundation.errors import NotValid, violated_constraint
from tenancy import audit
from tenancy.models import Tenant
from updates.errors import TooManyDays
from updates.models import InstallWindowSetting, Ring, RingMembership, RolloutStage
from updates.states import ENDED_ROLLOUTS
from updates.windows import InstallWindow

MOST_DAYS = 60  # over all rings: rollout and test
POSITIONS = range(1, 10)
MOST_AT_ONCE = 1_000
Kind = Ring.Kind


@dataclass(frozen=True)
class BuiltIn:
    kind: Ring.Kind
    name: str
    description: str
    position: int
    rollout_days: int
    test_days: int
    needs_approval: bool = False


BUILT_IN = (
    BuiltIn(Kind.STAGING, "Staging", "A test bed with every kind of hardware.", 1, 1, 5),
    BuiltIn(Kind.GENERAL, "General", "Every room without another ring.", 5, 5, 5),
    BuiltIn(Kind.EXECUTIVE, "Executive", "High-profile rooms, last.", 9, 2, 5, needs_approval=True),
)
TERMS = (
    "name",
    "description",
    "position",
    "rollout_days",
    "test_days",
    "needs_approval",
    "at_once",
    "building_limit",
    "model_limit",
    "failure_limit_pct",
)
RANGES = {
    "position": (1, 9),
    "rollout_days": (1, MOST_DAYS),
    "test_days": (0, MOST_DAYS),
    "at_once": (1, 1_000),
    "building_limit": (1, 1_000),
    "model_limit": (1, 1_000),
    "failure_limit_pct": (0, 100),
}


def set_up_customer(customer: Tenant, *, at: datetime) -> None:
    """The rings every customer has. Enters the customer. Repeating it changes nothing."""
    with tenant(customer.id):
        _make_built_in(customer.id, at=at)


def all_rings(*, at: datetime) -> list[Ring]:
    """In their order; the built-in ones are made where they are missing."""
    rows = list(Ring.objects.for_tenant(current_tenant()).order_by("position", "id"))
    if len([row for row in rows if row.kind != Kind.OWN]) < len(BUILT_IN):
        _make_built_in(current_tenant(), at=at)
        rows = list(Ring.objects.for_tenant(current_tenant()).order_by("position", "id"))
    return rows


def ring(ring_id: UUID, *, field: str = "") -> Ring:
    """Raises Missing."""
    found: Ring | None = Ring.objects.for_tenant(current_tenant()).filter(id=ring_id).first()
    if found is None:
        raise Missing("ring", field=field or None)
    return found


def days_of(rows: Iterable[Ring]) -> int:
    """Of rollout and test, over rings."""
    return sum(row.rollout_days + row.test_days for row in rows)


def add_ring(*, at: datetime, **terms: Any) -> Ring:
    """Raises NotValid, TooManyDays, AlreadyThere, NotAllowed. `terms`: some of TERMS."""
    scope.refuse_part("Adding a ring")
    tenant_id = current_tenant()
    _lock_all(at=at)
    row = Ring(tenant_id=tenant_id, kind=Kind.OWN, created_at=at, **_checked(terms))
    _save(row, new=True)
    audit.record("ring.create", row, tenant_id=tenant_id, at=at, after=_plain(row))
    return row


def edit_ring(ring_id: UUID, *, revision: int | None = None, at: datetime, **terms: Any) -> Ring:
    """Rollouts that were planned keep the terms they were planned with.

    Raises Missing, NotValid, TooManyDays, AlreadyThere, ChangedMeanwhile, NotAllowed.
    """
    scope.refuse_part("Changing a ring")
    _lock_all(at=at)
    row = ring(ring_id)
    if revision is not None and revision != row.revision:
        raise ChangedMeanwhile("Somebody else changed this ring. Read it again.")
    before = _plain(row)
    for name, value in _checked(terms).items():
        setattr(row, name, value)
    after = _plain(row)
    changed = {name for name in TERMS if before[name] != after[name]}
    if changed:
        row.revision += 1
        _save(row)
        audit.record(
            "ring.update",
            row,
            tenant_id=row.tenant_id,
            at=at,
            before={name: before[name] for name in changed},
            after={name: after[name] for name in changed},
        )
    return row


def delete_ring(ring_id: UUID, *, at: datetime) -> None:
    """Its rooms fall back to the ring of their groups, or General. Raises Missing, StillInUse, NotAllowed."""
    scope.refuse_part("Deleting a ring")
    _lock_all(at=at)
    row = ring(ring_id)
    if row.kind != Kind.OWN:
        raise StillInUse(f"{row.name} cannot be deleted: every customer has it.")
    stages = RolloutStage.objects.for_tenant(row.tenant_id).filter(ring_id=row.id)
    if stages.exclude(rollout__state__in=ENDED_ROLLOUTS).exists():
        raise StillInUse("A rollout that is not over goes through this ring.")
    Ring.objects.for_tenant(row.tenant_id).filter(id=row.id).delete()
    audit.record("ring.delete", row, tenant_id=row.tenant_id, at=at, before=_plain(row))


def move_rooms(ring_id: UUID | None, room_ids: Iterable[UUID], *, at: datetime) -> int:
    """Give rooms a ring of their own; None: they follow their groups again. Returns how many changed.

    Raises Missing, NotValid.
    """
    into = ring(ring_id, field="ring") if ring_id is not None else None
    tenant_id = current_tenant()
    wanted = list(dict.fromkeys(room_ids))
    if len(wanted) > MOST_AT_ONCE:
        raise NotValid(f"At most {MOST_AT_ONCE} rooms at once.", field="rooms")
    if Room.objects.for_tenant(tenant_id).current().filter(id__in=wanted).count() != len(wanted):
        raise Missing("room", field="rooms")
    rows = RingMembership.objects.for_tenant(tenant_id)
    here = dict(rows.filter(room_id__in=wanted).values_list("room_id", "ring_id"))
    moved = [room_id for room_id in wanted if here.get(room_id) != ring_id]
    rows.filter(room_id__in=moved).delete()
    if into is not None:
        rows.bulk_create(RingMembership(tenant_id=tenant_id, ring=into, room_id=each) for each in moved)
    if moved:
        said = {"rooms": [str(each) for each in moved]}
        name = into.name if into else "as their groups"
        audit.record("ring.members", into, tenant_id=tenant_id, at=at, after=said, name=name)
    return len(moved)


def move_group(ring_id: UUID | None, group_id: UUID, *, at: datetime) -> bool:
    """All rooms of a group that have no ring of their own. Returns whether it changed. Raises Missing, NotAllowed."""
    scope.refuse_part("Moving a group to a ring")
    into = ring(ring_id, field="ring") if ring_id is not None else None
    tenant_id = current_tenant()
    group = room_groups.group(group_id)
    rows = RingMembership.objects.for_tenant(tenant_id).filter(group=group)
    before = rows.first()
    if (before.ring_id if before else None) == ring_id:
        return False
    rows.delete()
    if into is not None:
        RingMembership.objects.for_tenant(tenant_id).create(ring=into, group=group)
    audit.record("ring.members", into, tenant_id=tenant_id, at=at, after={"group": group.name})
    return True


def rings_of(room_ids: Iterable[UUID] | None = None, *, at: datetime) -> dict[UUID, Ring]:
    """The ring of each room (of all of the tenant where none are named). Three queries, whatever their number."""
    tenant_id = current_tenant()
    with scope.whole():  # a group out of somebody's reach counts too
        rings = {row.id: row for row in all_rings(at=at)}
        general = next(row for row in rings.values() if row.kind == Kind.GENERAL)
        named = list(
            RingMembership.objects.for_tenant(tenant_id).values_list("room_id", "group_id", "ring_id")
        )
        by_group = {group_id: rings[ring_id] for _, group_id, ring_id in named if group_id is not None}
        members = RoomGroupMember.objects.for_tenant(tenant_id).filter(group_id__in=list(by_group))
        wanted = None if room_ids is None else list(room_ids)
        if wanted is not None:
            members = members.filter(room_id__in=wanted)
        found: dict[UUID, Ring] = {} if wanted is None else dict.fromkeys(wanted, general)
        best: dict[UUID, Ring] = {}
        for room_id, group_id in members.values_list("room_id", "group_id") if by_group else ():
            ring_here = by_group[group_id]
            if room_id not in best or ring_here.position > best[room_id].position:
                best[room_id] = ring_here
        own = {room_id: rings[ring_id] for room_id, _, ring_id in named if room_id is not None}
        if wanted is None:
            every = Room.objects.for_tenant(tenant_id).current().values_list("id", flat=True)
            found = dict.fromkeys(every, general)
    for source in (best, own):
        found.update({room_id: row for room_id, row in source.items() if room_id in found})
    return found


# Hours -----------------------------------------------------------------------------------------------------------


def set_window(group_id: UUID | None, window: InstallWindow | None, *, at: datetime) -> None:
    """Hours of a group, or of all rooms; None goes back to what counts without. Raises Missing, NotAllowed."""
    scope.refuse_part("Changing install windows")
    tenant_id = current_tenant()
    group = room_groups.group(group_id) if group_id is not None else None
    rows = InstallWindowSetting.objects.for_tenant(tenant_id)
    there = rows.filter(group=group).first()
    before = {"window": f"{there.starts:%H:%M} to {there.ends:%H:%M}"} if there else {}
    if window is None:
        rows.filter(group=group).delete()
    else:
        rows.update_or_create(group=group, defaults={"starts": window.starts, "ends": window.ends})
    after = {"window": f"{window.starts:%H:%M} to {window.ends:%H:%M}"} if window else {}
    if before != after:
        name = group.name if group else "All rooms"
        audit.record(
            "install_window.update", group, tenant_id=tenant_id, at=at, before=before, after=after, name=name
        )


def window(starts: time, ends: time) -> InstallWindow:
    """Raises NotValid."""
    try:
        return InstallWindow(starts, ends)
    except ValueError as error:
        raise NotValid(str(error), field="ends") from error


class Windows:
    """The hours of some rooms. Of several groups that say different, the one whose name comes first counts."""

    def __init__(self, room_ids: Iterable[UUID] = ()) -> None:
        tenant_id = current_tenant()
        with scope.whole():
            rows = InstallWindowSetting.objects.for_tenant(tenant_id).select_related("group")
            ordered = sorted(rows, key=lambda row: (row.group.name, row.group_id) if row.group else ("",))
            self.default = InstallWindow()
            by_group: dict[UUID, InstallWindow] = {}
            for row in ordered:
                if row.group_id is None:
                    self.default = InstallWindow(row.starts, row.ends)
                else:
                    by_group[row.group_id] = InstallWindow(row.starts, row.ends)
            self._of_room: dict[UUID, InstallWindow] = {}
            rank = {group_id: place for place, group_id in enumerate(by_group)}
            members = RoomGroupMember.objects.for_tenant(tenant_id).filter(
                group_id__in=list(by_group), room_id__in=list(room_ids)
            )
            pairs = members.values_list("room_id", "group_id") if by_group else ()
            for room_id, group_id in sorted(pairs, key=lambda pair: rank[pair[1]], reverse=True):
                self._of_room[room_id] = by_group[group_id]

    def of(self, room_id: UUID) -> InstallWindow:
        return self._of_room.get(room_id, self.default)


def windows_of_groups() -> list[tuple[RoomGroup | None, InstallWindow]]:
    """All hours that were set, those of all rooms first."""
    rows = InstallWindowSetting.objects.for_tenant(current_tenant()).select_related("group")
    ordered = sorted(rows, key=lambda row: row.group.name if row.group else "")
    return [(row.group, InstallWindow(row.starts, row.ends)) for row in ordered]


# Checks ----------------------------------------------------------------------------------------------------------


def _make_built_in(tenant_id: UUID, *, at: datetime) -> None:
    rows = [Ring(tenant_id=tenant_id, created_at=at, **each.__dict__) for each in BUILT_IN]
    Ring.objects.for_tenant(tenant_id).bulk_create(rows, ignore_conflicts=True)


def _lock_all(*, at: datetime) -> None:
    """The sum over all rings holds only if they change one after the other."""
    all_rings(at=at)
    list(Ring.objects.for_tenant(current_tenant()).order_by("id").select_for_update().values_list("id"))


def _checked(terms: dict[str, Any]) -> dict[str, Any]:
    values = dict(terms)
    for name in values.keys() - set(TERMS):
        raise NotValid("There is no such setting of a ring.", field=name)
    if "name" in values:
        values["name"] = validation.one_line(values["name"], "name", at_most=80)
    if "description" in values:
        values["description"] = validation.one_line(
            values["description"], "description", at_most=300, required=False
        )
    for name, (least, most) in RANGES.items():
        value = values.get(name)
        if value is None:
            if name in values and name not in ("building_limit", "model_limit"):
                raise NotValid("This must not be empty.", field=name)
            continue
        if not least <= value <= most:
            raise NotValid(f"From {least} to {most}.", field=name)
    return values


def _save(row: Ring, *, new: bool = False) -> None:
    others = Ring.objects.for_tenant(row.tenant_id).exclude(id=row.id)
    total = days_of(others) + row.rollout_days + row.test_days
    if total > MOST_DAYS:
        left = MOST_DAYS - days_of(others)
        raise TooManyDays(
            f"All rings together may take {MOST_DAYS} days; {max(left, 0)} are left for this one.",
            field="rollout_days",
        )
    try:
        with transaction.atomic():
            row.save(force_insert=new)
    except IntegrityError as error:
        fields = {
            "updates_ring_one_per_name": ("name", f"There is already a ring {row.name}."),
            "updates_ring_one_per_position": ("position", f"Another ring has the order {row.position}."),
        }
        field, said = fields.get(violated_constraint(error), ("", ""))
        if not field:
            raise
        raise AlreadyThere(said, field=field) from error


def _plain(row: Ring) -> dict[str, Any]:
    return {name: getattr(row, name) for name in TERMS}
