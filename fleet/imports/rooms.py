"""Rooms out of a file. A room is known by its resource account, else by its name in its place.

An empty cell leaves what is there. Levels of places that are not there yet are made.
"""

from __future__ import annotations

import re
from collections import Counter as Tally
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection

from fleet import counters, group_rules, history, inventory, notices, place_tree, search, validation
from fleet.imports import places
from fleet.imports.places import LEVELS, Spot, Tree
from fleet.imports.planning import Column, Line, Planned, differing, named, one_of
from fleet.imports.staging import Stale, applied, staged
from fleet.models import Device, ImportRow, ImportRun, Place, Room, RoomGroup, RoomGroupMember
from foundation.context import current_tenant
from foundation.errors import NotValid
from foundation.ids import new_id
from foundation.narrowing import is_narrowed
from tenancy import regions
from tenancy.audit import Written

EUROPEAN_DAY = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})")
NO_PLACE = "A new room needs a place: fill in at least one level of it."
FACTS = (
    *("place", "name", "resource_account", "room_type", "capacity"),
    *("licence", "licence_ends", "labels", "time_zone"),
)


def _seats(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= inventory.MOST_SEATS):
        raise NotValid(f"This must be a whole number from 0 to {inventory.MOST_SEATS}.")
    return int(text)


def _day(text: str) -> str:
    """A date as ISO 8601 has it, as Europe writes it, or as spreadsheets keep it: days since 30 December 1899."""
    try:
        if text.isascii() and text.isdigit() and len(text) == 5:
            return (date(1899, 12, 30) + timedelta(days=int(text))).isoformat()
        if match := EUROPEAN_DAY.fullmatch(text):
            return date(int(match[3]), int(match[2]), int(match[1])).isoformat()
        return date.fromisoformat(text[:10]).isoformat()
    except ValueError:
        raise NotValid("This is no date, such as 2027-01-31.") from None


def _labels(text: str) -> list[str]:
    return validation.labels([each for each in re.split(r"[;,\n]", text) if each.strip()])


COLUMNS: tuple[Column, ...] = (
    named(
        "name", "Name", lambda text: validation.one_line(text, "name", at_most=120),
        "room", "room name", "display name", "meeting room", "raum", "raumname",
    ),
    named(
        "resource_account", "Resource account", validation.resource_account,
        "account", "upn", "user principal name", "email", "e-mail", "mailbox", "room account", "konto",
    ),
    *(
        named(level, Place.Kind(level).label, places.level_check(level), *more)
        for level, more in zip(
            LEVELS,
            (
                ("land", "country or region"), ("region", "province", "state or province"), ("town", "stadt", "ort"),
                ("site",), ("gebäude", "office"), ("level", "storey", "etage", "stockwerk"),
            ),
            strict=True,
        )
    ),
    named("room_type", "Type", one_of({str(key): str(label) for key, label in Room.Type.choices}), "size", "typ"),
    named("capacity", "Seats", _seats, "seat count", "plätze", "sitze", "people"),
    named(
        "licence", "Licence", one_of({str(key): str(label) for key, label in Room.Licence.choices}),
        "license", "licence type", "license type", "lizenz",
    ),
    named("licence_ends", "Licence ends", _day, "license ends", "licence end", "license end", hint="Like 2027-01-31"),
    named("labels", "Labels", _labels, "label", "tags", hint="Several apart by semicolons"),
    named("time_zone", "Time zone", validation.time_zone, "timezone", "zone", "zeitzone", hint="IANA, like Europe/Oslo"),
)  # fmt: skip


def plan(run: ImportRun, lines: Sequence[Line], tree: Tree, *, at: datetime) -> list[Planned]:
    """What each line without problems will do. Blames lines for the rest."""
    spots = {line.number: tree.find(line) for line in lines if not line.problems}
    good = [line for line in lines if not line.problems]
    rooms = _Rooms(good, spots)
    planned = []
    for line in good:
        found = _plan_one(line, spots[line.number], rooms, tree)
        if found is not None and not line.problems:
            planned.append(found)
    return planned


