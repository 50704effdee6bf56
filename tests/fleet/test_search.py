from __future__ import annotations

import pytest

from fleet import search
from fleet.models import Device, Room, RoomWord
from foundation.context import tenant
from tests.factories.fleet import make_device, make_place, make_room
from tests.factories.tenancy import make_customer


@pytest.fixture
def entered(customer):
    with tenant(customer.id):
        yield customer


def found(owner, query: str) -> set[str]:
    return set(search.matching(Room.objects.for_tenant(owner), query).values_list("name", flat=True))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Aurora 4.12", ["aurora", "4", "12"]),
        ("Élysée-Saal", ["elysee", "saal"]),
        ("STRASSE straße", ["strasse", "strasse"]),
        ("Tromsø Ålesund Łódź", ["tromso", "alesund", "lodz"]),
        ("aurora@example.com", ["aurora", "example", "com"]),
        ("ﬁrst ﾛｰﾑ", ["first", "ローム"]),
        ("会议室 3", ["会议室", "3"]),
        ("  - !  ", []),
        ("x" * 100, ["x" * 64]),
    ],
)
def test_words_are_folded(text, words):
    assert search.words_of(text) == words


def test_each_word_of_a_query_begins_a_word_of_the_room(entered, at):
    oslo = make_place("Oslo HQ", at=at)
    make_room("Aurora", place=oslo, resource_account="aurora.4@example.com", at=at)
    make_room("Borealis", place=oslo, at=at)
    assert found(entered, "") == {"Aurora", "Borealis"}
    assert found(entered, "osl") == {"Aurora", "Borealis"}
    assert found(entered, "AUR oslo") == {"Aurora"}
    assert found(entered, "aurora@exam") == {"Aurora"}
    assert found(entered, "rora") == set()
    assert found(entered, "oslo bergen") == set()
    assert found(entered, "%") == found(entered, "_") == found(entered, "\\") == set()


def test_a_room_is_found_by_its_devices_until_they_are_unenrolled(entered, at):
    room = make_room("Aurora", at=at)
    device = make_device(
        room, make="Yealink", model="MeetingBar A30", serial_number="AB-12/34", name="Bar", at=at
    )
    for query in ("yea", "meetingbar a30", "ab-12", "ab1234", "12 34"):
        assert found(entered, query) == {"Aurora"}, query
    Device.objects.for_tenant(entered).filter(id=device.id).update(status="unenrolled")
    search.index_rooms([room.id])
    assert found(entered, "yealink") == set()
    assert found(entered, "aurora") == {"Aurora"}


def test_indexing_again_changes_nothing(entered, at):
    rooms = [make_room(f"Room {number}", at=at).id for number in range(3)]
    assert search.index_rooms(rooms) == 0


def test_the_end_of_a_range_is_right_at_the_edges_of_unicode(entered, at):
    room = make_room("Aurora", at=at)
    for word in ("a\ud7ff", "a\U0010ffff", "a\uffff"):
        RoomWord.objects.for_tenant(entered).create(room=room, word=word + "x")
        after = search._after(word)
        assert word < after
        words = RoomWord.objects.for_tenant(entered).filter(word__gte=word, word__lt=after)
        assert word + "x" in words.values_list("word", flat=True)


def test_another_customers_rooms_are_not_found(entered, at):
    other = make_customer(at=at)
    with tenant(other.id):
        make_room("Aurora", at=at)
        assert found(other, "aurora") == {"Aurora"}
    assert found(entered, "aurora") == set()
