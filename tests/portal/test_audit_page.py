"""The audit log as a customer reads and exports it, and what becomes of people who ask to be forgotten."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from allauth.usersessions.models import UserSession
from django.test import Client
from django.urls import reverse

from foundation import clock, jobs, mail
from foundation.context import tenant
from foundation.models import Job, OutboxEntry, StoredFile
from tenancy import custom_roles, invitations, saved_views
from tenancy.models import AuditEvent, Invitation, Person, Role, Tenant, User
from tests.factories.api import Api, make_api_token
from tests.factories.fleet import make_place, make_room
from tests.factories.sign_in import add_app, sign_in
from tests.factories.tenancy import make_customer, make_person
from workers.effects import JOB_STEPS


@pytest.fixture
def manager(customer: Tenant, at: Any) -> Person:
    return make_person(customer, "pro_manager", at=at, name="Ingrid Solberg")


@pytest.fixture
def ingrid(manager: Person) -> Client:
    return signed_in(manager.user)


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def words(answer: Any) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def work(customer: Tenant) -> None:
    """The customer's jobs, step by step; which customers have some is read past this transaction elsewhere."""
    while token := jobs._claim(customer.id, list(JOB_STEPS), at=clock.now()):
        jobs._step(JOB_STEPS, customer.id, token, at=clock.now(), breakdowns={})


def downloaded(client: Client, name: str, customer: Tenant) -> bytes:
    with tenant(customer.id):
        job = Job.objects.for_tenant(customer).order_by("-created_at", "-id").first()
    assert job.state == "done", job.error
    answer = client.get(reverse(name, args=[job.id]))
    assert answer["Content-Disposition"].startswith("attachment")
    assert (answer["X-Content-Type-Options"], answer["Cache-Control"]) == ("nosniff", "no-store")
    assert "sandbox" in answer["Content-Security-Policy"]
    content = b"".join(answer.streaming_content)
    for close in answer._resource_closers:  # close() would end the test's connection too
        close()
    return content


# Reading -------------------------------------------------------------------------------------------------------


def test_the_log_shows_who_did_what_and_what_changed(customer, ingrid, manager):
    ingrid.post(reverse("portal:role-add"), {"name": "Reception", "permissions": ["rooms.view"]})
    text = words(ingrid.get(reverse("portal:audit-log")))
    assert "Ingrid Solberg Role, create" in text
    assert "Permissions rooms.view" in text


@pytest.mark.parametrize(
    ("query", "shown", "hidden"),
    [
        ("category=role", "Reception", "Lobby"),
        ("category=group", "Lobby", "Reception"),
        ("result=failed", "No event fits", "Reception"),
        ("until=2020-01-01T00:00", "No event fits", "Reception"),
        ("category=nonsense", "Select a valid choice", "Traceback"),
        ("since=yesterday", "Enter a valid date/time", "Traceback"),
        ("actor=nobody", "Enter a valid UUID", "Traceback"),
    ],
)
def test_filters_narrow_and_wrong_ones_are_said(customer, ingrid, query, shown, hidden):
    ingrid.post(reverse("portal:role-add"), {"name": "Reception", "permissions": ["rooms.view"]})
    ingrid.post(reverse("portal:group-add"), {"name": "Lobby"})
    ingrid.get("/")  # says what was done
    text = words(ingrid.get(f"{reverse('portal:audit-log')}?{query}"))
    assert shown in text
    assert hidden not in text


def test_a_refused_page_is_on_record(customer, ingrid, at):
    signed_in(make_person(customer, "site_technician", at=at, name="Tom Baker").user).get("/settings/roles")
    text = words(ingrid.get(f"{reverse('portal:audit-log')}?result=failed"))
    assert "Tom Baker Access, denied Failed" in text
    assert "GET /settings/roles" in text


def test_the_api_lists_the_log_newest_first_with_names(customer, ingrid, at):
    ingrid.post(reverse("portal:role-add"), {"name": "Reception", "permissions": ["rooms.view"]})
    listed = Api(make_api_token(customer, at=clock.now())).get("/audit?action=role.create").json()["results"]
    assert [(each["actor"], each["object"], each["result"]) for each in listed] == [
        ("Ingrid Solberg", "Reception", "successful")
    ]


# Exporting -----------------------------------------------------------------------------------------------------


