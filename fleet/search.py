"""Finding rooms, devices and equipment by words: each word of a query is the beginning of a word of the thing.

The words of a room (its name, account and places, and what its devices are called, with their addresses), of a device
and of a peripheral are folded and kept as rows by whoever changes them. They are found by range: under row-level
security neither LIKE nor lower() reaches an index.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, TypeVar
from uuid import UUID

from django.db import connection
from django.db.models import Exists, F, Model, OuterRef, QuerySet

from fleet.models import Asset, Device, Peripheral, Room, RoomWord, ThingWord
from fleet.models.places import RoomQuerySet
from foundation.context import current_tenant
from foundation.narrowing import is_narrowed

MAX_WORD = 64
MAX_QUERY_WORDS = 8  # the rest of a longer query is not looked at
BATCH = 1_000
FEW = 300  # things that are named one by one
LABEL = "#"  # begins the mark of a label
MOST_ADDRESSES = 16  # of one device
Thing = TypeVar("Thing", bound=Model)
Kept = TypeVar("Kept", RoomWord, ThingWord)
_LETTERS = str.maketrans(  # letters that have no decomposition, as people without that key type them
    {"ø": "o", "æ": "ae", "œ": "oe", "đ": "d", "ð": "d", "ł": "l", "ı": "i", "þ": "th", "ħ": "h"}
)


def words_of(text: str) -> list[str]:
    """The folded words of `text` in order: no case, no accents, split at what is neither letter nor digit."""
    words: list[str] = []
    word: list[str] = []
    for sign in unicodedata.normalize("NFKD", text.casefold()).casefold().translate(_LETTERS):
        if unicodedata.combining(sign):
            continue
        if unicodedata.category(sign)[0] in "LNM":
            word.append(sign)
        elif word:
            words.append("".join(word)[:MAX_WORD])
            word.clear()
    if word:
        words.append("".join(word)[:MAX_WORD])
    return words


def matching(rooms: RoomQuerySet, query: str) -> RoomQuerySet:
    """Those of `rooms` that have a word beginning with each word of `query`; all for an empty one.

    A query of signs alone finds nothing. The words are first looked up among themselves: one query more.
    """
    wanted = words_of(query)[:MAX_QUERY_WORDS]
    if not wanted:
        return rooms.none() if query.strip() else rooms
    words = _longest_only(wanted)
    few = _few(RoomWord.objects.all(), "room_id", words)
    if few is not None:
        return rooms.filter(id__in=few)
    for word in words:
        hits = RoomWord.objects.filter(
            tenant_id=OuterRef("tenant_id"), room_id=OuterRef("id"), **_range(word)
        )
        rooms = rooms.filter(Exists(hits))
    return rooms


def matching_things(things: QuerySet[Thing], kind: str, query: str) -> QuerySet[Thing]:
    """The same for devices, peripherals or assets. `kind`: of ThingWord."""
    wanted = words_of(query)[:MAX_QUERY_WORDS]
    if not wanted:
        return things.none() if query.strip() else things
    words = _longest_only(wanted)
    few = _few(ThingWord.objects.filter(kind=kind), "thing_id", words)
    if few is not None:
        return things.filter(id__in=few)
    for word in words:
        hits = ThingWord.objects.filter(
            tenant_id=OuterRef("tenant_id"), kind=kind, thing_id=OuterRef("id"), **_range(word)
        )
        things = things.filter(Exists(hits))
    return things


def _few(rows: QuerySet[Any], named: str, words: list[str]) -> list[UUID] | None:
    """What has all the words, where that is not much: then the words alone are joined, and not all things of a customer
    with them, which would be walked to their end for a word that nothing has. None where there are many: a list finds
    its first page fast.
    """
    first, *others = sorted(words, key=len, reverse=True)
    hits = rows.filter(**_range(first))
    for word in others:
        same = rows.filter(tenant_id=OuterRef("tenant_id"), **{named: OuterRef(named)}, **_range(word))
        hits = hits.filter(Exists(same))
    found = list(hits.values_list(named, flat=True)[: FEW + 1])
    return None if len(found) > FEW else sorted(set(found))


def _range(word: str) -> dict[str, str]:
    return {"word__gte": word, "word__lt": _after(word)}


def label_mark(label: str) -> str:
    """The row of RoomWord that stands for a whole label: no word of a query begins like it."""
    return f"{LABEL}{' '.join(words_of(label)) or label.casefold()}"[:MAX_WORD]


def labelled(rooms: RoomQuerySet, labels: Iterable[str]) -> RoomQuerySet:
    """Those of `rooms` that have any of the labels, whatever their case and accents."""
    hits = RoomWord.objects.filter(
        tenant_id=OuterRef("tenant_id"), room_id=OuterRef("id"), word__in=sorted(map(label_mark, labels))
    )
    return rooms.filter(Exists(hits))


def labels_in_use(most: int = 200) -> list[str]:
    """The labels that rooms of the entered tenant have, folded, by name; each found by one step in the index.

    Of a part of the rooms, where the caller sees no more.
    """
    tenant_id = current_tenant()
    if is_narrowed():
        words = RoomWord.objects.for_tenant(tenant_id).filter(word__gte=LABEL, word__lt=_after(LABEL))
        marks = list(words.order_by("word").values_list("word", flat=True).distinct()[:most])
    else:
        with connection.cursor() as cursor:
            cursor.execute(_LABEL_STEPS, [tenant_id, LABEL, _after(LABEL), tenant_id, _after(LABEL), most])
            marks = [mark for (mark,) in cursor.fetchall()]
    return [mark.removeprefix(LABEL) for mark in marks]


_LABEL_STEPS = """
WITH RECURSIVE found AS (
    (SELECT word FROM fleet_roomword WHERE tenant_id = %s AND word >= %s AND word < %s ORDER BY word LIMIT 1)
    UNION ALL
    SELECT following.word FROM found CROSS JOIN LATERAL (
        SELECT word FROM fleet_roomword WHERE tenant_id = %s AND word > found.word AND word < %s ORDER BY word LIMIT 1
    ) following
)
SELECT word FROM found LIMIT %s
"""


def index_rooms(room_ids: Iterable[UUID]) -> int:
    """Write the words of rooms of the entered tenants and of their devices anew; returns how many rows changed.

    For whoever changes a room, its places, or what its devices are called. May be repeated; a retired room has none.
    """
    changed = 0
    for some in _in_batches(room_ids):
        wanted = _words_of_rooms(some)
        kept: dict[UUID, dict[str, UUID]] = defaultdict(dict)
        for row_id, room_id, word in RoomWord.objects.filter(room_id__in=some).values_list(
            "id", "room_id", "word"
        ):
            kept[room_id][word] = row_id
        changed += _keep(
            RoomWord,
            wanted,
            kept,
            lambda tenant_id, key, word: RoomWord(tenant_id=tenant_id, room_id=key, word=word),
        )
        devices = Device.objects.filter(room_id__in=some).values_list("id", flat=True)
        changed += index_devices(list(devices))
    return changed


def index_devices(device_ids: Iterable[UUID]) -> int:
    """The same for devices alone: those that stand in no room yet. One that is unenrolled or retired has no words."""
    changed = 0
    for some in _in_batches(device_ids):
        wanted: dict[tuple[UUID, UUID], set[str]] = {}
        for row in _told(Device.objects.filter(id__in=some)):
            gone = row["retired_at"] or row["status"] == Device.Status.UNENROLLED
            room = f"{row['room_name'] or row['wanted_room']} {row['account'] or row['wanted_account']}"
            wanted[(row["tenant_id"], row["id"])] = set() if gone else {*_device_words(row), *words_of(room)}
        changed += index_things(ThingWord.Kind.DEVICE, wanted)
    return changed


def index_peripherals(peripherals: Iterable[Peripheral]) -> int:
    """The words of equipment: what it is, its maker and model, serial number and USB ids."""
    return index_things(
        ThingWord.Kind.PERIPHERAL,
        {
            (each.tenant_id, each.id): {
                *words_of(f"{each.kind} {each.make} {each.model} {each.vendor_id} {each.product_id}"),
                *serial_words(each.serial),
            }
            for each in peripherals
        },
    )


def index_assets(assets: Iterable[Asset]) -> int:
    """Write the words of assets anew; a removed one has none."""
    return index_things(
        ThingWord.Kind.ASSET,
        {
            (each.tenant_id, each.id): set()
            if each.removed_at
            else {
                *words_of(f"{each.name} {each.kind} {each.make} {each.model} {each.note}"),
                *serial_words(each.serial_number),
                *serial_words(each.tag),
            }
            for each in assets
        },
    )


def index_things(kind: str, wanted: Mapping[tuple[UUID, UUID], set[str]]) -> int:
    """Keep `wanted` words, by (tenant, id), for things of one kind; an empty set forgets a thing's words."""
    kept: dict[UUID, dict[str, UUID]] = defaultdict(dict)
    rows = ThingWord.objects.filter(thing_id__in=[key for _, key in wanted])
    for row_id, thing_id, word in rows.values_list("id", "thing_id", "word"):
        kept[thing_id][word] = row_id
    return _keep(
        ThingWord,
        wanted,
        kept,
        lambda tenant_id, key, word: ThingWord(tenant_id=tenant_id, kind=kind, thing_id=key, word=word),
    )


