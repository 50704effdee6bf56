"""Assets out of a file. One is known by its serial number, else by its name in its room.

An empty cell leaves what is there; another room than the one it is in moves it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from fleet import assets, search
from fleet.imports.places import Tree
from fleet.imports.planning import Column, Line, Planned, differing, named, one_of
from fleet.imports.room_finder import ACCOUNT, Rooms
from fleet.imports.staging import Stale, applied, staged
from fleet.models import Asset, ImportRow, ImportRun, Room
from foundation.context import current_tenant
from foundation.ids import new_id
from tenancy.audit import Written

KINDS = {str(key): str(label) for key, label in Asset.Kind.choices}
COLUMNS: tuple[Column, ...] = (
    named("name", "Name", assets.CHECKS["name"], "asset", "asset name", "item", "description", "bezeichnung"),
    ACCOUNT,
    named("room", "Room", assets.CHECKS["name"], "room name", "location", "meeting room", "display name", "raum"),
    named("kind", "Kind", one_of(KINDS), "type", "asset type", "category", "art", "typ"),
    named("make", "Make", assets.CHECKS["make"], "manufacturer", "brand", "vendor", "hersteller"),
    named("model", "Model", assets.CHECKS["model"], "product", "modell"),
    named("serial_number", "Serial number", assets.CHECKS["serial_number"], "serial", "serial no", "sn", "seriennummer"),
    named("tag", "Inventory number", assets.CHECKS["tag"], "asset tag", "asset number", "inventory no", "inventarnummer"),
    named("note", "Note", assets.CHECKS["note"], "notes", "comment", "remarks", "bemerkung"),
)  # fmt: skip


def plan(run: ImportRun, lines: Sequence[Line], tree: Tree, *, at: datetime) -> list[Planned]:
    """What each line without problems will do. Blames lines for the rest."""
    good = [line for line in lines if not line.problems]
    rooms = Rooms(good, name="room")
    current = Asset.objects.for_tenant(current_tenant()).current().select_related("room")
    serials = sorted({line.get("serial_number") for line in good} - {""})
    by_serial = {each.serial_number: each for each in current.filter(serial_number__in=serials)}
    meant = {line.number: room for line in good if (room := rooms.of(line)) is not None}
    names = sorted({line.get("name") for line in good} - {""})
    there = current.filter(room_id__in={room.id for room in meant.values()}, name__in=names)
    by_name = {(each.room_id, each.name): each for each in there}
    planned = []
    for line in good:
        if line.number in meant and not line.problems:
            found = _plan_one(line, meant[line.number], by_serial, by_name)
            if found is not None:
                planned.append(found)
    return planned


def _plan_one(
    line: Line, room: Room, by_serial: Mapping[str, Asset], by_name: Mapping[tuple[UUID, str], Asset]
) -> Planned | None:
    name, serial = line.get("name"), line.get("serial_number")
    target = by_serial.get(serial) if serial else None
    there = by_name.get((room.id, name))
    if target is None and there is not None:
        if serial and there.serial_number:
            line.blame(
                "serial_number", f"The asset of this name here has the serial number {there.serial_number}."
            )
            return None
        target = there
    elif target is not None and there is not None and there.id != target.id:
        line.blame("name", "There is already an asset of this name in the room.")
        return None
    before = assets.facts(target) if target else {"kind": Asset.Kind.OTHER}
    given = {key: line.values[key] for key in assets.CHECKS if key in line.values}
    after = {"room": room.name, **{key: given.get(key, before.get(key, "")) for key in assets.CHECKS}}
    values = {**after, "room_id": str(room.id)}
    del values["room"]
    keys = [("serial_number", serial), ("name", f"{room.id}|{name}")]
    if target is None:
        return Planned(
            line.number, ImportRow.Action.CREATE, new_id(), name, values, keys, room_id=room.id, after=after
        )
    different = differing(before, after)
    if target.room_id != room.id:
        if "room" not in different:
            different.append("room")
        values["left"] = str(target.room_id)
    return Planned(
        line.number,
        ImportRow.Action.UPDATE if different else ImportRow.Action.SAME,
        target.id,
        name,
        values,
        keys,
        room_id=room.id,
        version=target.version,
        before={key: before[key] for key in different},
        after={key: after[key] for key in different},
    )


def apply(run: ImportRun, *, at: datetime) -> None:
    """Everything the rows will do, in the transaction of the caller. Raises Stale where something has changed."""
    tenant_id = run.tenant_id
    for rows in staged(run, ImportRow.Action.CREATE):
        _rooms_still_there(rows)
        Asset.objects.for_tenant(tenant_id).bulk_create(
            Asset(id=row.target_id, tenant_id=tenant_id, created_at=at, **_columns(row)) for row in rows
        )
        applied(
            rows,
            lambda row: Written("asset.create", _about(row), after=row.after),
            tenant_id=tenant_id,
            at=at,
        )
    for rows in staged(run, ImportRow.Action.UPDATE):
        _rooms_still_there(rows)
        moved = [row for row in rows if "left" in row.values]
        applied(rows, _changed, tenant_id=tenant_id, at=at)
        applied(moved, _left, tenant_id=tenant_id, at=at)
        with connection.cursor() as cursor:
            cursor.execute(_UPDATE, [tenant_id, run.id, rows[0].number, rows[-1].number])
            if cursor.rowcount != len(rows):
                raise Stale


_UPDATE = """
UPDATE fleet_asset asset SET
  room_id = (row.values->>'room_id')::uuid, kind = row.values->>'kind', name = row.values->>'name',
  make = row.values->>'make', model = row.values->>'model', serial_number = row.values->>'serial_number',
  tag = row.values->>'tag', note = row.values->>'note', version = asset.version + 1
FROM fleet_importrow row
WHERE row.tenant_id = %s AND row.run_id = %s AND row.number BETWEEN %s AND %s AND row.action = 'update'
  AND asset.tenant_id = row.tenant_id AND asset.id = row.target_id
  AND asset.version = row.version AND asset.removed_at IS NULL
"""


def _rooms_still_there(rows: Sequence[ImportRow]) -> None:
    wanted = {row.room_id for row in rows if row.room_id}
    current = Room.objects.for_tenant(current_tenant()).current().filter(id__in=wanted)
    if len(current.order_by("id").select_for_update(no_key=True).values_list("id")) != len(wanted):
        raise Stale


def _columns(row: ImportRow) -> dict[str, Any]:
    return {**row.values, "room_id": UUID(row.values["room_id"])}


def _about(row: ImportRow) -> Asset:
    return Asset(id=row.target_id, name=row.name)


def _changed(row: ImportRow) -> Written:
    action = "asset.move" if "left" in row.values else "asset.update"
    return Written(action, _about(row), before=row.before, after=row.after)


def _left(row: ImportRow) -> Written:
    to = (row.after or {}).get("room", "")
    old = Room(id=UUID(row.values["left"]), name=(row.before or {}).get("room", ""))
    return Written("room.asset_left", old, after={"asset": row.name, "to": to})


def follow(room_ids: list[UUID], *, at: datetime) -> None:
    """Words of search."""
    search.index_assets(Asset.objects.for_tenant(current_tenant()).filter(room_id__in=room_ids))
