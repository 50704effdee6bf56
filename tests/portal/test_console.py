"""The operations console through HTTP: the queue over all customers served, and what operators do there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from fleet import room_groups
from foundation.context import tenant
from incidents import lifecycle
from incidents.models import Incident, IncidentEntry
from tenancy.models import AuditEvent, Membership, Person, Tenant, User
from tenancy.tenants import add_person
from tests.factories.incidents import make_incident
from tests.factories.tenancy import make_agent, make_customer, make_operator, make_person

HTMX = {"HX-Request": "true"}


@dataclass
class Console:
    """An operator's agent and lead who serve two customers of three."""

    operator: Tenant
    served: list[Tenant]
    other: Tenant
    agent: User
    lead: User

    def ticket(self, customer: Tenant, *, at: datetime) -> Incident:
        with transaction.atomic(), tenant(customer.id):
            return make_incident(at=at)

    def now(self, incident: Incident) -> Incident:
        with tenant(incident.tenant_id):
            return (
                Incident.objects.for_tenant(incident.tenant_id).select_related("assignee").get(id=incident.id)
            )


@pytest.fixture
def console(committed_db, at) -> Console:
    customers = [make_customer(at=at) for _ in range(3)]
    for customer in customers:
        with transaction.atomic():
            room_groups.set_up_customer(customer, at=at)
    operator = make_operator(at=at)
    served = customers[:2]
    return Console(
        operator,
        served,
        customers[2],
        agent=make_agent(operator, served, at=at),
        lead=make_agent(operator, served, "soc_lead", at=at),
    )


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def listed(client: Client, query: str = "") -> list[Any]:
    return [row.id for row in client.get(f"/operations{query}").context["rows"]]


def test_the_queue_holds_the_tickets_of_all_customers_served_and_of_no_other(console, at):
    first, second = (console.ticket(customer, at=at) for customer in console.served)
    foreign = console.ticket(console.other, at=at)
    client = signed_in(console.agent)
    assert set(listed(client)) == {first.id, second.id}
    assert listed(client, f"?customer={console.served[0].id}") == [first.id]
    assert set(listed(client, f"?customer={console.other.id}")) == {first.id, second.id}
    assert listed(client, "?severity=1") == []
    for name in ("console-ticket", "queue-preview", "console-resolve", "console-hand-over"):
        assert client.get(reverse(f"portal:{name}", args=[foreign.id])).status_code == 404
    assert client.post(reverse("portal:console-take", args=[foreign.id])).status_code == 404


def test_who_takes_a_ticket_has_it_and_a_colleague_is_told(console, at):
    incident = console.ticket(console.served[0], at=at)
    agent, lead = signed_in(console.agent), signed_in(console.lead)
    assert listed(agent, "?view=unassigned") == [incident.id]
    assert listed(agent, "?view=mine") == []
    answer = agent.post(reverse("portal:console-take", args=[incident.id]), headers=HTMX)
    assert (answer.status_code, f"{incident.number} is yours" in answer["HX-Trigger"]) == (204, True)
    assert listed(agent, "?view=mine") == [incident.id]
    late = lead.post(reverse("portal:console-take", args=[incident.id]), headers=HTMX)
    assert "has this ticket" in late["HX-Trigger"]
    assert console.now(incident).assignee.user_id == console.agent.id


def test_a_reply_reaches_the_customer_a_note_does_not_and_asking_hands_it_to_them(console, at):
    incident = console.ticket(console.served[0], at=at)
    manager = signed_in(make_person(console.served[0], at=at).user)
    client = signed_in(console.agent)
    url = reverse("portal:console-reply", args=[incident.id])
    client.post(url, {"text": "We see it.", "to": "reply"})
    client.post(url, {"text": "Third time this week.", "to": "note"})
    client.post(url, {"text": "Reseat the cable.", "to": "ask"})
    theirs = manager.get(reverse("portal:incident-detail", args=[incident.id])).content.decode()
    ours = client.get(reverse("portal:console-ticket", args=[incident.id])).content.decode()
    for text, shown in (("We see it.", True), ("Third time this week.", False), ("Reseat the cable.", True)):
        assert text in ours
        assert (text in theirs) is shown
    assert console.now(incident).state == Incident.State.NEEDS_ACTION
    assert listed(client, "?view=waiting_on_customer") == [incident.id]


def test_an_empty_reply_is_said_and_loses_nothing(console, at):
    incident = console.ticket(console.served[0], at=at)
    client = signed_in(console.agent)
    url = reverse("portal:console-reply", args=[incident.id])
    answer = client.post(url, {"text": "", "to": "reply"}, headers=HTMX)
    assert (answer.status_code, "Fill this in." in answer["HX-Trigger"]) == (422, True)
    assert client.post(url, {"text": "", "to": "reply"}).status_code == 422


