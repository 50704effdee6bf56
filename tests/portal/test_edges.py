"""The outer edge, as a stranger meets it: bodies made to do harm, headers, logs, the word of whom to tell."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from urllib.parse import urlencode

from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.http import HttpResponse
from django.test import Client

from bench import bombs
from foundation import clock
from portal.errors import csrf_refused
from portal.middleware.requests import RequestMiddleware
from tenancy.models import User
from tests.factories.api import make_api_token
from tests.factories.sign_in import sign_in
from tests.factories.tenancy import PASSWORD, make_customer, make_person
from tests.portal.server_process import web_process

GUESS, LOST, KEY = "my secret guess 1", "grat_lost-token-" + "a" * 60, "grek_" + "b" * 70


def test_bombs_are_refused_without_taking_memory_and_no_secret_reaches_the_log(committed_db, tmp_path):
    at = clock.now()
    customer = make_customer(at=at)
    person = make_person(customer, at=at)
    hashed = PBKDF2PasswordHasher().encode(PASSWORD, "salt", 1_000)  # tests' own hash is unknown out there
    User.objects.filter(id=person.user_id).update(password=hashed)
    token = make_api_token(customer, at=at)
    with web_process(tmp_path, GREENROOM_LOG_LEVEL="DEBUG") as web:
        list(bombs.throw_all(web, token=token))  # what a process learns once does not count
        before = bombs.memory_of(web)
        thrown = list(bombs.throw_all(web, token=token))
        assert bombs.memory_of(web) - before <= bombs.MOST_BYTES
        assert [each for each in thrown if not 400 <= each.status < 500] == []
        assert len(thrown) >= 20

        page = web.ask("GET", "/sign-in")
        cookie = page.headers["set-cookie"].partition(";")[0]
        hidden = re.search(rb'name="csrfmiddlewaretoken" value="(\w+)"', page.body)[1].decode()
        form = {"csrfmiddlewaretoken": hidden, "login": person.email, "password": GUESS}
        web.ask("POST", "/sign-in", urlencode(form).encode(), Cookie=cookie, Content_Type=bombs.FORM)
        right = urlencode({**form, "password": PASSWORD}).encode()
        answer = web.ask("POST", "/sign-in", right, Cookie=cookie, Content_Type=bombs.FORM)
        assert answer.status == 302
        session = re.search(r"sessionid=(\w+)", answer.headers["set-cookie"])[1]
        web.ask("GET", "/rooms", Cookie=f"{cookie}; sessionid={session}")
        web.ask("GET", "/api/v1/rooms", Authorization=f"Bearer {token}")
        web.ask("GET", "/api/v1/rooms", Authorization=f"Bearer {LOST}")
        web.ask("POST", bombs.ENROLL, b"{}", Authorization=f"Enroll {KEY}", Content_Type=bombs.JSON)
        log = web.log_text()
    assert "/device/v1/enroll" in log  # it tells something
    for secret in (GUESS, PASSWORD, token, LOST, KEY, session, cookie.partition("=")[2], hidden):
        assert secret not in log


def test_what_a_page_carries(customer, at):
    client = sign_in(make_person(customer, at=at).user, Client(REMOTE_ADDR="198.51.100.3"))
    page = client.get("/rooms")
    policy = page["Content-Security-Policy"]
    assert "unsafe" not in policy
    for directive in ("default-src 'none'", "object-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"):
        assert directive in policy
    assert {name: page[name] for name in (
        "X-Content-Type-Options", "Referrer-Policy", "Cross-Origin-Opener-Policy", "X-Frame-Options", "Cache-Control",
    )} == {
        "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin", "X-Frame-Options": "DENY", "Cache-Control": "no-store",
    }  # fmt: skip


def test_a_form_from_elsewhere_is_refused_on_a_page_of_ours(customer, at, rf):
    client = Client(enforce_csrf_checks=True, REMOTE_ADDR="198.51.100.4")
    for path in ("/sign-in", "/settings/roles/add"):
        refused = client.post(path, {"login": "somebody@example.com", "password": GUESS})
        assert refused.status_code == 403
        assert "This form is out of date." in refused.content.decode()
        assert "<style" not in refused.content.decode()
        client.force_login(make_person(customer, at=at).user)
    told = csrf_refused(rf.post("/api/v1/rooms"))
    assert (told.status_code, told["Content-Type"]) == (403, "application/problem+json")


def test_an_answer_to_somebody_is_never_kept_whatever_the_view_says(db, rf):
    for principal, kept in ((None, "public"), (object(), "no-store")):
        request = rf.get("/rooms")
        request.principal = principal
        answer = RequestMiddleware(lambda _: HttpResponse(headers={"Cache-Control": "public"}))(request)
        assert answer["Cache-Control"] == kept


def test_whom_to_tell_of_a_weakness(db, settings):
    assert Client().get("/.well-known/security.txt").status_code == 404
    settings.SECURITY_CONTACT = "mailto:security@operator.example"
    answer = Client().get("/.well-known/security.txt")
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    told = dict(line.split(": ", 1) for line in answer.content.decode().splitlines())
    assert told["Contact"] == "mailto:security@operator.example"
    assert clock.now() + timedelta(days=30) < datetime.fromisoformat(told["Expires"])
