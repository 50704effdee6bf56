"""Editing many rooms on the pages: chosen, previewed, started, followed, undone; whose edit it is."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.urls import reverse

from fleet import bulk_edit, room_groups
from fleet.models import BulkEdit, Room
from foundation import clock
from foundation.context import tenant
from foundation.models import Job
from tenancy import assignments
from tenancy.models import Role, Tenant
from tenancy.tenants import add_person
from tests.factories.api import Api, make_api_token
from tests.factories.fleet import make_room
from tests.factories.sign_in import sign_in
from tests.factories.tenancy import make_person, make_user


@pytest.fixture
def now(db):
    return clock.now()


@pytest.fixture
def manager(customer: Tenant, now) -> Client:
    return sign_in(make_person(customer, at=now).user)


@pytest.fixture
def rooms(customer: Tenant, now) -> list[Room]:
    with tenant(customer.id):
        return [
            make_room(name, capacity=4, room_type="small", at=now) for name in ("Aurora", "Bjerk", "Dovre")
        ]


def begun(client: Client, address: str = "", **sent: Any) -> str:
    """The page of a new edit."""
    answer = client.post(reverse("portal:bulk-new") + address, sent)
    assert answer.status_code == 302
    return answer["Location"]


def work(customer: Tenant) -> None:
    with tenant(customer.id):
        for job in Job.objects.for_tenant(customer).filter(kind=bulk_edit.KIND, state="queued"):
            assert bulk_edit.step(job, clock.now()).cursor is None
            Job.objects.for_tenant(customer).filter(id=job.id).update(state="done")


def seats(customer: Tenant) -> list[int | None]:
    with tenant(customer.id):
        return list(Room.objects.for_tenant(customer).order_by("name").values_list("capacity", flat=True))


def test_ticked_rooms_are_previewed_changed_and_restored(manager, customer, rooms):
    page = begun(manager, room=[str(rooms[0].id), str(rooms[1].id)])
    assert manager.get(page).context["preview"] is None
    assert manager.post(page, {"room_type": "large", "capacity": "8"})["Location"] == f"{page}#preview"
    shown = manager.get(page).context["preview"]
    assert [(room.name, differences) for room, _, differences in shown["rows"]] == [
        (name, [("Type", "Small", "Large"), ("Seats", "4", "8")]) for name in ("Aurora", "Bjerk")
    ]
    assert seats(customer) == [4, 4, 4]
    manager.post(f"{page}/start")
    assert b"Under way" in manager.get(page).content
    work(customer)
    assert seats(customer) == [8, 8, 4]
    manager.post(reverse("portal:room-edit", args=[rooms[1].id]), edited(manager, rooms[1], capacity="5"))
    manager.post(f"{page}/undo")
    work(customer)
    assert seats(customer) == [4, 5, 4]
    undone = manager.get(page)
    assert [(row.room.name, row.note) for row in undone.context["outcomes"]] == [
        ("Bjerk", "Changed since: seats.")
    ]
    listed = manager.get(reverse("portal:bulk-list"))
    assert [(row.rooms, label) for row, _, label, _ in listed.context["rows"]] == [(2, "Undone")]


def edited(client: Client, room: Room, **changes: str) -> dict[str, Any]:
    form = client.get(reverse("portal:room-edit", args=[room.id])).context["form"]
    return {**{name: value for name, value in form.initial.items() if value is not None}, **changes}


def test_all_that_the_filter_shows_is_chosen_by_its_address(manager, customer, rooms, now):
    with tenant(customer.id):
        make_room("Large", room_type="large", at=now)
    page = begun(manager, "?room_type=small&nothing=1", all="1")
    edit = manager.get(page).context["edit"]
    assert (edit.rooms, edit.selected) == (3, "All with room type small")


def test_nothing_chosen_or_filled_in_changes_nothing(manager, customer, rooms):
    nothing = manager.post(reverse("portal:bulk-new"), follow=True)
    assert b"Choose rooms first." in nothing.content
    page = begun(manager, room=str(rooms[0].id))
    wrong = manager.post(page, {"room_type": "keep", "capacity": "-1"})
    assert (wrong.status_code, list(wrong.context["form"].errors)) == (422, ["capacity"])
    assert b"Choose what is to change first." in manager.post(f"{page}/start", follow=True).content
    assert b"This edit is draft." in manager.post(f"{page}/undo", follow=True).content


def test_whoever_sees_some_rooms_edits_those_and_sees_no_edit_of_others(manager, customer, rooms, now):
    others = begun(manager, room=str(rooms[2].id))
    client = scoped(customer, rooms[:1], now)
    assert client.post(reverse("portal:bulk-new"), {"room": str(rooms[2].id)}, follow=True).status_code in (
        200,
        404,
    )
    page = begun(client, all="1")
    assert client.get(page).context["edit"].rooms == 1
    assert client.get(others).status_code == 404
    assert client.post(f"{others}/start").status_code == 404
    client.post(page, {"room_type": "keep", "capacity": "9"})
    client.post(f"{page}/start")
    work(customer)
    assert seats(customer) == [9, 4, 4]
    assert [row.rooms for row, *_ in client.get(reverse("portal:bulk-list")).context["rows"]] == [1]


def scoped(customer: Tenant, rooms: list[Room], now) -> Client:
    """Somebody with every right over these rooms alone."""
    user = make_user(customer, at=now, name="One room")
    with transaction.atomic():
        person = add_person(user, to=customer, role="", at=now)
    with tenant(customer.id):
        role = Role.objects.for_tenant(customer).get(key="pro_manager")
        scope = [("room", room.id) for room in rooms]
        assignments.add(
            role_id=role.id, name="One", members=[person.id], everywhere=False, scope=scope, by=None, at=now
        )
    return sign_in(user)


def test_groups_are_offered_to_whoever_changes_groups_of_these_rooms(customer, rooms, now):
    technician = sign_in(make_person(customer, "site_technician", at=now).user)
    page = begun(technician, room=str(rooms[0].id))
    assert "add_groups" not in technician.get(page).context["form"].fields
    with tenant(customer.id):
        group = room_groups.add_group(name="Board", at=now)
    technician.post(page, {"room_type": "keep", "capacity": "8", "add_groups": [str(group.id)]})
    with tenant(customer.id):
        assert BulkEdit.objects.for_tenant(customer).get().changes == {"capacity": 8}


def test_the_page_of_the_list_offers_what_the_role_allows(customer, rooms, now):
    reader = sign_in(make_person(customer, "global_reader", at=now).user)
    assert b"data-bulk" not in reader.get(reverse("portal:room-list")).content
    assert reader.post(reverse("portal:bulk-new"), {"all": "1"}).status_code == 403


def test_programs_draft_start_follow_and_undo(customer, rooms, now):
    api = Api(make_api_token(customer, at=now))
    body = {"filter": {"room_type": ["small"]}, "changes": {"capacity": 8}}
    made = api.post("/bulk-edits", body, Idempotency_Key="k")
    assert (made.status_code, made.json()["rooms"], made.json()["state"]) == (201, 3, "draft")
    assert api.post("/bulk-edits", body, Idempotency_Key="k").json() == made.json()
    path = f"/bulk-edits/{made.json()['id']}"
    assert api.post(f"{path}/start").json()["state"] == "queued"
    work(customer)
    assert (api.get(path).json()["changed"], seats(customer)) == (3, [8, 8, 8])
    rows = api.get(f"{path}/rooms?outcome=changed&limit=2").json()
    assert [(row["before"], row["after"]) for row in rows["results"]] == [
        ({"capacity": 4}, {"capacity": 8})
    ] * 2
    assert rows["next"]
    assert api.post(f"{path}/undo").json()["state"] == "undoing"
    work(customer)
    assert (api.get(path).json()["restored"], seats(customer)) == (3, [4, 4, 4])
    assert api.post(f"{path}/undo").status_code == 409
    assert [row["id"] for row in api.get("/bulk-edits?state=undone").json()["results"]] == [made.json()["id"]]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"changes": {"capacity": 8}}, "rooms"),
        ({"rooms": [], "changes": {"capacity": 8}}, "rooms"),
        ({"filter": {"colour": ["red"]}, "changes": {"capacity": 8}}, "filter.colour"),
        ({"filter": {}, "changes": {"name": "x"}}, "changes.name"),
        ({"filter": {}, "changes": {"capacity": -1}}, "changes.capacity"),
        ({"filter": {"q": ["nothing"]}, "changes": {"capacity": 1}}, "rooms"),
    ],
)
def test_a_program_hears_what_is_wrong(customer, rooms, now, body, field):
    answer = Api(make_api_token(customer, at=now)).post("/bulk-edits", body)
    assert (answer.status_code, answer.json()["errors"][0]["field"].partition(".0")[0]) == (400, field)
