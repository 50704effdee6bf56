"""Groups whose rooms follow from a rule: clauses that all have to hold, kept as data.

A rule is evaluated for the rooms that changed, whenever one changes (work grows with what changed), and for all rooms
when the rule itself is set. Why a room is in a group is read from the same clauses.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from fleet import notices, scope, validation
from fleet.models import Device, Place, Room, RoomGroup, RoomGroupMember, RoomWord
from fleet.search import label_mark, words_of
from foundation import jobs
from foundation.context import current_tenant
from foundation.errors import NotValid
from foundation.models import Job
from tenancy import audit

KIND = "group.rule"  # of the job that takes a new rule to all rooms
ROOMS_A_STEP = 2_000
BATCH = 1_000
MOST_CLAUSES = 8
MOST_VALUES = 50
LONGEST_VALUE = 120
MOST_SEATS = 10_000
NAMED_IN_EVENT = 200  # rooms an audit event lists by id
Clause = dict[str, Any]  # {"field": one of FIELDS, "values": [texts, any of which is enough]}


@dataclass
class Facts:
    """What rules see of one room."""

    country: str = ""
    path: frozenset[str] = frozenset()  # its place and those above
    room_type: str = ""
    capacity: int | None = None
    licence: str = ""
    labels: set[str] = field(default_factory=set)  # as search marks them, without case and accents
    words: set[str] = field(default_factory=set)  # of the room's search words
    kinds: set[str] = field(default_factory=set)  # of its devices, as makes and models are
    makes: set[str] = field(default_factory=set)
    models: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Field:
    """`holds(facts, values)`: is one of the values true of the room. `check`: raises NotValid."""

    label: str
    holds: Callable[[Facts, list[str]], bool]
    check: Callable[[str], str]


@dataclass(frozen=True)
class Membership:
    """Why a room is in a group: put there by hand, and by which clauses of the group's rule."""

    group: RoomGroup
    by_hand: bool
    clauses: list[Clause]


def validated(rule: Any) -> list[Clause]:
    """Clauses as they are kept; [] is no rule. Raises NotValid, naming `rule`."""
    if not isinstance(rule, list):
        raise NotValid("This must be a list of clauses.", field="rule")
    if len(rule) > MOST_CLAUSES:
        raise NotValid(f"A rule has at most {MOST_CLAUSES} clauses.", field="rule")
    return [_validated(each) for each in rule]


def set_rule(group_id: UUID, rule: Any, *, requested_by: UUID | None = None, at: datetime) -> RoomGroup:
    """Give a group a rule, or with [] take it away; rooms put there by hand stay.

    The first rooms follow at once, all others by a job. Raises Missing, NotValid, NotAllowed within a scope.
    """
    from fleet.room_groups import held  # it calls us when its members change

    scope.refuse_part("A rule")
    clauses = validated(rule)
    group = held(group_id)
    scope.refuse_regrouping(group.tenant_id, [group.id])
    if group.is_default and clauses:
        raise NotValid("New rooms go to the default group; it can have no rule.", field="rule")
    if group.rule == clauses:
        return group
    before, group.rule = group.rule, clauses
    group.save(update_fields=["rule"])
    audit.record(
        "group.rule",
        group,
        tenant_id=group.tenant_id,
        at=at,
        before={"rule": before},
        after={"rule": clauses},
    )
    first = _evaluate(group, None, at=at)
    if first.cursor is not None:
        job = jobs.add(
            KIND, {"group": str(group.id)}, tenant_id=group.tenant_id, requested_by=requested_by, at=at
        )
        Job.objects.for_tenant(group.tenant_id).filter(id=job.id).update(cursor=first.cursor, done=first.done)
    return group


def step(held: Job, at: datetime) -> jobs.Progress:
    """Of the job: the next rooms of the customer. The rule is read anew, so the latest one wins."""
    group = RoomGroup.objects.for_tenant(held.tenant_id).filter(id=held.parameters["group"]).first()
    if group is None:
        return jobs.Progress(None, held.done)
    progress = _evaluate(group, held.cursor, at=at)
    return jobs.Progress(progress.cursor, held.done + progress.done)


def is_being_worked_out(group: RoomGroup) -> bool:
    """Whether the job of its rule is still under way."""
    rows = Job.objects.for_tenant(group.tenant_id).filter(kind=KIND, parameters={"group": str(group.id)})
    return bool(rows.filter(state__in=[Job.State.QUEUED, Job.State.RUNNING]).exists())


@scope.whole()
def follow(room_ids: Iterable[UUID], *, at: datetime) -> int:
    """Bring the groups by rule in line with rooms that changed; returns how many memberships changed.

    Of the one tenant entered, whoever asks. May be repeated. One query where no group has a rule.
    """
    rooms = sorted(set(room_ids))
    if not rooms:
        return 0
    groups = list(RoomGroup.objects.for_tenant(current_tenant()).exclude(rule=[]).order_by("id"))
    if not groups:
        return 0
    return sum(_follow(groups, rooms[start : start + BATCH], at=at) for start in range(0, len(rooms), BATCH))


