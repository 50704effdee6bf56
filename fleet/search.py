"""Finding rooms by words: each word of a query is the beginning of a word of the room.

The words of a room (its name, account and places, and the name, make, model and serial of its devices) are folded
and kept as rows by whoever changes them. They are found by range: under row-level security neither LIKE nor
lower() reaches an index.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import islice
from uuid import UUID

from django.db import connection
from django.db.models import Exists, OuterRef

from fleet.models import Device, Room, RoomWord
from fleet.models.places import RoomQuerySet
from foundation.context import current_tenant
from foundation.narrowing import is_narrowed

MAX_WORD = 64
MAX_QUERY_WORDS = 8  # the rest of a longer query is not looked at
BATCH = 1_000
LABEL = "#"  # begins the mark of a label
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

    A query of signs alone finds nothing.
    """
    wanted = words_of(query)[:MAX_QUERY_WORDS]
    if not wanted:
        return rooms.none() if query.strip() else rooms
    for word in _longest_only(wanted):
        hits = RoomWord.objects.filter(
            tenant_id=OuterRef("tenant_id"), room_id=OuterRef("id"), word__gte=word, word__lt=_after(word)
        )
        rooms = rooms.filter(Exists(hits))
    return rooms


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
    """Write the words of rooms of the entered tenants anew; returns how many rows changed.

    For whoever changes a room, its places, or what its devices are called. May be repeated; a retired room has none.
    """
    changed = 0
    for some in _in_batches(room_ids):
        kept: dict[UUID, dict[str, UUID]] = defaultdict(dict)
        for row_id, room_id, word in RoomWord.objects.filter(room_id__in=some).values_list(
            "id", "room_id", "word"
        ):
            kept[room_id][word] = row_id
        gone: list[UUID] = []
        come: list[RoomWord] = []
        for (tenant_id, room_id), words in _wanted_words(some).items():
            gone += [row_id for word, row_id in kept[room_id].items() if word not in words]
            come += [
                RoomWord(tenant_id=tenant_id, room_id=room_id, word=word)
                for word in sorted(words - kept[room_id].keys())
            ]
        if gone:
            RoomWord.objects.filter(id__in=gone).delete()
        RoomWord.objects.bulk_create(come, batch_size=BATCH, ignore_conflicts=True)
        changed += len(gone) + len(come)
    return changed


def _wanted_words(room_ids: list[UUID]) -> dict[tuple[UUID, UUID], set[str]]:
    wanted: dict[tuple[UUID, UUID], set[str]] = {}
    rooms = Room.objects.filter(id__in=room_ids).values_list(
        "tenant_id", "id", "name", "resource_account", "place__full_name", "licence", "labels", "retired_at"
    )
    for tenant_id, room_id, name, account, place, licence, labels, retired_at in rooms:
        texts = "" if retired_at else f"{name} {account} {place} {licence} {' '.join(labels)}"
        marks = () if retired_at else map(label_mark, labels)
        wanted[(tenant_id, room_id)] = {*words_of(texts), *marks}
    devices = Device.objects.filter(room_id__in=room_ids, retired_at=None).exclude(
        status=Device.Status.UNENROLLED
    )
    for tenant_id, room_id, name, make, model, serial in devices.values_list(
        "tenant_id", "room_id", "name", "make", "model", "serial_number"
    ):
        words = wanted.get((tenant_id, room_id))
        if words is not None:
            words.update(words_of(f"{name} {make} {model} {serial}"))
            words.update(words_of("".join(words_of(serial))))  # typed without its dashes
    return wanted


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
