"""Recording an issue and working with tickets, on pages and through the API, from both sides."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from foundation import clock
from foundation.context import tenant
from incidents import attachments, recorded
from incidents.models import Incident
from incidents.timeline import Author
from tenancy.models import Tenant
from tests.factories.api import Api, make_api_token
from tests.factories.fleet import make_room
from tests.factories.incidents import make_incident
from tests.factories.tenancy import make_agent, make_person

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 40


@pytest.fixture
def now(db: None) -> Any:
    return clock.now()


@pytest.fixture
def ingrid(customer: Tenant, now: Any) -> Any:
    return make_person(customer, "pro_manager", at=now)


@pytest.fixture
def manager(ingrid: Any) -> Client:
    client = Client()
    client.force_login(ingrid.user)
    return client


@pytest.fixture
def rooms(customer: Tenant, now: Any) -> Any:
    with tenant(customer.id):
        return [make_room(name, at=now) for name in ("Aurora", "Borealis")]


@pytest.fixture
def issue(customer: Tenant, ingrid: Any, rooms: Any, now: Any) -> Incident:
    with tenant(customer.id):
        told = recorded.Issue([room.id for room in rooms], "Smell of smoke")
        return recorded.record_issue(customer.id, told, author=Author(ingrid), at=now)


def stored(incident: Incident) -> Incident:
    with tenant(incident.tenant_id):
        return Incident.objects.get(id=incident.id)


def record(client: Client, **sent: Any) -> Any:
    usual = {"rooms": "Aurora\nBorealis", "title": "Smell of smoke", "text": "", "high_impact": ""}
    return client.post(reverse("portal:incident-record"), {**usual, **sent})


def test_an_issue_is_recorded_with_a_picture_and_shown_with_all_of_it(manager, rooms, customer):
    answer = record(manager, high_impact="Board meeting", file=SimpleUploadedFile("fire.png", PNG))
    page = manager.get(answer["Location"]).content.decode()
    for words in ("Smell of smoke", "High impact", "Board meeting", "Aurora", "Borealis", "fire.png"):
        assert words in page
    listed = manager.get(reverse("portal:incident-list")).content.decode()
    assert "Aurora and 1 more" in listed
    assert "Smell of smoke" in manager.get(reverse("portal:room-detail", args=[rooms[1].id])).content.decode()
    assert "Smell of smoke" in manager.get(reverse("portal:room-list")).content.decode()


def test_mistakes_stand_beside_their_field_and_nothing_is_recorded(manager, rooms, customer):
    named = record(manager, rooms="Aurora\nNowhere")
    assert (named.status_code, "rooms" in named.context["form"].errors) == (422, True)
    program = record(manager, file=SimpleUploadedFile("photo.png", b"MZ\x90\0" * 20))
    assert (program.status_code, "file" in program.context["form"].errors) == (422, True)
    with tenant(customer.id):
        assert not Incident.objects.exists()


def test_a_file_is_only_ever_downloaded(manager, issue, ingrid, now):
    with tenant(issue.tenant_id):
        kept = attachments.attach(
            issue,
            SimpleUploadedFile("a.html", b"<script>alert(1)</script>"),
            "a.html",
            author=Author(ingrid),
            at=now,
        )
    answer = manager.get(reverse("portal:incident-attachment", args=[issue.id, kept.id]))
    assert b"".join(answer.streaming_content) == b"<script>alert(1)</script>"
    answer.close()
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Content-Disposition"].startswith("attachment")
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer["Content-Security-Policy"]


def test_a_recorded_issue_is_closed_with_a_reason_and_reopened(manager, issue):
    resolve = reverse("portal:incident-resolve", args=[issue.id])
    assert manager.post(resolve, {"cause": "", "text": ""}).status_code == 422
    manager.post(resolve, {"cause": "no_fault_found", "text": "It was the kitchen"})
    assert (stored(issue).state, stored(issue).cause) == ("resolved", "no_fault_found")
    manager.post(reverse("portal:incident-reopen", args=[issue.id]))
    assert stored(issue).state == "pending_investigation"


def test_tickets_are_linked_merged_and_marked_on_the_page(manager, issue, customer, rooms, now):
    with tenant(customer.id):
        fault = make_incident(at=now)
    link = reverse("portal:incident-link", args=[issue.id])
    assert manager.post(link, {"into": "INC-000000"}).status_code == 422
    manager.post(link, {"into": fault.number})
    assert fault.number in manager.get(reverse("portal:incident-detail", args=[issue.id])).content.decode()
    manager.post(reverse("portal:incident-unlink", args=[issue.id, fault.id]))
    manager.post(reverse("portal:incident-impact", args=[issue.id]), {"reason": "Board meeting"})
    assert stored(issue).high_impact
    manager.post(reverse("portal:incident-usual-impact", args=[issue.id]))
    assert not stored(issue).high_impact
    manager.post(reverse("portal:incident-merge", args=[fault.id]), {"into": issue.number})
    assert (stored(fault).state, stored(fault).parent_id) == ("resolved", issue.id)
    manager.post(reverse("portal:incident-rooms", args=[issue.id]), {"rooms": "Aurora"})
    assert stored(issue).room_id == rooms[0].id


def test_the_operator_does_the_same_on_the_console(customer, operator, issue, now):
    agent = make_agent(operator, [customer], at=now)
    console = Client()
    console.force_login(agent)
    sent = {"file": [SimpleUploadedFile("a.png", PNG), SimpleUploadedFile("b.log", b"12:00 failed")]}
    console.post(reverse("portal:console-attach", args=[issue.id]), sent)
    page = console.get(reverse("portal:console-ticket", args=[issue.id])).content.decode()
    assert "a.png" in page
    assert "b.log" in page
    with tenant(customer.id):
        kept = attachments.of(issue).first()
    assert kept.by_operator
    console.post(reverse("portal:console-detach", args=[issue.id, kept.id]))
    console.post(reverse("portal:console-resolve", args=[issue.id]), {"cause": "fixed_on_site", "text": ""})
    assert stored(issue).state == "resolved"


def test_the_list_is_narrowed_by_category_and_group(manager, issue, customer, now):
    with tenant(customer.id):
        make_incident(at=now)
    address = reverse("portal:incident-list")
    for category, shown in (("Recorded issues", True), ("Peripherals", False), ("Nonsense", True)):
        page = manager.get(address, {"category": category}).content.decode()
        assert ("Smell of smoke" in page) == shown, category


def test_programs_record_attach_and_close(customer, ingrid, rooms, now):
    api = Api(make_api_token(customer, at=now, by=ingrid))
    ids = [str(room.id) for room in rooms]
    made = api.post("/incidents", {"rooms": ids, "title": "Smell of smoke", "high_impact": "Board"})
    assert (made.status_code, made.json()["rooms"], made.json()["severity"]) == (201, sorted(ids), "critical")
    address = f"/incidents/{made.json()['id']}"
    for room in ids:
        assert len(api.get(f"/incidents?room={room}").json()["results"]) == 1
    assert api.get("/incidents?category=Recorded issues&high_impact=true").json()["results"]
    assert api.post(f"{address}/attachments", PNG).json()["errors"][0]["field"] == "name"
    sent = api.post(f"{address}/attachments?name=fire.png", PNG, Idempotency_Key="once")
    assert (sent.status_code, sent.json()["media_type"]) == (201, "image/png")
    assert api.post(f"{address}/attachments?name=fire.png", PNG, Idempotency_Key="once").json() == sent.json()
    (listed,) = api.get(f"{address}/attachments").json()["results"]
    assert api.get(f"{address}/attachments/{listed['id']}").body == PNG
    assert api.delete(f"{address}/attachments/{listed['id']}").status_code == 204
    assert api.put(f"{address}/rooms", {"rooms": ids[:1]}).json()["room"] == ids[0]
    assert (
        api.put(f"{address}/high-impact", {"reason": "Auditors"}).json()["high_impact_reason"] == "Auditors"
    )
    assert api.delete(f"{address}/high-impact").status_code == 204
    assert api.get(f"{address}/earlier").json() == {"results": []}
    closed = api.post(f"{address}/resolve", {"cause": "other", "text": "Aired"})
    assert (closed.status_code, closed.json()["state"]) == (200, "resolved")
    assert api.post(f"{address}/resolve", {"cause": "magic"}).status_code == 400


def test_programs_link_and_merge(customer, ingrid, issue, now):
    api = Api(make_api_token(customer, at=now, by=ingrid))
    with tenant(customer.id):
        fault = make_incident(at=now)
    assert api.post(f"/incidents/{issue.id}/links", {"other": str(fault.id)}).status_code == 201
    (linked,) = api.get(f"/incidents/{fault.id}/links").json()["results"]
    assert linked["number"] == issue.number
    assert api.delete(f"/incidents/{fault.id}/links/{issue.id}").status_code == 204
    assert api.delete(f"/incidents/{fault.id}/links/{issue.id}").status_code == 404
    merged = api.post(f"/incidents/{fault.id}/merge", {"into": str(issue.id)})
    assert (merged.json()["cause"], merged.json()["parent"]) == ("duplicate", str(issue.id))
    assert api.post(f"/incidents/{fault.id}/merge", {"into": str(issue.id)}).status_code == 409
