from __future__ import annotations

import base64
import json

import pytest
from django.db import connection

from fleet.models import Room
from foundation.context import tenant
from foundation.errors import NotValid
from portal.paging import keyset_page
from tests.factories.fleet import make_place, make_room
from tests.factories.tenancy import make_customer


@pytest.fixture
def entered(customer):
    with tenant(customer.id):
        yield customer


@pytest.fixture
def rooms(entered, at):
    """Seven rooms, of which three share a name."""
    for number in range(7):
        make_room("Same" if 2 <= number < 5 else f"Room {number}", place=make_place(at=at), at=at)
    return Room.objects.for_tenant(entered)


def cursor_of(*values) -> str:
    packed = json.dumps(values).encode("utf-8", "surrogatepass")
    return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


def walk(rooms, order_by, size=2):
    pages, after = [], None
    while True:
        page = keyset_page(rooms, order_by=order_by, after=after, size=size)
        pages.append(page)
        if page.next is None:
            return pages
        after = page.next


@pytest.mark.parametrize(
    "order_by", [("name", "id"), ("-name", "-id"), ("created_at", "id"), ("-version", "-id")]
)
def test_walking_forward_shows_each_row_once_in_order(rooms, order_by):
    shown = [row.id for page in walk(rooms, order_by) for row in page]
    assert shown == list(rooms.order_by(*order_by).values_list("id", flat=True))
    assert len(shown) == 7


@pytest.mark.parametrize("order_by", [("name", "id"), ("-name", "-id")])
def test_walking_back_shows_the_same_pages(rooms, order_by):
    pages = walk(rooms, order_by, size=3)
    back = keyset_page(rooms, order_by=order_by, before=pages[2].previous, size=3)
    assert back.rows == pages[1].rows
    assert keyset_page(rooms, order_by=order_by, before=back.previous, size=3).rows == pages[0].rows
    assert keyset_page(rooms, order_by=order_by, after=back.next, size=3).rows == pages[2].rows


def test_rows_may_be_read_apart_from_finding_them(rooms, entered, django_assert_num_queries):
    shown = Room.objects.for_tenant(entered).select_related("place")
    plain = keyset_page(rooms.filter(name="Same"), size=2)
    with django_assert_num_queries(2):
        page = keyset_page(rooms.filter(name="Same"), size=2, show=shown)
        assert [row.place.name for row in page]
    assert (page.rows, page.next) == (plain.rows, plain.next)
    following = keyset_page(rooms.filter(name="Same"), after=page.next, size=2, show=shown)
    assert [row.name for row in following] == ["Same"]
    back = keyset_page(rooms.filter(name="Same"), before=following.previous, size=1, show=shown)
    assert back.rows == plain.rows[1:]


def test_the_ends_have_no_cursor(rooms):
    pages = walk(rooms, ("name", "id"), size=3)
    assert [page.previous is None for page in pages] == [True, False, False]
    assert [page.next is None for page in pages] == [False, False, True]
    whole = keyset_page(rooms, size=7)
    assert (len(whole), whole.next, whole.previous) == (7, None, None)


def test_going_back_to_the_start_gives_a_full_first_page(rooms):
    second = keyset_page(rooms, after=keyset_page(rooms, size=1).next, size=3)
    first = keyset_page(rooms, before=second.previous, size=3)
    assert len(first) == 3
    assert first.previous is None


def test_a_row_that_is_gone_still_marks_its_place(rooms, entered, at):
    page = keyset_page(rooms, size=2)
    rows = keyset_page(rooms, after=page.next, size=2).rows
    Room.objects.for_tenant(entered).filter(id=page.rows[-1].id).update(name="Zulu")
    assert keyset_page(rooms, after=page.next, size=2).rows == rows


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "%%%",
        "é",
        "\x00",
        "a" * 5_000,
        cursor_of("name,id", "Room"),
        cursor_of("name", "Room"),
        cursor_of("name,id", "Room", "no uuid"),
        cursor_of("name,id", "Room", 5),
        cursor_of("name,id", None, "018f0000-0000-7000-8000-000000000000"),
        cursor_of("name,id", "a\x00", "018f0000-0000-7000-8000-000000000000"),
        cursor_of("name,id", "\ud800", "018f0000-0000-7000-8000-000000000000"),
        cursor_of("created_at,id", "2026-01-01T00:00:00+00:00", "018f0000-0000-7000-8000-000000000000"),
        base64.urlsafe_b64encode(b"5").decode(),
        base64.urlsafe_b64encode(b"[" * 1_000).decode(),
        base64.urlsafe_b64encode(b'{"a": 1}').decode(),
    ],
)
def test_what_is_no_cursor_of_the_list_is_refused(rooms, cursor):
    for name in ("after", "before"):
        with pytest.raises(NotValid) as refused:
            keyset_page(rooms, **{name: cursor})
        assert refused.value.field == name


def test_a_cursor_of_another_customer_shows_only_own_rows(rooms, entered, at):
    other = make_customer(at=at)
    with tenant(other.id):
        make_room("AAA", at=at)
        make_room("AAB", at=at)
        foreign = keyset_page(Room.objects.for_tenant(other), size=1).next
    assert len(keyset_page(rooms, after=foreign, size=50)) == 7


@pytest.mark.parametrize(
    "order_by", [("suppressed_until", "id"), ("name",), ("name", "-id"), ("devices", "id")]
)
def test_an_order_without_index_or_end_is_our_mistake(rooms, order_by):
    with pytest.raises(ValueError, match="cannot be paged"):
        keyset_page(rooms, order_by=order_by)


def test_a_deep_page_starts_at_its_key_in_the_index(entered, at):
    """The condition is part of the index scan: what lies before the page is not read."""
    place = make_place(at=at)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO fleet_room (id, tenant_id, place_id, name, resource_account, room_type, licence, labels,"
            " time_zone, expected,"
            " state, state_since, open_faults, open_warnings, suppressed_reason, version, created_at)"
            " SELECT gen_random_uuid(), %s, %s, 'Room ' || lpad(n::text, 6, '0'), '', '', '', '{}', 'UTC', '{}', 'healthy', %s,"
            " 0, 0, '', 1, %s FROM generate_series(1, 4000) n ON CONFLICT DO NOTHING",
            [entered.id, place.id, at, at],
        )
    rooms = Room.objects.for_tenant(entered).current()
    key = cursor_of("name,id", "Room 003000", "018f0000-0000-7000-8000-000000000000")
    assert keyset_page(rooms, after=key, size=2).rows[0].name in ("Room 003000", "Room 003001")
    captured = []

    def note(execute, sql, params, many, context):
        captured.append(connection.cursor().mogrify(sql, params).decode())
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        keyset_page(rooms, after=key, size=50)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_sort = off")  # without statistics the planner may sort
        cursor.execute("EXPLAIN " + captured[-1])
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "Index Scan using fleet_room_list" in plan
    condition = next(line for line in plan.splitlines() if "Index Cond" in line)
    assert "ROW(" in condition
