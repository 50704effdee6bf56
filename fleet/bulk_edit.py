"""The same change for many rooms: drafted, previewed, carried out as a job, and undone exactly.

An edit holds its rooms from the moment it is drafted, within the scope of whoever drafts it. For each room it keeps
what it changed; undoing restores that, but for what somebody changed since, and says so. The tenant is entered.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from fleet import (
    counters,
    group_rules,
    history,
    inventory,
    lists,
    notices,
    place_tree,
    room_groups,
    scope,
    search,
    validation,
)
from fleet.errors import Missing, WrongState
from fleet.models import BulkEdit, BulkEditRoom, Device, Place, Room, RoomGroup, RoomGroupMember
from foundation import jobs
from foundation.context import current_tenant
from foundation.errors import DomainError, NotValid
from foundation.models import Job
from foundation.narrowing import is_narrowed
from tenancy import audit, on_behalf, regions
from tenancy.audit import Written
from tenancy.models import Person
from tenancy.rights import Rights

KIND = "rooms.bulk_edit"  # of the job
PERMISSION = "rooms.modify"
MOST_ROOMS = 10_000
ROOMS_A_STEP = 2_000
BATCH = 500
GROUPS_AT_ONCE = 20
SCALARS = ("room_type", "capacity", "licence", "time_zone")
LISTED = "labels"  # changed by adding to it and taking away from it
LABELLING = ("add_labels", "remove_labels")
GROUPS = ("add_groups", "remove_groups")
CHANGES = (*SCALARS, "place_id", *LABELLING, *GROUPS)
LABELS = {
    "room_type": "type",
    "capacity": "seats",
    "licence": "licence",
    "labels": "labels",
    "add_labels": "added labels",
    "remove_labels": "removed labels",
    "time_zone": "time zone",
    "place_id": "place",
    "add_groups": "added groups",
    "remove_groups": "removed groups",
}
State, Outcome = BulkEdit.State, BulkEditRoom.Outcome
Facts = dict[str, Any]


@dataclass
class Plan:
    """What an edit does to one room: values before and after, of what differs alone. `note`: why it cannot."""

    room: Room
    before: Facts = field(default_factory=dict)
    after: Facts = field(default_factory=dict)
    note: str = ""

    @property
    def outcome(self) -> str:
        if self.note:
            return Outcome.REFUSED
        return Outcome.CHANGED if self.after else Outcome.SAME


@dataclass(frozen=True)
class Preview:
    """Numbers over all rooms, and the first plans of those that change or cannot."""

    changing: int
    same: int
    refused: int
    shown: list[Plan]


def draft(
    *,
    room_ids: Iterable[UUID] | None = None,
    query: lists.Query | None = None,
    selected: str = "",
    by: Person | None,
    at: datetime,
) -> BulkEdit:
    """An edit of rooms named, or of all that a list's filters show. `selected`: how they were chosen, in words.

    Raises NotValid for none or too many, Missing where one named is not there (or out of reach).
    """
    tenant_id = current_tenant()
    if room_ids is not None:
        wanted = list(dict.fromkeys(room_ids))
        _check_number(len(wanted))
        rows = lists.filtered("rooms", {}).filter(id__in=wanted)
    else:
        rows = lists.filtered("rooms", query or {})
    found = list(rows.order_by("name", "id").values_list("id", flat=True)[: MOST_ROOMS + 1])
    if room_ids is not None and len(found) != len(wanted):
        raise Missing("room", field="rooms")
    _check_number(len(found))
    edit = BulkEdit(
        tenant_id=tenant_id, requested_by=by, selected=selected[:300], rooms=len(found), created_at=at
    )
    edit.save(force_insert=True)
    rows_of = BulkEditRoom.objects.for_tenant(tenant_id)
    rows_of.bulk_create(
        (BulkEditRoom(tenant_id=tenant_id, edit=edit, room_id=each) for each in found), batch_size=1_000
    )
    audit.record("room.bulk_draft", edit, tenant_id=tenant_id, at=at, after={"rooms": len(found)})
    return edit


def edit_of(edit_id: UUID, *, person: Person | None) -> BulkEdit:
    """Raises Missing. Whoever sees some rooms only sees the edits of his own."""
    rows = edits_for(person).filter(id=edit_id)
    found: BulkEdit | None = rows.first()
    if found is None:
        raise Missing("edit")
    return found


def edits_for(person: Person | None) -> Any:
    """Edits that somebody may look at and undo."""
    rows = BulkEdit.objects.for_tenant(current_tenant())
    return rows.filter(requested_by=person) if is_narrowed() else rows


def set_changes(edit_id: UUID, changes: Mapping[str, Any], *, at: datetime) -> BulkEdit:
    """What is to change: some of CHANGES. Raises Missing, NotValid, WrongState once it was started."""
    edit = _held(edit_id)
    _require(edit, State.DRAFT)
    before, edit.changes = edit.changes, validated(changes)
    if edit.changes != before:
        edit.save(update_fields=["changes"])
        audit.record(
            "room.bulk_draft", edit, tenant_id=edit.tenant_id, at=at, before=before, after=dict(edit.changes)
        )
    return edit


def validated(changes: Mapping[str, Any]) -> Facts:
    """As they are kept. Raises NotValid, Missing, naming the field."""
    unknown = set(changes) - set(CHANGES)
    if unknown:
        raise NotValid("This cannot be changed for many rooms.", field=min(unknown))
    kept: Facts = {name: inventory.checked(name, changes[name]) for name in SCALARS if name in changes}
    if "place_id" in changes:
        kept["place_id"] = str(place_tree.place(changes["place_id"], field="place_id").id)
    for name in LABELLING:
        if changes.get(name):
            kept[name] = validation.labels(changes[name], name)
    for name in GROUPS:
        keys = list(dict.fromkeys(changes.get(name) or ()))
        if len(keys) > GROUPS_AT_ONCE:
            raise NotValid(f"At most {GROUPS_AT_ONCE} groups at once.", field=name)
        if keys:
            kept[name] = [str(room_groups.group(each, field=name).id) for each in keys]
            scope.refuse_regrouping(current_tenant(), [UUID(each) for each in kept[name]])
    both = set(kept.get("add_groups", ())) & set(kept.get("remove_groups", ()))
    if both:
        raise NotValid("A group cannot be added and removed at once.", field="remove_groups")
    return kept


def preview(edit: BulkEdit, *, shown: int) -> Preview:
    """What carrying it out would do now."""
    rooms = Room.objects.for_tenant(edit.tenant_id).filter(id__in=_rooms_of(edit)).select_related("place")
    plans = _planned(edit.changes, list(rooms.order_by("name", "id")))
    numbers = dict.fromkeys(Outcome, 0)
    for plan in plans:
        numbers[Outcome(plan.outcome)] += 1
    telling = [plan for plan in plans if plan.outcome == Outcome.REFUSED]
    telling += [plan for plan in plans if plan.outcome == Outcome.CHANGED]
    return Preview(numbers[Outcome.CHANGED], numbers[Outcome.SAME], numbers[Outcome.REFUSED], telling[:shown])


def start(edit_id: UUID, *, at: datetime) -> BulkEdit:
    """Carry it out, as a job on the account of whoever acts. Raises Missing, NotValid, WrongState."""
    edit = _held(edit_id)
    _require(edit, State.DRAFT)
    if not edit.changes:
        raise NotValid("Choose what is to change first.")
    edit.state, edit.started_at = State.QUEUED, at
    edit.save(update_fields=["state", "started_at"])
    _queue(edit, undo=False, at=at)
    after = {"rooms": edit.rooms, **edit.changes}
    audit.record("room.bulk_edit", edit, tenant_id=edit.tenant_id, at=at, after=after)
    return edit


def undo(edit_id: UUID, *, at: datetime) -> BulkEdit:
    """Restore what it changed, as a job. Raises Missing, WrongState for one that is not done."""
    edit = _held(edit_id)
    _require(edit, State.DONE)
    edit.state = State.UNDOING
    edit.save(update_fields=["state"])
    _queue(edit, undo=True, at=at)
    audit.record("room.bulk_undo", edit, tenant_id=edit.tenant_id, at=at, before={"rooms": edit.changed})
    return edit


def step(held: Job, at: datetime) -> jobs.Progress:
    """The next rooms, in the order of their ids; each batch commits with the step."""
    edit = _held(UUID(held.parameters["edit"]))
    undoing = bool(held.parameters["undo"])
    rows = BulkEditRoom.objects.for_tenant(edit.tenant_id).filter(edit=edit)
    rows = rows.filter(outcome=Outcome.CHANGED if undoing else Outcome.WAITING)
    total = held.total if held.total is not None else rows.count()
    some = list(rows.order_by("room_id")[:ROOMS_A_STEP])
    by = held.parameters.get("by") or _by_then(held.parameters["actor"])
    barred = _barred(edit, some, on_behalf.rights_of(by, edit.tenant_id, at=at), undoing=undoing)
    mine = [row for row in some if row.room_id not in barred]
    with audit.acting(on_behalf.actor_of(by)), counters.gathered():
        for begin in range(0, len(mine), BATCH):
            _carry_out(edit, mine[begin : begin + BATCH], undoing=undoing, at=at)
    for row in some:
        edit.changed += row.outcome == Outcome.CHANGED
        edit.refused += row.outcome == Outcome.REFUSED
        edit.restored += row.outcome == Outcome.RESTORED
        edit.kept += row.outcome == Outcome.KEPT
    ended = len(some) < ROOMS_A_STEP
    if ended:
        edit.state, edit.ended_at = (State.UNDONE if undoing else State.DONE), at
    edit.save(update_fields=["changed", "refused", "restored", "kept", "state", "ended_at"])
    done = held.done + len(some)
    return jobs.Progress(None if ended else {"done": done}, done, total)


def _by_then(actor: dict[str, Any]) -> dict[str, Any]:
    """Of a job queued before jobs kept where a right held: anywhere that it holds now."""
    texts = {name: actor[name] or "" for name in ("name", "request_id")}
    return {**actor, **texts, "permission": PERMISSION, "unions": []}


def _barred(edit: BulkEdit, rows: list[BulkEditRoom], rights: Rights, *, undoing: bool) -> set[UUID]:
    """Rooms that whoever asked may change no longer; they say so."""
    ids = {row.room_id for row in rows}
    with scope.within(rights, PERMISSION):
        reached = set(Room.objects.for_tenant(edit.tenant_id).filter(id__in=ids).values_list("id", flat=True))
    outside = [row for row in rows if row.room_id not in reached]
    for row in outside:
        row.outcome = Outcome.KEPT if undoing else Outcome.REFUSED
        row.note = "Whoever asked may no longer change it."
    BulkEditRoom.objects.for_tenant(edit.tenant_id).bulk_update(
        outside, ["outcome", "note"], batch_size=BATCH
    )
    return ids - reached


def broke_down(held: Job, error: Exception, at: datetime) -> None:
    """Handler of the job's failure: the edit is done as far as it came, and can be undone (further)."""
    edit = _held(UUID(held.parameters["edit"]))
    if edit.state not in (State.QUEUED, State.UNDOING):
        return
    why = error.message if isinstance(error, DomainError) else "It broke down before this room."
    waiting = BulkEditRoom.objects.for_tenant(edit.tenant_id).filter(edit=edit, outcome=Outcome.WAITING)
    edit.refused += waiting.update(outcome=Outcome.REFUSED, note=why[:200])
    edit.state, edit.ended_at = State.DONE, at
    edit.save(update_fields=["refused", "state", "ended_at"])


