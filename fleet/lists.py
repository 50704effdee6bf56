"""What lists of rooms, devices and equipment can be asked for: the same for a page, the API, a saved view, an edit
of many rooms and an export. The tenant is entered; whoever asks sees what their role shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Exists, OuterRef, QuerySet

from fleet import place_tree, search
from fleet.models import Asset, Device, Peripheral, Room, RoomGroupMember, ThingWord
from foundation.context import current_tenant, current_tenants
from foundation.errors import NotValid
from foundation.narrowing import is_narrowed

Query = Mapping[str, Iterable[str]]
Filter = Callable[[Any, list[str]], Any]  # rows, values: the rows that match any of them
ATTENTION = "attention"  # a state of rooms that stands for two
NEEDS_ATTENTION = (Room.State.UNHEALTHY, Room.State.UNMONITORED)
LONGEST_VALUE = 200
MOST_VALUES = 20
MOST_MODELS = 500  # offered in one choice


def filtered(listing: str, query: Query) -> QuerySet[Any]:
    """Rows of a list that match all of `query`. Raises NotValid, naming the filter."""
    rows = _ROWS[listing]()
    for name, values in cleaned(listing, query).items():
        rows = FILTERS[listing][name](rows, values)
    return rows


def cleaned(listing: str, query: Query, *, strictly: bool = True) -> dict[str, list[str]]:
    """`query` as it is kept: known filters, values that can be one, nothing empty.

    Raises NotValid for anything else, or, not `strictly`, leaves it out.
    """
    kept: dict[str, list[str]] = {}
    for name, values in query.items():
        try:
            checked = _checked(listing, name, list(values))
        except NotValid:
            if strictly:
                raise
            continue
        if checked:
            kept[name] = checked
    return kept


def models_of(table: type[Device] | type[Peripheral]) -> list[tuple[str, str]]:
    """Makes and models there are, in order, at most MOST_MODELS; each found by one step in the index."""
    if is_narrowed():
        rows = table.objects.for_tenant(current_tenant()).order_by("make", "model")
        return list(rows.values_list("make", "model").distinct()[:MOST_MODELS])
    with connection.cursor() as cursor:
        cursor.execute(
            _STEPS.format(table=connection.ops.quote_name(table._meta.db_table)), [current_tenant()] * 2
        )
        return [(make, model) for make, model in cursor.fetchall()]


_STEPS = f"""
WITH RECURSIVE found AS (
    (SELECT make, model FROM {{table}} WHERE tenant_id = %s ORDER BY make, model LIMIT 1)
    UNION ALL
    SELECT following.make, following.model FROM found CROSS JOIN LATERAL (
        SELECT make, model FROM {{table}}
        WHERE tenant_id = %s AND (make, model) > (found.make, found.model) ORDER BY make, model LIMIT 1
    ) following
)
SELECT make, model FROM found LIMIT {MOST_MODELS}
"""  # noqa: S608 - the tables are ours


def in_group(rows: Any, column: str, group_ids: list[UUID]) -> Any:
    """Rows whose room, named by `column`, is in one of the groups."""
    members = RoomGroupMember.objects.for_tenant(*current_tenants()).filter(
        tenant_id=OuterRef("tenant_id"), room_id=OuterRef(column), group_id__in=group_ids
    )
    return rows.filter(Exists(members))


def _checked(listing: str, name: str, values: list[str]) -> list[str]:
    if name not in FILTERS[listing]:
        raise NotValid(f"There is no such filter. There are: {', '.join(FILTERS[listing])}.", field=name)
    given = [each.strip() for each in values if each.strip()]
    if len(given) > (MOST_VALUES if name not in ONE_VALUE else 1):
        raise NotValid("This is given too often.", field=name)
    allowed = CHOICES.get((listing, name))
    for each in given:
        if len(each) > LONGEST_VALUE or "\0" in each:
            raise NotValid("This is too long, or holds what cannot be shown.", field=name)
        if allowed is not None and each not in allowed:
            raise NotValid(f"This is none of {', '.join(sorted(allowed))}.", field=name)
        if name in IDS:
            _id(each, name)
    return given


def _id(text: str, name: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotValid("This is no id.", field=name) from None


def _ids(values: list[str]) -> list[UUID]:
    return [UUID(each) for each in values]


def _equal(column: str) -> Filter:
    """One value alone by `=`, which an index in the list's order answers."""
    return lambda rows, values: (
        rows.filter(**{column: values[0]}) if len(values) == 1 else rows.filter(**{f"{column}__in": values})
    )