def test_an_agent_hands_over_what_is_his_a_lead_whatever_is_open(console, at):
    incident = console.ticket(console.served[0], at=at)
    agent, lead = signed_in(console.agent), signed_in(console.lead)
    url = reverse("portal:console-hand-over", args=[incident.id])
    with tenant(incident.tenant_id):
        people = Person.objects.for_tenant(incident.tenant_id)
        to_lead, to_agent = (people.get(user=user) for user in (console.lead, console.agent))
    assert agent.get(url).status_code == 403
    assert lead.post(url, {"to": str(to_agent.id), "text": "Please look."}).status_code == 302
    assert console.now(incident).assignee == to_agent
    assert agent.post(url, {"to": ""}).status_code == 422
    assert agent.post(url, {"to": str(to_lead.id), "text": ""}).status_code == 302
    assert console.now(incident).assignee == to_lead


def test_a_ticket_is_resolved_with_a_cause_and_opened_again(console, at):
    incident = console.ticket(console.served[0], at=at)
    client = signed_in(console.agent)
    url = reverse("portal:console-resolve", args=[incident.id])
    assert client.post(url, {"cause": "", "text": "x"}).status_code == 422
    client.post(url, {"cause": "fixed_on_site", "text": "New cable."})
    resolved = console.now(incident)
    assert (resolved.state, resolved.cause) == ("resolved", "fixed_on_site")
    page = client.get(reverse("portal:console-ticket", args=[incident.id])).content.decode()
    assert "New cable." in page
    client.post(reverse("portal:console-reopen", args=[incident.id]))
    assert console.now(incident).is_open


def test_writing_as_an_operator_is_signed_by_the_operator(console, at):
    incident = console.ticket(console.served[0], at=at)
    signed_in(console.agent).post(
        reverse("portal:console-reply", args=[incident.id]), {"text": "We see it.", "to": "reply"}
    )
    with tenant(incident.tenant_id):
        entry = IncidentEntry.objects.for_tenant(incident.tenant_id).get(incident=incident, kind="comment")
        assert (entry.by_operator, entry.author.user_id) == (True, console.agent.id)


def test_tenants_are_listed_with_their_numbers(console, at):
    for _ in range(2):
        console.ticket(console.served[0], at=at)
    lines = signed_in(console.agent).get(reverse("portal:console-tenants")).context["lines"]
    assert {line.tenant.id: (line.rooms, line.unhealthy, line.open) for line in lines} == {
        console.served[0].id: (2, 2, 2),
        console.served[1].id: (0, 0, 0),
    }


def test_a_resting_queue_and_preview_answer_polls_with_nothing(console, at):
    incident = console.ticket(console.served[0], at=at)
    client = signed_in(console.agent)
    for url in ("/operations", reverse("portal:queue-preview", args=[incident.id])):
        shown = client.get(url, headers=HTMX).content.decode()
        seen = re.search(r'"X-Seen": "(\w+)"', shown)[1]
        assert client.get(url, headers={**HTMX, "X-Seen": seen}).status_code == 204
        with transaction.atomic(), tenant(incident.tenant_id):
            person = Person.objects.for_tenant(incident.tenant_id).get(user=console.lead)
            fresh = Incident.objects.for_tenant(incident.tenant_id).get(id=incident.id)
            if fresh.assignee_id is None:
                lifecycle.take(fresh, by=person, at=at)
            else:
                lifecycle.ask_customer(fresh, by=person, at=at)
        assert client.get(url, headers={**HTMX, "X-Seen": seen}).status_code == 200


def test_the_queue_asks_as_much_for_three_tickets_as_for_thirty(console, at):
    client = signed_in(console.agent)

    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert client.get("/operations").status_code == 200
        return len(queries)

    for customer in (*console.served, console.served[0]):
        console.ticket(customer, at=at)
    cost()
    few = cost()
    for number in range(27):
        console.ticket(console.served[number % 2], at=at)
    assert cost() == few
    assert len(listed(client)) == 30


def test_pages_of_the_queue_follow_each_other(console, at, monkeypatch):
    monkeypatch.setattr("portal.web.queue.PAGE", 2)
    tickets = {console.ticket(console.served[0], at=at).id for _ in range(3)}
    client = signed_in(console.agent)
    page = client.get("/operations")
    following = re.search(r'href="(\?after=[^"]+)"', page.content.decode())[1].replace("&amp;", "&")
    assert {*listed(client), *listed(client, following)} == tickets
    assert client.get("/operations?after=nonsense").status_code == 400


@pytest.mark.parametrize("page", ["/operations", "/operations/tenants"])
def test_looking_over_all_customers_is_on_record_at_each_once_an_hour(console, at, page):
    client = Client()
    client.force_login(console.agent)
    costs = []
    for _ in range(2):
        with CaptureQueriesContext(connection) as queries:
            assert client.get(page).status_code == 200
        costs.append(len(queries))
    for customer, visits in zip([*console.served, console.other], (1, 1, 0), strict=True):
        with tenant(customer.id):
            events = AuditEvent.objects.for_tenant(customer).filter(action="provider.access")
            assert [each.actor_id for each in events] == [console.agent.id] * visits
    more = [make_customer(at=at) for _ in range(3)]
    for customer in more:
        add_person(console.lead, to=customer, role="", kind=Membership.Kind.OPERATOR, at=at)
    client.force_login(console.lead)
    with CaptureQueriesContext(connection) as queries:
        assert client.get(page).status_code == 200
    assert len(queries) <= costs[0] + 2, "as many queries for five customers as for two"