def serial_words(serial: str) -> set[str]:
    """Also as typed without its dashes."""
    words = words_of(serial)
    return {*words, "".join(words)[:MAX_WORD]} - {""}


def _keep(
    model: type[Kept],
    wanted: Mapping[tuple[UUID, UUID], set[str]],
    kept: Mapping[UUID, dict[str, UUID]],
    make: Any,
) -> int:
    gone: list[UUID] = []
    come: list[Kept] = []
    for (tenant_id, key), words in wanted.items():
        there = kept.get(key, {})
        gone += [row_id for word, row_id in there.items() if word not in words]
        come += [make(tenant_id, key, word) for word in sorted(words - there.keys())]
    if gone:
        model.objects.filter(id__in=gone).delete()
    model.objects.bulk_create(come, batch_size=BATCH, ignore_conflicts=True)
    return len(gone) + len(come)


def _words_of_rooms(room_ids: list[UUID]) -> dict[tuple[UUID, UUID], set[str]]:
    wanted: dict[tuple[UUID, UUID], set[str]] = {}
    rooms = Room.objects.filter(id__in=room_ids).values_list(
        "tenant_id", "id", "name", "resource_account", "place__full_name", "licence", "labels", "retired_at"
    )
    for tenant_id, room_id, name, account, place, licence, labels, retired_at in rooms:
        texts = "" if retired_at else f"{name} {account} {place} {licence} {' '.join(labels)}"
        marks = () if retired_at else map(label_mark, labels)
        wanted[(tenant_id, room_id)] = {*words_of(texts), *marks}
    devices = Device.objects.filter(room_id__in=room_ids, retired_at=None)
    for row in _told(devices.exclude(status=Device.Status.UNENROLLED)):
        words = wanted.get((row["tenant_id"], row["room_id"]))
        if words:
            words.update(_device_words(row))
    return wanted


