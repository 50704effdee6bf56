"""Imports as pages and API: a file comes, its columns are confirmed, problems are shown, then it is done."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from fleet.imports import runs
from fleet.models import ImportRun, Room
from foundation import clock, jobs
from foundation.context import tenant
from portal.web import imports
from tests.factories.api import Api, make_api_token
from tests.factories.tenancy import make_customer, make_person
from workers.effects import JOB_STEPS

BAD = "Raum,Building,Seats\nAurora,HQ,8\nBjerk,HQ,many\n,HQ,=1\n"
GOOD = BAD.replace("many", "12").replace(",HQ,=1\n", "")


@pytest.fixture
def owner(committed_db: None) -> Any:
    """Committed: jobs find what is due on another connection."""
    return make_customer(at=clock.now())


@pytest.fixture
def manager(owner: Any) -> Client:
    return signed_in(owner, "pro_manager")


def signed_in(owner: Any, role: str) -> Client:
    client = Client()
    client.force_login(make_person(owner, role, at=clock.now()).user)
    return client


def sent(client: Client, text: str, name: str = "rooms.csv", **more: str) -> Any:
    file = SimpleUploadedFile(name, text.encode())
    return client.post(reverse("portal:import-new"), {"kind": "rooms", "file": file, **more})


def work() -> None:
    while jobs.step_due(JOB_STEPS, at=clock.now()):
        pass


def names(owner: Any) -> list[str]:
    with tenant(owner.id):
        return sorted(Room.objects.values_list("name", flat=True))


def test_problems_are_shown_by_row_and_column_and_the_corrected_file_goes_in(manager, owner):
    run = sent(manager, BAD)["Location"]
    page = manager.get(run)
    assert page.context["form"].initial == {"name": "0", "building": "1", "capacity": "2"}
    manager.post(f"{run}/check", {"name": "0", "building": "1", "capacity": "2"})
    work()
    shown = manager.get(run)
    assert [(each.row, each.column, each.value) for each in shown.context["page"]] == [
        (3, "Seats", "many"),
        (4, "Raum", ""),
        (4, "Seats", "=1"),
    ]
    assert b"Nothing is imported until all of them are corrected." in shown.content
    listed = manager.get(f"{run}/problems")
    told = list(csv.reader(io.StringIO(b"".join(listed.streaming_content).decode())))
    assert told[0] == ["row", "column", "value", "problem"]
    assert told[1][:3] == ["3", "Seats", "many"]
    assert told[3][2] == "'=1"
    manager.post(f"{run}/apply")
    assert names(owner) == []
    run = sent(manager, GOOD)["Location"]
    manager.post(f"{run}/check", {"name": "0", "building": "1", "capacity": "2"})
    work()
    assert "Import 2 rooms" in manager.get(run).content.decode()
    manager.post(f"{run}/apply")
    work()
    assert b"Imported" in manager.get(run).content
    assert names(owner) == ["Aurora", "Bjerk"]
    states = [label for _, _, label, _, _ in manager.get(reverse("portal:import-list")).context["rows"]]
    assert states == ["Imported", "Has problems"]


def test_what_is_no_table_or_too_large_is_said_beside_the_file(manager, monkeypatch):
    assert sent(manager, "Name,Name\nA,B\n").context["form"].errors["file"]
    assert sent(manager, "").status_code == 422
    assert sent(manager, GOOD, kind="submarines").context["form"].errors["kind"]
    assert manager.post(reverse("portal:import-new"), {"kind": "rooms"}).status_code == 422
    with monkeypatch.context() as patch:
        patch.setattr(runs.reading, "LARGEST_BYTES", 10)
        assert sent(manager, GOOD).context["form"].errors["file"]
    large = SimpleUploadedFile("large.csv", b"x" * (imports.LARGEST_BYTES + 1))
    answer = manager.post(reverse("portal:import-new"), {"kind": "rooms", "file": large})
    assert answer.context["form"].errors == {"file": ["The file is larger than 50 MB."]}


def test_columns_nobody_named_are_asked_for_beside_their_choice(manager):
    run = sent(manager, "A,B\nAurora,HQ\n")["Location"]
    answer = manager.post(f"{run}/check", {"building": "1"})
    assert (answer.status_code, answer.context["form"].errors) == (
        422,
        {"name": ["Say which column this is."]},
    )
    twice = manager.post(f"{run}/check", {"name": "1", "building": "1"})
    assert "taken for" in str(twice.context["form"].errors)
    assert manager.post(f"{run}/check", {"name": "0", "building": "77"}).status_code == 422


def test_a_run_belongs_to_whoever_asked_and_ends_when_cancelled(manager, owner):
    run = sent(manager, GOOD)["Location"]
    other = signed_in(owner, "pro_manager")
    assert other.get(run).status_code == 200  # may change every room
    assert signed_in(owner, "global_reader").get(run).status_code == 403
    manager.post(f"{run}/cancel")
    assert b"Cancelled" in manager.get(run).content
    assert manager.post(f"{run}/check", {"name": "0"}).status_code == 422


def test_five_at_a_time(manager, owner):
    for _ in range(runs.MOST_AT_ONCE):
        run = sent(manager, GOOD)["Location"]
        manager.post(f"{run}/check", {"name": "0", "building": "1"})
    assert "Five imports" in str(sent(manager, GOOD).context["form"].errors)
    with tenant(owner.id):
        for each in ImportRun.objects.all():
            runs.end(each, "cancelled", at=clock.now())
    work()


def test_programs_import(owner):
    token = make_api_token(owner, at=clock.now())
    api = Api(token)

    def send(raw: bytes, query: str, content_type: str = "text/csv", **headers: str) -> Any:
        return Client().post(
            f"/api/v1/imports?{query}", data=raw, content_type=content_type,
            headers={"Authorization": f"Bearer {token}", **headers},
        )  # fmt: skip

    made = send(GOOD.encode(), "kind=rooms&name=rooms.csv", **{"Idempotency-Key": "one"})
    assert made.status_code == 201
    assert made.json()["columns"] == {"name": "Raum", "building": "Building", "capacity": "Seats"}
    again = send(GOOD.encode(), "kind=rooms&name=rooms.csv", **{"Idempotency-Key": "one"})
    assert again.json() == made.json()
    assert send(BAD.encode(), "kind=rooms&name=rooms.csv", **{"Idempotency-Key": "one"}).status_code == 422
    for raw, query, kind, status in (
        (b"", "kind=rooms&name=x", "text/csv", 400),
        (GOOD.encode(), "kind=boats&name=x", "text/csv", 400),
        (GOOD.encode(), "kind=rooms&name=x&x=1", "text/csv", 400),
        (GOOD.encode(), "name=x", "text/csv", 400),
        (b"PK\x03\x04", "kind=rooms&name=x", "text/csv", 400),
    ):
        assert send(raw, query, kind).status_code == status, (raw, query, kind)
    address = f"/imports/{made.json()['id']}"
    assert api.post(f"{address}/apply").status_code == 409
    assert api.post(f"{address}/check", {"columns": {"name": "Nowhere"}}).status_code == 400
    assert (
        api.post(f"{address}/check", {"columns": {"name": "raum", "building": "Building"}}).status_code == 200
    )
    work()
    assert api.get(address).json()["creates"] == 2
    assert api.get(f"{address}/problems").json() == {"results": [], "next": None}
    assert api.post(f"{address}/apply").json()["state"] == "applying"
    work()
    assert api.get(address).json()["state"] == "done"
    assert [row["id"] for row in api.get("/imports?state=done").json()["results"]] == [made.json()["id"]]
    assert api.post(f"{address}/cancel").status_code == 409