def forget_old(*, before: datetime) -> int:
    """Edits older than `before`, of the tenant entered, with what they kept of their rooms."""
    rows = BulkEdit.objects.for_tenant(current_tenant()).filter(created_at__lt=before)
    ids = list(rows.exclude(state__in=[State.QUEUED, State.UNDOING]).values_list("id", flat=True)[:100])
    BulkEdit.objects.for_tenant(current_tenant()).filter(id__in=ids).delete()
    return len(ids)


# Planning ------------------------------------------------------------------------------------------------------


def _planned(changes: Facts, rooms: list[Room]) -> list[Plan]:
    """For rooms read with their places; as many queries for one as for all."""
    if not rooms:
        return []
    tenant_id = rooms[0].tenant_id
    key = changes.get("place_id")
    places = Place.objects.for_tenant(tenant_id).filter(retired_at=None)
    place = places.filter(id=key).first() if key else None
    taken = _names_in(place, rooms)
    barred = _barred_from(place, rooms)
    members = _members(tenant_id, rooms, [*changes.get("add_groups", ()), *changes.get("remove_groups", ())])
    plans = []
    for room in rooms:
        plan = Plan(room)
        if room.retired_at is not None:
            plan.note = "It was retired."
        for name in SCALARS:
            if name in changes:
                _differ(plan, name, getattr(room, name), changes[name])
        _plan_labels(plan, changes)
        if "place_id" in changes:
            _plan_place(plan, place, taken, barred, zone_given="time_zone" in changes)
        for name, there in (("add_groups", False), ("remove_groups", True)):
            keys = [each for each in changes.get(name, ()) if ((each, room.id) in members) == there]
            if keys:
                plan.before[name], plan.after[name] = [], keys
        plans.append(plan)
    return plans