def memberships(room_id: UUID) -> list[Membership]:
    """Why the room is in each of its groups, by the groups' names."""
    tenant_id = current_tenant()
    members = RoomGroupMember.objects.for_tenant(tenant_id).filter(
        room_id=room_id, group__in=RoomGroup.objects.for_tenant(tenant_id)
    )
    rows = members.select_related("group").order_by("group__name", "group_id")
    return [Membership(row.group, row.by_hand, list(row.group.rule) if row.by_rule else []) for row in rows]


def sentence(rule: list[Clause], names: Mapping[str, str] | None = None) -> str:
    """ "Country is DE or FR, and type is large". `names` of places by id."""
    return ", and ".join(_said(clause, names or {}) for clause in rule)


def place_names(rules: Iterable[list[Clause]]) -> dict[str, str]:
    """Names of the places that rules mention; one query, none where they mention none."""
    wanted = {
        value for rule in rules for clause in rule if clause["field"] == "place" for value in clause["values"]
    }
    if not wanted:
        return {}
    rows = Place.objects.for_tenant(current_tenant()).filter(id__in=wanted)
    return {str(key): name for key, name in rows.values_list("id", "full_name")}


def _said(clause: Clause, names: Mapping[str, str]) -> str:
    known = FIELDS[clause["field"]]
    values = [
        names.get(each, "a place out of reach") if clause["field"] == "place" else each.replace("_", " ")
        for each in clause["values"]
    ]
    return f"{known.label} {' or '.join(values)}"


def _evaluate(group: RoomGroup, cursor: Any, *, at: datetime) -> jobs.Progress:
    rooms = Room.objects.for_tenant(group.tenant_id).current().order_by("id")
    if cursor:
        rooms = rooms.filter(id__gt=UUID(cursor["after"]))
    with scope.whole():
        ids = list(rooms.values_list("id", flat=True)[:ROOMS_A_STEP])
        for start in range(0, len(ids), BATCH):
            _follow([group], ids[start : start + BATCH], at=at)
    more = len(ids) == ROOMS_A_STEP
    return jobs.Progress({"after": str(ids[-1])} if more else None, len(ids))


def _follow(groups: list[RoomGroup], room_ids: list[UUID], *, at: datetime) -> int:
    tenant_id = groups[0].tenant_id
    facts = _facts(tenant_id, room_ids, {clause["field"] for group in groups for clause in group.rule})
    members = RoomGroupMember.objects.for_tenant(tenant_id)
    known = {
        (row.group_id, row.room_id): row
        for row in members.filter(group__in=groups, room_id__in=room_ids)
        .order_by("group_id", "room_id")
        .select_for_update(no_key=True)
    }
    come: list[RoomGroupMember] = []
    marked: list[RoomGroupMember] = []
    gone: list[UUID] = []
    moves: dict[RoomGroup, tuple[list[UUID], list[UUID]]] = defaultdict(lambda: ([], []))
    for group in groups:
        for room_id, its in facts.items():
            wanted = bool(group.rule) and all(_holds(clause, its) for clause in group.rule)
            row = known.get((group.id, room_id))
            if row is None and wanted:
                come.append(
                    RoomGroupMember(
                        tenant_id=tenant_id, group=group, room_id=room_id, by_hand=False, by_rule=True
                    )
                )
                moves[group][0].append(room_id)
            elif row is not None and row.by_rule and not wanted and not row.by_hand:
                gone.append(row.id)
                moves[group][1].append(room_id)
            elif row is not None and row.by_rule != wanted:
                row.by_rule = wanted
                marked.append(row)
    if gone:
        members.filter(id__in=gone).delete()
    members.bulk_create(come, batch_size=BATCH, ignore_conflicts=True)
    if marked:
        members.bulk_update(marked, ["by_rule"])
    for group, (added, removed) in moves.items():
        notices.regrouped(group.id, [*added, *removed], tenant_id=tenant_id, at=at)
    audit.record_many(
        [
            audit.Written("group.members", group, after={"by": "its rule", **_listed(added, removed)})
            for group, (added, removed) in moves.items()
        ],
        tenant_id=tenant_id,
        at=at,
    )
    return len(come) + len(gone) + len(marked)


def _listed(added: list[UUID], removed: list[UUID]) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for word, rooms in (("added", added), ("removed", removed)):
        if rooms:
            named[word] = [str(each) for each in rooms[:NAMED_IN_EVENT]]
            if len(rooms) > NAMED_IN_EVENT:
                named[f"{word}_rooms"] = len(rooms)
    return named


