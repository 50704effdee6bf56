"""Exports as pages and API: what is in the file, whose it is, and that a file of ours can be sent back."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.urls import reverse

from fleet import assets, room_groups
from fleet.imports import runs
from fleet.models import Peripheral
from foundation import clock, jobs
from foundation.context import tenant
from foundation.models import Job, StoredFile
from foundation.tables import writing
from foundation.tables.reading import read_table
from tenancy import assignments
from tenancy.audit import SYSTEM
from tenancy.models import AuditEvent, Role
from tenancy.on_behalf import By
from tenancy.rights import granted
from tenancy.tenants import add_person
from tests.factories.api import Api, make_api_token
from tests.factories.fleet import make_device, make_place, make_room
from tests.factories.tenancy import make_customer, make_person, make_user
from workers.effects import JOB_STEPS

EVIL = "=HYPERLINK(1)"


@pytest.fixture
def owner(committed_db: None) -> Any:
    """Committed: jobs find what is due on another connection. Two buildings with a room each."""
    made = make_customer(at=clock.now())
    at = clock.now()
    with tenant(made.id):
        norway = make_place("Norway", kind="country", at=at)
        for name, house in (("Aurora", "HQ"), (EVIL, "Lab")):
            place = make_place(house, parent_id=norway.id, at=at)
            room = make_room(name, place=place, resource_account=f"{house}@example.com", capacity=8, at=at)
            device = make_device(room, at=at, make="Acme", model="One")
            assets.add_asset(room_id=room.id, kind="dock", name=f"Dock {house}", serial_number=house, at=at)
            Peripheral.objects.for_tenant(made).create(
                device=device, kind="camera", make="Halyard", model="E70", vendor_id="046d", identity=house,
                serial=house, first_seen_at=at, last_seen_at=at,
            )  # fmt: skip
    return made


@pytest.fixture
def manager(owner: Any) -> Client:
    client = Client()
    client.force_login(make_person(owner, "pro_manager", at=clock.now()).user)
    return client


def work(owner: Any) -> None:
    while jobs.step_due(JOB_STEPS, at=clock.now()):
        pass
    with tenant(owner.id):
        assert not Job.objects.filter(state=Job.State.FAILED).values_list("error", flat=True)


def exported(client: Client, owner: Any, query: str = "", **sent: str) -> bytes:
    """The file of an export asked for on the page."""
    client.post(f"{reverse('portal:export-new')}?{query}", {"what": "rooms", "format": "csv", **sent})
    work(owner)
    job = client.get(reverse("portal:export-list")).context["rows"][0]["job"]
    answer = client.get(reverse("portal:export-download", args=[job.id]))
    assert answer["Content-Disposition"].startswith("attachment")
    return b"".join(answer.streaming_content)


def table(raw: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(raw.decode())))


def test_rooms_are_exported_with_their_filters_and_no_cell_is_a_formula(manager, owner, monkeypatch):
    monkeypatch.setattr("fleet.exports.ROWS_A_PART", 1)  # parts, as of a long list
    rows = table(exported(manager, owner))
    assert [(row["Name"], row["Building"], row["Seats"], row["Devices"]) for row in rows] == [
        ("Aurora", "HQ", "8", "1"),
        (f"'{EVIL}", "Lab", "8", "1"),
    ]
    assert rows[0]["Groups"] == "All new rooms"
    assert [row["Name"] for row in table(exported(manager, owner, "q=auro&state=&after=x"))] == ["Aurora"]
    assert table(exported(manager, owner, "q=nothing")) == []
    book = exported(manager, owner, format="xlsx")
    assert [row.cells[0] for row in read_table(io.BytesIO(book))] == ["Name", "Aurora", EVIL]
    listed = json.loads(exported(manager, owner, format="json"))
    assert [(row["name"], row["capacity"], row["health"]) for row in listed] == [
        ("Aurora", 8, "healthy"),
        (EVIL, 8, "healthy"),
    ]
    with tenant(owner.id):
        assert StoredFile.objects.count() == 5  # parts are gone
        fetched = AuditEvent.objects.filter(action="export.download").count()
        assert fetched == 5


@pytest.mark.parametrize(
    ("what", "column", "values"),
    [
        ("devices", "Make", ["Acme", "Acme"]),
        ("peripherals", "Account", ["hq@example.com", "lab@example.com"]),
        ("assets", "Inventory number", ["", ""]),
        ("models", "Number", ["2", "2"]),
    ],
)
def test_other_lists_are_exported_too(manager, owner, what, column, values):
    assert [row[column] for row in table(exported(manager, owner, f"what={what}", what=what))] == values


@pytest.mark.parametrize(
    ("what", "kind"), [("rooms", "rooms"), ("assets", "assets"), ("peripherals", "peripherals")]
)
def test_what_was_exported_is_what_is_there_when_it_is_sent_back(manager, owner, what, kind):
    raw = exported(manager, owner, f"what={what}", what=what)
    by = By(SYSTEM, granted([runs.PERMISSION]))
    with tenant(owner.id):
        run = runs.receive(kind, io.BytesIO(raw), "back.csv", by=by, at=clock.now())
        runs.check(run.id, None, by=by, at=clock.now())
    work(owner)
    with tenant(owner.id):
        run.refresh_from_db()
        found = list(runs.problems_of(run).values_list("row", "column", "message"))
        assert (found, run.creates, run.updates, run.unchanged) == ([], 0, 0, 2)


def test_somebody_of_one_group_gets_its_rooms_and_sees_no_other_exports(manager, owner):
    exported(manager, owner)
    at = clock.now()
    with tenant(owner.id):
        group = room_groups.add_group(name="Labs", at=at)
        lab = make_room("Lab 2", at=at)
        room_groups.add_members(group.id, [lab.id], at=at)
    user = make_user(owner, at=at, name="One group")
    with transaction.atomic():
        person = add_person(user, to=owner, role="", at=at)
    with tenant(owner.id):
        role = Role.objects.get(key="pro_manager")
        assignments.add(
            role_id=role.id, name="One", members=[person.id], everywhere=False, scope=[("group", group.id)],
            by=None, at=at,
        )  # fmt: skip
    client = Client()
    client.force_login(user)
    assert client.get(reverse("portal:export-list")).context["rows"] == []
    assert [row["Name"] for row in table(exported(client, owner))] == ["Lab 2"]
    theirs = manager.get(reverse("portal:export-list")).context["rows"]
    assert [row["who"] for row in theirs] == ["One group", "Ingrid Solberg"]
    foreign = theirs[1]["job"].id
    assert client.get(reverse("portal:export-download", args=[foreign])).status_code == 404


def test_exports_are_cancelled_and_five_are_enough(manager, owner):
    new = reverse("portal:export-new")
    for _ in range(5):
        manager.post(new, {"what": "rooms", "format": "csv"})
    refused = manager.post(new, {"what": "rooms", "format": "csv"})
    assert "Five exports" in str(refused.context["form"].errors)
    assert manager.post(new, {"what": "boats", "format": "csv"}).status_code == 422
    rows = manager.get(reverse("portal:export-list")).context["rows"]
    for row in rows:
        manager.post(reverse("portal:export-cancel", args=[row["job"].id]))
    work(owner)
    states = [row["state"] for row in manager.get(reverse("portal:export-list")).context["rows"]]
    assert states == ["Cancelled"] * 5
    assert manager.get(reverse("portal:export-download", args=[rows[0]["job"].id])).status_code == 404


def test_programs_export_and_the_file_goes_after_a_week(owner):
    api = Api(make_api_token(owner, at=clock.now()))
    made = api.post(
        "/exports", {"what": "rooms", "format": "json", "filters": {"q": "aurora", "state": ["healthy"]}}
    )
    assert (made.status_code, made.json()["state"], made.json()["filters"]) == (
        201,
        "queued",
        {"q": ["aurora"], "state": ["healthy"]},
    )
    address = f"/exports/{made.json()['id']}"
    assert api.get(f"{address}/file").status_code == 404
    work(owner)
    assert (api.get(address).json()["state"], api.get(address).json()["done"]) == ("done", 1)
    assert [row["name"] for row in json.loads(api.get(f"{address}/file").body)] == ["Aurora"]
    assert api.delete(address).json()["state"] == "done"
    for body, field in (
        ({"what": "rooms", "format": "pdf"}, "format"),
        ({"what": "rooms", "format": "csv", "filters": {"colour": "red"}}, "colour"),
        ({"what": "rooms", "format": "csv", "filters": {"site": "here"}}, "site"),
        ({"what": "rooms", "format": "csv", "filters": {"q": 7}}, "filters.q"),
        ({"what": "rooms", "format": "csv", "filters": []}, "filters"),
    ):
        answer = api.post("/exports", body)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, field), body
    with tenant(owner.id):
        Job.objects.update(due_at=clock.now() - jobs.KEPT_FOR - timedelta(minutes=1))
    jobs.forget_old(at=clock.now())
    assert api.get(address).status_code == 404
    with tenant(owner.id):
        assert not StoredFile.objects.exists()
    assert writing.FORMATS.keys() == {"csv", "xlsx", "json"}
