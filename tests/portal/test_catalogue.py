"""The catalogue as pages and API, what rooms and devices say of themselves by it, and the operator's command."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from fleet import catalog_files, own_catalog
from fleet.models import CatalogEntry, Device, Peripheral
from foundation import clock
from foundation.context import tenant
from tenancy.models import AuditEvent
from tests.factories.api import Api, make_api_token
from tests.factories.fleet import make_device, make_room
from tests.factories.tenancy import make_operator, make_person

OWN = {"make": "Nordlys", "model": "Room Base 3", "kind": "room_system", "platform": "windows"}
BAR = catalog_files.id_of("Logitech", "Rally Bar", "windows")


@pytest.fixture
def now(db):
    return clock.now()


@pytest.fixture
def api(customer, now):
    return Api(make_api_token(customer, at=now))


def signed_in(customer: Any, role: str = "pro_manager", *, at: Any) -> Client:
    client = Client()
    client.force_login(make_person(customer, role, at=at).user)
    return client


def own_row(customer: Any, at: Any, **given: Any) -> Any:
    with tenant(customer.id):
        return own_catalog.add({**OWN, **given}, at=at)


def room_with_everything(customer: Any, at: Any) -> Any:
    with tenant(customer.id):
        room = make_room("Aurora", at=at)
        bar = make_device(room, make="Poly", model="Studio X50", kind="video_bar", platform="android", at=at)
        pc = make_device(room, make="HP", model="Elite Mini 800", platform=Device.Platform.WINDOWS, at=at)
        attached = {"first_seen_at": at, "last_seen_at": at, "device": pc}
        rows = Peripheral.objects.for_tenant(customer)
        rows.create(
            kind="speakerphone",
            model="USB Audio",
            vendor_id="0B0E",
            product_id="0420",
            identity="a",
            **attached,
        )
        rows.create(
            kind="camera", make="Logitech", model="Rally Camera", firmware="1.2.3", identity="b", **attached
        )
        return room, bar, pc


def test_a_room_says_of_everything_in_it_whether_it_is_certified_and_why(customer, now):
    room, _, _ = room_with_everything(customer, now)
    shown = signed_in(customer, at=now).get(reverse("portal:room-detail", args=[room.id])).content.decode()
    assert "Found by make and model as Poly Studio X50." in shown
    assert "Found by USB id as Jabra Speak 510." in shown
    assert "Found by make and model as Logitech Rally." in shown
    assert "Its firmware 1.2.3 is older than 1.2.4, which is known to be good." in shown
    assert "No row of the catalogue has this make and model." in shown
    add = f"{reverse('portal:catalogue-add')}?make=HP&amp;model=Elite%20Mini%20800"
    assert add in shown
    technician = signed_in(customer, "site_technician", at=now)
    shown = technician.get(reverse("portal:room-detail", args=[room.id])).content.decode()
    assert "Found by USB id" in shown
    assert "/catalogue" not in shown


def test_the_api_says_the_same_of_devices_and_what_is_attached(customer, api, now):
    _, bar, pc = room_with_everything(customer, now)
    listed = {row["id"]: row["catalogue"] for row in api.get("/devices").json()["results"]}
    assert listed[str(bar.id)]["matched_by"] == "name"
    assert listed[str(bar.id)]["row"] == str(catalog_files.id_of("Poly", "Studio X50", "android"))
    assert listed[str(pc.id)] == {
        "state": "unknown",
        "reason": "No row of the catalogue has this make and model.",
        "matched_by": "",
        "good_firmware": "",
        "row": None,
    }
    attached = api.get(f"/devices/{pc.id}").json()["peripherals"]
    assert {row["kind"]: (row["catalogue"]["state"], row["catalogue"]["matched_by"]) for row in attached} == {
        "speakerphone": ("certified", "usb"),
        "camera": ("certified", "name"),
    }


def test_looking_devices_up_costs_two_queries_however_many_there_are(customer, api, now):
    def cost() -> int:
        with CaptureQueriesContext(connection) as asked:
            api.get("/devices")
        return len(asked)

    room_with_everything(customer, now)
    cost()  # what a process reads once is read
    few = cost()
    with tenant(customer.id):
        for number in range(12):
            make_device(make_room(at=now), make="Yealink", model=f"MVC{number}", at=now)
    assert cost() == few


def test_the_list_is_searched_filtered_and_paged_with_own_rows_among_the_shared(customer, now):
    own_row(customer, now, note="Ours")
    client = signed_in(customer, at=now)

    def found(**asked: str) -> str:
        return client.get("/catalogue", asked).content.decode()

    assert "Nordlys Room Base 3" in found(q="room nord")
    assert "Logitech Rally Bar Mini" in found(q="rally mini")
    assert "Jabra Speak 510" in found(q="0b0e 0420")
    assert "No row matches" in found(q="—")
    assert "Rally Bar" not in found(kind="panel", q="logitech")
    assert "Tap Scheduler" in found(kind="panel", q="logitech")
    assert "MeetingBar A40" in found(state="certified", platform="android", q="yealink")
    assert "MeetingBar A30" not in found(state="certified", platform="android", q="yealink")
    assert "Nordlys" in found(view="own")
    assert "Logitech" not in found(view="own")
    assert "Nordlys" not in signed_in(customer, "site_technician", at=now).get("/catalogue").content.decode()


def test_pages_of_both_tables_show_each_row_once_in_order_there_and_back(customer, api, now):
    for number in range(5):
        own_row(customer, now, make=["Avocor", "Neat", "Zoomtec"][number % 3], model=f"Own {number}")
    names, after, back = [], "/catalogue?limit=40", []
    while after:
        answer = api.get(after).json()
        names += [(row["make"], row["model"], row["platform"]) for row in answer["results"]]
        after = answer["next"]
    assert len(names) == len(set(names)) == 5 + CatalogEntry.objects.count()
    client, url = signed_in(customer, at=now), "/catalogue"
    seen: list[str] = []
    while url:
        page = client.get(url).context["page"]
        seen.append([row.id for row in page])
        url = f"/catalogue?after={page.next}" if page.next else ""
    previous = page.previous
    while previous:
        page = client.get(f"/catalogue?before={previous}").context["page"]
        back.append([row.id for row in page])
        previous = page.previous
    assert back[::-1] == seen[:-1]


def test_a_customer_adds_edits_and_removes_a_row(customer, now):
    client = signed_in(customer, at=now)
    sent = {
        **OWN, "certification": "certified", "usb_ids": "1209:0001, 1209:0002", "also_known_as": "Base 3; RB3",
        "sources": "https://example.com/base", "certified_until": "2030-01-31",
    }  # fmt: skip
    answer = client.post(reverse("portal:catalogue-add"), sent, follow=True)
    shown = answer.content.decode()
    assert "Certified for Teams Rooms on Windows until 31 Jan 2030." in shown
    assert "1209:0002" in shown
    row = answer.context["row"]
    edit = reverse("portal:catalogue-edit", args=[row.id])
    assert "Base 3; RB3" in client.get(edit).content.decode()
    again = client.post(edit, {**sent, "certification": "not_certified", "version": 1}, follow=True)
    assert "Not certified." in again.content.decode()
    stale = client.post(edit, {**sent, "version": 1})
    assert (stale.status_code, b"Somebody changed this row" in stale.content) == (422, True)
    twice = client.post(reverse("portal:catalogue-add"), sent)
    assert (twice.status_code, b"You have a row for this make" in twice.content) == (422, True)
    client.post(reverse("portal:catalogue-remove", args=[row.id]))
    assert client.get(reverse("portal:catalogue-row", args=[row.id])).status_code == 404


def test_a_shared_row_is_shown_with_its_source_and_is_nobodys_to_change(customer, api, now):
    client = signed_in(customer, at=now)
    shown = client.get(reverse("portal:catalogue-row", args=[BAR])).content.decode()
    assert "https://learn.microsoft.com/en-us/microsoftteams/rooms/certified-hardware" in shown
    assert client.get(reverse("portal:catalogue-edit", args=[BAR])).status_code == 404
    assert api.get(f"/catalogue/{BAR}").json()["version"] is None
    assert api.patch(f"/catalogue/{BAR}", {"note": "x"}).status_code == 404
    assert api.delete(f"/catalogue/{BAR}").status_code == 404


def test_the_api_keeps_own_rows_with_versions_and_idempotency(customer, api, now):
    first = api.post("/catalogue", {**OWN, "usb_ids": ["1209:0001"]}, Idempotency_Key="one")
    assert (first.status_code, first.headers["ETag"], first.json()["own"]) == (201, '"v1"', True)
    again = api.post("/catalogue", {**OWN, "usb_ids": ["1209:0001"]}, Idempotency_Key="one")
    assert again.json()["id"] == first.json()["id"]
    assert api.post("/catalogue", OWN).status_code == 409
    path = f"/catalogue/{first.json()['id']}"
    changed = api.patch(path, {"support_ends": "2026-01-01"}, If_Match='"v1"')
    assert (changed.json()["state"], changed.headers["ETag"]) == ("ended", '"v2"')
    assert api.patch(path, {"note": "x"}, If_Match='"v1"').status_code == 412
    for wrong, field in (
        ({"kind": "car"}, "kind"),
        ({"support_ends": 5}, "support_ends"),
        ({"usb_ids": ["x"]}, "usb_ids"),
    ):
        refused = api.patch(path, wrong)
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, field)
    assert [row["model"] for row in api.get("/catalogue?own=true").json()["results"]] == ["Room Base 3"]
    assert [row["model"] for row in api.get("/catalogue?state=ended&q=nordlys").json()["results"]] == [
        "Room Base 3"
    ]
    assert api.get("/catalogue?state=ended&own=false&q=nordlys").json()["results"] == []
    assert api.delete(path).status_code == 204
    assert api.get(path).status_code == 404


def run(*arguments: str) -> str:
    out, wrong = io.StringIO(), io.StringIO()
    call_command("catalogue", *arguments, stdout=out, stderr=wrong)
    return out.getvalue()


def test_an_operator_loads_a_file_of_rows_and_takes_it_back(now, tmp_path):
    operator = make_operator(at=now)
    path = tmp_path / "ours.csv"
    head = ",".join(catalog_files.COLUMNS)
    path.write_text(
        f"{head}\nVesper,Panorama One,,room_system,windows,certified,,,,,,https://example.com/v\n"
    )
    assert "1 rows, all of them good." in run("check", str(path))
    assert not CatalogEntry.objects.filter(make="Vesper").exists()
    assert "ours: 1 added, 0 changed, 0 removed" in run("load", str(path))
    assert "ours: 0 added, 0 changed, 0 removed" in run("load", str(path))
    assert "ours: 1 rows" in run("list")
    assert "0 added" in run("load")
    with tenant(operator.id):
        (event,) = AuditEvent.objects.for_tenant(operator).filter(action="catalogue.load")
        assert (event.object_name, event.after["added"]) == ("ours", 1)
    assert "1 removed" in run("remove", "ours")
    path.write_text(f"{head}\nVesper,,,car,windows,,,,,,,\n")
    with pytest.raises(CommandError, match=r"ours\.csv has 3 problems"):
        run("load", str(path))
    for refused in (("remove", "ours"), ("remove", "greenroom"), ("load", str(tmp_path / "none.csv"))):
        with pytest.raises(CommandError):
            run(*refused)


def test_devices_and_equipment_in_lists_say_whether_they_are_certified(customer, now):
    room_with_everything(customer, now)
    client = signed_in(customer, at=now)
    assert "Found by make and model as Poly Studio X50." in client.get("/devices").content.decode()
    equipment = client.get(reverse("portal:peripheral-list")).content.decode()
    assert "Found by USB id as Jabra Speak 510." in equipment
