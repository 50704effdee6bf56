"""Signing in: second factors, who must have one, step-up, sessions and their ends, all as a browser does it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.test import Client

from foundation import clock
from foundation.context import tenant
from portal.middleware.sessions import IDLE_PRIVILEGED_S, IDLE_S, LONGEST_S
from portal.sign_in import proofs
from tenancy.models import AuditEvent, Person, RoleAssignment, Tenant, User
from tests.factories.sign_in import add_app, browser, sign_in, totp
from tests.factories.tenancy import PASSWORD, make_agent, make_customer, make_operator, make_person
from workers.tasks import housekeeping


@pytest.fixture
def manager(customer: Tenant, at: Any) -> User:
    return make_person(customer, "pro_manager", at=at).user


@pytest.fixture
def technician(customer: Tenant, at: Any) -> User:
    return make_person(customer, "site_technician", at=at).user


@pytest.fixture
def strict(settings: Any) -> None:
    """As production has it."""
    settings.DEMO_WITHOUT_MFA = False


@pytest.fixture(autouse=True)
def _committing(request: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for the commit happens at the end of each request, though the test's transaction goes on."""
    if "committed_db" in request.fixturenames:
        return
    django_capture_on_commit_callbacks = request.getfixturevalue("django_capture_on_commit_callbacks")
    plain = Client.request

    def answer(self: Client, **environment: Any) -> Any:
        with django_capture_on_commit_callbacks(execute=True):
            return plain(self, **environment)

    monkeypatch.setattr(Client, "request", answer)


def events(of: Tenant, action: str) -> list[AuditEvent]:
    with tenant(of.id):
        return list(AuditEvent.objects.for_tenant(of).filter(action=action).order_by("id"))


def age(client: Client, name: str, seconds: float) -> None:
    """Let something of the session have happened earlier."""
    session = client.session
    session[name] -= seconds
    session.save()


# Second factors ------------------------------------------------------------------------------------------------


def test_an_app_is_added_with_its_code_and_then_asked_for(manager):
    client = sign_in(manager)
    secret, codes = add_app(client)
    assert len(set(codes)) == 10
    other = sign_in(manager)
    assert other.get("/rooms").status_code == 302  # the password alone is not enough
    wrong = other.post("/sign-in/code", {"code": "000000"})
    assert "Incorrect code" in wrong.content.decode()
    right = other.post("/sign-in/code", {"code": totp(secret, steps=1)})  # the one of now is spent
    assert (right.status_code, right["Location"]) == (302, "/")
    assert other.get("/rooms").status_code == 200


def test_a_code_counts_once(manager):
    secret, _ = add_app(sign_in(manager))
    code = totp(secret, steps=1)
    assert sign_in(manager).post("/sign-in/code", {"code": code}).status_code == 302
    assert sign_in(manager).post("/sign-in/code", {"code": code}).status_code == 200


def test_recovery_codes_are_shown_once_and_work_once(manager):
    client = sign_in(manager)
    _, codes = add_app(client)
    again = client.get("/account/recovery-codes").content.decode()
    assert not any(code in again for code in codes)
    assert sign_in(manager).post("/sign-in/code", {"code": codes[0]}).status_code == 302
    assert sign_in(manager).post("/sign-in/code", {"code": codes[0]}).status_code == 200


def test_secrets_of_factors_are_kept_encrypted(manager):
    secret, codes = add_app(sign_in(manager))
    kept = json.dumps(list(Authenticator.objects.filter(user=manager).values_list("data", flat=True)))
    assert secret not in kept
    assert not any(code in kept for code in codes)


def test_who_administers_reaches_nothing_before_a_second_factor(manager, strict):
    client = sign_in(manager)
    answer = client.get("/rooms")
    assert (answer.status_code, answer["Location"]) == (302, "/account?next=%2Frooms")
    assert client.post("/rooms/add", {"name": "A"}).status_code == 302
    live = client.get("/rooms", headers={"HX-Request": "true"})
    assert (live.status_code, live["HX-Redirect"]) == (204, "/account")
    assert "Add a second factor to go on" in client.get("/account").content.decode()


def test_whoever_adds_a_factor_goes_on_without_being_asked_for_it(committed_db, strict):
    """Committed: what allauth does after the commit must still reach the session of this request."""
    at = clock.now()
    client = sign_in(make_person(make_customer(at=at), at=at).user)
    assert client.get("/rooms").status_code == 302
    add_app(client)
    assert client.get("/rooms").status_code == 200


