"""Hand-listed things of rooms: add, edit, move, remove.

All functions work in the one tenant entered and leave an audit event. A thing that moves stands in the history of both
rooms: in the new one by its own events, in the old one by an event of that room.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from fleet import inventory, search, validation
from fleet.errors import AlreadyThere, ChangedMeanwhile, Missing
from fleet.models import Asset, Room
from foundation.context import current_tenant
from foundation.errors import NotValid, violated_constraint
from tenancy import audit

TAKEN = {
    "fleet_asset_one_per_name": ("There is already an asset of this name in the room.", "name"),
    "fleet_asset_one_per_serial": ("Another asset has this serial number.", "serial_number"),
}


def asset(asset_id: UUID) -> Asset:
    """With its room. Raises Missing; a removed one is missing too."""
    rows = Asset.objects.for_tenant(current_tenant()).current().select_related("room")
    found: Asset | None = rows.filter(id=asset_id).first()
    if found is None:
        raise Missing("asset")
    return found


def of_room(room: Room) -> list[Asset]:
    """By kind and name."""
    rows = Asset.objects.for_tenant(room.tenant_id).current().filter(room=room)
    return list(rows.order_by("kind", "name", "id"))


def add_asset(*, room_id: UUID, at: datetime, **given: Any) -> Asset:
    """Takes `kind` and `name`, and may take the rest of CHECKS. Raises Missing for the room, NotValid, AlreadyThere."""
    into = inventory.room(room_id, field="room")
    made = Asset(tenant_id=into.tenant_id, room=into, created_at=at)
    _put(made, {"kind": "", "name": "", **given})
    _save(made, new=True)
    audit.record("asset.create", made, tenant_id=made.tenant_id, at=at, after=facts(made))
    return made


def edit_asset(
    asset_id: UUID, changes: Mapping[str, Any], *, if_version: int | None = None, at: datetime
) -> Asset:
    """Change some of CHECKS, and the room by `room_id`. `if_version`: refuse if somebody else changed it since.

    Raises Missing, NotValid, AlreadyThere, ChangedMeanwhile.
    """
    changed = _held(asset_id)
    if if_version is not None and changed.version != if_version:
        raise ChangedMeanwhile("Somebody changed this asset meanwhile. Look at it again.")
    before, old_room = facts(changed), changed.room
    if "room_id" in changes:
        changed.room = inventory.room(changes["room_id"], field="room")
    _put(changed, {name: value for name, value in changes.items() if name != "room_id"})
    after = facts(changed)
    different = [name for name in after if before[name] != after[name]]
    if _moved(changed, old_room) and "room" not in different:  # its name may be the same in another place
        different.append("room")
    if not different:
        return changed
    changed.version += 1
    _save(changed)
    tenant_id = changed.tenant_id
    audit.record(
        "asset.move" if _moved(changed, old_room) else "asset.update",
        changed,
        tenant_id=tenant_id,
        at=at,
        before={name: before[name] for name in different},
        after={name: after[name] for name in different},
    )
    if _moved(changed, old_room):
        left = {"asset": changed.name, "to": changed.room.name}
        audit.record("room.asset_left", old_room, tenant_id=tenant_id, at=at, after=left)
    return changed


def remove_asset(asset_id: UUID, *, at: datetime) -> Asset:
    """Take it off the lists; the room's history keeps it. Raises Missing."""
    gone = _held(asset_id)
    gone.removed_at = at
    gone.version += 1
    gone.save(update_fields=["removed_at", "version"])
    search.index_assets([gone])
    audit.record("asset.remove", gone, tenant_id=gone.tenant_id, at=at, before={"room": gone.room.name})
    return gone


def follow_merger(gone: Room, into: Room, *, at: datetime) -> None:
    """The assets of a room that became part of another stand in that one; a name it has already gets a number."""
    there = set(
        Asset.objects.for_tenant(into.tenant_id).current().filter(room=into).values_list("name", flat=True)
    )
    for moved in of_room(gone):
        name = moved.name
        number = 2
        while name in there:
            name, number = f"{moved.name[:110]} ({number})", number + 1
        there.add(name)
        edit_asset(moved.id, {"room_id": into.id, "name": name}, at=at)


def facts(of: Asset) -> dict[str, Any]:
    """What people edit, as the record shows it."""
    return {"room": of.room.name, **{name: getattr(of, name) for name in CHECKS}}


def _moved(changed: Asset, old_room: Room) -> bool:
    return changed.room_id != old_room.id


def _put(changed: Asset, given: Mapping[str, Any]) -> None:
    unknown = set(given) - set(CHECKS)
    if unknown:
        raise NotValid("An asset has no such property that can be changed.", field=min(unknown))
    for name, value in given.items():
        setattr(changed, name, CHECKS[name](value))


def _held(asset_id: UUID) -> Asset:
    rows = Asset.objects.for_tenant(current_tenant()).current().filter(id=asset_id)
    held: Asset | None = rows.select_related("room").select_for_update(no_key=True, of=("self",)).first()
    if held is None:
        raise Missing("asset")
    return held


def _save(changed: Asset, *, new: bool = False) -> None:
    try:
        with transaction.atomic():
            changed.save(force_insert=new)
    except IntegrityError as error:
        message, field = TAKEN.get(violated_constraint(error), ("", ""))
        if not message:
            raise
        raise AlreadyThere(message, field=field) from error
    search.index_assets([changed])


def _kind(value: str) -> str:
    if value not in Asset.Kind:
        raise NotValid(f"This is none of {', '.join(Asset.Kind)}.", field="kind")
    return value


def _line(name: str, *, required: bool = False) -> Callable[[str], str]:
    longest = getattr(Asset._meta.get_field(name), "max_length", None) or 0
    return lambda value: validation.one_line(value, name, at_most=longest, required=required)


CHECKS: dict[str, Callable[[Any], Any]] = {
    "kind": _kind,
    "name": _line("name", required=True),
    "make": _line("make"),
    "model": _line("model"),
    "serial_number": _line("serial_number"),
    "tag": _line("tag"),
    "note": _line("note"),
}