def _room_states(rows: Any, values: list[str]) -> Any:
    states = {*values, *(NEEDS_ATTENTION if ATTENTION in values else ())} - {ATTENTION}
    return rows.filter(state__in=sorted(states))


def _room_words(rows: Any, values: list[str]) -> Any:
    return search.matching(rows, values[0])


def _words(kind: str) -> Filter:
    return lambda rows, values: search.matching_things(rows, kind, values[0])


def _rooms_inside(rows: Any, values: list[str]) -> Any:
    return rows.inside(UUID(values[0]))


def _inside(column: str) -> Filter:
    return lambda rows, values: rows.filter(**{f"{column}__in": place_tree.below(UUID(values[0]))})


def _member(column: str) -> Filter:
    return lambda rows, values: in_group(rows, column, _ids(values))


def _device_statuses(rows: Any, values: list[str]) -> Any:
    return rows.filter(status__in=values)


def _connected(rows: Any, values: list[str]) -> Any:
    return rows.filter(connected=values[0] == "true")


def _rooms() -> QuerySet[Room]:
    return Room.objects.for_tenant(current_tenant()).current()


def _devices() -> QuerySet[Device]:
    return Device.objects.for_tenant(current_tenant()).filter(retired_at=None)


def _peripherals() -> QuerySet[Peripheral]:
    """Of devices that are in use."""
    rows = Peripheral.objects.for_tenant(current_tenant()).filter(device__retired_at=None)
    return rows.exclude(device__status=Device.Status.UNENROLLED)


def _assets() -> QuerySet[Asset]:
    return Asset.objects.for_tenant(current_tenant()).current()


_ROWS: dict[str, Callable[[], QuerySet[Any]]] = {
    "rooms": _rooms,
    "devices": _devices,
    "peripherals": _peripherals,
    "assets": _assets,
}
FILTERS: dict[str, dict[str, Filter]] = {
    "rooms": {
        "q": _room_words,
        "state": _room_states,
        "site": _rooms_inside,
        "group": _member("id"),
        "room_type": _equal("room_type"),
        "licence": _equal("licence"),
        "label": lambda rows, values: search.labelled(rows, values),
        "resource_account": lambda rows, values: rows.filter(resource_account=values[0].casefold()),
    },
    "devices": {
        "q": _words(ThingWord.Kind.DEVICE),
        "kind": _equal("kind"),
        "status": _device_statuses,
        "platform": _equal("platform"),
        "make": _equal("make"),
        "model": _equal("model"),
        "app_version": _equal("app_version"),
        "serial_number": _equal("serial_number"),
        "room": _equal("room_id"),
        "site": _inside("room__place_id"),
        "group": _member("room_id"),
    },
    "peripherals": {
        "q": _words(ThingWord.Kind.PERIPHERAL),
        "kind": _equal("kind"),
        "make": _equal("make"),
        "model": _equal("model"),
        "firmware": _equal("firmware"),
        "serial": _equal("serial"),
        "connected": _connected,
        "room": _equal("device__room_id"),
        "site": _inside("device__room__place_id"),
        "group": _member("device__room_id"),
    },
    "assets": {
        "q": _words(ThingWord.Kind.ASSET),
        **{name: _equal(name) for name in ("kind", "make", "model", "serial_number", "tag")},
        "room": _equal("room_id"),
        "site": _inside("room__place_id"),
        "group": _member("room_id"),
    },
}
ONE_VALUE = frozenset({"q", "site", "connected", "resource_account"})
IDS = frozenset({"site", "group", "room"})
CHOICES: dict[tuple[str, str], frozenset[str]] = {
    ("rooms", "state"): frozenset({*Room.State.values, ATTENTION}),
    ("rooms", "room_type"): frozenset(Room.Type.values),
    ("rooms", "licence"): frozenset(Room.Licence.values),
    ("devices", "kind"): frozenset(Device.Kind.values),
    ("devices", "status"): frozenset(Device.Status.values),
    ("devices", "platform"): frozenset(Device.Platform.values),
    ("assets", "kind"): frozenset(Asset.Kind.values),
    ("peripherals", "connected"): frozenset({"true", "false"}),
}