def test_operators_need_a_second_factor_on_every_page(operator, customer, at, strict):
    client = sign_in(make_agent(operator, [customer], at=at))
    for address in ("/operations", "/", "/rooms"):
        assert client.get(address)["Location"].startswith("/account")


def test_others_may_add_one_and_need_not(technician, strict):
    client = sign_in(technician)
    assert client.get("/rooms").status_code == 200
    add_app(client)
    assert sign_in(technician).get("/rooms").status_code == 302


def test_a_session_from_before_the_factor_is_asked_for_its_code(manager, strict):
    secret, _ = add_app(sign_in(manager))
    client = Client()
    client.force_login(manager)
    answer = client.get("/rooms")
    assert answer["Location"] == "/account/confirm/code?next=%2Frooms"
    done = client.post("/account/confirm/code", {"code": totp(secret, steps=1), "next": "/rooms"})
    assert done["Location"] == "/rooms"
    assert client.get("/rooms").status_code == 200


# Step-up -------------------------------------------------------------------------------------------------------


def test_keys_ask_who_it_is_unless_that_was_proved_a_moment_ago(manager):
    client = sign_in(manager)
    assert client.get("/enrollment/new").status_code == 200
    age(client, proofs.PROVED, proofs.FRESH_S + 1)
    answer = client.get("/enrollment/new")
    assert (answer.status_code, answer["Location"]) == (302, "/account/confirm?next=%2Fenrollment%2Fnew")
    assert client.get("/enrollment").status_code == 200  # looking asks nothing
    wrong = client.post("/account/confirm", {"password": "wrong", "next": "/enrollment/new"})
    assert wrong.status_code == 200
    right = client.post("/account/confirm", {"password": PASSWORD, "next": "/enrollment/new"})
    assert right["Location"] == "/enrollment/new"
    assert client.get("/enrollment/new").status_code == 200


def test_what_was_opened_in_time_may_be_finished(manager):
    client = sign_in(manager)
    age(client, proofs.PROVED, proofs.FRESH_S + 60)
    assert "/account/confirm" not in client.post("/enrollment/new", {}).get("Location", "")
    age(client, proofs.PROVED, proofs.UNFINISHED_S)
    assert client.post("/enrollment/new", {})["Location"].startswith("/account/confirm")


def test_a_dialog_leads_to_the_question_and_back_to_its_page(manager):
    client = sign_in(manager)
    age(client, proofs.PROVED, proofs.FRESH_S + 1)
    headers = {"HX-Request": "true", "HX-Current-URL": "http://testserver/enrollment?after=x"}
    answer = client.get("/enrollment/new", headers=headers)
    assert (answer.status_code, answer["HX-Redirect"]) == (
        204,
        "/account/confirm?next=%2Fenrollment%3Fafter%3Dx",
    )


def test_the_question_leads_to_no_foreign_address(manager):
    client = sign_in(manager)
    answer = client.post("/account/confirm", {"password": PASSWORD, "next": "https://evil.example/"})
    assert answer["Location"] == "/"


# Sessions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "limit_s"), [("pro_manager", IDLE_PRIVILEGED_S), ("site_technician", IDLE_S)]
)
def test_a_session_at_rest_ends_sooner_for_who_may_do_more(customer, at, role, limit_s):
    user = make_person(customer, role, at=at).user
    client = sign_in(user)
    client.get("/rooms")
    age(client, proofs.SEEN, limit_s - 60)
    assert client.get("/rooms").status_code == 200
    age(client, proofs.SEEN, limit_s + 60)
    assert client.get("/rooms")["Location"] == "/sign-in?next=/rooms"
    assert "without activity" in client.get("/sign-in").content.decode()
    assert client.get("/rooms").status_code == 302


def test_a_live_page_does_not_keep_a_session_awake(manager):
    client = sign_in(manager)
    client.get("/rooms")
    age(client, proofs.SEEN, 600)
    seen = client.session[proofs.SEEN]
    client.get("/rooms", headers={"HX-Request": "true", "X-Seen": "abc"})
    assert client.session[proofs.SEEN] == seen
    client.get("/rooms")
    assert client.session[proofs.SEEN] > seen


