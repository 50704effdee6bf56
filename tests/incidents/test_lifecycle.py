from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleet.counters import of as counters_of
from fleet.models import Room
from foundation.context import tenant
from foundation.errors import NotValid
from foundation.models import Timer
from incidents import counting, lifecycle, notes, opening
from incidents.errors import IncidentClosed, NotInThisState
from incidents.facts import Finding
from incidents.models import FaultSpan, Incident, IncidentEntry
from incidents.moves import held
from incidents.opening import open_incident
from incidents.rules.audio import mic_conf
from incidents.rules.hardware import camera_room
from incidents.severity import Severity
from incidents.states import OPEN, Event, State
from incidents.terms import Terms, change_terms
from tenancy.models import AuditEvent, Person
from tests.factories.incidents import heal, kinds_of, make_incident, make_watched_device
from tests.factories.tenancy import make_agent, make_person
from tests.incidents.test_states import ALLOWED

MINUTE = timedelta(minutes=1)


@pytest.fixture
def people(customer, operator, at):
    """Someone of the customer, and two of Operations as the customer sees them."""
    mine = make_person(customer, at=at)
    agents = [make_agent(operator, [customer], at=at) for _ in range(2)]
    with tenant(customer.id):
        return mine, *(Person.objects.get(user=agent) for agent in agents)


@pytest.fixture
def incident(people, inside, at):
    return make_incident(at=at)


def test_taking_is_a_response_and_says_so_everywhere(incident, people, at):
    _, mina, _ = people
    lifecycle.take(incident, by=mina, at=at + MINUTE)
    stored = Incident.objects.get(id=incident.id)
    assert (stored.state, stored.assignee, stored.assignee_user_id) == ("assigned_to_soc", mina, mina.user_id)
    assert (stored.responded_at, stored.due_at, stored.version) == (at + MINUTE, None, 2)
    line = IncidentEntry.objects.filter(incident=incident).last()
    assert (line.author, line.by_operator, line.before, line.after) == (
        mina, True, "pending_investigation", "assigned_to_soc",
    )  # fmt: skip
    assert AuditEvent.objects.get(action="incident.take").after == {
        "state": "assigned_to_soc",
        "assignee": mina.name,
    }
    numbers = counters_of(incident.tenant_id)
    assert (numbers["incidents.pending_investigation"], numbers["incidents.assigned_to_soc"]) == (0, 1)


def test_a_ticket_a_colleague_has_cannot_be_taken_but_handed_over(incident, people, at):
    _, mina, bo = people
    lifecycle.take(incident, by=mina, at=at)
    lifecycle.take(incident, by=mina, at=at)  # repeating it changes nothing
    with pytest.raises(NotInThisState):
        lifecycle.take(incident, by=bo, at=at)
    lifecycle.hand_over(incident, to=bo, by=mina, at=at, text="My shift ends")
    assert incident.assignee == bo
    assert kinds_of(incident)[-1] == "assigned"


def test_what_is_handed_over_from_the_queue_is_still_due(incident, people, at):
    _, mina, bo = people
    lifecycle.hand_over(incident, to=bo, by=mina, at=at)
    assert (incident.state, incident.responded_at) == ("assigned_to_soc", None)
    assert incident.due_at == incident.respond_by


def test_a_ticket_can_be_handed_to_people_of_operations_only(incident, people, at):
    ingrid, mina, _ = people
    with pytest.raises(NotValid):
        lifecycle.hand_over(incident, to=ingrid, by=mina, at=at)


def test_the_customer_acts_when_asked_and_gives_the_ticket_back(incident, people, at):
    ingrid, mina, _ = people
    notes.operator_comment(incident, "Reseat the cable, both ends.", by=mina, at=at, ask=True)
    assert (incident.state, incident.due_at) == ("needs_action", None)
    notes.customer_comment(incident, "We will go up at ten.", by=ingrid, at=at + MINUTE)
    assert incident.state == "needs_action"  # a plain answer keeps the owner
    notes.customer_comment(incident, "Done.", by=ingrid, at=at + 2 * MINUTE, assign_to_operator=True)
    assert (incident.state, incident.assignee) == ("assigned_to_soc", mina)
    assert incident.due_at == at + 2 * MINUTE + timedelta(hours=4)
    notes.operator_comment(incident, "Thank you.", by=mina, at=at + 3 * MINUTE)
    assert incident.due_at is None