class _Rooms:
    """Rooms that the lines may mean, read in as many queries for one line as for all."""

    def __init__(self, lines: Sequence[Line], spots: Mapping[int, Spot | None]) -> None:
        current = Room.objects.for_tenant(current_tenant()).current().select_related("place")
        accounts = {line.get("resource_account") for line in lines} - {""}
        self.by_account = {
            room.resource_account: room for room in current.filter(resource_account__in=sorted(accounts))
        }
        names = sorted({line.get("name") for line in lines} - {""})
        held = {spot.id for spot in spots.values() if spot is not None and not spot.is_new}
        held |= {room.place_id for room in self.by_account.values()}
        there = current.filter(place_id__in=sorted(held), name__in=names)
        self.by_name = {(room.place_id, room.name): room for room in there}
        placeless = sorted({line.get("name") for line in lines if spots[line.number] is None} - {""})
        self.namesakes: dict[str, list[Room]] = {}
        for room in current.filter(name__in=placeless)[: 10 * len(placeless)] if placeless else ():
            self.namesakes.setdefault(room.name, []).append(room)
        barred = any(spot is not None and regions.refusal(spot.country_code) for spot in spots.values())
        self.with_devices = self._with_devices() if barred else set()

    def _with_devices(self) -> set[UUID | None]:
        """Rooms that do not move to a country that is not supported."""
        several = [room.id for rooms in self.namesakes.values() for room in rooms]
        known = [room.id for room in (*self.by_account.values(), *self.by_name.values())]
        rows = Device.objects.for_tenant(current_tenant()).filter(
            room_id__in=[*several, *known], retired_at=None
        )
        return set(rows.exclude(status=Device.Status.UNENROLLED).values_list("room_id", flat=True))


def _plan_one(line: Line, spot: Spot | None, rooms: _Rooms, tree: Tree) -> Planned | None:
    name, account = line.get("name"), line.get("resource_account")
    target = rooms.by_account.get(account) if account else None
    if target is None and spot is None:
        target = _only_namesake(line, rooms.namesakes.get(name, []), account)
    place_id = spot.id if spot else target.place_id if target else None
    if place_id is None:
        if not line.problems:
            line.blame("", NO_PLACE)
        return None
    there = rooms.by_name.get((place_id, name))
    if there is not None and target is None:
        if account and there.resource_account:
            line.blame(
                "resource_account", f"The room of this name here has the account {there.resource_account}."
            )
            return None
        target = there
    elif there is not None and target is not None and there.id != target.id:
        line.blame("name", "There is already a room of this name here.")
        return None
    if target is None and is_narrowed():
        line.blame("", "There is no such room in your reach. Adding one needs a role over all rooms.")
        return None
    if target is not None and spot is not None and spot.id != target.place_id:
        reason = regions.refusal(spot.country_code)
        if reason and target.id in rooms.with_devices:
            line.blame("", f"{reason} Unenroll its devices first.")
            return None
    keys = [("resource_account", account), ("name", f"{place_id}|{name}")]
    if target is None:
        assert spot is not None
        return _create(line, spot, tree, keys)
    return _update(line, target, spot, tree, keys)


def _fact(room: Room, name: str) -> Any:
    value = getattr(room, name)
    return value.isoformat() if isinstance(value, date) else value


def _only_namesake(line: Line, namesakes: list[Room], account: str) -> Room | None:
    fitting = [each for each in namesakes if not (account and each.resource_account)]
    if len(fitting) > 1:
        line.blame("name", "Several rooms have this name. Name the account or the place too.")
        return None
    return fitting[0] if fitting else None