def test_an_export_is_a_csv_no_spreadsheet_runs_and_is_itself_on_record(customer, ingrid, manager):
    evil = '=HYPERLINK("http://evil.example")'
    with tenant(customer.id):
        custom_roles.add_role(name=evil, permissions=["rooms.view"], by=None, at=clock.now())
    ingrid.post(reverse("portal:audit-export"))
    work(customer)
    rows = list(csv.DictReader(io.StringIO(downloaded(ingrid, "portal:audit-download", customer).decode())))
    (made,) = [row for row in rows if row["action"] == "role.create"]
    assert made["object"] == f"'{evil}"
    assert {row["action"] for row in rows} >= {"tenant.create", "person.create"}
    with tenant(customer.id):
        actions = AuditEvent.objects.for_tenant(customer).filter(
            action__in=["audit.export", "audit.download"]
        )
        assert {event.actor_id for event in actions} == {manager.user_id}
        assert actions.count() == 2


def test_an_export_holds_what_the_page_was_filtered_to(customer, ingrid):
    ingrid.post(reverse("portal:role-add"), {"name": "Reception", "permissions": ["rooms.view"]})
    ingrid.post(f"{reverse('portal:audit-export')}?category=role")
    work(customer)
    rows = list(csv.DictReader(io.StringIO(downloaded(ingrid, "portal:audit-download", customer).decode())))
    assert {row["action"].split(".")[0] for row in rows} == {"role"}


@pytest.mark.parametrize("name", ["portal:audit-export", "portal:person-export"])
def test_no_more_than_five_exports_of_a_kind_wait_at_once(customer, ingrid, manager, name):
    url = reverse(name, args=[manager.id] if "person" in name else [])
    for _ in range(6):
        answer = ingrid.post(url, headers={"HX-Request": "true"})
    assert "Five exports are being written already" in answer["HX-Trigger"]
    assert '"tone": "bad"' in answer["HX-Trigger"]
    with tenant(customer.id):
        assert Job.objects.for_tenant(customer).count() == 5


@pytest.mark.parametrize("query", ["category=nonsense", "since=yesterday", "actor=nobody", "by=robots"])
def test_an_export_by_a_filter_that_cannot_be_read_is_refused(customer, ingrid, query):
    answer = ingrid.post(f"{reverse('portal:audit-export')}?{query}", headers={"HX-Request": "true"})
    assert "cannot be read" in answer["HX-Trigger"]
    assert '"tone": "bad"' in answer["HX-Trigger"]
    with tenant(customer.id):
        assert not Job.objects.for_tenant(customer).exists()


# Privacy -------------------------------------------------------------------------------------------------------


def test_the_privacy_page_says_how_long_things_are_kept_as_the_database_does_it(customer, ingrid, settings):
    settings.AUDIT_KEEP_DAYS = 999
    text = words(ingrid.get(reverse("portal:privacy")))
    assert "999 days" in text
    assert "Every reading 2 days, five-minute figures 90 days" in text
    assert "Subject and text of a meeting, removed on the device" in text


def test_a_person_gets_all_that_is_kept_about_them(customer, ingrid, at):
    tom = make_person(customer, "pro_manager", at=at, name="Tom Baker")
    signed_in(tom.user).post(reverse("portal:group-add"), {"name": "Lobby"})
    with tenant(customer.id):
        role = Role.objects.for_tenant(customer).get(key="site_lead")
        invitations.invite(
            email="guest@example.com", role_id=role.id, link="x", by=tom, rights=None, at=clock.now()
        )
        saved_views.save(listing="rooms", name="Mine", query={}, shared=False, owner=tom, at=at)
    ingrid.post(reverse("portal:person-export", args=[tom.id]))
    work(customer)
    kept = json.loads(downloaded(ingrid, "portal:person-download", customer))
    assert [row["email"] for row in kept["invitations"]] == ["guest@example.com"]
    assert [row["name"] for row in kept["saved_views"]] == ["Mine"]
    assert kept["person"]["email"] == tom.email
    assert [role["role"] for role in kept["roles"]] == ["Pro Manager"]
    assert "group.create" in {event["action"] for event in kept["audit_log"]}