def _differ(plan: Plan, name: str, old: Any, new: Any) -> None:
    if old != new:
        plan.before[name], plan.after[name] = old, new


def _plan_labels(plan: Plan, changes: Facts) -> None:
    """Labels are the same whatever their case."""
    added, removed = (changes.get(name, []) for name in LABELLING)
    if not added and not removed:
        return
    gone = {each.casefold() for each in removed}
    kept = [each for each in plan.room.labels if each.casefold() not in gone]
    have = {each.casefold() for each in kept}
    wanted = [*kept, *(each for each in added if each.casefold() not in have)]
    if len(wanted) > validation.MOST_LABELS:
        plan.note = plan.note or f"It would have more than {validation.MOST_LABELS} labels."
    _differ(plan, LISTED, list(plan.room.labels), wanted)


def _plan_place(
    plan: Plan, place: Place | None, taken: dict[str, UUID], barred: dict[UUID, str], *, zone_given: bool
) -> None:
    room = plan.room
    if place is None:
        plan.note = plan.note or "The place is gone."
    elif room.place_id != place.id:
        plan.note = plan.note or barred.get(room.id, "")
        if plan.note:  # a room that stays where it is takes no name there
            return
        if taken.setdefault(room.name, room.id) != room.id:
            plan.note = "There is already a room of this name."
            return
        _differ(plan, "place_id", str(room.place_id), str(place.id))
        if not zone_given and room.time_zone == room.place.time_zone:
            _differ(plan, "time_zone", room.time_zone, place.time_zone)