def _create(line: Line, spot: Spot, tree: Tree, keys: list[tuple[str, str]]) -> Planned:
    values = {
        "place_id": str(spot.id),
        "site_id": str(tree.site_of(spot)),
        "name": line.get("name"),
        "resource_account": line.get("resource_account"),
        "room_type": line.get("room_type"),
        "capacity": line.get("capacity", None),
        "licence": line.get("licence"),
        "licence_ends": line.get("licence_ends", None),
        "labels": line.get("labels", []),
        "time_zone": line.get("time_zone") or spot.time_zone,
    }
    room_id = new_id()
    after = {"place": spot.full_name, **{name: values[name] for name in FACTS if name != "place"}}
    return Planned(
        line.number,
        ImportRow.Action.CREATE,
        room_id,
        values["name"],
        values,
        keys,
        room_id=room_id,
        after=after,
    )


def _update(line: Line, room: Room, spot: Spot | None, tree: Tree, keys: list[tuple[str, str]]) -> Planned:
    before = {
        "place": room.place.full_name,
        **{name: _fact(room, name) for name in FACTS if name != "place"},
    }
    after = dict(before)
    values: dict[str, Any] = {"place_id": str(room.place_id), "site_id": str(room.site_id)}
    if spot is not None and spot.id != room.place_id:
        values = {"place_id": str(spot.id), "site_id": str(tree.site_of(spot))}
        after["place"] = spot.full_name
        if room.time_zone == room.place.time_zone:
            after["time_zone"] = spot.time_zone
    for name in FACTS[1:]:
        if name in line.values:
            after[name] = line.values[name]
    values |= {name: after[name] for name in FACTS[1:]}
    different = differing(before, after)
    if values["place_id"] != str(room.place_id) and "place" not in different:
        different.insert(0, "place")
    return Planned(
        line.number,
        ImportRow.Action.UPDATE if different else ImportRow.Action.SAME,
        room.id,
        values["name"],
        values,
        keys,
        room_id=room.id,
        version=room.version,
        before={name: before[name] for name in different},
        after={name: after[name] for name in different},
    )


def apply(run: ImportRun, *, at: datetime) -> None:
    """Everything the rows will do, in the transaction of the caller. Raises Stale where something has changed."""
    tenant_id = run.tenant_id
    if is_narrowed() and (run.new_places or next(staged(run, ImportRow.Action.CREATE), None)):
        raise Stale  # whoever asked may change some rooms only by now, and add none
    places.make(run.new_places, at=at)
    groups = list(RoomGroup.objects.for_tenant(tenant_id).filter(is_default=True))
    figures: Tally[counters.Figure] = Tally()
    for rows in staged(run, ImportRow.Action.CREATE):
        _places_still_there(rows)
        made = [
            Room(id=row.target_id, tenant_id=tenant_id, state_since=at, created_at=at, **_columns(row))
            for row in rows
        ]
        Room.objects.for_tenant(tenant_id).bulk_create(made)
        RoomGroupMember.objects.for_tenant(tenant_id).bulk_create(
            RoomGroupMember(tenant_id=tenant_id, group=group, room_id=room.id)
            for group in groups
            for room in made
        )
        for room in made:
            figures.update(counters.room_change(tenant_id, before=None, after=(room.state, room.site_id)))
        applied(
            rows, lambda row: Written("room.create", _about(row), after=row.after), tenant_id=tenant_id, at=at
        )
    for rows in staged(run, ImportRow.Action.UPDATE):
        _places_still_there(rows)
        _rooms_in_reach(rows)
        applied(rows, _changed, tenant_id=tenant_id, at=at)
        moved = [row for row in rows if "place" in (row.after or {})]
        notices.rooms_moved([row.target_id for row in moved], tenant_id=tenant_id, at=at)
        history.write(
            [history.Event(row.target_id, history.Kind.MOVED, (row.before or {})["place"]) for row in moved],
            tenant_id=tenant_id,
            at=at,
        )
    for rows in staged(run, ImportRow.Action.UPDATE):
        figures.update(_write(run, [row.number for row in rows]))
    counters.add({figure: amount for figure, amount in figures.items() if amount})