def _told(devices: QuerySet[Device]) -> Iterable[dict[str, Any]]:
    rows: Iterable[dict[str, Any]] = devices.values(
        *(
            "id",
            "tenant_id",
            "room_id",
            "name",
            "make",
            "model",
            "serial_number",
            "macs",
            "status",
            "retired_at",
        ),
        *("wanted_room", "wanted_account"),
        room_name=F("room__name"),
        account=F("room__resource_account"),
        network=F("inventory__network"),
    )
    return rows


def _device_words(row: Mapping[str, Any]) -> set[str]:
    words = {*words_of(f"{row['name']} {row['make']} {row['model']}"), *serial_words(row["serial_number"])}
    for address in {*row["macs"], *_addresses(row["network"])}:
        words.update(serial_words(address) if ":" in address else words_of(address))
    return words


def _addresses(network: Any) -> Iterator[str]:
    """Of an inventory document, which may hold anything: IP and MAC addresses of its interfaces."""
    for interface in (network if isinstance(network, list) else [])[:MOST_ADDRESSES]:
        if isinstance(interface, dict):
            listed = interface.get("addresses")
            given = [interface.get("mac"), *(listed if isinstance(listed, list) else [])]
            yield from (each[:MAX_WORD] for each in given[:MOST_ADDRESSES] if isinstance(each, str))


def _longest_only(words: list[str]) -> list[str]:
    """Without words that another one begins with: they exclude nothing further."""
    unique = sorted(set(words))
    return [word for word, after in zip(unique, [*unique[1:], ""], strict=True) if not after.startswith(word)]


def _after(word: str) -> str:
    """The first text that does not begin with `word`, by code points."""
    last = ord(word[-1])
    following = 0xE000 if last == 0xD7FF else last + 1  # surrogates are no characters
    return word[:-1] + chr(following) if following <= 0x10FFFF else _after(word[:-1])


def _in_batches(room_ids: Iterable[UUID]) -> Iterator[list[UUID]]:
    waiting = iter(dict.fromkeys(room_ids))
    while some := list(islice(waiting, BATCH)):
        yield some
