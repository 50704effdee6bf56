"""What can be exported: for each list its columns, and how pieces of it are read.

Columns are called as imports know them, so that a table written here can be changed and sent back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Count, QuerySet

from fleet import catalog, lists
from fleet.models import Asset, Device, Peripheral, Place, Room, RoomGroupMember
from foundation import clock
from foundation.context import current_tenant
from foundation.errors import NotValid

Query = Mapping[str, Iterable[str]]
Row = Sequence[Any]
LEVELS = [str(kind) for kind in Place.Kind]


@dataclass(frozen=True)
class Table:
    """`columns`: key, for JSON, and name, for people. `values`: many rows of `rows` into cells."""

    key: str
    label: str
    columns: Sequence[tuple[str, str]]
    rows: Callable[[Query], QuerySet[Any]]
    values: Callable[[list[Any]], Iterator[Row]]
    cleaned: Callable[[Query], dict[str, list[str]]]

    def names(self, form: str) -> list[str]:
        return [key if form == "json" else name for key, name in self.columns]

    def count(self, query: Query) -> int:
        return self.rows(query).count()

    def some(self, query: Query, after: str | None, most: int) -> tuple[UUID | None, Iterable[Row]]:
        """Up to `most` rows after an id, and the id of the last one."""
        rows = self.rows(query).order_by("id")
        if after:
            rows = rows.filter(id__gt=UUID(after))
        found = list(rows[:most])
        return (found[-1].id if found else None), self.values(found)


class _Whole(Table):
    """A table of few rows without ids: all are read at once."""

    def count(self, query: Query) -> int:
        return 0

    def some(self, query: Query, after: str | None, most: int) -> tuple[UUID | None, Iterable[Row]]:
        return None, self.values([])


class _Places:
    """The levels of the places of some rooms, by name."""

    def __init__(self, rooms: Iterable[Room]) -> None:
        places = {room.place_id: room.place for room in rooms}
        above = {key for place in places.values() for key in place.path}
        rows = Place.objects.for_tenant(current_tenant()).filter(id__in=above)
        named = {key: (kind, name) for key, kind, name in rows.values_list("id", "kind", "name")}
        self._levels = {
            key: dict(named[each] for each in place.path if each in named) for key, place in places.items()
        }

    def of(self, room: Room) -> list[str]:
        return [self._levels[room.place_id].get(level, "") for level in LEVELS]


def _rooms(query: Query) -> QuerySet[Any]:
    rows: QuerySet[Any] = lists.filtered("rooms", query).select_related("place")
    return rows


def _room_values(rooms: list[Room]) -> Iterator[Row]:
    places = _Places(rooms)
    ids = [room.id for room in rooms]
    groups: dict[UUID, list[str]] = defaultdict(list)
    members = RoomGroupMember.objects.for_tenant(current_tenant()).filter(room_id__in=ids)
    for room_id, name in members.order_by("group__name").values_list("room_id", "group__name"):
        groups[room_id].append(name)
    devices = Device.objects.for_tenant(current_tenant()).filter(room_id__in=ids, retired_at=None)
    numbers = dict(
        devices.exclude(status=Device.Status.UNENROLLED)
        .order_by()
        .values_list("room_id")
        .annotate(number=Count("id"))
    )
    for room in rooms:
        yield (
            *(room.name, room.resource_account, *places.of(room), room.room_type, room.capacity),
            *(
                room.licence,
                room.licence_ends,
                room.labels,
                room.time_zone,
                room.state,
                groups[room.id],
                numbers.get(room.id, 0),
            ),
            *(room.last_seen_at, room.created_at, room.id),
        )


def _devices(query: Query) -> QuerySet[Any]:
    rows: QuerySet[Any] = lists.filtered("devices", query).select_related("room__place")
    return rows.defer("document", "inventory")


def _device_values(devices: list[Device]) -> Iterator[Row]:
    for each in devices:
        versions = each.versions or {}
        room = each.room
        yield (
            *(each.name, each.kind, each.platform, each.status, room.name if room else ""),
            *(room.resource_account if room else "", room.place.full_name if room else ""),
            *(each.make, each.model, each.serial_number, list(each.macs), each.agent_version),
            *(
                str(versions.get("app", "")),
                str(versions.get("os", "")),
                each.last_seen_at,
                each.created_at,
                each.id,
            ),
        )


def _peripherals(query: Query) -> QuerySet[Any]:
    rows: QuerySet[Any] = lists.filtered("peripherals", query).select_related("device__room__place")
    return rows.defer("device__document", "device__inventory")


def _peripheral_values(peripherals: list[Peripheral]) -> Iterator[Row]:
    for each in peripherals:
        room = each.device.room
        yield (
            *(
                room.resource_account if room else "",
                room.name if room else "",
                each.product_id,
                each.vendor_id,
            ),
            *(each.serial, each.model, each.kind, each.make, each.firmware, each.connected, each.device.name),
            *(room.place.full_name if room else "", each.first_seen_at, each.last_seen_at, each.id),
        )


def _assets(query: Query) -> QuerySet[Any]:
    rows: QuerySet[Any] = lists.filtered("assets", query).select_related("room__place")
    return rows


def _asset_values(assets: list[Asset]) -> Iterator[Row]:
    for each in assets:
        yield (
            *(each.name, each.kind, each.room.name, each.room.resource_account, each.room.place.full_name),
            *(each.make, each.model, each.serial_number, each.tag, each.note, each.created_at, each.id),
        )


def _model_values(_: list[Any]) -> Iterator[Row]:
    """Makes and models that are there, with how many of each and what the catalogue says of them."""
    devices = lists.filtered("devices", {}).exclude(status=Device.Status.UNENROLLED)
    tables = (
        ("device", "platform", devices),
        ("peripheral", "device__platform", lists.filtered("peripherals", {})),
    )
    for of, platform, rows in tables:
        names = ("make", "model", "kind", platform)
        counted = list(rows.order_by().values_list(*names).annotate(number=Count("id")).order_by(*names))
        things = [catalog.Thing(make, model, where) for make, model, _, where, _ in counted]
        found = catalog.assess(things, on=clock.now().date())
        for row, known in zip(counted, found, strict=True):
            make, model, kind, where, number = row
            yield make, model, kind, of, where, number, known.verdict.value, known.reason


def _no_filter(query: Query) -> dict[str, list[str]]:
    for name in query:
        raise NotValid("This list has no filters.", field=name)
    return {}


def _cleaned(listing: str) -> Callable[[Query], dict[str, list[str]]]:
    return lambda query: lists.cleaned(listing, query)


def _no_rows(query: Query) -> QuerySet[Any]:
    return Device.objects.for_tenant(current_tenant()).none()


LEVEL_COLUMNS = [(level, Place.Kind(level).label) for level in LEVELS]
TABLES: dict[str, Table] = {
    table.key: table
    for table in (
        Table(
            "rooms", "Rooms",
            [
                ("name", "Name"), ("resource_account", "Resource account"), *LEVEL_COLUMNS, ("room_type", "Type"),
                ("capacity", "Seats"), ("licence", "Licence"), ("licence_ends", "Licence ends"), ("labels", "Labels"), ("time_zone", "Time zone"), ("health", "Health"), ("groups", "Groups"),
                ("devices", "Devices"), ("last_seen_at", "Last seen"), ("created_at", "Added"), ("id", "ID"),
            ],
            _rooms, _room_values, _cleaned("rooms"),
        ),
        Table(
            "devices", "Devices",
            [
                ("name", "Name"), ("kind", "Kind"), ("platform", "Platform"), ("status", "Status"), ("room", "Room"),
                ("resource_account", "Resource account"), ("place", "Place"), ("make", "Make"), ("model", "Model"),
                ("serial_number", "Serial number"), ("macs", "MAC addresses"), ("agent_version", "Agent version"),
                ("app_version", "App version"), ("os_version", "OS version"), ("last_seen_at", "Last seen"),
                ("created_at", "Added"), ("id", "ID"),
            ],
            _devices, _device_values, _cleaned("devices"),
        ),
        Table(
            "peripherals", "Peripherals",
            [
                ("account", "Account"), ("display_name", "Display name"), ("product_id", "Product ID"),
                ("vendor_id", "Vendor ID"), ("serial", "Serial number"), ("name", "Peripheral name"),
                ("kind", "Peripheral type"), ("make", "Make"), ("firmware", "Firmware"), ("connected", "Connected"),
                ("device", "Device"), ("place", "Place"), ("first_seen_at", "First seen"),
                ("last_seen_at", "Last seen"), ("id", "ID"),
            ],
            _peripherals, _peripheral_values, _cleaned("peripherals"),
        ),
        Table(
            "assets", "Assets",
            [
                ("name", "Name"), ("kind", "Kind"), ("room", "Room"), ("account", "Account"), ("place", "Place"),
                ("make", "Make"), ("model", "Model"), ("serial_number", "Serial number"),
                ("tag", "Inventory number"), ("note", "Note"), ("created_at", "Added"), ("id", "ID"),
            ],
            _assets, _asset_values, _cleaned("assets"),
        ),
        _Whole(
            "models", "Makes and models",
            [("make", "Make"), ("model", "Model"), ("kind", "Kind"), ("of", "Of"), ("platform", "Platform"), ("number", "Number"), ("certification", "Certification"), ("why", "Why")],
            _no_rows, _model_values, _no_filter,
        ),
    )
}  # fmt: skip