def _facts(tenant_id: UUID, room_ids: list[UUID], fields: set[str]) -> dict[UUID, Facts]:
    """Of current rooms. Devices and words are read only where a clause asks for them."""
    rooms = Room.objects.for_tenant(tenant_id).current().filter(id__in=room_ids)
    found = {
        room_id: Facts(
            country, frozenset(map(str, path)), room_type, capacity, licence, set(map(label_mark, labels))
        )
        for room_id, country, path, room_type, capacity, licence, labels in rooms.values_list(
            "id", "place__country_code", "place__path", "room_type", "capacity", "licence", "labels"
        )
    }
    if fields & {"device_kind", "device_make", "device_model"}:
        devices = Device.objects.for_tenant(tenant_id).filter(room_id__in=list(found), retired_at=None)
        used = devices.exclude(status=Device.Status.UNENROLLED)
        for room_id, kind, make, model in used.values_list("room_id", "kind", "make", "model"):
            if room_id is not None:
                its = found[room_id]
                its.kinds.add(kind)
                its.makes.add(make.casefold())
                its.models.add(model.casefold())
    if "word" in fields:
        words = RoomWord.objects.for_tenant(tenant_id).filter(room_id__in=list(found))
        for room_id, word in words.values_list("room_id", "word"):
            found[room_id].words.add(word)
    return found


def _holds(clause: Clause, facts: Facts) -> bool:
    return FIELDS[clause["field"]].holds(facts, clause["values"])


def _validated(clause: Any) -> Clause:
    if not isinstance(clause, dict) or set(clause) != {"field", "values"}:
        raise NotValid("A clause names a field and its values.", field="rule")
    name, values = clause["field"], clause["values"]
    if not isinstance(name, str) or name not in FIELDS:
        raise NotValid(f"A clause is about one of {', '.join(FIELDS)}.", field="rule")
    if not isinstance(values, list) or not 1 <= len(values) <= MOST_VALUES:
        raise NotValid(f"A clause has 1 to {MOST_VALUES} values.", field="rule")
    if not all(isinstance(each, str) for each in values):
        raise NotValid("Values are texts.", field="rule")
    return {"field": name, "values": list(dict.fromkeys(FIELDS[name].check(each) for each in values))}


def _text(value: str) -> str:
    return validation.one_line(value, "rule", at_most=LONGEST_VALUE)


def _country(value: str) -> str:
    code = validation.country_code(value, "rule")
    if not code:
        raise NotValid("A country has two letters, such as NO.", field="rule")
    return code


def _place(value: str) -> str:
    try:
        key = UUID(value)
    except ValueError:
        raise NotValid("A place is named by its id.", field="rule") from None
    if not Place.objects.for_tenant(current_tenant()).filter(id=key, retired_at=None).exists():
        raise NotValid("There is no such place.", field="rule")
    return str(key)


def _seats(value: str) -> str:
    if not (value.isascii() and value.isdigit() and int(value) <= MOST_SEATS):
        raise NotValid(f"Seats are a number from 0 to {MOST_SEATS}.", field="rule")
    return str(int(value))


def _word(value: str) -> str:
    words = words_of(_text(value))
    if len(words) != 1:
        raise NotValid("Give one word at a time.", field="rule")
    return words[0]


def _one_of(choices: Iterable[str]) -> Callable[[str], str]:
    known = list(choices)

    def check(value: str) -> str:
        if value not in known:
            raise NotValid(f"This is none of {', '.join(known)}.", field="rule")
        return value

    return check


def _folded(values: list[str]) -> set[str]:
    return {each.casefold() for each in values}


FIELDS: dict[str, Field] = {
    "country": Field("country is", lambda facts, values: facts.country in values, _country),
    "place": Field("it stands in", lambda facts, values: not facts.path.isdisjoint(values), _place),
    "room_type": Field("type is", lambda facts, values: facts.room_type in values, _one_of(Room.Type.values)),
    "seats_from": Field(
        "seats are at least",
        lambda facts, values: facts.capacity is not None and facts.capacity >= min(map(int, values)),
        _seats,
    ),
    "seats_to": Field(
        "seats are at most",
        lambda facts, values: facts.capacity is not None and facts.capacity <= max(map(int, values)),
        _seats,
    ),
    "label": Field(
        "it is labelled",
        lambda facts, values: not facts.labels.isdisjoint(map(label_mark, values)),
        lambda value: validation.labels([value], "rule")[0],
    ),
    "licence": Field(
        "licence is",
        lambda facts, values: facts.licence in values,
        _one_of(Room.Licence.values),
    ),
    "word": Field(
        "a word begins with",
        lambda facts, values: any(word.startswith(tuple(values)) for word in facts.words),
        _word,
    ),
    "device_kind": Field(
        "it has a",
        lambda facts, values: not facts.kinds.isdisjoint(values),
        _one_of(Device.Kind.values),
    ),
    "device_make": Field(
        "a device is made by", lambda facts, values: not facts.makes.isdisjoint(_folded(values)), _text
    ),
    "device_model": Field(
        "a device's model is", lambda facts, values: not facts.models.isdisjoint(_folded(values)), _text
    ),
}