def _barred_from(place: Place | None, rooms: list[Room]) -> dict[UUID, str]:
    """Rooms with devices, and why these cannot come to a place whose country is not supported."""
    reason = regions.refusal(place.country_code) if place is not None else ""
    if not reason:
        return {}
    devices = Device.objects.for_tenant(rooms[0].tenant_id).filter(room_id__in=[room.id for room in rooms])
    used = devices.filter(retired_at=None).exclude(status=Device.Status.UNENROLLED)
    return {
        room_id: f"{reason} Unenroll its devices first."
        for room_id in used.values_list("room_id", flat=True)
        if room_id is not None
    }


def _names_in(place: Place | None, rooms: list[Room]) -> dict[str, UUID]:
    """Who holds which of these rooms' names in a place."""
    if place is None:
        return {}
    there = Room.objects.for_tenant(place.tenant_id).current().filter(place=place)
    return dict(there.filter(name__in={room.name for room in rooms}).values_list("name", "id"))


def _members(tenant_id: UUID, rooms: list[Room], group_ids: list[str]) -> set[tuple[str, UUID]]:
    """Memberships by hand: what an edit adds and takes away."""
    if not group_ids:
        return set()
    rows = RoomGroupMember.objects.for_tenant(tenant_id).filter(
        group_id__in=[UUID(key) for key in group_ids],
        room_id__in=[room.id for room in rooms],
        by_hand=True,
    )
    return {(str(group_id), room_id) for group_id, room_id in rows.values_list("group_id", "room_id")}