def test_the_erased_leave_a_pseudonym_everywhere_and_the_chain_of_the_log_whole(customer, ingrid, at):
    tom = make_person(customer, "pro_manager", at=at, name="Tom Baker")
    user, email = tom.user, tom.email
    toms = sign_in(user)
    toms.post(reverse("portal:group-add"), {"name": "Lobby"})
    add_app(toms)
    SocialAccount.objects.create(user=user, provider=f"entra-{customer.id}", uid="his oid")
    with tenant(customer.id):
        role = Role.objects.for_tenant(customer).get(key="site_lead")
        place = make_place(at=at)
        make_room("Aurora", place=place, at=at)
        invitations.invite(
            email="guest@example.com", role_id=role.id, link="x", by=tom, rights=None, at=clock.now()
        )
    ingrid.post(reverse("portal:person-erase", args=[tom.id]))
    for name in ("portal:audit-log", "portal:person-list", "portal:group-list"):
        text = words(ingrid.get(reverse(name)))
        assert "Tom Baker" not in text, name
        assert email not in text, name
    with tenant(customer.id):
        everything = json.dumps(list(AuditEvent.objects.for_tenant(customer).values()), default=str)
    assert "Tom Baker" not in everything
    assert email not in everything
    assert "Former person" in words(ingrid.get(f"{reverse('portal:audit-log')}?category=group"))
    user.refresh_from_db()
    assert (user.is_active, user.name != "Tom Baker", user.email != email) == (False, True, True)
    for of_the_account in (UserSession, Authenticator, SocialAccount):
        assert not of_the_account.objects.filter(user=user).exists()
    assert toms.get("/rooms").status_code == 302


def test_whoever_came_by_invitation_leaves_no_address_behind_when_erased(customer, ingrid):
    """Neither in the log, nor in what was sent or waits to be."""
    with tenant(customer.id):
        role = Role.objects.for_tenant(customer).get(key="site_lead")
        for address in ("nora@fjord.example", "other@fjord.example"):
            invitations.invite(
                email=address,
                role_id=role.id,
                link="https://rooms.example/i/",
                by=None,
                rights=None,
                at=clock.now(),
            )
        held = Invitation.objects.for_tenant(customer).get(email="nora@fjord.example")
        entry = OutboxEntry.objects.for_tenant(customer).order_by("id").first()
        text = mail.text_of(entry.payload, tenant_id=customer.id)
    secret = re.search(r"rooms\.example/i/(\S+)", text)[1]  # type: ignore[index]
    nora = invitations.accept(secret, name="Nora Lind", password="ninety green rooms", at=clock.now())
    assert "nora@fjord.example" in words(ingrid.get(f"{reverse('portal:audit-log')}?category=invitation"))
    with tenant(customer.id):
        person = Person.objects.for_tenant(customer).get(user=nora)
    ingrid.post(reverse("portal:person-erase", args=[person.id]))
    with tenant(customer.id):
        log = json.dumps(list(AuditEvent.objects.for_tenant(customer).values()), default=str)
        rows = json.dumps(list(OutboxEntry.objects.for_tenant(customer).values()), default=str)
    assert str(held.id) in log
    for kept in (log, rows, words(ingrid.get(reverse("portal:audit-log")))):
        assert "nora@fjord.example" not in kept
        assert "Nora Lind" not in kept
    assert "other@fjord.example" in rows  # it still has to be sent


def test_what_was_written_for_a_person_goes_with_them(customer, ingrid, at):
    tom = make_person(customer, "pro_manager", at=at, name="Tom Baker")
    ingrid.post(reverse("portal:person-export", args=[tom.id]))
    work(customer)
    assert b"Tom Baker" in downloaded(ingrid, "portal:person-download", customer)
    ingrid.post(reverse("portal:person-erase", args=[tom.id]))
    with tenant(customer.id):
        job = Job.objects.for_tenant(customer).get(kind="person.export")
        assert not StoredFile.objects.for_tenant(customer).exists()
    assert ingrid.get(reverse("portal:person-download", args=[job.id])).status_code == 404


def test_who_is_known_elsewhere_keeps_the_account_there(customer, ingrid, at):
    from tenancy.tenants import add_person

    nora = make_person(make_customer(at=at), at=at, name="Nora Lind").user
    person = add_person(nora, to=customer, role="site_lead", at=at)
    ingrid.post(reverse("portal:person-erase", args=[person.id]))
    nora.refresh_from_db()
    assert (nora.name, nora.is_active) == ("Nora Lind", True)
    with tenant(customer.id):
        assert Person.objects.for_tenant(customer).get(user=nora).name.startswith("Former person")