def test_a_ticket_that_does_not_wait_on_the_customer_cannot_be_marked_done(incident, people, at):
    with pytest.raises(NotInThisState):
        lifecycle.customer_done(incident, by=people[0], at=at)


def test_the_operators_notes_are_for_the_operator_alone_and_no_response(incident, people, at):
    _, mina, _ = people
    notes.operator_note(incident, "Third time this month", by=mina, at=at)
    assert incident.responded_at is None
    assert "note" not in [each.kind for each in notes.entries_of(incident, for_operator=False)]
    assert "note" in [each.kind for each in notes.entries_of(incident, for_operator=True)]


@pytest.mark.parametrize("text", ["", "  \n", "nul\x00", "x" * 10_001])
def test_an_empty_unstorable_or_endless_comment_is_refused(incident, people, text, at):
    with pytest.raises(NotValid):
        notes.customer_comment(incident, text, by=people[0], at=at)


def test_resolving_by_hand_needs_a_known_cause_and_is_checked_after_one_watching_period(incident, people, at):
    _, mina, _ = people
    with pytest.raises(NotValid):
        lifecycle.resolve(incident, cause="magic", by=mina, by_operator=True, at=at)
    lifecycle.resolve(incident, cause="fixed_on_site", by=mina, by_operator=True, at=at, text="Cable")
    assert (incident.state, incident.cause, incident.resolved_at) == ("resolved", "fixed_on_site", at)
    due = dict(Timer.objects.filter(subject=str(incident.id)).values_list("kind", "due_at"))
    assert due == {lifecycle.RECHECK: at + camera_room.watch, lifecycle.CLOSE: at + timedelta(days=7)}
    with pytest.raises(NotInThisState):
        lifecycle.resolve(incident, cause="other", by=mina, by_operator=True, at=at)


def test_a_person_reopens_a_resolved_ticket_to_where_it_was(incident, people, at):
    ingrid, mina, _ = people
    lifecycle.take(incident, by=mina, at=at)
    heal(incident.device, at=at + MINUTE)
    lifecycle.reopen(incident, by=ingrid, by_operator=False, at=at + 2 * MINUTE, text="Black again")
    stored = Incident.objects.get(id=incident.id)
    assert (stored.state, stored.assignee, stored.cause, stored.reopened) == ("assigned_to_soc", mina, "", 1)
    assert not Timer.objects.filter(subject=str(incident.id)).exists()
    with pytest.raises(NotInThisState):
        lifecycle.reopen(incident, by=ingrid, by_operator=False, at=at)


def test_nothing_happens_to_a_closed_ticket(incident, people, at):
    ingrid, mina, _ = people
    heal(incident.device, at=at)
    lifecycle.close_if_due(incident.tenant_id, incident.id, at=at + timedelta(days=7))
    for refused in (
        lambda: lifecycle.take(incident, by=mina, at=at),
        lambda: lifecycle.ask_customer(incident, by=mina, at=at),
        lambda: lifecycle.reopen(incident, by=ingrid, by_operator=False, at=at),
        lambda: lifecycle.resolve(incident, cause="other", by=mina, by_operator=True, at=at),
        lambda: notes.customer_comment(incident, "Hello?", by=ingrid, at=at),
    ):
        with pytest.raises(IncidentClosed):
            refused()


def test_the_terms_of_a_customer_decide_when_an_answer_is_due_and_when_a_ticket_closes(inside, at):
    change_terms(inside.id, Terms(timedelta(minutes=30), timedelta(days=2)), at=at)
    incident = make_incident(at=at)
    assert incident.respond_by == at + timedelta(minutes=30)
    heal(incident.device, at=at)
    assert Timer.objects.get(kind=lifecycle.CLOSE).due_at == at + timedelta(days=2)
    with pytest.raises(NotValid):
        change_terms(inside.id, Terms(timedelta(0)), at=at)
    assert AuditEvent.objects.filter(action="settings.update").count() == 1


def test_a_number_another_ticket_has_is_tried_again(inside, at):
    first = make_incident(at=at)
    device = make_watched_device(at=at)
    fault = opening.Fault(device, mic_conf, Finding("", "Silent"), Severity.IMPORTANT)
    numbers = iter([first.number, first.number, "INC-FRESH2"])
    opened = opening.open_incidents(inside.id, [fault], at=at, numbers=numbers)
    assert [each.number for each in opened.new] == ["INC-FRESH2"]