def _plan_undo(row: BulkEditRoom, room: Room, ground: _Ground) -> Plan:
    """Back to what was, field by field, where it is still as the edit left it."""
    plan = Plan(room)
    changed: list[str] = []
    for name in (*SCALARS, LISTED, "place_id"):
        if name not in row.after:
            continue
        now = str(room.place_id) if name == "place_id" else getattr(room, name)
        stays = name == "place_id" and not ground.may_return(room, row.before[name])
        if now != row.after[name] or stays:
            changed.append(name)
        else:
            _differ(plan, name, now, row.before[name])
    if "place_id" in changed and "time_zone" in plan.after and "place_id" in row.after:
        changed.append("time_zone")  # it came with the place
        del plan.before["time_zone"], plan.after["time_zone"]
    for name, inverse, there in (
        ("add_groups", "remove_groups", True),
        ("remove_groups", "add_groups", False),
    ):
        keys = row.after.get(name, [])
        back = [key for key in keys if key in ground.groups and ((key, room.id) in ground.members) == there]
        if len(back) != len(keys):
            changed.append(name)
        if back:
            plan.before[inverse], plan.after[inverse] = [], back
    if room.retired_at is not None:
        plan.before, plan.after = {}, {}
        plan.note = "It was retired since."
    elif changed:
        plan.note = f"Changed since: {', '.join(LABELS[name] for name in dict.fromkeys(changed))}."
    return plan


@dataclass
class _Ground:
    """What undoing finds: places and groups that are still there, names taken, memberships."""

    places: dict[str, Place]
    names: dict[tuple[str, str], UUID]  # (place, name): room
    groups: set[str]
    members: set[tuple[str, UUID]]

    def may_return(self, room: Room, place_id: str) -> bool:
        place = self.places.get(place_id)
        return place is not None and self.names.setdefault((place_id, room.name), room.id) == room.id


def _ground(rows: list[BulkEditRoom], rooms: list[Room]) -> _Ground:
    tenant_id = rooms[0].tenant_id
    place_ids = {row.before["place_id"] for row in rows if "place_id" in row.before}
    group_ids = {key for row in rows for name in GROUPS for key in row.after.get(name, ())}
    places = Place.objects.for_tenant(tenant_id).filter(id__in=place_ids, retired_at=None)
    there = Room.objects.for_tenant(tenant_id).current().filter(place_id__in=place_ids)
    named = there.filter(name__in={room.name for room in rooms}).values_list("place_id", "name", "id")
    groups = RoomGroup.objects.for_tenant(tenant_id).filter(id__in=group_ids).values_list("id", flat=True)
    return _Ground(
        {str(each.id): each for each in places},
        {(str(place_id), name): key for place_id, name, key in named},
        {str(each) for each in groups},
        _members(tenant_id, rooms, list(group_ids)),
    )


# Carrying out --------------------------------------------------------------------------------------------------


def _carry_out(edit: BulkEdit, rows: list[BulkEditRoom], *, undoing: bool, at: datetime) -> None:
    """One batch; `rows` get their outcomes. A name taken at this very moment costs the batch its speed alone."""
    try:
        with transaction.atomic(), counters.gathered():
            _apply(edit, rows, undoing=undoing, at=at)
    except IntegrityError:
        if len(rows) == 1:
            rows[0].outcome = Outcome.KEPT if undoing else Outcome.REFUSED
            rows[0].note = "Its name is taken there."
            rows[0].save(update_fields=["outcome", "note"])
            return
        for row in rows:
            _carry_out(edit, [row], undoing=undoing, at=at)


def _apply(edit: BulkEdit, rows: list[BulkEditRoom], *, undoing: bool, at: datetime) -> None:
    tenant_id = edit.tenant_id
    locked = Room.objects.for_tenant(tenant_id).filter(id__in=[row.room_id for row in rows])
    rooms = list(locked.select_related("place").select_for_update(no_key=True, of=("self",)).order_by("id"))
    of_room = {row.room_id: row for row in rows}
    if undoing:
        ground = _ground(rows, rooms)
        plans = [_plan_undo(of_room[room.id], room, ground) for room in rooms]
    else:
        plans = _planned(edit.changes, rooms)
    acting = [plan for plan in plans if plan.after and (undoing or not plan.note)]
    _write_rooms(tenant_id, acting, at=at)
    _write_groups(tenant_id, acting, at=at)
    _follow(tenant_id, acting, at=at)
    for plan in plans:
        row = of_room[plan.room.id]
        row.note = plan.note[:200]
        if undoing:
            row.outcome = Outcome.KEPT if plan.note else Outcome.RESTORED
        else:
            row.outcome = plan.outcome
            row.before, row.after = (plan.before, plan.after) if not plan.note else ({}, {})
    BulkEditRoom.objects.for_tenant(tenant_id).bulk_update(
        rows, ["outcome", "note", "before", "after"], batch_size=BATCH
    )


