"""Lists of devices and equipment, and saved views of them: filters, search, a constant number of queries, whose is what."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from fleet import assets, lists, peripherals, room_groups
from fleet.models import Device, Peripheral
from foundation import clock
from foundation.context import tenant
from foundation.errors import NotValid
from tenancy.models import AuditEvent, SavedView, Tenant
from tests.factories.api import Api, make_api_token
from tests.factories.fleet import make_device, make_place, make_room
from tests.factories.tenancy import make_person

CAMERA = {
    "kind": "camera",
    "make": "Halyard",
    "model": "E70",
    "vendor_id": "2e7e",
    "product_id": "0001",
    "serial": "HY-0042",
    "firmware": "2.1",
}
NETWORK = [{"name": "eth0", "mac": "00:1b:44:11:3a:b7", "addresses": ["10.20.30.40"]}]


@pytest.fixture
def now(db: None) -> datetime:
    return clock.now()


@pytest.fixture
def api(customer: Tenant, now: datetime) -> Api:
    return Api(make_api_token(customer, at=now))


@pytest.fixture
def manager(customer: Tenant, now: datetime) -> Client:
    return signed_in(customer, "pro_manager", now)


@pytest.fixture
def device(customer: Tenant, now: datetime) -> Device:
    with tenant(customer.id):
        room = make_room("Aurora", place=make_place("Oslo HQ", at=now), at=now)
        made = make_device(
            room, name="Aurora bar", make="Nordlys", model="Base 2", versions={"app": "5.4"}, at=now
        )
        told(made, CAMERA, {**CAMERA, "kind": "speaker", "model": "S1", "serial": "HY-0043"}, at=now)
        return made


def signed_in(customer: Tenant, role: str, now: datetime) -> Client:
    client = Client()
    client.force_login(make_person(customer, role, at=now).user)
    return client


def told(device: Device, *things: dict[str, Any], at: datetime) -> None:
    """The device puts its inventory."""
    document = {"peripherals": list(things), "network": NETWORK}
    peripherals.store_inventory(device, document, digest="d", at=at)


def shown(client: Client, name: str, **query: str) -> list[str]:
    rows = client.get(reverse(f"portal:{name}-list"), query).context["rows"]
    return [str(row[0]) for row in rows]


@pytest.mark.parametrize(
    "query",
    [
        {"q": "aurora nordl"},
        {"q": "10.20.30.40"},
        {"q": "00:1b:44:11:3a:b7"},
        {"q": "001b4411"},
        {"make": "Nordlys", "model": "Base 2"},
        {"app_version": "5.4"},
        {"kind": "room_system", "status": "enrolled"},
    ],
)
def test_a_device_is_found_by_its_words_addresses_and_facts(manager, api, device, customer, now, query):
    with tenant(customer.id):
        make_device(make_room("Bjerk", at=now), make="Other", model="One", kind="video_bar", at=now)
    assert shown(manager, "device", **query) == ["Aurora bar"]
    path = "&".join(f"{name}={value}" for name, value in query.items())
    assert api.names(f"/devices?{path}") == ["Aurora bar"]


def test_devices_of_a_site_and_of_a_group(manager, device, customer, now):
    with tenant(customer.id):
        make_device(make_room("Bjerk", at=now), at=now)
        group = room_groups.add_group(name="Top", at=now)
        room_groups.add_members(group.id, [device.room_id], at=now)
        site = device.room.site_id
    assert shown(manager, "device", site=str(site)) == ["Aurora bar"]
    assert shown(manager, "device", group=str(group.id)) == ["Aurora bar"]
    assert shown(manager, "peripheral", group=str(group.id)) == ["Halyard E70", "Halyard S1"]
    assert len(shown(manager, "device", site="nonsense", nothing="x")) == 2  # as good as absent


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"q": "hal e70"}, ["Halyard E70"]),
        ({"q": "hy0043"}, ["Halyard S1"]),
        ({"q": "2e7e"}, ["Halyard E70", "Halyard S1"]),
        ({"kind": "speaker"}, ["Halyard S1"]),
        ({"firmware": "2.1", "model": "E70"}, ["Halyard E70"]),
        ({"connected": "false"}, []),
    ],
)
def test_equipment_is_found_by_its_words_and_facts(manager, api, device, query, found):
    assert shown(manager, "peripheral", **query) == found
    path = "&".join(f"{name}={value}" for name, value in query.items())
    assert [row["model"] for row in api.get(f"/peripherals?{path}").json()["results"]] == [
        each.split()[1] for each in found
    ]


def test_equipment_names_its_device_and_room(api, device):
    first = api.get("/peripherals?q=e70").json()["results"][0]
    assert (first["device_name"], first["room_name"], first["serial"]) == ("Aurora bar", "Aurora", "HY-0042")
    assert api.get(f"/peripherals/{first['id']}").json() == first
    assert api.get("/peripherals?colour=red").status_code == 400


def test_words_of_a_device_leave_with_it(manager, device, customer, now):
    with tenant(customer.id):
        Device.objects.for_tenant(customer).filter(id=device.id).update(status="unenrolled")
        told(device, CAMERA, at=now)
    assert shown(manager, "device", q="nordlys") == []
    assert shown(manager, "peripheral", q="halyard") == []
    assert shown(manager, "device", status="unenrolled") == ["Aurora bar"]


@pytest.mark.parametrize("name", ["device", "peripheral"])
def test_a_page_takes_as_many_queries_for_many_rows_as_for_one(manager, device, customer, now, name):
    def spent() -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            manager.get(reverse(f"portal:{name}-list"))
        return len(queries)

    spent()
    few = spent()
    with tenant(customer.id):
        for number in range(8):
            made = make_device(make_room(at=now), make=f"Make {number}", at=now)
            told(made, {**CAMERA, "serial": f"X{number}"}, at=now)
    assert spent() == few
    assert few <= 24  # sign-in, the frame and the catalogue among them


def test_makes_and_models_are_offered_once_each(manager, device, customer, now):
    with tenant(customer.id):
        for _ in range(3):
            make_device(make_room(at=now), make="Acme", model="One", at=now)
        assert lists.models_of(Device) == [("Acme", "One"), ("Nordlys", "Base 2")]
        assert lists.models_of(Peripheral) == [("Halyard", "E70"), ("Halyard", "S1")]
    page = manager.get(reverse("portal:device-list"), {"make": "Acme"})
    assert (page.context["makes"], page.context["models"]) == (["Acme", "Nordlys"], ["One"])


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"colour": ["red"]}, "colour"),
        ({"state": ["sleepy"]}, "state"),
        ({"site": ["x"]}, "site"),
        ({"q": ["a", "b"]}, "q"),
        ({"q": ["a\0"]}, "q"),
        ({"state": ["healthy"] * 21}, "state"),
    ],
)
def test_what_a_list_cannot_be_asked_is_refused_by_name(entered, query, field):
    with pytest.raises(NotValid) as refused:
        lists.cleaned("rooms", query)
    assert refused.value.field == field


@pytest.fixture
def entered(customer: Tenant) -> Any:
    with tenant(customer.id):
        yield customer


def save(client: Client, query: str, **sent: str) -> Any:
    return client.post(f"{reverse('portal:view-add')}?{query}", {"name": "Mine", **sent})


def test_filters_are_saved_under_a_name_and_opened_by_an_address(manager, customer, now):
    with tenant(customer.id):
        make_room("Aurora", room_type="large", at=now)
        make_room("Bjerk", room_type="small", at=now)
    offered = manager.get(reverse("portal:room-list"), {"room_type": "large"}).context["views"].save
    assert save(manager, offered.partition("?")[2]).status_code == 302
    with tenant(customer.id):
        view = SavedView.objects.for_tenant(customer).get()
        assert view.query == {"room_type": ["large"]}
        assert AuditEvent.objects.for_tenant(customer).filter(action="view.create").count() == 1
    page = manager.get(reverse("portal:view-open", args=[view.id]), follow=True)
    assert [row.room.name for row in page.context["rows"]] == ["Aurora"]
    assert page.context["views"].current.name == "Mine"
    assert page.context["views"].save == ""


def test_a_view_is_its_owners_until_it_is_shared(manager, customer, now):
    save(manager, "list=rooms&state=healthy")
    with tenant(customer.id):
        view = SavedView.objects.for_tenant(customer).get()
    colleague = signed_in(customer, "global_reader", now)
    address = reverse("portal:view-open", args=[view.id])
    assert colleague.get(address).status_code == 404
    manager.post(reverse("portal:view-edit", args=[view.id]), {"name": "Ours", "shared": "on"})
    assert colleague.get(address).status_code == 302
    assert [tab.name for tab in colleague.get(reverse("portal:room-list")).context["views"].tabs] == ["Ours"]
    taken = colleague.post(reverse("portal:view-delete", args=[view.id]))
    assert taken.status_code == 422  # seen, and still not theirs
    assert manager.post(reverse("portal:view-delete", args=[view.id])).status_code == 302
    assert manager.get(address).status_code == 404


def test_a_name_is_taken_once_and_a_bad_one_is_refused_beside_the_field(manager):
    save(manager, "list=devices&kind=panel")
    for name in ("Mine", "", "x" * 61, "a\u202eb"):
        answer = save(manager, "list=devices&kind=console", name=name)
        assert (answer.status_code, list(answer.context["form"].errors)) == (422, ["name"]), name
    assert save(manager, "list=cars").status_code == 404


def test_programs_keep_views_too(api, customer):
    made = api.post(
        "/views", {"list": "devices", "name": "Panels", "query": {"kind": ["panel"]}, "shared": True}
    )
    assert (made.status_code, made.json()["query"]) == (201, {"kind": ["panel"]})
    path = f"/views/{made.json()['id']}"
    assert made.json()["address"].startswith("/devices?kind=panel&view=")
    assert api.names("/views?list=devices") == ["Panels"]
    assert api.names("/views?list=rooms") == []
    changed = api.patch(path, {"name": "All panels"}, If_Match=made["ETag"])
    assert changed.json()["name"] == "All panels"
    assert api.patch(path, {"name": "Late"}, If_Match=made["ETag"]).status_code == 412
    wrong = api.patch(path, {"query": {"kind": ["car"]}})
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (400, "query.kind")
    assert api.delete(path).status_code == 204
    assert api.get(path).status_code == 404


def test_one_search_finds_everything(manager, api, device, customer, now):
    with tenant(customer.id):
        make_device(None, status="onboarding", name="Arrival", serial_number="NEW-77", at=now)

    def found(q: str) -> dict[str, list[str]]:
        page = manager.get(reverse("portal:search"), {"q": q})
        return {each.listing: [str(row) for row in each.rows] for each in page.context["found"]}

    with tenant(customer.id):
        assets.add_asset(room_id=device.room_id, kind="projector", name="Beamer", tag="INV-7", at=now)

    assert found("aurora") == {"rooms": ["Aurora"], "devices": ["Aurora bar"]}
    assert found("beam inv-7") == {"assets": ["Beamer"]}
    assert found("new77") == {"devices": ["Arrival"]}
    assert found("halyard hy-0042") == {"peripherals": ["Halyard E70"]}
    assert found("10.20.30.40") == {"rooms": ["Aurora"], "devices": ["Aurora bar"]}
    assert found("aurora nowhere") == found("") == found("\0") == {}
    answer = api.get("/search?q=aurora").json()
    assert [len(answer[kind]) for kind in ("rooms", "devices", "peripherals")] == [1, 1, 0]
    for wrong in ("/search", "/search?q=", "/search?q=a&state=healthy", f"/search?q={'a' * 201}"):
        assert api.get(wrong).status_code == 400, wrong


def test_more_than_fit_lead_to_their_list(manager, customer, now):
    with tenant(customer.id):
        place = make_place("Many", at=now)
        for number in range(9):
            make_room(f"Room {number}", place=place, at=now)
    (rooms,) = manager.get(reverse("portal:search"), {"q": "many"}).context["found"]
    assert (len(rooms.rows), rooms.more) == (8, "/rooms?q=many")
