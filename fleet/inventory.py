"""Rooms: add, edit, move, retire, suppress. Places are in fleet.place_tree, from where they are offered here too.

All functions work in the one tenant entered, leave an audit event, and keep words, counters and state right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, timedelta
from itertools import chain, count
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from fleet import counters, expectations, group_rules, health, history, notices, scope, search, validation
from fleet.errors import AlreadyThere, ChangedMeanwhile, Missing, StillInUse
from fleet.models import Asset, Device, Place, Room, RoomGroup, RoomGroupMember
from fleet.place_tree import add_place, arrivals, edit_place, move_place, place, site_of
from foundation import timers
from foundation.context import current_tenant
from foundation.errors import NotValid, violated_constraint
from foundation.models import Timer
from tenancy import audit, regions

__all__ = [
    "add_place",
    "add_room",
    "arrivals",
    "edit_place",
    "edit_room",
    "find_or_add_room",
    "find_room",
    "move_place",
    "place",
    "retire_room",
    "room",
    "suppress_room",
    "suppression_ended",
    "unsuppress_room",
]

SUPPRESSION_ENDS = "room.suppression_ends"  # kind of timer; its handler is suppression_ended
LONGEST_SUPPRESSION = timedelta(days=366)
MOST_SEATS = 10_000
WORDED = frozenset({"name", "resource_account", "place", "licence", "labels"})  # what search looks at
RULED = frozenset(
    {"place", "name", "resource_account", "room_type", "capacity", "licence", "labels"}
)  # what rules of groups look at
_TAKEN = {
    "fleet_room_one_per_name": ("There is already a room of this name here.", "name"),
    "fleet_room_one_per_account": ("Another room has this resource account.", "resource_account"),
}


def room(room_id: UUID, *, field: str | None = None) -> Room:
    """Raises Missing, which names `field`; a retired room is missing too."""
    return _current(Room.objects.for_tenant(current_tenant()).filter(id=room_id), field=field)


def room_or_former(room_id: UUID) -> Room:
    """A retired room too, whose history can be looked at. Raises Missing."""
    found: Room | None = (
        Room.objects.for_tenant(current_tenant()).filter(id=room_id).select_related("place").first()
    )
    if found is None:
        raise Missing("room")
    return found


def add_room(
    *,
    place_id: UUID,
    name: str,
    resource_account: str = "",
    room_type: str = "",
    capacity: int | None = None,
    licence: str = "",
    licence_ends: date | None = None,
    labels: Iterable[str] = (),
    time_zone: str = "",
    expected: Mapping[str, Any] | None = None,
    groups: Iterable[RoomGroup] | None = None,
    at: datetime,
) -> Room:
    """A room without devices, in `groups`, else in the customer's default group. Its zone defaults to the place's.

    Raises NotValid, Missing for the place, AlreadyThere where the name or the account is taken, and NotAllowed
    for somebody whose role covers some rooms only: a new one would be out of his sight.
    """
    scope.refuse_part("Adding a room")
    tenant_id = current_tenant()
    where = _place_held(place_id)
    made = Room(
        tenant_id=tenant_id,
        place=where,
        site_id=site_of(where),
        name=_name(name),
        resource_account=validation.resource_account(resource_account),
        room_type=_room_type(room_type),
        capacity=_capacity(capacity),
        licence=_licence(licence),
        licence_ends=_licence_ends(licence_ends),
        labels=validation.labels(labels),
        time_zone=validation.time_zone(time_zone or where.time_zone),
        expected=expectations.validated(expected or {}),
        state_since=at,
        created_at=at,
    )
    _save(made, new=True)
    if groups is None:
        groups = RoomGroup.objects.for_tenant(tenant_id).filter(is_default=True)
    RoomGroupMember.objects.for_tenant(tenant_id).bulk_create(
        RoomGroupMember(tenant_id=tenant_id, group=group, room=made) for group in groups
    )
    search.index_rooms([made.id])
    group_rules.follow([made.id], at=at)
    counters.add(counters.room_change(tenant_id, before=None, after=(made.state, made.site_id)))
    audit.record("room.create", made, tenant_id=tenant_id, at=at, after=_facts(made))
    return made


def find_room(*, name: str, resource_account: str = "") -> Room | None:
    """The room a device names, if there is one: by its account, else by a name only one room has. Raises NotValid."""
    return _named(_name(name), validation.resource_account(resource_account))


def find_or_add_room(
    *, name: str, resource_account: str = "", groups: Iterable[RoomGroup] | None = None, at: datetime
) -> tuple[Room, bool]:
    """The room a device names: by its account, else by a name only one room has, else a new one among the arrivals.

    Returns it and whether it is new. Raises NotValid.
    """
    name, account = _name(name), validation.resource_account(resource_account)
    there = _named(name, account)
    if there is not None:
        return there, False
    where = arrivals(at=at)  # from here on we hold the lock of the tree: whoever was faster has committed
    there = _named(name, account)
    if there is not None:
        return there, False
    free = _free_name(where, name)
    return add_room(place_id=where.id, name=free, resource_account=account, groups=groups, at=at), True


def edit_room(
    room_id: UUID, changes: Mapping[str, Any], *, if_version: int | None = None, at: datetime
) -> Room:
    """Change some of `place_id`, `name`, `resource_account`, `room_type`, `capacity`, `licence`, `licence_ends`,
    `labels`, `time_zone`, `expected`.

    A new place brings its time zone to a room that had the old place's. `if_version`: refuse if somebody else
    changed the room since. Raises Missing, NotValid, also where a room with devices would come to a country that is
    not supported, AlreadyThere, ChangedMeanwhile.
    """
    changed = _held(room_id)
    if if_version is not None and changed.version != if_version:
        raise ChangedMeanwhile("Somebody changed this room meanwhile. Look at it again.")
    unknown = set(changes) - set(_CHECKS) - {"place_id"}
    if unknown:
        raise NotValid("A room has no such property that can be changed.", field=min(unknown))
    before, old_site = _facts(changed), changed.site_id
    if "place_id" in changes:
        old_place_id = changed.place_id
        _put(changed, _place_held(changes["place_id"]))
        if changed.place_id != old_place_id:
            _refuse_country(changed)
    for name in changes.keys() - {"place_id"}:
        setattr(changed, name, _CHECKS[name](changes[name]))
    after = _facts(changed)
    different = [name for name in after if before[name] != after[name]]
    if not different:
        return changed
    changed.version += 1
    _save(changed)
    if changed.site_id != old_site:
        moved = counters.room_change(
            changed.tenant_id, before=(changed.state, old_site), after=(changed.state, changed.site_id)
        )
        counters.add(moved)
    if WORDED & set(different):
        search.index_rooms([changed.id])
    if set(different) & RULED:
        group_rules.follow([changed.id], at=at)
    if "place" in different:
        notices.rooms_moved([changed.id], tenant_id=changed.tenant_id, at=at)
        stood = history.Event(changed.id, history.Kind.MOVED, before["place"])
        history.write([stood], tenant_id=changed.tenant_id, at=at)
    audit.record(
        "room.move" if different[0] == "place" else "room.update",
        changed,
        tenant_id=changed.tenant_id,
        at=at,
        before={name: before[name] for name in different},
        after={name: after[name] for name in different},
    )
    return changed


def checked(name: str, value: Any) -> Any:
    """One property of a room as it is kept. Raises NotValid."""
    return _CHECKS[name](value)


def retire_room(room_id: UUID, *, at: datetime) -> Room:
    """Take a room out of every list; its history stays. Repeating it changes nothing.

    Raises Missing, and StillInUse while devices or assets are in it.
    """
    retired = _held(room_id, retired_too=True)
    if retired.retired_at is not None:
        return retired
    devices = Device.objects.for_tenant(retired.tenant_id).filter(room=retired, retired_at=None)
    if devices.exclude(status=Device.Status.UNENROLLED).exists():
        raise StillInUse("Unenroll or move the devices of this room first.")
    if Asset.objects.for_tenant(retired.tenant_id).current().filter(room=retired).exists():
        raise StillInUse("Move or remove the assets of this room first.")
    retired.retired_at = at
    retired.version += 1
    retired.save(update_fields=["retired_at", "version"])
    search.index_rooms([retired.id])
    timers.clear_timer(SUPPRESSION_ENDS, str(retired.id), tenant_id=retired.tenant_id)
    counters.add(counters.room_change(retired.tenant_id, before=(retired.state, retired.site_id), after=None))
    audit.record("room.retire", retired, tenant_id=retired.tenant_id, at=at)
    history.write([history.Event(retired.id, history.Kind.RETIRED)], tenant_id=retired.tenant_id, at=at)
    notices.room_retired(retired.id, tenant_id=retired.tenant_id, at=at)
    return retired


def suppress_room(room_id: UUID, *, until: datetime, reason: str, at: datetime) -> Room:
    """Keep a room quiet until a moment (aware, within a year); again moves the end.

    Raises Missing, NotValid.
    """
    quiet = _held(room_id)
    if until <= at:
        raise NotValid("The end must lie in the future.", field="until")
    if until > at + LONGEST_SUPPRESSION:
        raise NotValid("The end must lie within a year.", field="until")
    before = {"until": quiet.suppressed_until, "reason": quiet.suppressed_reason}
    quiet.suppressed_until = until
    quiet.suppressed_reason = validation.one_line(reason, "reason", at_most=200)
    quiet.save(update_fields=["suppressed_until", "suppressed_reason"])
    timers.set_timer(SUPPRESSION_ENDS, str(quiet.id), due_at=until, tenant_id=quiet.tenant_id)
    after = {"until": until, "reason": quiet.suppressed_reason}
    audit.record("room.suppress", quiet, tenant_id=quiet.tenant_id, at=at, before=before, after=after)
    notices.rooms_changed([quiet.id], tenant_id=quiet.tenant_id, at=at)
    return health.refresh(quiet.id, at=at)


def unsuppress_room(room_id: UUID, *, at: datetime) -> Room:
    """End the quiet before its time. Repeating it changes nothing. Raises Missing."""
    loud = _held(room_id)
    if loud.suppressed_until is None:
        return loud
    timers.clear_timer(SUPPRESSION_ENDS, str(loud.id), tenant_id=loud.tenant_id)
    return _end_suppression(loud, at=at)


def suppression_ended(timer: Timer, at: datetime) -> None:
    """Handler of SUPPRESSION_ENDS: the end that was set has come. May be repeated."""
    found = Room.objects.for_tenant(timer.tenant_id).filter(id=timer.subject, retired_at=None)
    loud = found.select_for_update(no_key=True).first()
    if loud is not None and loud.suppressed_until is not None and loud.suppressed_until <= at:
        _end_suppression(loud, at=at)


def _end_suppression(loud: Room, *, at: datetime) -> Room:
    before = {"until": loud.suppressed_until, "reason": loud.suppressed_reason}
    loud.suppressed_until, loud.suppressed_reason = None, ""
    loud.save(update_fields=["suppressed_until", "suppressed_reason"])
    audit.record("room.unsuppress", loud, tenant_id=loud.tenant_id, at=at, before=before)
    notices.rooms_changed([loud.id], tenant_id=loud.tenant_id, at=at)
    return health.refresh(loud.id, at=at)


def _held(room_id: UUID, *, retired_too: bool = False) -> Room:
    rooms = Room.objects.for_tenant(current_tenant()).filter(id=room_id).select_for_update(no_key=True)
    return _current(rooms, retired_too=retired_too)


def _current(rooms: Any, *, retired_too: bool = False, field: str | None = None) -> Room:
    found: Room | None = rooms.first()
    if found is None or (found.retired_at is not None and not retired_too):
        raise Missing("room", field=field)
    return found


def _place_held(place_id: UUID) -> Place:
    """Locked, so that it is not moved to another building at the same moment."""
    places = Place.objects.for_tenant(current_tenant()).filter(id=place_id, retired_at=None)
    held: Place | None = places.select_for_update(no_key=True).first()
    if held is None:
        raise Missing("place", field="place")
    return held


def _put(changed: Room, where: Place) -> None:
    if changed.time_zone == changed.place.time_zone:
        changed.time_zone = where.time_zone
    changed.place, changed.site_id = where, site_of(where)


def _refuse_country(moved: Room) -> None:
    reason = regions.refusal(moved.place.country_code)
    if reason:
        devices = Device.objects.for_tenant(moved.tenant_id).filter(room=moved, retired_at=None)
        if devices.exclude(status=Device.Status.UNENROLLED).exists():
            raise NotValid(f"{reason} Unenroll its devices first.", field="place_id")


def _named(name: str, account: str) -> Room | None:
    rooms = Room.objects.for_tenant(current_tenant()).current()
    if account:
        by_account: Room | None = rooms.filter(resource_account=account).first()
        if by_account is not None:
            return by_account
    namesakes = list(rooms.filter(name=name)[:2])
    same = namesakes[0] if len(namesakes) == 1 else None
    return None if same is not None and account and same.resource_account else same


def _free_name(where: Place, name: str) -> str:
    """`name`, numbered where a room of another account has it already."""
    rooms = Room.objects.for_tenant(where.tenant_id).current().filter(place=where)
    numbered = (f"{name[:110]} ({number})" for number in count(2))
    return next(each for each in chain([name], numbered) if not rooms.filter(name=each).exists())


def _save(changed: Room, *, new: bool = False) -> None:
    try:
        with transaction.atomic():
            changed.save(force_insert=new)
    except IntegrityError as error:
        message, field = _TAKEN.get(violated_constraint(error), ("", ""))
        if not message:
            raise
        raise AlreadyThere(message, field=field) from error


def _facts(of: Room) -> dict[str, Any]:
    return {
        "place": of.place.full_name,
        "name": of.name,
        "resource_account": of.resource_account,
        "room_type": of.room_type,
        "capacity": of.capacity,
        "licence": of.licence,
        "licence_ends": of.licence_ends.isoformat() if of.licence_ends else None,
        "labels": list(of.labels),
        "time_zone": of.time_zone,
        "expected": dict(of.expected),
    }


def _name(value: str) -> str:
    return validation.one_line(value, "name", at_most=120)


def _room_type(value: str) -> str:
    if value and value not in Room.Type:
        raise NotValid(f"This is none of {', '.join(Room.Type)}.", field="room_type")
    return value


def _capacity(value: int | None) -> int | None:
    if value is not None and not 0 <= value <= MOST_SEATS:
        raise NotValid(f"This must be a number from 0 to {MOST_SEATS}.", field="capacity")
    return value


def _licence(value: str) -> str:
    if value and value not in Room.Licence:
        raise NotValid(f"This is none of {', '.join(Room.Licence)}.", field="licence")
    return value


def _licence_ends(value: date | None) -> date | None:
    return value


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "name": _name,
    "resource_account": validation.resource_account,
    "room_type": _room_type,
    "capacity": _capacity,
    "licence": _licence,
    "licence_ends": _licence_ends,
    "labels": validation.labels,
    "time_zone": validation.time_zone,
    "expected": expectations.validated,
}