def _write_rooms(tenant_id: UUID, plans: list[Plan], *, at: datetime) -> None:
    changing = [plan for plan in plans if set(plan.after) - set(GROUPS)]
    if not changing:
        return
    wanted = {plan.after["place_id"] for plan in changing if "place_id" in plan.after}
    places = {str(each.id): each for each in Place.objects.for_tenant(tenant_id).filter(id__in=wanted)}
    sites = {key: place_tree.site_of(each) for key, each in places.items()}
    events: list[Written] = []
    moved: list[history.Event] = []
    for plan in changing:
        room, old_place, old_site = plan.room, plan.room.place, plan.room.site_id
        for name in (*SCALARS, LISTED):
            if name in plan.after:
                setattr(room, name, plan.after[name])
        before, after = (
            {name: values[name] for name in (*SCALARS, LISTED) if name in values}
            for values in (plan.before, plan.after)
        )
        if "place_id" in plan.after:
            key = plan.after["place_id"]
            room.place, room.site_id = places[key], sites[key]
            before, after = {"place": old_place.full_name, **before}, {"place": room.place.full_name, **after}
            moved.append(history.Event(room.id, history.Kind.MOVED, old_place.full_name))
            if room.site_id != old_site:
                counters.add(
                    counters.room_change(
                        tenant_id, before=(room.state, old_site), after=(room.state, room.site_id)
                    )
                )
        room.version += 1
        action = "room.move" if "place_id" in plan.after else "room.update"
        events.append(Written(action, room, before=before, after=after))
    Room.objects.for_tenant(tenant_id).bulk_update(
        [plan.room for plan in changing], [*SCALARS, LISTED, "place", "site_id", "version"], batch_size=BATCH
    )
    audit.record_many(events, tenant_id=tenant_id, at=at)
    history.write(moved, tenant_id=tenant_id, at=at)


def _write_groups(tenant_id: UUID, plans: list[Plan], *, at: datetime) -> None:
    added: dict[str, list[UUID]] = defaultdict(list)
    removed: dict[str, list[UUID]] = defaultdict(list)
    for plan in plans:
        for name, rooms in (("add_groups", added), ("remove_groups", removed)):
            for key in plan.after.get(name, ()):
                rooms[key].append(plan.room.id)
    for key in sorted(added.keys() | removed.keys()):
        room_groups.change_members(UUID(key), added=added[key], removed=removed[key], at=at)


def _follow(tenant_id: UUID, plans: list[Plan], *, at: datetime) -> None:
    moved = [plan.room.id for plan in plans if "place_id" in plan.after]
    worded = {"place_id", "licence", LISTED}
    search.index_rooms(plan.room.id for plan in plans if worded & set(plan.after))
    notices.rooms_moved(moved, tenant_id=tenant_id, at=at)
    group_rules.follow([plan.room.id for plan in plans if set(plan.after) - set(GROUPS)], at=at)


# Rows ----------------------------------------------------------------------------------------------------------


def _rooms_of(edit: BulkEdit) -> Any:
    return BulkEditRoom.objects.for_tenant(edit.tenant_id).filter(edit=edit).values("room_id")


def _held(edit_id: UUID) -> BulkEdit:
    rows = BulkEdit.objects.for_tenant(current_tenant()).filter(id=edit_id)
    found: BulkEdit | None = rows.select_for_update(no_key=True).first()
    if found is None:
        raise Missing("edit")
    return found


def _require(edit: BulkEdit, state: str) -> None:
    if edit.state != state:
        raise WrongState(f"This edit is {State(edit.state).label.lower()}.")


def _check_number(number: int) -> None:
    if not number:
        raise NotValid("Choose rooms first.", field="rooms")
    if number > MOST_ROOMS:
        raise NotValid(f"At most {MOST_ROOMS:,} rooms at once. Filter for fewer.", field="rooms")


def _queue(edit: BulkEdit, *, undo: bool, at: datetime) -> None:
    actor = audit.current_actor()
    by = on_behalf.kept(actor, scope.asker(), PERMISSION)
    parameters = {"edit": str(edit.id), "undo": undo, "by": by}
    jobs.add(KIND, parameters, tenant_id=edit.tenant_id, requested_by=actor.id, at=at)
