"""Pages through HTTP: who sees what, what a list costs, what a form says."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from fleet import inventory, room_groups
from fleet.models import Device, Room
from foundation import clock
from foundation.context import tenant
from foundation.ids import new_id
from incidents import lifecycle, notes
from incidents.models import Incident
from tenancy.models import Tenant, User
from tests.factories.fleet import make_device, make_place, make_room
from tests.factories.incidents import make_incident, the_incident
from tests.factories.tenancy import PASSWORD, make_agent, make_customer, make_operator, make_person

LISTS = (
    "portal:overview",
    "portal:room-list",
    "portal:incident-list",
    "portal:site-list",
    "portal:group-list",
    "portal:key-list",
    "portal:join",
    "portal:signal-settings",
    "portal:suppression-list",
)


@pytest.fixture
def halden(db, at) -> Tenant:
    customer = make_customer("Halden Group", at=at)
    with transaction.atomic():
        room_groups.set_up_customer(customer, at=at)
    return customer


@pytest.fixture
def manager(halden, at) -> Client:
    return signed_in(make_person(halden, "pro_manager", at=at).user)


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def furnish(customer: Tenant, rooms: int, *, at: Any) -> list[Room]:
    """Rooms, each with a device and an open ticket, in buildings of ten; and as many waiting devices."""
    made = []
    with tenant(customer.id):
        places = [make_place(at=at) for _ in range(0, rooms, 10)]
        for number in range(rooms):
            place = places[number // 10]
            room = make_room(f"Room {len(made):03}{new_id().hex[-4:]}", place=place, at=at)
            make_incident(make_device(room, at=at), at=at)
            make_device(status=Device.Status.ONBOARDING, at=at)
            made.append(room)
    return made


def cost(client: Client, url: str) -> int:
    with CaptureQueriesContext(connection) as queries:
        assert client.get(url).status_code == 200
    return len(queries)


def text_of(response: Any) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode()))


# Who may see it ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LISTS)
def test_a_stranger_is_sent_to_the_sign_in_page_and_back(client, db, name):
    url = reverse(name)
    answer = client.get(url)
    assert answer.status_code == 302
    assert answer["Location"] == f"/sign-in?next={url}"


def test_a_live_page_whose_session_ended_loads_anew(client, db):
    answer = client.get(reverse("portal:overview"), headers={"HX-Request": "true"})
    assert (answer.status_code, answer["HX-Refresh"]) == (401, "true")


@pytest.mark.parametrize(
    ("role", "name"),
    [
        ("site_technician", "portal:signal-settings"),
        ("site_technician", "portal:group-list"),
        ("global_reader", "portal:key-list"),
        ("pro_manager", "portal:queue"),
    ],
)
def test_a_page_of_another_role_says_one_sentence(halden, at, role, name):
    answer = signed_in(make_person(halden, role, at=at).user).get(reverse(name))
    assert answer.status_code == 403
    assert "Your role does not allow this." in text_of(answer)


def test_the_menu_leaves_out_what_the_role_may_not_open(halden, at):
    page = signed_in(make_person(halden, "site_technician", at=at).user).get("/")
    assert 'href="/rooms"' in page.content.decode()
    assert "/settings/people" not in page.content.decode()
    assert "Room groups" not in text_of(page)


@pytest.mark.parametrize("name", ["portal:room-detail", "portal:room-edit", "portal:room-suppress"])
def test_another_customers_room_is_as_missing_as_a_missing_one(manager, at, name):
    neighbour = make_customer(at=at)
    (foreign,) = furnish(neighbour, 1, at=at)
    foreign_answer = manager.get(reverse(name, args=[foreign.id]))
    missing_answer = manager.get(reverse(name, args=[new_id()]))
    assert foreign_answer.status_code == missing_answer.status_code == 404
    assert text_of(foreign_answer) == text_of(missing_answer)


def test_nobody_signs_up(client, db):
    assert client.get("/sign-up").status_code == 404
    assert "sign-up" not in client.get("/sign-in").content.decode()


def test_customers_start_at_their_overview_and_operators_at_the_queue(halden, at):
    operator = make_operator(at=at)
    for user, place in (
        (make_person(halden, at=at).user, "/"),
        (make_agent(operator, [], at=at), "/operations"),
    ):
        answer = Client().post("/sign-in", {"login": user.email, "password": PASSWORD})
        assert (answer.status_code, answer["Location"]) == (302, place)


def test_a_wrong_password_is_one_message_that_names_no_account(halden, at):
    user = make_person(halden, at=at).user
    known = Client().post("/sign-in", {"login": user.email, "password": "wrong"})
    unknown = Client().post("/sign-in", {"login": "nobody@example.com", "password": "wrong"})
    errors = [
        re.findall(r'role="alert".*?<div>(.*?)</div>', each.content.decode()) for each in (known, unknown)
    ]
    assert errors[0] == errors[1] != []


def test_an_operator_without_customers_lands_on_the_console(at, db):
    agent = make_agent(make_operator(at=at), [], at=at)
    assert signed_in(agent).get("/")["Location"] == "/operations"


def test_a_person_of_several_customers_switches_between_them(halden, at):
    other = make_customer("Meridian Health", at=at)
    agent = make_agent(make_operator(at=at), [halden, other], at=at)
    client = signed_in(agent)
    assert "Halden Group" in client.get("/").context["principal"].tenant.name
    client.post(reverse("portal:organisation"), {"organisation": str(other.id)})
    assert client.get("/").context["principal"].tenant == other
    client.post(reverse("portal:organisation"), {"organisation": str(make_customer(at=at).id)})
    assert client.get("/").context["principal"].tenant == other


def test_pages_are_never_kept_by_browsers_and_hold_nothing_inline(manager, halden, at):
    furnish(halden, 1, at=at)
    for name in LISTS:
        page = manager.get(reverse(name))
        assert page["Cache-Control"] == "no-store"
        assert "default-src 'none'" in page["Content-Security-Policy"]
        markup = page.content.decode()
        assert re.findall(r"\sstyle=|\son\w+=|hx-on|javascript:|<style", markup) == []
        assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", markup))


# What it costs -------------------------------------------------------------------------------------------------


def test_lists_ask_as_much_for_three_rows_as_for_sixty(manager, halden, at):
    def costs() -> dict[str, int]:
        return {name: cost(manager, reverse(name)) for name in LISTS}

    furnish(halden, 3, at=at)
    costs()  # connections and caches are warm
    few = costs()
    furnish(halden, 57, at=at)
    assert costs() == few


def test_a_room_asks_as_much_for_one_device_as_for_five(manager, halden, at):
    (room,) = furnish(halden, 1, at=at)
    url = reverse("portal:room-detail", args=[room.id])
    manager.get(url)
    few = cost(manager, url)
    with tenant(halden.id):
        for _ in range(4):
            make_incident(make_device(room, at=at), "mic_conf", at=at)
    assert cost(manager, url) == few


# Live ----------------------------------------------------------------------------------------------------------


def test_a_poll_gets_the_part_inside_the_frame_and_nothing_while_nothing_changes(manager, halden, at):
    furnish(halden, 2, at=at)
    for name in LISTS:
        markup = manager.get(reverse(name), headers={"HX-Request": "true"}).content.decode()
        assert markup.lstrip().startswith('<div id="live"')
        assert "<html" not in markup
        seen = re.search(r'"X-Seen": "(\w+)"', markup)[1]
        again = manager.get(reverse(name), headers={"HX-Request": "true", "X-Seen": seen})
        assert (again.status_code, again.content) == (204, b"")


@pytest.mark.parametrize("name", ["portal:overview", "portal:room-list", "portal:incident-list"])
def test_a_poll_answers_once_something_changed(manager, halden, at, name):
    furnish(halden, 2, at=at)
    part = manager.get(reverse(name), headers={"HX-Request": "true"}).content.decode()
    seen = re.search(r'"X-Seen": "(\w+)"', part)[1]
    furnish(halden, 1, at=at)
    assert manager.get(reverse(name), headers={"HX-Request": "true", "X-Seen": seen}).status_code == 200


def test_going_back_shows_the_whole_page(manager):
    headers = {"HX-Request": "true", "HX-History-Restore-Request": "true"}
    assert "<html" in manager.get("/rooms", headers=headers).content.decode()


# Rooms ---------------------------------------------------------------------------------------------------------


def test_rooms_are_found_by_state_site_group_and_words(manager, halden, at):
    with tenant(halden.id):
        oslo, london = make_place("Oslo HQ", at=at), make_place("Bishopsgate", at=at)
        aurora, thames = make_room("Aurora", place=oslo, at=at), make_room("Thames", place=london, at=at)
        make_device(aurora, at=at, serial_number="8L22430B")
        group = room_groups.add_group(name="Executive", at=at)
        room_groups.add_members(group.id, [thames.id], at=at)

    def names(query: str) -> list[str]:
        return [row.room.name for row in manager.get(f"/rooms?{query}").context["rows"]]

    assert names("") == ["Aurora", "Thames"]
    assert names("state=healthy") == ["Aurora"]
    assert names("state=attention") == []
    assert names(f"site={london.id}") == ["Thames"]
    assert names(f"group={group.id}") == ["Thames"]
    assert names("q=8l22") == ["Aurora"]
    assert names("q=nothing+like+it") == []
    assert names("state=nonsense&site=nonsense") == ["Aurora", "Thames"]


def test_pages_of_rooms_go_forth_and_back(manager, halden, at):
    with tenant(halden.id):
        place = make_place(at=at)
        for number in range(60):
            make_room(f"Room {number:02}", place=place, at=at)
    first = manager.get("/rooms")
    following = re.search(r'href="(\?after=[^"]+)"', first.content.decode())[1]
    second = manager.get(f"/rooms{following}")
    assert [row.room.name for row in second.context["rows"]] == [f"Room {n:02}" for n in range(50, 60)]
    back = re.search(r'href="(\?before=[^"]+)"', second.content.decode())[1]
    assert len(manager.get(f"/rooms{back}").context["rows"]) == 50
    assert manager.get("/rooms?after=nonsense").status_code == 400


def test_a_suppressed_room_says_until_when_and_undo_takes_it_back(manager, halden, at):
    (room,) = furnish(halden, 1, at=at)
    until = (clock.now() + timedelta(days=2)).strftime("%Y-%m-%dT%H:%M")
    url = reverse("portal:room-suppress", args=[room.id])
    page = manager.post(url, {"until": until, "reason": "Painters"}, follow=True)
    assert "Painters" in text_of(page)
    undo = re.search(r'class="toast".*?action="([^"]+)"', page.content.decode(), re.S)[1]
    assert undo == reverse("portal:room-unsuppress", args=[room.id])
    with tenant(halden.id):
        assert Room.objects.get(id=room.id).state == "suppressed"
        assert the_incident(Device.objects.get(room=room)).suppressed
    manager.post(undo)
    with tenant(halden.id):
        assert Room.objects.get(id=room.id).state == "unhealthy"
        assert not the_incident(Device.objects.get(room=room)).suppressed


def test_a_mistake_stands_under_its_field_and_keeps_what_was_typed(manager, halden, at):
    with tenant(halden.id):
        place = make_place(at=at)
        make_room("Aurora", place=place, at=at)
        room = make_room("Borealis", place=place, at=at)
    values = {
        "name": "Aurora",
        "place_id": str(place.id),
        "capacity": "12",
        "time_zone": "Europe/Oslo",
        "version": room.version,
    }
    answer = manager.post(reverse("portal:room-edit", args=[room.id]), values, headers={"HX-Request": "true"})
    markup = answer.content.decode()
    assert answer.status_code == 422
    assert "There is already a room of this name here." in markup
    field = re.search(r'<input[^>]*name="name"[^>]*>', markup)[0]
    assert 'aria-invalid="true"' in field
    assert 'value="Aurora"' in field
    assert "field-name-error" in field
    assert 'value="12"' in markup
    with tenant(halden.id):
        assert Room.objects.get(id=room.id).name == "Borealis"


def test_a_room_changed_by_somebody_else_meanwhile_is_not_overwritten(manager, halden, at):
    with tenant(halden.id):
        room = make_room("Aurora", at=at)
        place_id, version = room.place_id, room.version
        inventory.edit_room(room.id, {"capacity": 8}, at=at)
    values = {"name": "Boreas", "place_id": str(place_id), "time_zone": room.time_zone, "version": version}
    answer = manager.post(reverse("portal:room-edit", args=[room.id]), values)
    assert answer.status_code == 422
    assert "Somebody changed this room meanwhile" in text_of(answer)


def test_a_room_with_devices_is_not_retired(manager, halden, at):
    (room,) = furnish(halden, 1, at=at)
    answer = manager.post(reverse("portal:room-retire", args=[room.id]))
    assert answer.status_code == 422
    assert "Unenroll or move the devices of this room first." in text_of(answer)


def test_an_unenrolled_device_ends_its_tickets_and_frees_its_room(manager, halden, at):
    (room,) = furnish(halden, 1, at=at)
    with tenant(halden.id):
        device = Device.objects.get(room=room)
    manager.post(reverse("portal:device-unenroll", args=[device.id]))
    with tenant(halden.id):
        assert the_incident(device).state == Incident.State.RESOLVED
    assert manager.post(reverse("portal:room-retire", args=[room.id])).status_code == 302
    gone = manager.get(reverse("portal:room-detail", args=[room.id]))
    assert "retired" in text_of(gone).lower()  # its history stays
    assert room.name not in manager.get(reverse("portal:room-list")).content.decode()


# Enrollment ----------------------------------------------------------------------------------------------------


def test_a_key_is_shown_once_with_its_commands_and_nowhere_again(manager, halden):
    with tenant(halden.id):
        group = room_groups.default_group()
    values = {"label": "Oslo", "group": str(group.id), "max_uses": 5, "days": "7", "simple_clients": "on"}
    page = manager.post(reverse("portal:key-new"), values)
    key = re.search(r"grek_[\w-]{12}_[\w-]+", page.content.decode())[0]
    assert f"agent enroll --url http://localhost:8000 --key {key}" in text_of(page)
    assert f"Authorization: Enroll {key}" in text_of(page).replace("&#x27;", "'")
    assert "<svg" in page.content.decode()
    assert key not in manager.get(reverse("portal:key-list")).content.decode()


def test_a_revoked_key_stays_in_the_list(manager, halden):
    with tenant(halden.id):
        group = room_groups.default_group()
    values = {"label": "Oslo", "group": str(group.id), "max_uses": 5, "days": "7"}
    manager.post(reverse("portal:key-new"), values)
    ((key, _, state),) = manager.get(reverse("portal:key-list")).context["rows"]
    assert state == "Active"
    manager.post(reverse("portal:key-revoke", args=[key.id]))
    assert manager.get(reverse("portal:key-list")).context["rows"][0][2] == "Revoked"


def test_an_arrival_is_accepted_to_a_room_made_on_the_way(manager, halden, at):
    with tenant(halden.id):
        device = make_device(status=Device.Status.ONBOARDING, at=at, wanted_room="Orchard")
    url = reverse("portal:device-accept", args=[device.id])
    assert 'value="Orchard"' in manager.get(url).content.decode()
    assert manager.post(url, {"room": "", "name": ""}).status_code == 422
    assert manager.post(url, {"room": "", "name": "Orchard", "place": ""}).status_code == 302
    with tenant(halden.id):
        device.refresh_from_db()
        assert (device.status, device.room.name) == ("enrolled", "Orchard")


def test_a_refused_arrival_is_gone(manager, halden, at):
    with tenant(halden.id):
        device = make_device(status=Device.Status.ONBOARDING, at=at)
    manager.post(reverse("portal:device-refuse", args=[device.id]))
    assert manager.get(reverse("portal:join")).context["waiting"] == []


# Places, groups, settings --------------------------------------------------------------------------------------


def test_a_place_is_added_below_another_and_renamed(manager, halden):
    manager.post(
        reverse("portal:site-add"),
        {"kind": "country", "name": "Norway", "country_code": "NO", "time_zone": "Europe/Oslo"},
    )
    ((norway),) = manager.get(reverse("portal:site-list")).context["lines"]
    manager.post(
        reverse("portal:site-add"), {"kind": "building", "name": "HQ", "parent": str(norway.place.id)}
    )
    hq = manager.get(reverse("portal:site-list")).context["lines"][1]
    assert (hq.place.full_name, hq.place.time_zone, hq.depth) == ("Norway › HQ", "Europe/Oslo", 1)
    manager.post(
        reverse("portal:site-edit", args=[hq.place.id]), {"name": "Main", "time_zone": "Europe/Oslo"}
    )
    assert "Main" in text_of(manager.get(reverse("portal:site-list")))


def test_rooms_join_and_leave_a_group(manager, halden, at):
    with tenant(halden.id):
        room = make_room("Aurora", at=at)
    answer = manager.post(reverse("portal:group-add"), {"name": "Executive", "description": ""})
    url = answer["Location"]
    assert [each.name for each in manager.get(f"{url}?q=auro").context["offered"]] == ["Aurora"]
    manager.post(f"{url}/add-room", {"room": str(room.id)})
    assert [each.name for each in manager.get(url).context["page"]] == ["Aurora"]
    assert manager.get(f"{url}?q=auro").context["offered"] == []
    manager.post(f"{url}/remove-room?room={room.id}")
    assert list(manager.get(url).context["page"]) == []


def test_a_signals_watching_period_changes_and_goes_back(manager):
    def row() -> Any:
        rows = manager.get(reverse("portal:signal-settings")).context["rows"]
        return next(row.signal for row in rows if row.signal.rule.key == "camera_room")

    usual = row().watch
    url = reverse("portal:signal-edit", args=["camera_room"])
    kept = {"enabled": "on", "severity": 2, "recover_amount": 0, "recover_unit": "60"}
    manager.post(url, {**kept, "amount": 10, "unit": "1"})
    assert (row().watch, row().watch_from) == (timedelta(seconds=10), "customer")
    too_long = manager.post(url, {**kept, "amount": 1000, "unit": "3600"})
    assert too_long.status_code == 422
    assert "between 0 seconds and 7 days" in text_of(too_long)
    manager.post(reverse("portal:signal-reset", args=["camera_room"]))
    assert (row().watch, row().is_default) == (usual, True)
    assert manager.get(reverse("portal:signal-edit", args=["no_such"])).status_code == 404


# Tickets -------------------------------------------------------------------------------------------------------


@pytest.fixture
def asked(halden, at) -> Incident:
    """A ticket the operator has asked the customer about."""
    agent = make_agent(make_operator(at=at), [halden], at=at)
    with tenant(halden.id):
        incident = make_incident(at=at)
        by = lifecycle.Person.objects.for_tenant(halden).get(user=agent)
        notes.operator_comment(incident, "Reseat the cable, please.", by=by, at=at, ask=True)
        notes.operator_note(incident, "Second time this month.", by=by, at=at)
    return incident


def test_a_ticket_says_first_who_acts_next_and_hides_the_operators_notes(manager, asked):
    page = text_of(manager.get(reverse("portal:incident-detail", args=[asked.id])))
    assert page.index("You, Halden Group") < page.index("Timeline")
    assert "Reseat the cable" in page
    assert "Second time this month" not in page
    assert "SOC" not in page


def test_what_waits_on_the_customer_stands_on_top(manager, halden, asked, at):
    with tenant(halden.id):
        newer = make_incident(at=at + timedelta(hours=1))
    rows = manager.get(reverse("portal:incident-list")).context["rows"]
    assert [incident.id for incident, _ in rows] == [asked.id, newer.id]
    assert [i.id for i, _ in manager.get("/incidents?view=you").context["rows"]] == [asked.id]
    assert [i.id for i, _ in manager.get("/incidents?view=operations").context["rows"]] == [newer.id]
    assert [i.id for i, _ in manager.get(f"/incidents?q={newer.number.lower()}").context["rows"]] == [
        newer.id
    ]
    assert manager.get("/incidents?severity=1").context["rows"] == []


def test_a_plain_reply_keeps_the_owner_and_assign_gives_it_back(manager, halden, asked):
    url = reverse("portal:incident-comment", args=[asked.id])

    def state() -> str:
        with tenant(halden.id):
            return Incident.objects.get(id=asked.id).state

    manager.post(url, {"text": "We look at noon."})
    assert state() == "needs_action"
    manager.post(url, {"text": "Done.", "assign": "on"})
    assert state() == "assigned_to_soc"
    assert "Done." in text_of(manager.get(reverse("portal:incident-detail", args=[asked.id])))


def test_an_empty_reply_is_refused_where_it_stands(manager, asked):
    answer = manager.post(reverse("portal:incident-comment", args=[asked.id]), {"text": "  ", "assign": "on"})
    assert answer.status_code == 422
    assert "Fill this in." in text_of(answer)


def test_done_twice_is_said_and_harms_nothing(manager, asked):
    url = reverse("portal:incident-done", args=[asked.id])
    assert "Operations goes on with it" in text_of(manager.post(url, follow=True))
    assert "This ticket is not waiting on you." in text_of(manager.post(url, follow=True))


def test_markup_in_what_people_write_stays_text(manager, asked):
    url = reverse("portal:incident-comment", args=[asked.id])
    page = manager.post(url, {"text": "<script>alert(1)</script>"}, follow=True).content.decode()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