def test_no_session_lasts_longer_than_12_hours(manager):
    client = sign_in(manager)
    age(client, proofs.BEGAN, LONGEST_S + 1)
    assert client.get("/rooms")["Location"] == "/sign-in?next=/rooms"
    assert "12 hours" in client.get("/sign-in").content.decode()


def test_sessions_are_listed_and_ended_from_another_place(manager, customer):
    here = sign_in(manager, browser(**{"User-Agent": "Mozilla/5.0 (Windows NT 10.0) Firefox/140.0"}))
    there = sign_in(manager, browser(**{"User-Agent": "Mozilla/5.0 (iPhone) Safari/605"}))
    page = here.get("/account")
    assert [browser for _, browser in page.context["sessions"]] == ["Safari on iPhone", "Firefox on Windows"]
    far = page.context["sessions"][0][0]
    assert here.post(f"/account/sessions/{far.id}/end").status_code == 302
    assert there.get("/rooms").status_code == 302
    assert here.get("/rooms").status_code == 200
    assert [event.after for event in events(customer, "session.end")] == [{"sessions": 1}]


def test_from_where_a_session_was_held_is_forgotten_with_it(manager, customer):
    sign_in(manager)
    here = sign_in(manager)
    old = UserSession.objects.exclude(session_key=here.session.session_key).get(user=manager)
    UserSession.objects.filter(user=manager).update(created_at=clock.now() - timedelta(days=2))
    Session.objects.filter(session_key=old.session_key).update(expire_date=clock.now() - timedelta(hours=1))
    housekeeping.forget_sessions(at=clock.now())
    assert [each.session_key for each in UserSession.objects.filter(user=manager)] == [
        here.session.session_key
    ]


def test_another_persons_session_is_a_missing_one(manager, technician):
    theirs = sign_in(technician)
    foreign = theirs.get("/account").context["sessions"][0][0]
    client = sign_in(manager)
    assert client.post(f"/account/sessions/{foreign.id}/end").status_code == 404
    assert theirs.get("/rooms").status_code == 200


def test_all_other_sessions_end_at_once(manager):
    here, there = sign_in(manager), sign_in(manager)
    here.post("/account/sessions/end-others")
    assert (here.get("/rooms").status_code, there.get("/rooms").status_code) == (200, 302)


def test_a_changed_factor_ends_the_other_sessions(manager):
    there = sign_in(manager)
    here = sign_in(manager)
    add_app(here)
    assert (here.get("/rooms").status_code, there.get("/rooms").status_code) == (200, 302)


def test_a_changed_password_ends_the_other_sessions(manager):
    here, there = sign_in(manager), sign_in(manager)
    new = "a much newer passphrase"
    form = {"oldpassword": PASSWORD, "password1": new, "password2": new}
    assert here.post("/account/password", form).status_code == 302
    assert (here.get("/rooms").status_code, there.get("/rooms").status_code) == (200, 302)
    assert sign_in(manager, password=new).get("/rooms").status_code == 200


def test_a_disabled_person_is_out_at_once(manager):
    client = sign_in(manager)
    User.objects.filter(id=manager.id).update(is_active=False)
    assert client.get("/rooms")["Location"].startswith("/sign-in")
    answer = browser().post("/sign-in", {"login": manager.email, "password": PASSWORD})
    assert answer["Location"] == "/sign-in/inactive"


def test_a_withdrawn_role_ends_the_session(customer, manager):
    client = sign_in(manager)
    assert client.get("/rooms").status_code == 200
    with tenant(customer.id):
        person = Person.objects.for_tenant(customer).get(user=manager)
        RoleAssignment.objects.for_tenant(customer).filter(person=person).delete()
    assert client.get("/rooms")["Location"] == "/sign-in?next=/rooms"


def test_an_ended_session_leaves_no_row(manager):
    client = sign_in(manager)
    key = client.session.session_key
    age(client, proofs.BEGAN, LONGEST_S + 1)
    client.get("/rooms", headers={"HX-Request": "true"})
    assert not Session.objects.filter(session_key=key).exists()


# On record -----------------------------------------------------------------------------------------------------


def test_sign_ins_and_sign_outs_are_on_record_at_home(customer, manager):
    client = sign_in(manager, Client(REMOTE_ADDR="203.0.113.7"))
    client.post("/sign-out")
    (began,), (ended,) = events(customer, "sign_in"), events(customer, "sign_out")
    assert (began.actor_id, began.address, began.after) == (
        manager.id,
        "203.0.113.7",
        {"by": "password", "second_factor": False},
    )
    assert ended.actor_id == manager.id


