"""An operator's own organisation: its people, roles and log; and who of them serves which customer."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import transaction
from django.urls import reverse

from foundation import clock
from foundation.context import tenant
from foundation.ids import new_id
from tenancy import serving
from tenancy.models import AuditEvent, BreakGlass, Membership, Person, Role, Tenant, User
from tenancy.tenants import add_person
from tests.factories.sign_in import browser, sign_in
from tests.factories.tenancy import make_agent, make_customer, make_operator, make_person
from tests.isolation.routes import PAGES
from tests.portal.test_organisation_command import run
from tests.portal.test_people import GOOD, link_in_mail, signed_in, words

OF_THE_HOUSE = ("person-", "invitation-", "role-list", "role-detail", "audit-")


@pytest.fixture
def operator(db: None, at: Any) -> Tenant:
    return make_operator("Nordic Operations", at=at)


@pytest.fixture
def admin(operator: Tenant, at: Any) -> User:
    return make_person(operator, "platform_admin", at=at, name="Ada Platform").user


@pytest.fixture
def mina(operator: Tenant, customer: Tenant, at: Any) -> User:
    return make_agent(operator, [customer], at=at)


@pytest.fixture
def manager(operator: Tenant, at: Any) -> User:
    return make_person(operator, "tenant_manager", at=at, name="Tariq Manager").user


def role_id(house: Tenant, key: str) -> UUID:
    with tenant(house.id):
        return Role.objects.for_tenant(house).get(key=key).id


def events(where: Tenant, action: str) -> list[AuditEvent]:
    with tenant(where.id):
        return list(AuditEvent.objects.for_tenant(where).filter(action=action).order_by("id"))


def person_of(user: User, where: Tenant) -> Person:
    with tenant(where.id):
        return Person.objects.for_tenant(where).get(user=user)


# The house -----------------------------------------------------------------------------------------------------


def test_a_new_operators_administrator_comes_in_and_gets_the_first_agent_in(db):
    run("add", "Nordic", "--kind", "operator", "--administrator", "ada@nordic.example")
    house = Tenant.objects.get(name="Nordic")
    ada = browser()
    ada.post(link_in_mail(house), {"name": "Ada", "password": GOOD, "again": GOOD})
    assert ada.get("/")["Location"] == reverse("portal:person-list")
    form = words(ada.get(reverse("portal:invitation-new")))
    assert "All rooms" not in form
    sent = {"email": "mina@nordic.example", "role": role_id(house, "soc_agent")}
    answer = ada.post(reverse("portal:invitation-new"), sent)
    assert answer.status_code == 302, words(answer)
    mina = browser()
    mina.post(link_in_mail(house), {"name": "Mina", "password": GOOD, "again": GOOD})
    assert mina.get("/operations").status_code == 200
    assert mina.get(reverse("portal:person-list")).status_code == 403
    assert "Mina SOC Agent" in re.sub(r"\S+@\S+ ", "", words(ada.get(reverse("portal:person-list"))))
    assert "Work the queue" in words(
        ada.get(reverse("portal:role-detail", args=[role_id(house, "soc_agent")]))
    )


def test_the_log_of_the_house_is_read_there(operator, admin, monkeypatch):
    monkeypatch.setattr("portal.sign_in.events._operator", lambda: operator.id)
    browser().post("/sign-in", {"login": "nobody@known.example", "password": GOOD})
    client = sign_in(admin)
    page = words(client.get(f"{reverse('portal:audit-log')}?result=failed"))
    assert "nobody@known.example" in page
    assert client.post(reverse("portal:audit-export")).status_code == 302


def test_in_the_house_there_is_nothing_of_a_customers_portal(operator, admin, mina):
    """Also for whoever has every role of the operator."""
    with transaction.atomic():
        for role in ("soc_agent", "tenant_manager"):
            add_person(admin, to=operator, role=role, at=clock.now())
    client = signed_in(admin)
    for name, route in PAGES.items():
        bare = name.removeprefix("portal:")
        if bare.startswith(OF_THE_HOUSE) or bare in ("overview", "organisation"):
            continue
        url = reverse(name, kwargs={**dict.fromkeys(route.things, new_id()), **route.values})
        for method in route.methods:
            assert getattr(client, method.lower())(url).status_code == 403, f"{method} {name}"
    page = client.get(reverse("portal:person-list")).content.decode()
    for gone in ("/settings/tokens", "/settings/partners", "/settings/sign-in", 'action="/rooms"'):
        assert gone not in page
    assert reverse("portal:queue") in page


def test_an_agent_who_is_ended_is_out_of_every_customer_at_once(operator, admin, mina, customer, at):
    other = make_customer(at=at)
    with transaction.atomic():
        serving.begin(mina, other, at=at)
    minas = signed_in(mina)
    assert minas.get("/operations/tenants").status_code == 200
    assert minas.get("/incidents").status_code == 200
    ended = signed_in(admin).post(reverse("portal:person-end", args=[person_of(mina, operator).id]))
    assert ended.status_code == 302
    assert minas.get("/operations/tenants").status_code == 403
    assert minas.get("/incidents").status_code == 403
    assert not Membership.objects.filter(user=mina).exists()
    for served in (customer, other):
        assert person_of(mina, served).ended_at is not None
        assert [event.after for event in events(served, "membership.end")] == [{"operator": operator.name}]
    assert len(events(operator, "membership.end")) == 2


def test_whoever_serves_and_administers_chooses_where_to_be(operator, customer, at):
    lead = make_agent(operator, [customer], "soc_lead", at=at)
    with transaction.atomic():
        add_person(lead, to=operator, role="platform_admin", at=at)
    client = signed_in(lead)
    assert client.get("/incidents").status_code == 200
    client.post("/organisation", {"organisation": str(operator.id)})
    assert client.get("/incidents").status_code == 403
    assert client.get(reverse("portal:person-list")).status_code == 200
    assert client.get("/operations/tenants").status_code == 200, "the console stays open, in the same session"
    client.post("/organisation", {"organisation": str(customer.id)})
    assert client.get("/incidents").status_code == 200
    assert client.get(reverse("portal:person-list")).status_code == 403, "the house's rights end at its door"


def test_whoever_knocks_at_the_console_without_being_of_an_operator_is_on_record_at_home(customer, at):
    nora = make_person(customer, "pro_manager", at=at, name="Nora Lind").user
    assert signed_in(nora).get("/operations/tenants").status_code == 403
    (refused,) = events(customer, "access.denied")
    assert (refused.actor_id, refused.object_name) == (nora.id, "GET /operations/tenants")


# Who serves ----------------------------------------------------------------------------------------------------


def test_a_tenant_manager_begins_and_ends_service_on_record_at_both(operator, manager, mina, customer, at):
    lead = make_person(operator, "soc_lead", at=at, name="Lena Lead").user
    client = sign_in(manager)
    assert client.get("/", follow=True).redirect_chain[-1][0] == reverse("portal:console-serving")
    page = words(client.get(reverse("portal:console-serving")))
    assert f"{customer.name} Add" in page
    assert "Mina Okafor" in page
    lenas = signed_in(lead)
    assert customer.name not in words(lenas.get("/operations/tenants"))
    url = reverse("portal:console-serve", args=[customer.id])
    assert client.post(url, {"person": lead.id}).status_code == 302
    assert customer.name in words(lenas.get("/operations/tenants"))
    again = client.post(url, {"person": lead.id})
    assert again.status_code == 422
    with tenant(customer.id):
        BreakGlass.objects.for_tenant(customer).create(
            person=person_of(lead, customer),
            user_id=lead.id,
            reason="Groups are wrong",
            ticket="INC-1",
            started_at=clock.now(),
            expires_at=clock.now() + timedelta(hours=1),
        )
    end = reverse("portal:console-serving-end", args=[customer.id, lead.id])
    assert client.post(end).status_code == 302
    assert customer.name not in words(lenas.get("/operations/tenants"))
    assert lenas.get("/rooms").status_code == 403
    assert client.post(end).status_code == 404
    with tenant(customer.id):
        assert BreakGlass.objects.for_tenant(customer).get().ended_at is not None
    for action in ("membership.create", "membership.end"):
        (there,) = events(customer, action)
        assert (there.actor_id, there.actor_tenant_id) == (manager.id, operator.id)
        assert there.after == {"operator": "Nordic Operations"}
        (here,) = events(operator, action)
        assert here.after == {"customer": customer.name}
    assert person_of(mina, customer).ended_at is None


def test_a_tenant_manager_sees_no_customers_data_and_nobody_elses_customers(
    operator, manager, mina, customer, at
):
    foreign = make_customer(at=at)
    client = signed_in(manager)
    assert foreign.name not in words(client.get(reverse("portal:console-serving")))
    assert client.get(reverse("portal:console-serve", args=[foreign.id])).status_code == 404
    for url in ("/rooms", "/incidents", "/operations", "/operations/tenants", "/settings/people"):
        assert client.get(url).status_code == 403, url
    assert signed_in(mina).get(reverse("portal:console-serving")).status_code == 403


def test_the_commands_begin_and_end_service_and_a_persons_time(operator, mina, customer):
    minas = sign_in(mina)
    assert "no longer serves" in run("unserve", customer.name, mina.email)
    assert customer.name not in words(minas.get("/operations/tenants"))
    with pytest.raises(Exception, match="does not serve"):
        run("unserve", customer.name, mina.email)
    run("serve", customer.name, mina.email)
    assert customer.name in words(minas.get("/operations/tenants"))
    assert "has left Nordic Operations" in run("end-person", mina.email)
    assert minas.get("/operations/tenants").status_code == 302, "signed out"
    assert not Membership.objects.filter(user=mina).exists()
    with pytest.raises(Exception, match="has left Nordic Operations already"):
        run("end-person", mina.email)
    with pytest.raises(Exception, match="There is nobody with the address"):
        run("end-person", "nobody@nordic.example")
