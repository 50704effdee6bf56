"""Partners and emergency access: from the invitation to the end of it, seen from both sides."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from enrollment.models import EnrollmentKey
from fleet import inventory
from fleet.models import Room
from foundation import clock
from foundation.context import tenant
from foundation.ids import new_id
from foundation.models import OutboxEntry
from portal.sign_in import proofs
from tenancy import assignments
from tenancy.errors import Missing
from tenancy.models import (
    ApiToken,
    AuditEvent,
    BreakGlass,
    Membership,
    PartnerGrant,
    PendingAction,
    Person,
    Role,
    Tenant,
    User,
)
from tenancy.tenants import create_tenant
from tests.factories.api import Api, make_api_token
from tests.factories.fleet import make_device, make_place, make_room
from tests.factories.incidents import make_incident
from tests.factories.tenancy import make_agent, make_customer, make_operator, make_person
from tests.isolation.forms import filled

SOON = f"{datetime.now(UTC) + timedelta(days=3):%Y-%m-%dT09:00}"


@pytest.fixture
def now(db: None) -> Any:
    return clock.now()


@pytest.fixture
def manager(customer: Tenant, at: Any) -> Client:
    return signed_in(make_person(customer, "pro_manager", at=at, name="Ingrid Solberg").user)


@pytest.fixture
def rooms(customer: Tenant, at: Any) -> list[Room]:
    with tenant(customer.id):
        place = make_place(at=at)
        return [make_room(name, place=place, at=at) for name in ("Aurora", "Bjerk")]


@pytest.fixture
def partner(db: None, at: Any) -> Tenant:
    with transaction.atomic():
        return create_tenant("Northwind AV", kind=Tenant.Kind.PARTNER, domain="northwind.example", at=at)


@pytest.fixture
def paul(partner: Tenant, at: Any) -> User:
    return make_person(partner, "partner_admin", at=at, name="Paul Weber").user


def signed_in(user: User, at_customer: Tenant | None = None) -> Client:
    client = Client()
    client.force_login(user)
    if at_customer is not None:
        client.post("/organisation", {"organisation": str(at_customer.id)})
    return client


def words(answer: Any) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def invite(
    manager: Client, *asks: str, role: str = "Partner primary admin", where: str = "some"
) -> PartnerGrant:
    form = manager.get(reverse("portal:partner-invite")).content.decode()
    key = re.search(rf'<option value="([^"]+)"[^>]*>{role}', form)[1]  # type: ignore[index]
    answer = manager.post(
        reverse("portal:partner-invite"),
        {
            "domain": "northwind.example", "role": key, "where": where,
            "rooms": "Aurora" if where == "some" else "",
            "approvals": list(asks), "days": "14", "terms": "Only on weekdays.",
        },
    )  # fmt: skip
    assert answer.status_code == 302, words(answer)
    return PartnerGrant.objects.order_by("-created_at").first()  # type: ignore[return-value]


def join(grant: PartnerGrant, paul: User) -> Client:
    """The partner accepts and sends Paul: his browser, looking at the customer."""
    pauls = signed_in(paul)
    assert "Only on weekdays." in words(pauls.get(reverse("portal:partner-accept", args=[grant.id])))
    assert pauls.post(reverse("portal:partner-accept", args=[grant.id])).status_code == 302
    with tenant(paul.home_id):
        person = Person.objects.for_tenant(paul.home_id).get(user=paul)
    pauls.post(reverse("portal:partner-people", args=[grant.id]), {"people": [person.id]})
    return signed_in(paul, grant.customer)


def test_a_partner_sees_its_rooms_only_and_the_log_names_it(customer, manager, rooms, paul):
    grant = invite(manager)
    pauls = join(grant, paul)
    page = words(pauls.get("/rooms"))
    assert "Aurora" in page
    assert "Bjerk" not in page
    assert pauls.get(reverse("portal:room-detail", args=[rooms[1].id])).status_code == 404
    pauls.post(
        reverse("portal:room-suppress", args=[rooms[0].id]),
        {"reason": "Painters", "until": SOON},
    )
    with tenant(customer.id):
        events = list(AuditEvent.objects.for_tenant(customer).filter(actor_id=paul.id))
    assert {event.grant_id for event in events if event.action == "room.suppress"} == {grant.id}
    assert {event.actor_tenant_id for event in events} == {paul.home_id}
    log = words(manager.get(reverse("portal:audit-log")))
    assert "Paul Weber Outside, on a grant" in log


def test_a_partners_person_gets_nothing_by_an_assignment_of_the_customer(customer, manager, rooms, paul, at):
    grant = invite(manager)
    join(grant, paul)
    with tenant(customer.id):
        person = Person.objects.for_tenant(customer).get(user=paul)
        role = Role.objects.for_tenant(customer).get(key="site_technician")
        with pytest.raises(Missing):
            assignments.add(role_id=role.id, name="Night shift", members=[person.id], by=None, at=at)


def test_either_side_ends_it_and_the_next_click_is_refused(customer, manager, rooms, paul):
    grant = invite(manager)
    pauls = join(grant, paul)
    assert pauls.get("/rooms").status_code == 200
    manager.post(reverse("portal:partner-end", args=[grant.id]))
    assert "Aurora" not in words(pauls.get("/rooms"))
    assert not Membership.objects.filter(user=paul, tenant=customer).exists()
    second = invite(manager)
    pauls = join(second, paul)
    assert "Aurora" in words(pauls.get("/rooms"))
    signed_in(paul).post(reverse("portal:partner-decline", args=[second.id]))
    assert "Aurora" not in words(pauls.get("/rooms"))


@pytest.mark.parametrize("how", ["person-end", "person-erase"])
def test_whoever_leaves_the_partner_is_out_of_its_customers_at_once(customer, manager, rooms, paul, at, how):
    pauls = join(invite(manager), paul)
    token = api_token(pauls, customer)
    assert Api(token).get("/rooms").status_code == 200
    head = signed_in(make_person(Tenant.objects.get(id=paul.home_id), "partner_admin", at=at).user)
    with tenant(paul.home_id):
        person = Person.objects.for_tenant(paul.home_id).get(user=paul)
    assert head.post(reverse(f"portal:{how}", args=[person.id])).status_code == 302
    assert pauls.get("/rooms").status_code in (302, 403)
    assert Api(token).get("/rooms").status_code == 401
    assert signed_in(paul).get("/rooms").status_code in (302, 403)
    assert not Membership.objects.filter(user=paul).exists()
    with tenant(customer.id):
        told = AuditEvent.objects.for_tenant(customer).filter(action="partner.undelegate")
        assert [event.actor_tenant_id for event in told] == [paul.home_id]


def test_the_list_of_its_customers_costs_a_partner_the_same_however_many(customer, manager, rooms, paul, at):
    def cost() -> int:
        pauls = signed_in(paul)
        pauls.get("/settings/partners")  # the first visit is on record
        with CaptureQueriesContext(connection) as queries:
            page = words(pauls.get("/settings/partners"))
        assert "Paul Weber" in page
        return len(queries)

    join(invite(manager), paul)
    few = cost()
    for number in range(3):
        other = make_customer(f"Meridian {number}", at=at)
        theirs = signed_in(make_person(other, "pro_manager", at=at).user)
        with tenant(other.id):
            make_room("Aurora", place=make_place(at=at), at=at)
        join(invite(theirs), paul)
    assert cost() == few
    page = words(signed_in(paul).get("/settings/partners"))
    assert page.count("Paul Weber") == 4 + 1  # and his own name in the corner


def test_a_partner_of_many_chooses_among_all_of_them(customer, manager, rooms, paul, at):
    join(invite(manager), paul)
    pauls = signed_in(paul)
    partner = Tenant.objects.get(id=paul.home_id)
    for number in range(60):
        make_person(partner, "", at=at, name=f"Ann {number:02}")
    last = make_person(partner, "", at=at, name="Zoe Young")
    (grant,) = PartnerGrant.objects.filter(partner=partner)
    url = reverse("portal:partner-people", args=[grant.id])
    shown = pauls.get(url).context["form"]["people"]
    pauls.post(url, {"people": [*shown.value(), str(last.id)]})
    assert set(Membership.objects.filter(grant=grant).values_list("user__name", flat=True)) == {
        "Paul Weber",
        "Zoe Young",
    }


def test_a_partner_is_offered_no_sign_in_that_would_lead_to_no_customer(paul):
    pauls = signed_in(paul)
    assert "/settings/sign-in" not in pauls.get("/settings/people").content.decode()
    assert pauls.get("/settings/sign-in").status_code == 404


def test_an_end_by_the_customer_holds_until_the_customer_lifts_it(customer, manager, rooms, paul):
    grant = invite(manager)
    pauls = join(grant, paul)
    with tenant(customer.id):
        there = Person.objects.for_tenant(customer).get(user=paul)
    manager.post(reverse("portal:person-end", args=[there.id]))
    assert "Aurora" not in words(pauls.get("/rooms"))
    at_home = signed_in(paul)
    with tenant(paul.home_id):
        own = Person.objects.for_tenant(paul.home_id).get(user=paul)
    people = reverse("portal:partner-people", args=[grant.id])
    refused = at_home.post(people, {"people": [own.id]})
    assert refused.status_code == 422
    assert "The customer ended the access of Paul Weber." in words(refused)
    assert not Membership.objects.filter(user=paul, tenant=customer).exists()
    assert "Paul Weber is blocked" in words(manager.get(reverse("portal:partner-list")))
    assert "Blocked" in words(manager.get(reverse("portal:person-detail", args=[there.id])))
    assert manager.post(reverse("portal:person-let-in", args=[there.id])).status_code == 302
    assert manager.post(reverse("portal:person-let-in", args=[there.id])).status_code == 422
    assert "is blocked" not in words(manager.get(reverse("portal:partner-list")))
    at_home.post(people, {"people": [own.id]})
    assert "Aurora" in words(signed_in(paul, customer).get("/rooms"))
    at_home.post(people, {"people": []})
    assert at_home.post(people, {"people": [own.id]}).status_code == 302, (
        "the partner's own choice blocks nobody"
    )


def test_what_wants_approval_waits_and_is_done_when_approved(customer, manager, rooms, paul):
    grant = invite(manager, "rooms.modify")
    pauls = join(grant, paul)
    url = reverse("portal:room-suppress", args=[rooms[0].id])
    sent = {"until": SOON, "reason": "Painters"}
    said = pauls.post(url, sent, follow=True)
    assert f"{customer.name} approves this first" in words(said)
    assert not is_suppressed(customer, rooms[0])
    with tenant(customer.id):
        waiting = PendingAction.objects.for_tenant(customer).get()
    assert "Waits for you" in words(manager.get(reverse("portal:partner-list")))
    manager.post(reverse("portal:action-approve", args=[waiting.id]))
    with tenant(customer.id):
        done = PendingAction.objects.for_tenant(customer).get()
    assert (done.state, done.outcome) == ("done", "")
    assert is_suppressed(customer, rooms[0])
    with tenant(customer.id):
        change = AuditEvent.objects.for_tenant(customer).get(action="room.suppress")
    assert (change.actor_id, change.grant_id) == (paul.id, grant.id)
    again = manager.post(reverse("portal:action-approve", args=[waiting.id]))
    assert "decided already" in words(again)


def test_a_declined_action_is_never_done_and_programs_wait_too(customer, manager, rooms, paul):
    grant = invite(manager, "rooms.modify")
    pauls = join(grant, paul)
    token = api_token(pauls, customer)
    asked = Api(token).patch(f"/rooms/{rooms[0].id}", {"name": "Aurora East"})
    assert (asked.status_code, asked.json()["code"]) == (202, "waits_for_approval")
    assert room_name(customer, rooms[0]) == "Aurora"
    with tenant(customer.id):
        waiting = PendingAction.objects.for_tenant(customer).get()
    manager.post(reverse("portal:action-deny", args=[waiting.id]))
    late = manager.post(reverse("portal:action-approve", args=[waiting.id]))
    assert "decided already" in words(late)
    assert room_name(customer, rooms[0]) == "Aurora"
    Api(token).patch(f"/rooms/{rooms[0].id}", {"name": "Aurora East"})
    with tenant(customer.id):
        second = PendingAction.objects.for_tenant(customer).get(state="waiting")
    manager.post(reverse("portal:action-approve", args=[second.id]))
    assert room_name(customer, rooms[0]) == "Aurora East"


def test_an_approved_action_that_is_no_longer_possible_says_so_and_changes_nothing(
    customer, manager, rooms, paul
):
    grant = invite(manager, "rooms.modify")
    pauls = join(grant, paul)
    Api(api_token(pauls, customer)).patch(f"/rooms/{rooms[0].id}", {"name": "Cedar"})
    with tenant(customer.id):
        Room.objects.for_tenant(customer).filter(id=rooms[1].id).update(name="Cedar")  # the name is taken
    with tenant(customer.id):
        waiting = PendingAction.objects.for_tenant(customer).get()
    manager.post(reverse("portal:action-approve", args=[waiting.id]))
    with tenant(customer.id):
        done = PendingAction.objects.for_tenant(customer).get()
    assert done.state == "failed"
    assert done.outcome
    assert room_name(customer, rooms[0]) == "Aurora"


def test_the_customer_sees_what_would_change_before_approving_it(customer, manager, rooms, paul):
    with tenant(customer.id):
        inventory.edit_room(rooms[0].id, {"capacity": 8}, at=clock.now())
    pauls = join(invite(manager, "rooms.modify"), paul)
    edit_room(pauls, rooms[0], name="Aurora East", capacity="")
    waiting = waits(customer)
    dialog = words(manager.get(reverse("portal:action-approve", args=[waiting.id])))
    assert "Aurora Room, update" in dialog
    assert "Name Aurora Aurora East" in dialog
    assert "Capacity 8 –" in dialog
    listed = words(manager.get(reverse("portal:partner-list")))
    assert "name Aurora → Aurora East" in listed
    assert str(rooms[0].id) not in listed
    manager.post(reverse("portal:action-approve", args=[waiting.id]))
    assert room_name(customer, rooms[0]) == "Aurora East"


def test_nothing_else_than_was_shown_is_approved(customer, manager, rooms, paul):
    pauls = join(invite(manager, "rooms.modify"), paul)
    Api(api_token(pauls, customer)).patch(f"/rooms/{rooms[0].id}", {"name": "Aurora East"})
    with tenant(customer.id):
        inventory.edit_room(rooms[0].id, {"name": "Fjord"}, at=clock.now())
    manager.post(reverse("portal:action-approve", args=[waits(customer).id]))
    with tenant(customer.id):
        done = PendingAction.objects.for_tenant(customer).get()
    assert (done.state, "changed after" in done.outcome) == ("failed", True)
    assert room_name(customer, rooms[0]) == "Fjord"


def test_who_approves_has_proved_it_lately(customer, manager, rooms, paul):
    pauls = join(invite(manager, "rooms.modify"), paul)
    edit_room(pauls, rooms[0], name="Aurora East")
    session = manager.session
    session[proofs.PROVED] -= proofs.UNFINISHED_S + 1
    session.save()
    answer = manager.post(reverse("portal:action-approve", args=[waits(customer).id]))
    assert (answer.status_code, "/account/confirm" in answer["Location"]) == (
        302,
        True,
    )
    assert room_name(customer, rooms[0]) == "Aurora"


def test_what_cannot_be_done_is_refused_at_once_and_does_not_wait(customer, manager, rooms, paul):
    pauls = join(invite(manager, "rooms.modify", "tickets.modify", "keys.download"), paul)
    api = Api(api_token(pauls, customer))
    foreign = api.patch(f"/rooms/{rooms[1].id}", {"name": "Mine"})  # outside the partner's scope
    missing = api.patch(f"/rooms/{new_id()}", {"name": "Mine"})
    assert (foreign.status_code, foreign.json()) == (404, missing.json())
    assert api.patch(f"/rooms/{rooms[0].id}", {"capacity": -1}).status_code == 400
    assert api.patch(f"/rooms/{rooms[0].id}", {"name": "Aurora"}).status_code == 200  # changes nothing
    wrong = edit_room(pauls, rooms[0], name="", expect=422)
    assert "Fill this in." in words(wrong)
    assert pauls.post(reverse("portal:room-edit", args=[rooms[1].id]), {"name": "Mine"}).status_code == 404
    with tenant(customer.id):
        assert not PendingAction.objects.for_tenant(customer).exists()
    for _ in range(2):
        assert api.patch(f"/rooms/{rooms[0].id}", {"name": "Aurora East"}).status_code == 202
    assert waits(customer), "asking again asks once"


def test_files_and_secrets_cannot_wait(customer, manager, rooms, paul, at):
    grant = invite(manager, "tickets.modify", "keys.download", role="Pro Manager", where="all")
    pauls = join(grant, paul)
    with tenant(customer.id):
        incident = make_incident(make_device(rooms[0], at=at), at=at)
    url = reverse("portal:incident-attach", args=[incident.id])
    lost = pauls.post(url, {"file": SimpleUploadedFile("a.log", b"a log")})
    assert lost.status_code == 409
    assert "files cannot wait" in words(lost)
    form = pauls.get(reverse("portal:key-new")).content.decode()
    group = re.search(r'name="group".*?<option value="([0-9a-f-]{36})"', form, re.DOTALL)[1]  # type: ignore[index]
    sent = {"label": "Install", "group": group, "max_uses": "5", "days": "7"}
    key = pauls.post(reverse("portal:key-new"), sent, headers={"HX-Request": "true"})
    assert key.status_code == 422
    assert "ask them to do it" in key["HX-Trigger"]
    program = Api(api_token(pauls, customer, "Pro Manager"))
    assert program.post("/enrollment-keys", {"label": "Install"}).status_code == 403
    with tenant(customer.id):
        assert not PendingAction.objects.for_tenant(customer).exists()
        assert not EnrollmentKey.objects.for_tenant(customer).exists()


def test_a_narrow_token_does_no_more_when_approved(customer, manager, rooms, paul, now):
    """What a program asked for is done with the rights of its token, and not at all once it is revoked."""
    grant = invite(manager, "rooms.modify", where="all")
    pauls = join(grant, paul)
    api = Api(api_token(pauls, customer, where="some", rooms="Aurora"))
    assert api.patch(f"/rooms/{rooms[1].id}", {"name": "Mine"}).status_code == 404
    api.patch(f"/rooms/{rooms[0].id}", {"name": "Aurora East"})
    with tenant(customer.id):
        token = ApiToken.objects.for_tenant(customer).get()
        ApiToken.objects.for_tenant(customer).update(scope=[["room", str(rooms[1].id)]])
    manager.post(reverse("portal:action-approve", args=[waits(customer).id]))
    assert room_name(customer, rooms[0]) == "Aurora"
    with tenant(customer.id):
        ApiToken.objects.for_tenant(customer).update(scope=[["room", str(rooms[0].id)]])
    api.patch(f"/rooms/{rooms[0].id}", {"name": "Aurora West"})
    manager.post(reverse("portal:action-approve", args=[waits(customer).id]))
    assert room_name(customer, rooms[0]) == "Aurora West"
    with tenant(customer.id):
        change = AuditEvent.objects.for_tenant(customer).filter(action="room.update").latest("id")
    assert (change.actor_kind, change.actor_id, change.actor_tenant_id) == ("token", token.id, paul.home_id)
    api.patch(f"/rooms/{rooms[0].id}", {"name": "Aurora North"})
    waiting = waits(customer)
    with tenant(customer.id):
        ApiToken.objects.for_tenant(customer).update(revoked_at=now)
    manager.post(reverse("portal:action-approve", args=[waiting.id]))
    assert room_name(customer, rooms[0]) == "Aurora West"


def edit_room(client: Client, room: Room, *, expect: int = 302, **change: str) -> Any:
    """The form as the page fills it in, with what is changed."""
    url = reverse("portal:room-edit", args=[room.id])
    answer = client.post(url, {**filled(client.get(url).context["form"]), **change})
    assert answer.status_code == expect, words(answer)
    return answer


def waits(customer: Tenant) -> PendingAction:
    with tenant(customer.id):
        found: PendingAction = PendingAction.objects.for_tenant(customer).get(state="waiting")
    return found


def api_token(client: Client, customer: Tenant, role: str = "Partner primary admin", **terms: str) -> str:
    form = client.get(reverse("portal:token-new")).content.decode()
    key = re.search(rf'<option value="([^"]+)"[^>]*>{role}', form)[1]  # type: ignore[index]
    page = client.post(
        reverse("portal:token-new"),
        {"label": "Script", "role": key, "days": "30", "where": "all", "whose": "own", **terms},
    ).content.decode()
    return re.search(r"(grat_[A-Za-z0-9_-]{60,})", page)[1]  # type: ignore[index]


def is_suppressed(customer: Tenant, room: Room) -> bool:
    with tenant(customer.id):
        return Room.objects.for_tenant(customer).get(id=room.id).suppressed_until is not None


def room_name(customer: Tenant, room: Room) -> str:
    with tenant(customer.id):
        return Room.objects.for_tenant(customer).get(id=room.id).name


def test_a_partners_program_is_on_record_once_an_hour(customer, manager, rooms, paul):
    pauls = join(invite(manager), paul)
    token = api_token(pauls, customer)
    for _ in range(2):
        assert Api(token).get("/rooms").status_code == 200
    with tenant(customer.id):
        issued = ApiToken.objects.for_tenant(customer).get()
        visits = AuditEvent.objects.for_tenant(customer).filter(action="provider.access", actor_id=issued.id)
        assert [each.actor_tenant_id for each in visits] == [paul.home_id]
    own = make_api_token(customer, at=clock.now())
    Api(own).get("/rooms")
    with tenant(customer.id):
        assert (
            visits.model.objects.for_tenant(customer)
            .filter(action="provider.access", actor_kind="token")
            .count()
            == 1
        )


def test_a_partner_never_has_a_say_in_the_customers_people(customer, manager, rooms, paul):
    grant = invite(manager, "rooms.modify")
    pauls = join(grant, paul)
    manager.post(
        reverse("portal:partner-edit", args=[grant.id]), {"where": "all", "approvals": ["rooms.modify"]}
    )
    token = api_token(pauls, customer)
    Api(token).patch(f"/rooms/{rooms[0].id}", {"name": "Aurora East"})
    with tenant(customer.id):
        waiting = PendingAction.objects.for_tenant(customer).get()
    assert pauls.get(reverse("portal:person-list")).status_code == 200
    for url in (
        reverse("portal:action-approve", args=[waiting.id]),
        reverse("portal:partner-edit", args=[grant.id]),
        reverse("portal:invitation-new"),
        reverse("portal:role-add"),
    ):
        assert pauls.post(url).status_code == 403, url
    refused = Api(token).post("/invitations", {"email": "x@northwind.example", "role": str(grant.id)})
    assert refused.status_code == 403
    assert room_name(customer, rooms[0]) == "Aurora"


def test_what_a_partner_or_operator_may_is_said_as_it_is(customer, manager, rooms, paul, mina):
    join(invite(manager), paul)
    with tenant(customer.id):
        pauls, minas = (Person.objects.for_tenant(customer).get(user=user) for user in (paul, mina))
    page = words(manager.get(reverse("portal:person-detail", args=[pauls.id])))
    assert "Change rooms, accept devices Partner primary admin, Aurora" in page
    assert "Change roles and people" not in page
    assert "See tickets Operations" in words(manager.get(reverse("portal:person-detail", args=[minas.id])))
    token = make_api_token(customer, "global_administrator", at=clock.now())
    for person, there, missing in (
        (pauls, "rooms.modify", "roles.modify"),
        (minas, "tickets.view", "rooms.modify"),
    ):
        held = {each["permission"] for each in Api(token).get(f"/people/{person.id}").json()["rights"]}
        assert there in held
        assert missing not in held
    manager.post(reverse("portal:partner-edit", args=[pauls_grant(paul).id]), {"where": "all"})
    assert "Change roles and people" not in words(
        manager.get(reverse("portal:person-detail", args=[pauls.id]))
    )
    row = manager.get(reverse("portal:person-list")).content.decode()
    marks = re.search(rf'id="person-{pauls.id}".*?</tr>', row, re.DOTALL)[0]  # type: ignore[index]
    people = re.findall(r"<td[^>]*>(.*?)</td>", marks, re.DOTALL)[-2]
    assert "Change" not in people


def pauls_grant(paul: User) -> PartnerGrant:
    return PartnerGrant.objects.get(partner_id=paul.home_id, state="accepted")


def test_others_cannot_accept_and_the_late_are_told(customer, manager, rooms, paul, at, now):
    grant = invite(manager)
    with transaction.atomic():
        other = create_tenant("Contoso AV", kind=Tenant.Kind.PARTNER, domain="contoso.example", at=at)
    stranger = signed_in(make_person(other, "partner_admin", at=at).user)
    for name in ("portal:partner-accept", "portal:partner-decline", "portal:partner-people"):
        assert stranger.post(reverse(name, args=[grant.id])).status_code == 404
        assert manager.post(reverse(name, args=[grant.id])).status_code == 404
    PartnerGrant.objects.filter(id=grant.id).update(expires_at=now - timedelta(seconds=1))
    assert signed_in(paul).post(reverse("portal:partner-accept", args=[grant.id])).status_code == 404
    assert "Expired" in words(manager.get(reverse("portal:partner-list")))


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ({"domain": "no domain"}, "Write a domain like partner.example."),
        ({"days": "31"}, "less than or equal to 30"),
        ({"days": "0"}, "greater than or equal to 1"),
        ({"where": "some"}, "Choose a room group, or name a room."),
    ],
)
def test_wrong_terms_are_said_beside_the_field(customer, manager, sent, message):
    form = manager.get(reverse("portal:partner-invite")).content.decode()
    role = re.search(r'<option value="([^"]+)"[^>]*>Partner primary admin', form)[1]  # type: ignore[index]
    usual = {"domain": "northwind.example", "role": role, "where": "all", "days": "14"}
    answer = manager.post(reverse("portal:partner-invite"), {**usual, **sent})
    assert answer.status_code == 422
    assert message in words(answer)


# Emergency access ----------------------------------------------------------------------------------------------


@pytest.fixture
def mina(customer: Tenant, at: Any) -> User:
    return make_agent(make_operator(at=at), [customer], at=at)


@pytest.fixture
def number(customer: Tenant, rooms: list[Room], at: Any) -> str:
    with tenant(customer.id):
        return make_incident(make_device(rooms[0], at=at), at=at).number


def open_access(mina: User, customer: Tenant, number: str, reason: str = "Room groups are wrong") -> Client:
    client = signed_in(mina)
    url = reverse("portal:console-break-glass", args=[customer.id])
    answer = client.post(url, {"reason": reason, "ticket": number})
    assert answer.status_code == 302, words(answer)
    return client


def test_an_operator_sees_more_for_an_hour_and_the_customer_is_told(customer, manager, mina, number):
    plain = signed_in(mina, customer)
    assert plain.get(reverse("portal:group-list")).status_code == 403
    client = open_access(mina, customer, number)
    assert client.get(reverse("portal:group-list")).status_code == 200
    with tenant(customer.id):
        mail = OutboxEntry.objects.for_tenant(customer).order_by("-id").first()
        reads = AuditEvent.objects.for_tenant(customer).filter(action="break_glass.read")
        assert reads.filter(object_name="/groups").exists()
    assert "Emergency access" in mail.payload["subject"]
    assert "Room groups are wrong" in mail.payload["text"]
    page = words(manager.get(reverse("portal:partner-list")))
    assert "Open Room groups are wrong" in page
    with tenant(customer.id):
        BreakGlass.objects.for_tenant(customer).update(expires_at=clock.now() - timedelta(seconds=1))
    assert client.get(reverse("portal:group-list")).status_code in (302, 403)


@pytest.mark.parametrize("side", ["customer", "operator"])
def test_either_side_ends_it_at_once(customer, manager, mina, number, side):
    client = open_access(mina, customer, number)
    if side == "customer":
        with tenant(customer.id):
            access = BreakGlass.objects.for_tenant(customer).get()
        manager.post(reverse("portal:access-end", args=[access.id]))
    else:
        client.post(reverse("portal:console-break-glass-end", args=[customer.id]))
    assert client.get(reverse("portal:group-list")).status_code in (302, 403)


@pytest.mark.parametrize(
    ("reason", "ticket", "message"),
    [
        ("Room groups are wrong", "INC-NOSUCH", "has no ticket of this number."),
        ("why not", None, "Say why in a few words"),
        ("", None, "Fill this in."),
    ],
)
def test_without_reason_and_ticket_there_is_none(customer, mina, number, reason, ticket, message):
    url = reverse("portal:console-break-glass", args=[customer.id])
    answer = signed_in(mina).post(url, {"reason": reason, "ticket": ticket or number})
    assert message in words(answer)
    assert answer.status_code == 422


def test_a_customer_not_served_is_as_good_as_missing(customer, mina, number, at):
    other = make_customer(at=at)
    url = reverse("portal:console-break-glass", args=[other.id])
    assert signed_in(mina).post(url, {"reason": "Room groups are wrong", "ticket": number}).status_code == 404