def _places_still_there(rows: Sequence[ImportRow]) -> None:
    """And in the same building as when it was checked. Raises Stale."""
    wanted = {UUID(row.values["place_id"]): UUID(row.values["site_id"]) for row in rows}
    current = Place.objects.for_tenant(current_tenant()).filter(retired_at=None, id__in=wanted)
    held = list(current.order_by("id").select_for_update(no_key=True))
    if place_tree.sites_of(held) != wanted:
        raise Stale


def _rooms_in_reach(rows: Sequence[ImportRow]) -> None:
    """Of whoever asked, as his rights are now. Raises Stale."""
    wanted = {row.target_id for row in rows}
    if Room.objects.for_tenant(current_tenant()).filter(id__in=wanted).count() != len(wanted):
        raise Stale


def _columns(row: ImportRow) -> dict[str, Any]:
    values = dict(row.values)
    ends = values["licence_ends"]
    return {
        **values,
        "place_id": UUID(values["place_id"]),
        "site_id": UUID(values["site_id"]),
        "licence_ends": date.fromisoformat(ends) if ends else None,
    }


def _about(row: ImportRow) -> Room:
    return Room(id=row.target_id, name=row.name)


def _changed(row: ImportRow) -> Written:
    moved = "place" in (row.after or {})
    return Written("room.move" if moved else "room.update", _about(row), before=row.before, after=row.after)


_SITES = """
SELECT room.state, room.site_id, (row.values->>'site_id')::uuid, count(*)
FROM fleet_importrow row JOIN fleet_room room ON room.tenant_id = row.tenant_id AND room.id = row.target_id
WHERE row.tenant_id = %s AND row.run_id = %s AND row.number BETWEEN %s AND %s AND row.action = 'update'
  AND room.site_id IS DISTINCT FROM (row.values->>'site_id')::uuid
GROUP BY 1, 2, 3
"""
_UPDATE = """
UPDATE fleet_room room SET
  place_id = (row.values->>'place_id')::uuid, site_id = (row.values->>'site_id')::uuid,
  name = row.values->>'name', resource_account = row.values->>'resource_account',
  room_type = row.values->>'room_type', capacity = (row.values->>'capacity')::smallint,
  licence = row.values->>'licence', licence_ends = (row.values->>'licence_ends')::date,
  labels = ARRAY(SELECT jsonb_array_elements_text(row.values->'labels')),
  time_zone = row.values->>'time_zone', version = room.version + 1
FROM fleet_importrow row
WHERE row.tenant_id = %s AND row.run_id = %s AND row.number BETWEEN %s AND %s AND row.action = 'update'
  AND room.tenant_id = row.tenant_id AND room.id = row.target_id
  AND room.version = row.version AND room.retired_at IS NULL
"""


def _write(run: ImportRun, numbers: list[int]) -> Tally[counters.Figure]:
    """Many rooms in one statement: their rows are locked shortly, at the end of the transaction."""
    figures: Tally[counters.Figure] = Tally()
    span: tuple[UUID, UUID, int, int] = (run.tenant_id, run.id, numbers[0], numbers[-1])
    with connection.cursor() as cursor:
        cursor.execute(_SITES, span)
        for state, old, new, number in cursor.fetchall():
            change = counters.room_change(run.tenant_id, before=(state, old), after=(state, new))
            figures.update({figure: amount * number for figure, amount in change.items()})
        cursor.execute(_UPDATE, span)
        if cursor.rowcount != len(numbers):
            raise Stale
    return figures


def follow(room_ids: list[UUID], *, at: datetime) -> None:
    """What is derived of rooms, once they are there: words of search, groups by rule."""
    search.index_rooms(room_ids)
    group_rules.follow(room_ids, at=at)
