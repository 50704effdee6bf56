"""Peripherals out of a file: what is plugged into the device of a room, before the device itself has told.

One is known by its USB ids and serial number, else by these and its kind on its device: the same marks by which the
device's own inventory knows it, so that the next inventory finds it again. Of several devices the room system is meant.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Case, IntegerField, Value, When

from fleet import history, peripherals, search, validation
from fleet.imports.places import Tree
from fleet.imports.planning import Column, Line, Planned, differing, named
from fleet.imports.room_finder import ACCOUNT, Rooms
from fleet.imports.staging import Stale, staged
from fleet.models import Device, ImportRow, ImportRun, Peripheral, Room
from foundation.context import current_tenant
from foundation.errors import NotValid
from foundation.ids import new_id
from tenancy import audit

USB_ID = re.compile(r"(?:0[xX])?([0-9a-fA-F]{1,4})")
KINDS = {  # how files call what an inventory calls
    "contentcamera": "content_camera",
    "mic": "microphone",
    "tabletop": "display_console",
    "consoledisplay": "display_console",
    "frontofroomdisplay": "display",
    "screen": "display",
    "hdmi": "hdmi_ingest",
    "hdmiingest": "hdmi_ingest",
    "loudspeaker": "speaker",
}
FACTS = ("kind", "make", "model", "vendor_id", "product_id", "serial", "firmware")


def _usb_id(text: str) -> str:
    match = USB_ID.fullmatch(text)
    if match is None:
        raise NotValid("This is no USB id of four hexadecimal digits, such as 046D.")
    return match[1].lower().rjust(4, "0")


def _kind(text: str) -> str:
    words = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
    found = KINDS.get(words.replace("_", ""), words)
    return validation.one_line(found, "kind", at_most=24)


def _line(name: str, at_most: int) -> Any:
    return lambda text: validation.one_line(text, name, at_most=at_most)


COLUMNS: tuple[Column, ...] = (
    ACCOUNT,
    named("room", "Display name", _line("room", 120), "room", "room name"),
    named("product_id", "Product ID", _usb_id, "pid", "usb product id", hint="Four hexadecimal digits"),
    named("vendor_id", "Vendor ID", _usb_id, "vid", "usb vendor id", hint="Four hexadecimal digits"),
    named("serial", "Serial number", _line("serial", 64), "serial", "serial no", "sn"),
    named("model", "Peripheral name", _line("model", 120), "name", "model", "product"),
    named("kind", "Peripheral type", _kind, "type", "kind"),
    named(
        "group", "Group ID", _line("group", 80), "group", "room group", hint="Tells rooms of one name apart"
    ),
    named("make", "Make", _line("make", 80), "manufacturer", "vendor", "brand"),
    named("firmware", "Firmware", _line("firmware", 40), "firmware version"),
)


def plan(run: ImportRun, lines: Sequence[Line], tree: Tree, *, at: datetime) -> list[Planned]:
    """What each line without problems will do. Blames lines for the rest."""
    good = [line for line in lines if not line.problems]
    rooms = Rooms(good, name="room", group="group")
    meant = {line.number: room for line in good if (room := rooms.of(line)) is not None and not line.problems}
    devices = _devices({room.id for room in meant.values()})
    rows = Peripheral.objects.for_tenant(current_tenant()).select_related("device__room")
    serials = sorted({line.get("serial") for line in good} - {""})
    by_serial = {
        (each.kind, each.vendor_id, each.product_id, each.serial): each
        for each in rows.filter(serial__in=serials)
    }
    there = rows.filter(device_id__in=[each.id for each in devices.values()])
    by_identity = {(each.device_id, each.identity): each for each in there}
    planned = []
    for line in good:
        room = meant.get(line.number)
        if room is None:
            continue
        if room.id not in devices:
            line.blame("", f"No device is enrolled in {room.name} yet. Enroll it first.")
        else:
            planned.append(_plan_one(line, room, devices[room.id], by_serial, by_identity))
    return planned


def _devices(room_ids: set[UUID]) -> dict[UUID, Device]:
    """The device of each room that peripherals hang on."""
    order = Case(
        When(kind=Device.Kind.ROOM_SYSTEM, then=Value(0)),
        When(kind=Device.Kind.VIDEO_BAR, then=Value(1)),
        default=Value(2),
        output_field=IntegerField(),
    )
    rows = Device.objects.for_tenant(current_tenant()).filter(room_id__in=room_ids, retired_at=None)
    rows = rows.exclude(status__in=[Device.Status.UNENROLLED, Device.Status.QUARANTINED])
    found: dict[UUID, Device] = {}
    for device in rows.only("id", "tenant", "room").order_by("room_id", order, "created_at", "id"):
        assert device.room_id is not None
        found.setdefault(device.room_id, device)
    return found


def _plan_one(
    line: Line,
    room: Room,
    device: Device,
    by_serial: Mapping[tuple[str, str, str, str], Peripheral],
    by_identity: Mapping[tuple[UUID, str], Peripheral],
) -> Planned:
    given = {key: line.get(key) for key in FACTS}
    mark = (given["kind"], given["vendor_id"], given["product_id"], given["serial"])
    (told,) = peripherals.attached({"peripherals": [given]})
    target = by_identity.get((device.id, told.identity)) or (by_serial.get(mark) if given["serial"] else None)
    before = _facts(target) if target else {}
    after = {key: given[key] or before.get(key, "") for key in FACTS}
    identity = target.identity if target and target.device_id == device.id else told.identity
    values = {**after, "identity": identity, "device_id": str(device.id)}
    if target is not None:
        values |= {"was": before, "was_on": str(target.device_id)}
    name = " ".join(filter(None, (after["make"], after["model"]))) or after["kind"]
    keys = [("serial" if given["serial"] else "model", f"{device.id}|{told.identity}")]
    if given["serial"]:
        keys.append(("serial", "|".join(mark)))
    if target is None:
        return Planned(
            line.number,
            ImportRow.Action.CREATE,
            new_id(),
            name,
            values,
            keys,
            room_id=room.id,
            after={"room": room.name, **after},
        )
    different = differing(before, after)
    moved = target.device_id != device.id
    old = target.device.room
    if moved:
        values["left"] = str(old.id) if old else ""
    return Planned(
        line.number,
        ImportRow.Action.UPDATE if different or moved else ImportRow.Action.SAME,
        target.id,
        name,
        values,
        keys,
        room_id=room.id,
        before={
            **({"room": old.name if old else ""} if moved else {}),
            **{key: before[key] for key in different},
        },
        after={**({"room": room.name} if moved else {}), **{key: after[key] for key in different}},
    )


def apply(run: ImportRun, *, at: datetime) -> None:
    """Everything the rows will do, in the transaction of the caller. Raises Stale where something has changed."""
    tenant_id = run.tenant_id
    rows_of = Peripheral.objects.for_tenant(tenant_id)
    for rows in staged(run, ImportRow.Action.CREATE):
        _still_there(rows)
        rows_of.bulk_create(
            Peripheral(
                id=row.target_id,
                tenant_id=tenant_id,
                device_id=UUID(row.values["device_id"]),
                connected=False,  # until the device says so
                first_seen_at=at,
                last_seen_at=at,
                identity=row.values["identity"],
                **{key: row.values[key] for key in FACTS},
            )
            for row in rows
        )
        _record(rows, "added", tenant_id=tenant_id, at=at)
    for rows in staged(run, ImportRow.Action.UPDATE):
        found = {
            each.id: each
            for each in rows_of.filter(id__in=[row.target_id for row in rows]).select_for_update()
        }
        if len(found) != len(rows):
            raise Stale
        _still_there(rows)
        for row in rows:
            each = found[row.target_id]
            if str(each.device_id) != row.values.get("was_on") or _facts(each) != row.values.get("was"):
                raise Stale  # the device told something newer meanwhile
            each.device_id, each.identity = UUID(row.values["device_id"]), row.values["identity"]
            for key in FACTS:
                setattr(each, key, row.values[key])
        rows_of.bulk_update(found.values(), ["device", "identity", *FACTS], batch_size=500)
        _record(rows, "changed", tenant_id=tenant_id, at=at)
        events = [event for row in rows if "left" in row.values for event in _went(row)]
        history.write(events, tenant_id=tenant_id, at=at)


def _facts(row: Peripheral) -> dict[str, str]:
    return {key: getattr(row, key) for key in FACTS}


def _still_there(rows: Sequence[ImportRow]) -> None:
    """The devices, each in the room it was in when it was checked. Raises Stale."""
    wanted = {UUID(row.values["device_id"]): row.room_id for row in rows}
    current = Device.objects.for_tenant(current_tenant()).filter(id__in=wanted, retired_at=None)
    held = current.order_by("id").select_for_update(no_key=True).values_list("id", "room_id")
    if dict(held) != wanted:
        raise Stale


def _went(row: ImportRow) -> list[history.Event]:
    old = UUID(row.values["left"]) if row.values["left"] else None
    kinds = history.Kind
    return history.went(
        row.name, from_room=old, to_room=row.room_id, came=kinds.PERIPHERAL_CAME, left=kinds.PERIPHERAL_LEFT
    )


def _record(rows: Sequence[ImportRow], did: str, *, tenant_id: UUID, at: datetime) -> None:
    """One event a device, as its own inventory leaves."""
    names: dict[UUID, list[str]] = {}
    for row in rows:
        names.setdefault(UUID(row.values["device_id"]), []).append(row.name)
    devices = Device.objects.for_tenant(tenant_id).filter(id__in=names).only("id", "tenant", "name")
    audit.record_many(
        [audit.Written("device.inventory", each, after={did: names[each.id]}) for each in devices],
        tenant_id=tenant_id,
        at=at,
    )


def follow(room_ids: list[UUID], *, at: datetime) -> None:
    """Words of search."""
    rows = Peripheral.objects.for_tenant(current_tenant())
    search.index_peripherals(rows.filter(device__room_id__in=room_ids))
