"""What is attached to a device, from its inventory document: each thing a row that outlives being unplugged.

A thing with a serial number that turns up at another device has moved: its row goes along, and the rooms remember.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from fleet import history, scope, search
from fleet.models import Device, Peripheral
from foundation.errors import NotValid
from tenancy import audit

MOST_PERIPHERALS = 500
MOST_DISPLAYS = 64
_COLUMNS = {
    "kind": 24,
    "make": 80,
    "model": 120,
    "vendor_id": 8,
    "product_id": 8,
    "serial": 64,
    "firmware": 40,
}
LATELY = timedelta(days=1)
MOST_MOVES = 2  # within a day; then two things have one number
PLACEHOLDERS = frozenset({"0123456789", "123456789", "1234567890", "12345678", "123456", "012345678"})
_LONGEST_TEXT = 1_000  # what is longer than its column is cut, what is longer than this is a mistake
_LISTS = {"peripherals": MOST_PERIPHERALS, "displays": MOST_DISPLAYS}


@dataclass(frozen=True)
class Attached:
    """One entry of a document, cleaned. `identity`: the same thing next time, wherever it stands in the list."""

    identity: str
    connected: bool
    values: Mapping[str, str]


def store_inventory(device: Device, document: Mapping[str, Any], *, digest: str, at: datetime) -> None:
    """Keep the latest document, and its peripherals as rows. The device's tenant is entered. May be repeated.

    A list that is left out tells nothing: its things stay as they are. What is missing from a list that is there
    is no longer connected. Raises NotValid, naming the field.
    """
    found = list(attached(document))
    rows = Device.objects.for_tenant(device.tenant_id).filter(id=device.id)
    told = rows.select_for_update(no_key=True).values_list("document__inventory_digest", flat=True).get()
    # Its next heartbeat is compared with what it called this state: how it digests is its own affair.
    rows.update(inventory=dict(document), inventory_digest=told if isinstance(told, str) and told else digest)
    changes = _apply(device, found, {name for name in _LISTS if document.get(name) is not None}, at=at)
    if device.room_id is not None:  # its addresses are words of the room too
        search.index_rooms([device.room_id])
    else:
        search.index_devices([device.id])
    if any(changes.values()):
        audit.record(
            "device.inventory",
            device,
            tenant_id=device.tenant_id,
            at=at,
            after={name: things for name, things in changes.items() if things},
        )


def attached(document: Mapping[str, Any]) -> Iterator[Attached]:
    """The entries of `peripherals` and `displays`. Raises NotValid. Pure."""
    seen: Counter[str] = Counter()
    for name, most in _LISTS.items():
        for place, entry in enumerate(_entries(document, name, most)):
            where = f"{name}.{place}"
            values = {column: _text(entry, column, where) for column in _COLUMNS}
            connected = entry.get("connected", True)
            if connected is None:
                connected = True
            if not isinstance(connected, bool):
                raise NotValid("This must be true or false.", field=f"{where}.connected")
            if name == "displays":
                values["kind"] = "built_in_display" if entry.get("built_in") is True else "display"
            elif not values["kind"]:
                raise NotValid("This must not be empty.", field=f"{where}.kind")
            marks = [name, *(values[column] for column in ("kind", "vendor_id", "product_id"))]
            marks += [values["serial"]] if values["serial"] else [values["make"], values["model"]]
            if name == "displays" and not values["serial"]:
                marks.append(_text(entry, "connector", where))
            base = "|".join(marks)
            seen[base] += 1
            yield Attached(_short(f"{base}|{seen[base]}" if seen[base] > 1 else base), connected, values)


def _apply(
    device: Device, found: Iterable[Attached], told: set[str], *, at: datetime
) -> dict[str, list[str]]:
    """Rows as the document says; the names of what was added, unplugged and plugged in again."""
    rows = Peripheral.objects.for_tenant(device.tenant_id)
    known = {row.identity: row for row in rows.filter(device=device)}
    added: list[Peripheral] = []
    changed: list[Peripheral] = []
    names: dict[str, list[str]] = {"added": [], "unplugged": [], "back": [], "moved_here": []}
    told_of = list(found)
    elsewhere = _elsewhere(device, [each for each in told_of if each.identity not in known], at=at)
    for each in told_of:
        row = known.pop(each.identity, None)
        if row is None and each.identity in elsewhere:
            row = elsewhere[each.identity]
            _move(row, device, each.identity, at=at)
            names["moved_here"].append(_name(row))
        if row is None:
            row = Peripheral(
                tenant_id=device.tenant_id,
                device=device,
                identity=each.identity,
                first_seen_at=at,
                last_seen_at=at,
                connected=each.connected,
                **each.values,
            )
            added.append(row)
            names["added"].append(_name(row))
            continue
        if row.connected != each.connected:
            names["back" if each.connected else "unplugged"].append(_name(row))
        row.connected = each.connected
        if each.connected:
            row.last_seen_at = at
        for column, value in each.values.items():
            setattr(row, column, value)
        changed.append(row)
    for row in known.values():
        if row.connected and row.identity.partition("|")[0] in told:
            row.connected = False
            names["unplugged"].append(_name(row))
            changed.append(row)
    rows.bulk_create(added)
    if changed:
        rows.bulk_update(
            changed,
            [*("connected", "last_seen_at", "device", "identity", "moved_at", "moves_lately"), *_COLUMNS],
        )
    search.index_peripherals([*added, *changed])
    return names


@scope.whole()
def _elsewhere(device: Device, new: list[Attached], *, at: datetime) -> dict[str, Peripheral]:
    """Rows of other devices that are things this device names for the first time, by their identity here.

    Only what a serial number tells apart: a number several have, or that went to and fro within a day, tells nothing.
    """
    wanted = {
        _mark(each.values): each.identity
        for each in new
        if each.connected and _tells_apart(each.values["serial"])
    }
    if not wanted:
        return {}
    rows = Peripheral.objects.for_tenant(device.tenant_id).exclude(device=device)
    named = rows.filter(serial__in={mark[-1] for mark in wanted}).select_related("device")
    found: dict[str, list[Peripheral]] = {}
    for row in named.select_for_update(no_key=True, of=("self",)).order_by("id"):
        mark = _mark({column: getattr(row, column) for column in _COLUMNS})
        if mark in wanted:
            found.setdefault(wanted[mark], []).append(row)
    return {
        identity: of[0]
        for identity, of in found.items()
        if len(of) == 1 and not (of[0].moves_lately >= MOST_MOVES and _is_lately(of[0], at=at))
    }


def _move(row: Peripheral, device: Device, identity: str, *, at: datetime) -> None:
    former = row.device
    row.moves_lately = row.moves_lately + 1 if _is_lately(row, at=at) else 1
    row.device, row.identity, row.moved_at, row.connected = device, identity, at, True
    kinds = history.Kind
    history.write(
        history.went(
            str(row),
            from_room=former.room_id,
            to_room=device.room_id,
            came=kinds.PERIPHERAL_CAME,
            left=kinds.PERIPHERAL_LEFT,
        ),
        tenant_id=device.tenant_id,
        at=at,
    )
    audit.record(
        "peripheral.move",
        row,
        tenant_id=device.tenant_id,
        at=at,
        before={"device": former.name},
        after={"device": device.name},
    )


def _is_lately(row: Peripheral, *, at: datetime) -> bool:
    return row.moved_at is not None and at - row.moved_at < LATELY


def _mark(values: Mapping[str, str]) -> tuple[str, ...]:
    """What is the same of a thing wherever it is plugged in."""
    return tuple(values[column] for column in ("kind", "vendor_id", "product_id", "make", "model", "serial"))


def _tells_apart(serial: str) -> bool:
    """Not what makers leave in all of a series, such as 0000000001 or 0123."""
    signs = [sign for sign in serial.casefold() if sign.isalnum()]
    return len(signs) >= 5 and len(set(signs)) >= 3 and serial not in PLACEHOLDERS


def _entries(document: Mapping[str, Any], name: str, most: int) -> list[Mapping[str, Any]]:
    entries = document.get(name)
    if entries is None:
        return []
    if not isinstance(entries, list):
        raise NotValid("This must be a list.", field=name)
    if len(entries) > most:
        raise NotValid(f"At most {most} are kept.", field=name)
    for place, entry in enumerate(entries):
        if not isinstance(entry, Mapping):
            raise NotValid("This must be an object.", field=f"{name}.{place}")
    return entries


def _text(entry: Mapping[str, Any], column: str, where: str) -> str:
    value = entry.get(column)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise NotValid("This must be a text.", field=f"{where}.{column}")
    if len(value) > _LONGEST_TEXT:
        raise NotValid(f"This is longer than {_LONGEST_TEXT} characters.", field=f"{where}.{column}")
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in value).split())
    return line[: _COLUMNS.get(column, 64)].rstrip()


def _short(identity: str) -> str:
    if len(identity) <= 200:
        return identity
    return f"{identity[:160]}|{hashlib.sha256(identity.encode()).hexdigest()[:32]}"


def _name(row: Peripheral) -> str:
    return " ".join(filter(None, (row.kind, row.make, row.model, row.serial)))
