"""People and roles as an administrator works with them; invitations as the invited meet them; tokens."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from fleet import inventory, room_groups
from foundation import clock
from foundation.context import tenant
from foundation.ids import new_id
from tenancy import api_tokens, assignments, custom_roles, people, tenants
from tenancy.models import (
    ApiToken,
    Assignment,
    AuditEvent,
    Invitation,
    Membership,
    Person,
    Role,
    RoleAssignment,
    Tenant,
    User,
)
from tests.factories.api import Api, make_api_token
from tests.factories.fleet import make_place, make_room
from tests.factories.mail import link_in_mail
from tests.factories.sign_in import browser, sign_in
from tests.factories.tenancy import make_agent, make_customer, make_operator, make_person

GOOD = "ninety green rooms at dawn"


@pytest.fixture
def now(db: None) -> Any:
    return clock.now()


@pytest.fixture
def manager(customer: Tenant, at: Any) -> Person:
    return make_person(customer, "pro_manager", at=at, name="Ingrid Solberg")


@pytest.fixture
def ingrid(manager: Person) -> Client:
    return signed_in(manager.user)


@pytest.fixture
def rooms(customer: Tenant, at: Any) -> list[Any]:
    with tenant(customer.id):
        place = make_place(at=at)
        return [make_room(name, place=place, at=at) for name in ("Aurora", "Bjerk")]


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def role_of(customer: Tenant, key: str) -> Role:
    with tenant(customer.id):
        return Role.objects.for_tenant(customer).get(key=key)


def words(answer: Any) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


# Who may what, and why -----------------------------------------------------------------------------------------


def test_the_list_says_what_each_may_do_in_part_or_whole(customer, ingrid, rooms, at):
    tom = make_person(customer, "", at=at, name="Tom Baker")
    with tenant(customer.id):
        lead = role_of(customer, "site_lead")
        assignments.give(
            tom, role_id=lead.id, everywhere=False, scope=[("room", rooms[0].id)], by=None, at=at
        )
    page = ingrid.get(reverse("portal:person-list"))
    row = re.search(rf'id="person-{tom.id}".*?</tr>', page.content.decode(), re.DOTALL)[0]
    assert "Site Lead" in row
    assert "Change, in part" in row
    assert "Pro Manager" in words(page)


def test_a_persons_page_names_the_assignment_that_grants_each_right(customer, ingrid, rooms, at):
    tom = make_person(customer, "", at=at, name="Tom Baker")
    with tenant(customer.id):
        assignments.add(
            role_id=role_of(customer, "site_technician").id,
            name="Night shift",
            members=[tom.id],
            everywhere=False,
            scope=[("room", rooms[0].id)],
            by=None,
            at=at,
        )
    text = words(ingrid.get(reverse("portal:person-detail", args=[tom.id])))
    assert "Unenroll devices Site Technician, Aurora, by Night shift" in text
    assert "Change roles and people" not in text


def test_the_lists_cost_the_same_however_many_there_are(customer, ingrid, at):
    urls = [
        reverse(f"portal:{name}")
        for name in ("person-list", "role-list", "assignment-list", "token-list", "partner-list", "audit-log")
    ]

    def cost() -> list[int]:
        found = []
        for url in urls:
            with CaptureQueriesContext(connection) as queries:
                assert ingrid.get(url).status_code == 200
            found.append(len(queries))
        return found

    def more(first: int) -> None:
        with tenant(customer.id):
            lead = role_of(customer, "site_lead")
            for number in range(first, first + 4):
                person = make_person(customer, "site_technician", at=at, name=f"Person {number}")
                assignments.add(role_id=lead.id, name=f"Team {number}", members=[person.id], by=None, at=at)

    more(0)
    cost()
    before = cost()
    more(10)
    assert cost() == before
    assert max(before) <= 22


# Giving and taking ---------------------------------------------------------------------------------------------


def test_a_role_given_within_a_scope_holds_there_and_its_loss_is_immediate(customer, ingrid, rooms, at):
    tom = make_person(customer, "", at=at, name="Tom Baker")
    toms = signed_in(tom.user)
    assert toms.get("/rooms").status_code == 403
    given = ingrid.post(
        reverse("portal:person-give", args=[tom.id]),
        {"role": role_of(customer, "site_lead").id, "where": "some", "rooms": "Aurora"},
    )
    assert given.status_code == 302, words(given)
    page = words(toms.get("/rooms"))
    assert "Aurora" in page
    assert "Bjerk" not in page
    with tenant(customer.id):
        row = RoleAssignment.objects.for_tenant(customer).get(person=tom)
    ingrid.post(reverse("portal:person-withdraw", args=[tom.id, row.id]))
    assert toms.get("/rooms").status_code == 302, "whoever loses a right signs in again"
    assert signed_in(tom.user).get("/rooms").status_code == 403


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ({"where": "some", "rooms": "Atlantis"}, "There is no room Atlantis."),
        ({"where": "some"}, "Choose a room group, or name a room."),
        ({"where": "elsewhere"}, "Select a valid choice"),
        ({"role": "nonsense", "where": "all"}, "Select a valid choice"),
    ],
)
def test_a_wrong_scope_is_said_beside_the_field(customer, ingrid, manager, sent, message):
    role = role_of(customer, "site_lead").id
    answer = ingrid.post(reverse("portal:person-give", args=[manager.id]), {"role": role, **sent})
    assert answer.status_code == 422
    assert message in words(answer)


def test_a_role_is_taken_from_the_person_the_question_names(customer, ingrid, at):
    tom, ana = (make_person(customer, "site_lead", at=at, name=name) for name in ("Tom Baker", "Ana Reyes"))
    with tenant(customer.id):
        row = RoleAssignment.objects.for_tenant(customer).get(person=ana)
    url = reverse("portal:person-withdraw", args=[tom.id, row.id])
    assert ingrid.get(url).status_code == 404
    assert ingrid.post(url).status_code == 404
    own = reverse("portal:person-withdraw", args=[ana.id, row.id])
    assert "Take the role Site Lead from Ana Reyes?" in words(ingrid.get(own))
    with tenant(customer.id):
        assert RoleAssignment.objects.for_tenant(customer).filter(id=row.id).exists()


def test_invitations_of_somebody_whose_access_ended_let_nobody_in(customer, ingrid, now, at):
    tom, ana = (make_person(customer, "pro_manager", at=at, name=name) for name in ("Tom Baker", "Ana Reyes"))
    role = role_of(customer, "site_lead").id
    signed_in(tom.user).post(
        reverse("portal:invitation-new"), {"email": "friend@example.com", "role": role, "where": "all"}
    )
    link = link_in_mail(customer)
    assert browser().get(link, follow=True).status_code == 200
    signed_in(ana.user).post(
        reverse("portal:invitation-new"), {"email": "other@example.com", "role": role, "where": "all"}
    )
    ingrid.post(reverse("portal:person-end", args=[tom.id]))
    with tenant(customer.id):
        open_still = Invitation.objects.for_tenant(customer).filter(revoked_at=None)
        assert [each.email for each in open_still] == ["other@example.com"]
        assert AuditEvent.objects.for_tenant(customer).filter(action="invitation.revoke").count() == 1


def test_the_last_administrator_stays(customer, ingrid, manager):
    answer = ingrid.post(reverse("portal:person-end", args=[manager.id]))
    assert "Somebody must be left who can change roles over all rooms." in words(answer)
    assert ingrid.get("/").status_code == 200


def test_a_custom_role_is_made_used_changed_and_deleted_when_nobody_holds_it(customer, ingrid, at):
    made = ingrid.post(
        reverse("portal:role-add"), {"name": "Reception", "permissions": ["rooms.view", "tickets.view"]}
    )
    assert made.status_code == 302
    with tenant(customer.id):
        role = Role.objects.for_tenant(customer).get(name="Reception")
    ana = make_person(customer, role.key, at=at, name="Ana Reyes")
    anas = signed_in(ana.user)
    assert anas.get("/incidents").status_code == 200
    ingrid.post(
        reverse("portal:role-edit", args=[role.id]), {"name": "Reception", "permissions": ["rooms.view"]}
    )
    assert anas.get("/incidents").status_code == 302, "whoever loses a right signs in again"
    assert signed_in(ana.user).get("/incidents").status_code == 403
    refused = ingrid.post(reverse("portal:role-delete", args=[role.id]))
    assert "still has this role" in words(refused)
    ingrid.post(reverse("portal:person-end", args=[ana.id]))
    assert ingrid.post(reverse("portal:role-delete", args=[role.id])).status_code == 302


def test_an_assignment_gives_and_takes_for_all_its_members(customer, ingrid, rooms, at):
    tom, ana = (make_person(customer, "", at=at, name=name) for name in ("Tom Baker", "Ana Reyes"))
    sent = {
        "name": "Night shift",
        "role": role_of(customer, "site_technician").id,
        "members": [tom.id, ana.id],
        "where": "all",
    }
    assert ingrid.post(reverse("portal:assignment-add"), sent).status_code == 302
    assert [signed_in(each.user).get("/rooms").status_code for each in (tom, ana)] == [200, 200]
    with tenant(customer.id):
        made = Assignment.objects.for_tenant(customer).get()
    ingrid.post(reverse("portal:assignment-edit", args=[made.id]), {**sent, "members": [tom.id]})
    assert [signed_in(each.user).get("/rooms").status_code for each in (tom, ana)] == [200, 403]
    ingrid.post(reverse("portal:assignment-remove", args=[made.id]))
    assert signed_in(tom.user).get("/rooms").status_code == 403


def test_a_role_can_go_once_its_tokens_and_invitations_have_ended(customer, ingrid, now):
    with tenant(customer.id):
        role = custom_roles.add_role(name="Reception", permissions=["rooms.view"], by=None, at=now)
    invite(ingrid, customer, "nora@example.com", role=role.id)
    new_token(ingrid, customer, whose="service", role=role.id)
    with tenant(customer.id):
        held = Invitation.objects.for_tenant(customer).get()
        token = ApiToken.objects.for_tenant(customer).get(role=role)
    delete = reverse("portal:role-delete", args=[role.id])
    assert "still has this role" in words(ingrid.post(delete))
    ingrid.post(reverse("portal:invitation-revoke", args=[held.id]))
    assert "still has this role" in words(ingrid.post(delete))
    with tenant(customer.id):
        assert ApiToken.objects.for_tenant(customer).filter(id=token.id).exists()
    ingrid.post(reverse("portal:token-revoke", args=[token.id]))
    assert ingrid.post(delete).status_code == 302
    with tenant(customer.id):
        assert not Role.objects.for_tenant(customer).filter(id=role.id).exists()


def test_saving_an_assignment_drops_nobody_and_nothing_that_it_could_not_show(
    customer, ingrid, rooms, at, monkeypatch
):
    tom, zoe = (make_person(customer, "", at=at, name=name) for name in ("Tom Baker", "Zoe Young"))
    monkeypatch.setattr("portal.web.choices.OFFERED", 2)  # Ingrid and Tom; the default group and the first
    with tenant(customer.id):
        groups = [room_groups.add_group(name=name, at=at) for name in ("Alpha", "Omega")]
        scope = [("group", groups[1].id), ("group", groups[0].id), ("room", rooms[0].id)]
        held = assignments.add(
            role_id=role_of(customer, "site_technician").id,
            name="Night shift",
            members=[tom.id, zoe.id],
            everywhere=False,
            scope=[*scope, ("room", rooms[1].id)],
            by=None,
            at=at,
        )
        inventory.retire_room(rooms[1].id, at=at)
    url = reverse("portal:assignment-edit", args=[held.id])
    page = words(ingrid.get(url))
    assert "And 1 more, not shown here, that stay." in page
    assert "Zoe Young" not in page
    sent = {"name": "Night shift", "members": [tom.id], "where": "some", "rooms": "Aurora"}
    assert ingrid.post(url, {**sent, "groups": [groups[0].id]}).status_code == 302
    with tenant(customer.id):
        held.refresh_from_db()
        assert {person.name for person in assignments.members_of(held)} == {"Tom Baker", "Zoe Young"}
        assert {UUID(key) for _, key in held.scope} == {*(key for _, key in scope), rooms[1].id}
    assert "mail" not in words(ingrid.get(reverse("portal:assignment-list"))).lower()


# Invitations ---------------------------------------------------------------------------------------------------


def invite(ingrid: Client, customer: Tenant, email: str, **more: Any) -> str:
    sent = {"email": email, "role": role_of(customer, "site_lead").id, "where": "all", **more}
    answer = ingrid.post(reverse("portal:invitation-new"), sent)
    assert answer.status_code == 302, words(answer)
    return link_in_mail(customer)


def test_the_invited_sets_a_password_and_is_in_with_the_role(customer, ingrid, rooms):
    link = invite(ingrid, customer, "nora@example.com", name="Nora Lind")
    guest = browser()
    assert "Ingrid Solberg invites you as Site Lead" in words(guest.get(link))
    answer = guest.post(link, {"name": "Nora Lind", "password": GOOD, "again": GOOD})
    assert (answer.status_code, answer["Location"]) == (302, "/")
    assert "Aurora" in words(guest.get("/rooms"))
    assert "This link has ended" in words(browser().get(link))
    with tenant(customer.id):
        event = AuditEvent.objects.for_tenant(customer).get(action="invitation.accept")
    assert event.result == "successful"
    sign_in(User.objects.get(email="nora@example.com"), password=GOOD)


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ({"password": "short", "again": "short"}, "too short"),
        ({"password": GOOD, "again": GOOD[:-1]}, "The two passwords differ."),
        ({"password": GOOD, "again": GOOD, "name": " "}, "Fill this in."),
        ({}, "Fill this in."),
    ],
)
def test_what_is_wrong_on_the_way_in_is_said_and_the_link_still_works(customer, ingrid, sent, message):
    link = invite(ingrid, customer, "nora@example.com")
    answer = browser().post(link, {"name": "Nora", **sent})
    assert answer.status_code == 422
    assert message in words(answer)
    assert browser().get(link).status_code == 200


@pytest.mark.parametrize("text", ["grin_nonsense", "x", "grin_" + "A" * 60, "%00"])
def test_a_link_nobody_sent_says_no_more_than_a_used_one(db, text):
    answer = browser().get(f"/invitation/{text}")
    assert answer.status_code == 404


def test_a_taken_back_and_an_old_invitation_no_longer_let_in(customer, ingrid, now):
    first = invite(ingrid, customer, "nora@example.com")
    with tenant(customer.id):
        held = Invitation.objects.for_tenant(customer).get()
    ingrid.post(reverse("portal:invitation-revoke", args=[held.id]))
    assert browser().get(first).status_code == 404
    second = invite(ingrid, customer, "nora@example.com")
    with tenant(customer.id):
        Invitation.objects.for_tenant(customer).filter(revoked_at=None).update(
            expires_at=now - timedelta(seconds=1)
        )
    assert browser().get(second).status_code == 404


def test_a_new_link_ends_the_one_before(customer, ingrid):
    first = invite(ingrid, customer, "nora@example.com")
    with tenant(customer.id):
        held = Invitation.objects.for_tenant(customer).get()
    ingrid.post(reverse("portal:invitation-resend", args=[held.id]))
    assert browser().get(first).status_code == 404
    assert browser().get(link_in_mail(customer)).status_code == 200


def test_somebody_with_an_account_signs_in_to_accept_and_nobody_else_can(customer, ingrid, at):
    elsewhere = make_person(make_customer(at=at), at=at, name="Nora Lind").user
    link = invite(ingrid, customer, elsewhere.email)
    stranger = browser()
    assert "Sign in to accept" in words(stranger.get(link))
    stranger.post(link, {"name": "X", "password": GOOD, "again": GOOD})
    assert not Membership.objects.filter(user=elsewhere, tenant=customer).exists()
    owner = sign_in(elsewhere)
    owner.post(link)
    assert Membership.objects.filter(user=elsewhere, tenant=customer).exists()


def test_who_is_invited_already_or_here_is_said_beside_the_address(customer, ingrid, manager):
    invite(ingrid, customer, "nora@example.com")
    sent = {"role": role_of(customer, "site_lead").id, "where": "all"}
    url = reverse("portal:invitation-new")
    assert "invited already" in words(ingrid.post(url, {**sent, "email": "Nora@example.com"}))
    assert "is here already" in words(ingrid.post(url, {**sent, "email": manager.email}))
    assert "valid email" in words(ingrid.post(url, {**sent, "email": "nora"}))


# Tokens --------------------------------------------------------------------------------------------------------


def new_token(client: Client, customer: Tenant, **sent: Any) -> str:
    base = {"label": "Dashboard", "role": role_of(customer, "pro_manager").id, "days": "30", "where": "all"}
    page = client.post(reverse("portal:token-new"), {**base, **sent}).content.decode()
    return re.search(r'<code id="key"[^>]*>(grat_[^<]+)</code>', page)[1]  # type: ignore[index]


def test_a_token_is_shown_once_works_and_ends_with_its_person(customer, ingrid, rooms, at):
    make_person(customer, "pro_manager", at=at, name="Another")
    text = new_token(ingrid, customer, whose="own")
    assert [room["name"] for room in Api(text).get("/rooms").json()["results"]] == ["Aurora", "Bjerk"]
    assert text[18:61] not in ingrid.get(reverse("portal:token-list")).content.decode()
    with tenant(customer.id):
        token = ApiToken.objects.for_tenant(customer).get()
    ingrid.post(reverse("portal:token-revoke", args=[token.id]))
    assert Api(text).get("/rooms").status_code == 401


def test_a_persons_own_token_does_no_more_than_the_person(customer, rooms, at):
    tom = make_person(customer, "", at=at, name="Tom Baker")
    with tenant(customer.id):
        lead = role_of(customer, "site_lead")
        assignments.give(
            tom, role_id=lead.id, everywhere=False, scope=[("room", rooms[0].id)], by=None, at=at
        )
    toms = signed_in(tom.user)
    form = toms.get(reverse("portal:token-new")).content.decode()
    assert "service account" not in form
    text = new_token(toms, customer, whose="own", role=lead.id)
    assert [room["name"] for room in Api(text).get("/rooms").json()["results"]] == ["Aurora"]


def test_a_service_account_within_one_room_sees_that_room(customer, ingrid, rooms):
    text = new_token(ingrid, customer, whose="service", where="some", rooms="Bjerk")
    assert [room["name"] for room in Api(text).get("/rooms").json()["results"]] == ["Bjerk"]
    assert Api(text).get("/people").status_code == 403


def test_a_token_made_with_a_token_never_does_more(customer, ingrid, rooms):
    text = new_token(ingrid, customer, whose="service")
    role = role_of(customer, "pro_manager").id
    ends = (clock.now() + timedelta(days=5)).isoformat()
    made = Api(text).post("/tokens", {"label": "Second", "role": str(role), "expires_at": ends})
    assert made.status_code == 201
    assert Api(made.json()["token"]).get("/rooms").status_code == 200
    own = Api(text).post("/tokens", {"label": "Third", "role": str(role), "expires_at": ends, "own": True})
    assert own.status_code == 403
    late = (clock.now() + timedelta(days=500)).isoformat()
    too_long = Api(text).post("/tokens", {"label": "Fourth", "role": str(role), "expires_at": late})
    assert too_long.json()["errors"][0]["field"] == "expires_at"


def test_a_narrow_own_token_makes_no_wider_one_and_none_that_outlives_it(customer, ingrid, at):
    with tenant(customer.id):
        narrow = custom_roles.add_role(
            name="People only", permissions=["roles.view", "roles.modify"], by=None, at=at
        )
    text = new_token(ingrid, customer, whose="own", role=narrow.id)
    assert Api(text).get("/rooms").status_code == 403
    sent = {"label": "Wider", "role": str(role_of(customer, "pro_manager").id), "own": True}
    ends = (clock.now() + timedelta(days=5)).isoformat()
    assert Api(text).post("/tokens", {**sent, "expires_at": ends}).status_code == 403
    late = (clock.now() + timedelta(days=300)).isoformat()
    refused = Api(text).post("/tokens", {**sent, "role": str(narrow.id), "expires_at": late})
    assert refused.json()["errors"][0]["field"] == "expires_at"
    assert Api(text).post("/tokens", {**sent, "role": str(narrow.id), "expires_at": ends}).status_code == 201


def test_the_operators_people_get_no_roles_here_and_their_tokens_do_no_more_than_their_pages(
    customer, ingrid, at
):
    agent = make_agent(make_operator(at=at), [customer], at=at)
    role = role_of(customer, "pro_manager")
    with tenant(customer.id):
        person = Person.objects.for_tenant(customer).get(user=agent)
        RoleAssignment.objects.for_tenant(customer).create(person=person, role=role, scope="all")
        end = clock.now() + timedelta(days=5)
        _, text = api_tokens.issue(
            customer, role=role, label="Own", expires_at=end, by=person, person=person, at=clock.now()
        )
    assert Api(text).get("/incidents").status_code == 200
    assert Api(text).get("/audit").status_code == Api(text).get("/people").status_code == 403
    sent = {"role": str(role.id), "where": "all"}
    refused = ingrid.post(reverse("portal:person-give", args=[person.id]), sent)
    assert "belongs to another organisation" in refused.content.decode()
    made = ingrid.post(reverse("portal:assignment-add"), {**sent, "name": "Team", "members": [person.id]})
    assert made.status_code == 422


def test_who_left_gets_no_role_and_comes_back_without_the_old_ones(customer, ingrid, at):
    tom = make_person(customer, "site_technician", at=at, name="Tom Berg")
    with tenant(customer.id):
        people.end(tom.id, at=at)
    sent = {"role": str(role_of(customer, "pro_manager").id), "where": "all"}
    refused = ingrid.post(reverse("portal:person-give", args=[tom.id]), sent)
    assert "has left" in refused.content.decode()
    with tenant(customer.id):
        RoleAssignment.objects.for_tenant(customer).create(person=tom, role_id=sent["role"], scope="all")
    back = tenants.add_person(tom.user, to=customer, role="global_reader", at=at)
    with tenant(customer.id):
        names = (
            RoleAssignment.objects.for_tenant(customer)
            .filter(person=back)
            .values_list("role__key", flat=True)
        )
        assert list(names) == ["global_reader"]


def test_a_scope_names_only_rooms_and_groups_that_are_there(customer, at):
    api = Api(make_api_token(customer, at=at))
    other = make_customer(at=at)
    with tenant(other.id):
        foreign = make_room(place=make_place(at=at), at=at)
    for room in (foreign.id, new_id()):
        sent = {"name": "Team", "members": [], "role": str(role_of(customer, "site_lead").id)}
        answer = api.post("/assignments", {**sent, "scope": [{"kind": "room", "id": str(room)}]})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "scope")


def test_an_answer_kept_for_a_retry_is_for_whoever_asked(customer, at):
    first, second = (Api(make_api_token(customer, at=at)) for _ in range(2))
    ends = (clock.now() + timedelta(days=5)).isoformat()
    sent = {"label": "Third", "role": str(role_of(customer, "global_reader").id), "expires_at": ends}
    once = first.post("/tokens", sent, Idempotency_Key="1").json()["token"]
    assert first.post("/tokens", sent, Idempotency_Key="1").json()["token"] == once
    assert second.post("/tokens", sent, Idempotency_Key="1").json()["token"] != once


def test_a_token_that_is_refused_is_on_record_where_it_says_it_belongs(customer, at):
    text = make_api_token(customer, at=at)
    with tenant(customer.id):
        api_tokens.revoke(ApiToken.objects.for_tenant(customer).get(), at=at)
    client = Client(REMOTE_ADDR="198.51.100.77")
    for _ in range(8):
        assert client.get("/api/v1/rooms", headers={"Authorization": f"Bearer {text}"}).status_code == 401
    with tenant(customer.id):
        events = list(AuditEvent.objects.for_tenant(customer).filter(action="access.denied"))
    assert 1 <= len(events) <= 6  # some each minute: a flood of refusals is no flood of events
    assert (events[0].actor_kind, events[0].address, events[0].object_name) == (
        "stranger",
        "198.51.100.77",
        "GET /api/v1/rooms",
    )


def test_an_administrator_signs_somebody_out_everywhere(customer, ingrid, at):
    tom = make_person(customer, "site_technician", at=at, name="Tom Berg")
    browsers = [sign_in(tom.user), sign_in(tom.user)]
    page = ingrid.get(reverse("portal:person-detail", args=[tom.id])).content.decode()
    assert page.count("last seen") == 2
    ingrid.post(reverse("portal:person-sign-out", args=[tom.id]))
    assert [each.get("/rooms").status_code for each in browsers] == [302, 302]
    with tenant(customer.id):
        assert AuditEvent.objects.for_tenant(customer).get(action="session.end").after == {"sessions": 2}
    assert ingrid.get("/rooms").status_code == 200


def test_sessions_of_the_operators_people_are_not_the_customers_business(customer, ingrid, at):
    agent = make_agent(make_operator(at=at), [customer], at=at)
    console = sign_in(agent)
    with tenant(customer.id):
        person = Person.objects.for_tenant(customer).get(user=agent)
    assert "last seen" not in ingrid.get(reverse("portal:person-detail", args=[person.id])).content.decode()
    ingrid.post(reverse("portal:person-sign-out", args=[person.id]))
    assert console.get("/account").status_code == 200


def test_an_assignment_by_the_api_gives_and_takes_rights(customer, at):
    make_person(customer, at=at)  # somebody who can change roles must be left
    person = make_person(customer, "global_reader", at=at)
    api = Api(make_api_token(customer, at=at))
    with tenant(customer.id):
        role = Role.objects.for_tenant(customer).get(key="site_lead")
    sent = {"name": "Oslo team", "role": str(role.id), "members": [str(person.id)], "scope": []}
    assert api.post("/assignments", sent).json()["errors"][0]["field"] == "scope"
    made = api.post("/assignments", {key: sent[key] for key in ("name", "role", "members")}).json()
    assert (made["members"], made["scope"]) == ([str(person.id)], None)
    rights = {each["permission"] for each in api.get(f"/people/{person.id}").json()["rights"]}
    assert "rooms.modify" in rights
    changed = api.patch(f"/assignments/{made['id']}", {"members": [], "description": "Nobody now"}).json()
    assert (changed["members"], changed["description"]) == ([], "Nobody now")
    assert api.names("/assignments") == ["Oslo team"]
    assert api.delete(f"/assignments/{made['id']}").status_code == 204
    assert api.get(f"/assignments/{made['id']}").status_code == 404