def test_numbers_are_readable_and_differ(inside, at):
    device = make_watched_device(at=at)
    numbers = {make_incident(device, "display_front", instance=str(each), at=at).number for each in range(6)}
    assert len(numbers) == 6
    assert all(len(each) == 10 and each.startswith("INC-") for each in numbers)
    assert not set("".join(each[4:] for each in numbers)) & set("0O1I")


def test_opening_what_is_open_refreshes_it_and_is_not_new(inside, at):
    device = make_watched_device(at=at)
    first, is_new = open_incident(device, camera_room, Finding("", "Gone"), at=at)
    again, is_new_again = open_incident(device, camera_room, Finding("", "Gone", {"detail": "usb"}), at=at)
    assert (again, is_new, is_new_again) == (first, True, False)
    assert (again.evidence, again.opened_at) == ({"detail": "usb"}, at)


# Any history ---------------------------------------------------------------------------------------------------

ACTIONS = st.sampled_from(["take", "ask", "done", "resolve", "reopen", "heal", "fault", "disable", "expire"])


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(history=st.lists(ACTIONS, max_size=12))
def test_after_any_history_states_counters_and_spans_agree(people, inside, at, history):
    ingrid, mina, _ = people
    device = make_watched_device(at=at)
    moment, expected, before = at, None, ""
    incident: Incident | None = None
    for step, action in enumerate(history):
        moment = at + step * timedelta(hours=1)
        event = _carry_out(action, incident, device, ingrid, mina, moment)
        if action == "fault":
            if incident is None or expected == State.CLOSED:
                expected, before = State.PENDING_INVESTIGATION, ""
                incident = Incident.objects.filter(device=device).latest("opened_at")
            elif expected == State.RESOLVED:
                expected = State(before)
        elif incident is not None and event is not None:
            to = (
                State(before)
                if (event, expected) == (Event.REOPEN, State.RESOLVED)
                else _by_table(event, expected)
            )
            if (
                event == Event.ASK_CUSTOMER
                and to is None
                and expected in OPEN
                and expected != State.NEEDS_ACTION
            ):
                to = State.NEEDS_ACTION  # whoever asks has taken the ticket
            if to is not None:
                before = expected if event == Event.RESOLVE else before
                expected = to
        if incident is not None:
            incident.refresh_from_db()
            assert incident.state == expected
    tickets = list(Incident.objects.filter(device=device))
    running = FaultSpan.objects.filter(room=device.room, ended_at=None).count()
    room = Room.objects.get(id=device.room_id)
    assert room.open_faults == running == sum(each.is_open for each in tickets)
    assert (room.state == "unhealthy") == bool(running)
    assert counting.recount(inside.id, at=moment) == {}


def _by_table(event, state):
    """The domain's table as the tests know it, not as the product does."""
    to = ALLOWED.get((str(state), str(event)))
    return State(to) if to else None


def _carry_out(action, incident, device, ingrid, mina, at):
    if action == "fault":
        open_incident(device, camera_room, Finding("", "Gone", fault_at=at), at=at)
        return None
    if incident is None:
        return None
    try:
        match action:
            case "take":
                lifecycle.take(incident, by=mina, at=at)
                return Event.TAKE
            case "ask":
                lifecycle.ask_customer(incident, by=mina, at=at)
                return Event.ASK_CUSTOMER
            case "done":
                lifecycle.customer_done(incident, by=ingrid, at=at)
                return Event.CUSTOMER_DONE
            case "resolve":
                lifecycle.resolve(incident, cause="other", by=mina, by_operator=True, at=at)
                return Event.RESOLVE
            case "reopen":
                lifecycle.reopen(incident, by=ingrid, by_operator=False, at=at)
                return Event.REOPEN
            case "heal":
                lifecycle.resolve_all(incident.tenant_id, [incident.id], cause="healthy", at=at)
                return Event.RESOLVE
            case "disable":
                lifecycle.close_all(
                    held(incident.tenant_id, Event.DISABLE, id=incident.id), Event.DISABLE, at=at
                )
                return Event.DISABLE
            case "expire":
                lifecycle.close_all(
                    held(incident.tenant_id, Event.EXPIRE, id=incident.id), Event.EXPIRE, at=at
                )
                return Event.EXPIRE
    except (NotInThisState, IncidentClosed):
        return None