def test_a_wrong_password_is_on_record_without_the_password(customer, manager):
    browser().post("/sign-in", {"login": manager.email, "password": "hunter2-guess"})
    (event,) = events(customer, "sign_in.failed")
    assert (event.result, event.object_id, event.object_name) == ("failed", manager.id, "")
    assert "hunter2-guess" not in json.dumps(event.after)


def test_a_strangers_try_is_on_record_at_the_operator(operator):
    first = Tenant.objects.filter(kind=Tenant.Kind.OPERATOR).order_by("id").first()
    browser().post("/sign-in", {"login": "nobody@example.com", "password": "x"})
    assert events(first, "sign_in.failed")[-1].object_name == "nobody@example.com"


def test_a_wrong_code_and_a_new_factor_are_on_record(customer, manager):
    add_app(sign_in(manager))
    sign_in(manager).post("/sign-in/code", {"code": "000000"})
    assert [event.after["why"] for event in events(customer, "sign_in.failed")] == ["wrong code"]
    assert {event.after["factor"] for event in events(customer, "person.factor")} == {
        "totp",
        "recovery_codes",
    }


# Guessing ------------------------------------------------------------------------------------------------------


GUESSES = 1_000 if os.environ.get("GREENROOM_CHAOS") == "1" else 100
HOUR_S = 3_600


def spread_over_an_hour(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    start = clock.now().timestamp()
    for number in range(GUESSES):
        moment = start + number * HOUR_S / GUESSES
        monkeypatch.setattr("allauth.core.internal.ratelimit.time.time", lambda moment=moment: moment)
        yield number


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Guesses that were compared with a password, or cost as much as that."""
    seen: list[str] = []
    monkeypatch.setattr(User, "check_password", lambda self, raw: seen.append(raw) or False)
    monkeypatch.setattr(User, "set_password", lambda self, raw: seen.append(raw))
    return seen


@pytest.mark.chaos
def test_of_many_guesses_at_one_person_few_are_compared(manager, monkeypatch, compared):
    """Each from another address."""
    for number in spread_over_an_hour(monkeypatch):
        sent = {"login": manager.email, "password": f"guess {number}"}
        Client(REMOTE_ADDR=f"198.51.{number // 250}.{number % 250}").post("/sign-in", sent)
    assert 0 < len(compared) <= 60


@pytest.mark.chaos
def test_of_many_guesses_from_one_address_few_are_compared(db, monkeypatch, compared):
    """Each at another name, of nobody: a guess that finds no name costs what a wrong password costs, no more often."""
    for number in spread_over_an_hour(monkeypatch):
        sent = {"login": f"person{number}@example.com", "password": "Spring2026!"}
        Client(REMOTE_ADDR="198.51.100.1").post("/sign-in", sent)
    assert 0 < len(compared) <= 60


@pytest.mark.chaos
def test_of_many_guesses_of_a_code_few_are_compared(manager, monkeypatch):
    add_app(sign_in(manager))
    seen: list[str] = []
    monkeypatch.setattr(
        "allauth.mfa.totp.internal.auth.TOTP.validate_code", lambda self, code: seen.append(code) or False
    )
    client = sign_in(manager, Client(REMOTE_ADDR="198.51.100.2"))
    for number in spread_over_an_hour(monkeypatch):
        client.post("/sign-in/code", {"code": f"{number:06}"})
    assert 0 < len(seen) <= 60


def test_an_unknown_name_costs_one_comparison_like_a_known_one(manager, compared):
    for login in (manager.email, "nobody-at-all@example.com"):
        browser().post("/sign-in", {"login": login, "password": "wrong"})
    assert compared == ["wrong", "wrong"]


def test_an_administrator_of_the_operator_is_no_exception(at, db, strict):
    client = sign_in(make_agent(make_operator(at=at), [], "platform_admin", at=at))
    assert client.get("/operations")["Location"].startswith("/account")


def test_times_of_a_session_are_the_databases(manager):
    client = sign_in(manager)
    assert abs(client.session[proofs.BEGAN] - clock.now().timestamp()) < timedelta(minutes=1).total_seconds()
