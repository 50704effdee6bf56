from __future__ import annotations

import gzip
import json
import random
import threading
from datetime import timedelta

import hypothesis
import pytest
from django.db import connections
from django.test import Client
from hypothesis import strategies as st

from enrollment import credentials, keys, nonces, registration
from enrollment.models import DeviceCredential, EnrollmentKey, HardwareFact
from fleet.models import Device, Peripheral, Room
from foundation import clock, tokens
from foundation.context import tenant
from portal.api import failed_attempts
from tenancy.models import AuditEvent, Tenant
from tests.factories.enrollment import Candidate, KeyPair, make_key
from tests.factories.fleet import make_place, make_room
from tests.factories.tenancy import make_customer, make_operator

DAY = timedelta(days=1)
STORED = (Device, DeviceCredential, HardwareFact, Peripheral, Room)
_addresses = random.SystemRandom()


class Caller:
    """A program that posts JSON; raises if anything answers 500."""

    def __init__(self, address: str = "") -> None:
        some = _addresses.randrange(2**16)
        self.address = address or f"198.18.{some >> 8}.{some & 255}"
        self._client = Client(raise_request_exception=True)

    def send(
        self,
        path,
        body=None,
        *,
        method="post",
        token="",
        scheme="Device",
        content_type="application/json",
        **headers,
    ):
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        if token:
            headers["Authorization"] = f"{scheme} {token}"
        return self._client.generic(
            method.upper(),
            f"/device/v1{path}",
            raw,
            content_type=content_type,
            headers=headers,
            REMOTE_ADDR=self.address,
        )

    def nonce(self):
        return self.send("/enroll/challenge").json()["nonce"]

    def enroll(self, key, body, **headers):
        return self.send("/enroll", body, token=key, scheme="Enroll", **headers)


@pytest.fixture
def caller():
    return Caller()


@pytest.fixture
def now(db):
    return clock.now()


@pytest.fixture
def owner(now):
    return make_customer(at=now)


@pytest.fixture
def key(owner, now):
    return make_key(owner, at=now, approval="auto", simple_clients=True)[1]


@pytest.fixture
def token(owner, key, now):
    return Candidate(room={"name": "Aurora"}).enroll(key, at=now).token.text


def simple(nonce, **other):
    return {
        "nonce": nonce,
        "platform": "linux",
        "kind": "room_system",
        "hardware": {"make": "Acme", "model": "One"},
        **other,
    }


def merged(body, **other):
    return {**body, **other}


def counts(owner):
    with tenant(owner.id):
        return {model.__name__: model.objects.for_tenant(owner).count() for model in STORED}


def events(owner, action):
    with tenant(owner.id):
        return list(AuditEvent.objects.for_tenant(owner).filter(action=action).order_by("id"))


def check_problem(answer, status, code=None):
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status and problem["title"]
    assert code is None or problem["code"] == code
    return problem


class TestEnrolling:
    def test_a_challenge_is_good_for_five_minutes(self, caller, now):
        answer = caller.send("/enroll/challenge")
        assert (answer.status_code, answer.json()["expires_in"]) == (200, 300)
        assert nonces.check("enroll", answer.json()["nonce"], at=clock.now())

    def test_a_device_gets_what_the_contract_says(self, caller, owner, key, settings):
        applying = Candidate(room={"name": "Aurora"})
        answer = caller.enroll(key, applying.body(key, at=clock.now(), nonce=caller.nonce()))
        assert answer.status_code == 201
        told = answer.json()
        assert set(told) == {
            "device_id", "token", "expires_at", "status", "heartbeat_interval_s", "heartbeat_url",
        }  # fmt: skip
        assert (told["status"], told["heartbeat_interval_s"]) == ("enrolled", 60)
        assert told["heartbeat_url"] == f"{settings.GREENROOM_INGEST_URL}/device/v1/heartbeats"
        assert told["expires_at"].endswith("Z")
        assert str(credentials.find(told["token"], at=clock.now()).device_id) == told["device_id"]
        (event,) = events(owner, "device.enroll")
        assert (event.actor_kind, event.actor_name, event.address) == (
            "enrollment_key",
            "Installers",
            caller.address,
        )

    def test_a_simple_client_needs_only_what_is_required(self, caller, owner, key):
        answer = caller.enroll(key, simple(caller.nonce()))
        assert (answer.status_code, answer.json()["status"]) == (201, "enrolled")
        empty = {"agent": None, "room": {}, "public_key": "", "signature": None}
        body = simple(caller.nonce(), **empty, future={"a": [1.5]})
        body["hardware"] |= {"serial": None, "firmware_uuid": "", "macs": []}
        assert caller.enroll(key, body).status_code == 201
        assert counts(owner)["Device"] == 2

    def test_what_curl_calls_a_form_is_read_as_json(self, caller, key):
        for kind in ("application/x-www-form-urlencoded", "text/plain", ""):
            answer = caller.enroll(key, simple(caller.nonce()), content_type=kind)
            assert answer.status_code == 201, kind

    def test_a_signed_body_with_any_json_in_it_verifies(self, caller, owner, key):
        applying = Candidate()
        odd = {"é\u20ac\U0001f600": [1e21, 0.1, -0.0, 1e-7, 123456789012, True, None, {"z": 1, "a": '"\\\n'}]}
        body = applying.body(key, at=clock.now(), extra=odd)
        assert caller.enroll(key, body).status_code == 201
        body["extra"] = {}
        check_problem(caller.enroll(key, body), 422, "signature")

    def test_the_same_public_key_is_the_same_device(self, caller, owner, now):
        made, text = make_key(owner, at=now, max_uses=1)
        applying = Candidate()
        answers = [caller.enroll(text, applying.body(text, at=clock.now())) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [201] * 3
        assert len({answer.json()["device_id"] for answer in answers}) == 1
        check_problem(caller.enroll(text, Candidate().body(text, at=clock.now())), 422, "limit")
        with tenant(owner.id):
            made.refresh_from_db()
        assert made.uses == 1

    def test_all_bad_keys_get_one_answer(self, caller, owner, now):
        expired = make_key(owner, at=now - 10 * DAY, expires_at=now - DAY)[1]
        row, revoked = make_key(owner, at=now)
        with tenant(owner.id):
            keys.revoke(row, at=now)
        unknown = tokens.issue("grek", owner.number).text
        stranger = tokens.issue("grek", tokens.MAX_NUMBER).text
        answers = [
            caller.enroll(bad, simple("x")) for bad in (expired, revoked, unknown, stranger, "nonsense")
        ]
        answers.append(caller.send("/enroll", simple("x")))
        answers.append(caller.send("/enroll", simple("x"), token=unknown, scheme="Bearer"))
        for answer in answers:
            check_problem(answer, 401, "unauthorized")
            assert answer["WWW-Authenticate"] == "Enroll"
        assert len({answer.content for answer in answers}) == 1
        assert not any(counts(owner).values())

    def test_refusals_stand_in_the_audit_log_of_the_customer_or_the_operator(self, caller, owner, now):
        operator = make_operator(at=now) if not Tenant.objects.filter(kind="operator").exists() else None
        operator = operator or Tenant.objects.filter(kind="operator").order_by("number").first()
        before = len(events(operator, "enrollment.refused"))
        _, key = make_key(owner, at=now, kinds=["panel"])
        check_problem(caller.enroll(key, Candidate().body(key, at=clock.now())), 422, "kind")
        caller.enroll(tokens.issue("grek", owner.number).text, simple("x"))
        caller.enroll("nonsense", simple("x"))
        reasons = [event.after["reason"] for event in events(owner, "enrollment.refused")]
        assert sorted(reasons) == ["kind", "unauthorized"]
        event = next(each for each in events(owner, "enrollment.refused") if each.after["reason"] == "kind")
        assert (event.result, event.address) == ("failed", caller.address)
        assert event.after["key_id"] == key.split("_")[1]
        assert key.split("_", 2)[2] not in str(event.after)
        assert len(events(operator, "enrollment.refused")) == before + 1

    @pytest.mark.parametrize(
        ("terms", "code"),
        [
            ({"kinds": ["panel"]}, "kind"),
            ({"allowed_cidrs": ["203.0.113.0/24"]}, "address"),
            ({}, "key_pair_required"),
        ],
    )
    def test_a_good_key_says_why_it_refuses(self, caller, owner, now, terms, code):
        _, key = make_key(owner, at=now, **terms)
        applying = Candidate(key=KeyPair.fresh() if terms else None)
        problem = check_problem(caller.enroll(key, applying.body(key, at=clock.now())), 422, code)
        assert problem["detail"]
        assert not any(counts(owner).values())

    def test_a_room_in_an_unsupported_country_is_refused_and_the_customer_reads_why(self, caller, owner, now):
        with tenant(owner.id):
            make_room("Havana", place=make_place(country_code="CU", at=now), at=now)
        _, key = make_key(owner, at=now)
        body = Candidate(room={"name": "Havana"}).body(key, at=clock.now())
        problem = check_problem(caller.enroll(key, body), 422, "country")
        assert problem["errors"][0]["field"] == "room"
        (event,) = events(owner, "enrollment.refused")
        assert event.after["said"] == problem["detail"]
        assert "Cuba" in problem["detail"]

    def test_an_old_or_foreign_nonce_is_refused_with_the_reason(self, caller, owner, key):
        old = nonces.make("enroll", at=clock.now() - timedelta(minutes=6))
        for nonce in (old, nonces.make("rotate", "x", at=clock.now()), "A" * 64, "x"):
            check_problem(caller.enroll(key, simple(nonce)), 422, "nonce")

    def test_ten_failures_a_minute_are_answered_and_who_succeeds_is_not_held_up(self, caller, owner, key):
        bad = [caller.enroll("nonsense", simple("x")) for _ in range(12)]
        assert [answer.status_code for answer in bad[:10]] == [401] * 10
        check_problem(bad[11], 429, "too_often")
        assert 1 <= int(bad[11]["Retry-After"]) <= 60
        assert caller.enroll(key, simple(caller.nonce())).status_code == 201
        assert Caller().enroll("nonsense", simple("x")).status_code == 401

    def test_failures_are_counted_without_redis_too(self, caller, now, monkeypatch, settings):
        away = {"default": {**settings.CACHES["default"], "LOCATION": "redis://127.0.0.1:1/0"}}
        monkeypatch.setattr(failed_attempts.settings, "CACHES", away)
        failed_attempts._counted.cache_clear()
        try:
            statuses = [caller.enroll("nonsense", simple("x")).status_code for _ in range(12)]
        finally:
            failed_attempts._counted.cache_clear()
        assert statuses[:10] == [401] * 10 and 429 in statuses[10:]


MALFORMED = {
    "nothing": b"",
    "no JSON": b"{",
    "a list": b"[]",
    "a text": b'"x"',
    "null": b"null",
    "not UTF-8": b'{"nonce": "\xff"}',
    "UTF-16": '{"nonce": 1}'.encode("utf-16"),
    "a name twice": b'{"nonce": "a", "nonce": "b"}',
    "NaN": b'{"nonce": NaN}',
    "infinity": b'{"nonce": 1e999}',
    "a big integer": b'{"nonce": 123456789012345678901234567890}',
    "NUL": b'{"nonce": "\\u0000"}',
    "half a pair": b'{"nonce": "\\ud800"}',
    "17 levels": b'{"a":' * 17 + b"1" + b"}" * 17,
    "many levels": b"[" * 50_000,
}
WRONG_TYPES = [
    ("nonce", 5), ("nonce", None), ("nonce", ["x"]), ("nonce", {}), ("nonce", ""), ("nonce", "x" * 10_000),
    ("platform", "solaris"), ("platform", 1), ("platform", None), ("platform", ["linux"]), ("platform", {"a": 1}),
    ("kind", "toaster"), ("kind", True), ("hardware", None), ("hardware", "Acme"), ("hardware", []),
    ("hardware", {}), ("hardware", {"make": "", "model": ""}), ("hardware", {"make": 1, "model": 2}),
    ("hardware", {"make": "A" * 10_000, "model": "x"}), ("hardware", {"make": "A", "model": "B", "macs": "x"}),
    ("hardware", {"make": "A", "model": "B", "macs": [1]}), ("hardware", {"make": "A", "model": "B", "macs": ["x"] * 65}),
    ("hardware", {"make": "A", "model": "B", "serial": ["x"]}), ("agent", "x"), ("agent", {"name": 7}),
    ("room", []), ("room", {"name": 7}), ("room", {"name": "x" * 121}), ("public_key", 7), ("public_key", "x"),
    ("public_key", "A" * 44), ("signature", "x"), ("signature", {"a": 1}),
]  # fmt: skip


class TestBadInput:
    """Never a 500, nothing stored, and the answer says what is wrong."""

    PATHS = (
        ("/enroll", "post"),
        ("/token/rotate", "post"),
        ("/token/recover", "post"),
        ("/inventory", "put"),
    )

    def _send(self, caller, path, method, raw, key, token, **headers):
        shown = {"token": key, "scheme": "Enroll"} if path == "/enroll" else {"token": token}
        return caller.send(path, raw, method=method, **shown, **headers)

    def test_malformed_bodies(self, caller, owner, key, token):
        before = counts(owner)
        for name, raw in MALFORMED.items():
            for path, method in self.PATHS:
                if raw == b"" and path == "/inventory":
                    continue  # an empty document
                problem = check_problem(self._send(caller, path, method, raw, key, token), 400)
                assert problem["detail"] and len(problem["detail"]) < 200, (name, path)
        assert counts(owner) == before

    def test_wrong_types_are_named(self, caller, owner, key):
        for member, value in WRONG_TYPES:
            answer = caller.enroll(key, merged(simple(caller.nonce()), **{member: value}))
            problem = check_problem(answer, 400, "invalid")
            assert problem["errors"][0]["field"].split(".")[0] == member, value
        assert not any(counts(owner).values())

    def test_required_members(self, caller, owner, key):
        for member in ("nonce", "platform", "kind", "hardware"):
            body = simple(caller.nonce())
            del body[member]
            problem = check_problem(caller.enroll(key, body), 400, "invalid")
            assert [error["field"] for error in problem["errors"]] == [member]

    def test_any_json_is_answered_and_never_with_a_500(self, caller, owner, key, token):
        text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
        plain = (
            st.none()
            | st.booleans()
            | st.integers(-(2**53), 2**53)
            | st.floats(allow_nan=False, allow_infinity=False)
        )
        anything = st.recursive(
            plain | text,
            lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
            max_leaves=12,
        )
        members = st.sampled_from(
            "nonce platform kind hardware agent room public_key signature device_id peripherals displays make model serial "
            "macs firmware_uuid name connected".split()
        )
        bodies = st.dictionaries(members, anything | st.dictionaries(members, anything), max_size=8)

        @hypothesis.settings(max_examples=60, deadline=None, derandomize=True, database=None)
        @hypothesis.given(bodies, st.sampled_from(self.PATHS))
        def answered(body, where):
            path, method = where
            status = self._send(caller, path, method, json.dumps(body).encode(), key, token).status_code
            assert status in (201, 204, 400, 401, 422, 429)

        answered()

    def test_a_body_of_unknown_length_is_asked_for_its_length(self, caller, key):
        answer = caller.enroll(key, b"", **{"Transfer-Encoding": "chunked"})
        check_problem(answer, 411, "length_required")

    def test_oversized_bodies_and_bombs(self, caller, owner, key, token):
        before = counts(owner)
        bodies = {
            b'{"nonce": "' + b"x" * 700_000 + b'"}': {},
            gzip.compress(b" " * 100_000_000): {"Content-Encoding": "gzip"},
            gzip.compress(b'{"a": "' + b"x" * 600_000 + b'"}'): {"Content-Encoding": "gzip"},
            random.Random(1).randbytes(70_000): {"Content-Encoding": "gzip"},
        }
        for raw, headers in bodies.items():
            for path, method in self.PATHS:
                check_problem(self._send(caller, path, method, raw, key, token, **headers), 413, "too_large")
        assert counts(owner) == before

    def test_broken_gzip_and_unknown_encodings(self, caller, key, token):
        whole = gzip.compress(b'{"a": 1}')
        for raw in (b"{}", whole[:-4], whole + b"x", whole + whole):
            for path, method in self.PATHS:
                check_problem(
                    self._send(caller, path, method, raw, key, token, **{"Content-Encoding": "gzip"}), 400
                )
        check_problem(caller.enroll(key, b"{}", **{"Content-Encoding": "br"}), 415)

    def test_a_gzip_body_is_read(self, caller, owner, key):
        raw = gzip.compress(json.dumps(simple(caller.nonce())).encode())
        assert caller.enroll(key, raw, **{"Content-Encoding": "gzip"}).status_code == 201

    def test_wrong_methods_and_addresses(self, caller, key, token):
        for path, method in self.PATHS:
            shown = {"token": key, "scheme": "Enroll"} if path == "/enroll" else {"token": token}
            for other in {"get", "post", "put", "patch", "delete", "options"} - {method}:
                answer = check_problem(caller.send(path, b"{}", method=other, **shown), 405)
                assert answer["title"] == "Method not allowed"
        for path in ("/enroll/", "/nothing", "/token", "/inventory/"):
            check_problem(caller.send(path, b"{}", token=token), 404)

    def test_an_unacceptable_answer_form_is_said(self, caller, key):
        answer = caller.enroll(key, simple(caller.nonce()), Accept="application/xml")
        assert answer.status_code in (201, 406)


class TestTokens:
    def _rotate(self, caller, token, pair, **other):
        holder = credentials.find(token, at=clock.now())
        nonce = nonces.make("rotate", holder.public_id, at=clock.now())
        body = {
            "nonce": nonce,
            **({"signature": pair.rotation(nonce, holder.device_id)} if pair else {}),
            **other,
        }
        return caller.send("/token/rotate", body, token=token)

    def test_a_token_is_renewed_and_the_old_one_ends_with_the_first_use(self, caller, owner, key):
        applying = Candidate()
        token = applying.enroll(key, at=clock.now()).token.text
        answer = self._rotate(caller, token, applying.key)
        assert answer.status_code == 200 and set(answer.json()) == {"token", "expires_at"}
        assert credentials.find(token, at=clock.now()).valid
        assert caller.send("/inventory", {}, method="put", token=answer.json()["token"]).status_code == 204
        problem = check_problem(caller.send("/inventory", {}, method="put", token=token), 401, "revoked")
        assert "shut out" in problem["detail"]
        (event,) = events(owner, "device.token_rotate")
        assert (event.actor_kind, event.actor_id) == ("device", event.object_id)

    def test_a_simple_client_renews_with_its_token_alone(self, caller, key):
        token = caller.enroll(key, simple(caller.nonce())).json()["token"]
        assert self._rotate(caller, token, None).status_code == 200

    def test_a_wrong_signature_or_nonce_renews_nothing(self, caller, owner, key, token):
        before = counts(owner)
        check_problem(self._rotate(caller, token, KeyPair.fresh()), 422, "signature")
        check_problem(self._rotate(caller, token, None), 422, "signature")
        check_problem(self._rotate(caller, token, KeyPair.fresh(), nonce="x"), 422, "nonce")
        assert counts(owner) == before

    @pytest.mark.parametrize("path", ["/token/rotate", "/inventory"])
    def test_tokens_that_do_not_hold(self, caller, owner, key, token, path):
        method = "put" if path == "/inventory" else "post"
        before = counts(owner)
        wrong = [
            "",
            "x",
            token[:-1],
            tokens.issue("grdt", owner.number).text,
            tokens.issue("grdt", 999).text,
            key,
            "é",
        ]
        for text in wrong:
            answer = caller.send(path, {}, method=method, token=text)
            check_problem(answer, 401, "unauthorized")
            assert answer["WWW-Authenticate"] == "Device"
        with tenant(owner.id):
            rows = DeviceCredential.objects.for_tenant(owner)
            rows.update(expires_at=clock.now())
            check_problem(caller.send(path, {}, method=method, token=token), 401, "expired")
            rows.update(expires_at=clock.now() + DAY, revoked_at=clock.now())
        check_problem(caller.send(path, {}, method=method, token=token), 401, "revoked")
        assert counts(owner) == before

    def test_an_enrollment_key_is_no_token_and_a_token_no_key(self, caller, key, token):
        check_problem(caller.send("/inventory", {}, method="put", token=key, scheme="Enroll"), 401)
        check_problem(caller.enroll(token, simple("x")), 401)


class TestRecovery:
    """Recovery asks whose device it is over another connection: what it needs is committed."""

    @pytest.fixture
    def owner(self, committed_db):
        return make_customer(at=clock.now())

    @pytest.fixture
    def now(self, committed_db):
        return clock.now()

    def _recover(self, caller, whose, pair, **other):
        nonce = caller.nonce()
        body = {
            "device_id": str(whose),
            "nonce": nonce,
            "signature": pair.recovery(nonce, whose),
            **other,
        }
        return caller.send("/token/recover", body)

    def test_a_device_recovers_until_it_is_shut_out(self, caller, owner, key, now):
        applying = Candidate()
        device = applying.enroll(key, at=now).device
        answer = self._recover(caller, device.id, applying.key)
        assert answer.status_code == 200
        assert credentials.find(answer.json()["token"], at=clock.now()).valid
        with tenant(owner.id):
            registration.unenroll(device, at=clock.now())
        check_problem(self._recover(caller, device.id, applying.key), 401, "revoked")

    def test_a_stranger_learns_nothing(self, caller, owner, key, now):
        applying = Candidate()
        device = applying.enroll(key, at=now).device
        before = counts(owner)
        answers = [
            self._recover(caller, device.id, KeyPair.fresh()),
            self._recover(caller, make_key(owner, at=now)[0].id, applying.key),
            self._recover(caller, device.id, applying.key, nonce=nonces.make("enroll", at=now - DAY)),
            self._recover(caller, device.id, applying.key, signature=None),
        ]
        for answer in answers:
            check_problem(answer, 401, "unauthorized")
        assert len({answer.content for answer in answers}) == 1
        for wrong in ("x", 5, None, "A" * 36, ["x"]):
            check_problem(self._recover(caller, device.id, applying.key, device_id=wrong), 400)
        assert counts(owner) == before

    def test_programs_racing_for_the_last_use_get_it_once(self, owner, now):
        _, text = make_key(owner, at=now, max_uses=1, simple_clients=True, approval="auto")
        start = threading.Barrier(5)
        statuses = []

        def race():
            caller = Caller()
            body = simple(caller.nonce())
            start.wait()
            try:
                statuses.append(caller.enroll(text, body).status_code)
            finally:
                connections.close_all()

        threads = [threading.Thread(target=race) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(statuses) == [201] + [422] * 4
        assert counts(owner)["Device"] == 1
        with tenant(owner.id):
            assert EnrollmentKey.objects.for_tenant(owner).get(public_id=text.split("_")[1]).uses == 1


CAMERA = {
    "kind": "camera",
    "make": "Logitech",
    "model": "Rally",
    "vendor_id": "046d",
    "product_id": "0881",
    "serial": "C1",
}
SPEAKER = {"kind": "speaker", "make": "Jabra", "model": "Speak"}

NONSENSE = [
    ({"peripherals": {}}, "peripherals"),
    ({"peripherals": "x"}, "peripherals"),
    ({"peripherals": [1]}, "peripherals.0"),
    ({"peripherals": [CAMERA, {"make": "x"}]}, "peripherals.1.kind"),
    ({"peripherals": [{**CAMERA, "connected": "yes"}]}, "peripherals.0.connected"),
    ({"peripherals": [{**CAMERA, "serial": 5}]}, "peripherals.0.serial"),
    ({"peripherals": [{**CAMERA, "make": "x" * 1001}]}, "peripherals.0.make"),
    ({"peripherals": [CAMERA] * 501}, "peripherals"),
    ({"displays": [{}] * 65}, "displays"),
    ({"displays": [[]]}, "displays.0"),
]


class TestInventory:
    def _put(self, caller, token, document, **other):
        return caller.send("/inventory", document, method="put", token=token, **other)

    def _rows(self, owner):
        with tenant(owner.id):
            rows = Peripheral.objects.for_tenant(owner).order_by("identity")
            return [(row.kind, row.model, row.connected) for row in rows]

    def test_the_document_is_kept_and_its_things_are_rows(self, caller, owner, token):
        document = {
            "peripherals": [CAMERA, SPEAKER, SPEAKER],
            "displays": [{"connector": "HDMI-1", "model": "Wall"}],
        }
        document |= {"network": {"wired": True}, "more": [1.5, {"é": None}]}
        assert self._put(caller, token, document).status_code == 204
        assert self._put(caller, token, document).status_code == 204
        with tenant(owner.id):
            device = Device.objects.for_tenant(owner).get()
            camera = Peripheral.objects.for_tenant(owner).get(kind="camera")
        assert device.inventory == document
        assert device.inventory_digest.startswith("sha256:")
        assert (camera.vendor_id, camera.product_id, camera.serial) == ("046d", "0881", "C1")
        assert self._rows(owner) == [
            ("display", "Wall", True), ("camera", "Rally", True), ("speaker", "Speak", True), ("speaker", "Speak", True),
        ]  # fmt: skip

    def test_what_is_unplugged_stays_known_and_comes_back_as_itself(self, caller, owner, token):
        self._put(caller, token, {"peripherals": [CAMERA, SPEAKER, SPEAKER]})
        self._put(caller, token, {"peripherals": [SPEAKER, {**CAMERA, "connected": False}]})
        assert self._rows(owner) == [
            ("camera", "Rally", False), ("speaker", "Speak", True), ("speaker", "Speak", False),
        ]  # fmt: skip
        with tenant(owner.id):
            camera = Peripheral.objects.for_tenant(owner).get(kind="camera")
        self._put(caller, token, {"peripherals": [{**CAMERA, "firmware": "2.0"}, SPEAKER, SPEAKER]})
        with tenant(owner.id):
            again = Peripheral.objects.for_tenant(owner).get(kind="camera")
        assert (again.id, again.first_seen_at, again.firmware) == (camera.id, camera.first_seen_at, "2.0")
        assert again.connected and again.last_seen_at > camera.last_seen_at
        assert [event.after for event in events(owner, "device.inventory")] == [
            {"added": ["camera Logitech Rally C1", "speaker Jabra Speak", "speaker Jabra Speak"]},
            {"unplugged": ["camera Logitech Rally C1", "speaker Jabra Speak"]},
            {"back": ["camera Logitech Rally C1", "speaker Jabra Speak"]},
        ]

    def test_a_list_left_out_tells_nothing(self, caller, owner, token):
        self._put(caller, token, {"peripherals": [CAMERA], "displays": [{"connector": "HDMI-1"}]})
        self._put(caller, token, {"displays": []})
        assert self._rows(owner) == [("display", "", False), ("camera", "Rally", True)]

    def test_a_laptops_own_panel_is_no_room_display(self, caller, owner, token):
        self._put(caller, token, {"displays": [{"connector": "eDP-1", "built_in": True}]})
        assert self._rows(owner) == [("built_in_display", "", True)]

    def test_the_digest_kept_is_the_one_the_device_told(self, caller, owner, token):
        with tenant(owner.id):
            rows = Device.objects.for_tenant(owner)
            rows.update(document={"inventory_digest": "sha256:its own"})
            self._put(caller, token, {"peripherals": []})
            assert rows.get().inventory_digest == "sha256:its own"

    def test_long_texts_are_cut_and_control_signs_dropped(self, caller, owner, token):
        long = {"kind": "camera", "make": "M" * 900, "model": "a\u0007b\u0085c", "serial": "S" * 500}
        assert (
            self._put(caller, token, {"peripherals": [long, {**long, "product_id": "0" * 300}]}).status_code
            == 204
        )
        with tenant(owner.id):
            row = Peripheral.objects.for_tenant(owner).order_by("product_id").first()
        assert (len(row.make), row.model, len(row.serial)) == (80, "a b c", 64)

    def test_a_document_that_makes_no_sense_changes_nothing(self, caller, owner, token):
        self._put(caller, token, {"peripherals": [SPEAKER]})
        for document, field in NONSENSE:
            problem = check_problem(self._put(caller, token, document), 400, "invalid")
            assert problem["errors"][0]["field"] == field
        assert self._rows(owner) == [("speaker", "Speak", True)]
        with tenant(owner.id):
            assert Device.objects.for_tenant(owner).get().inventory == {"peripherals": [SPEAKER]}

    def test_one_customers_device_cannot_reach_anothers(self, caller, owner, token, now):
        other = make_customer(at=now)
        _, other_key = make_key(other, at=now)
        Candidate().enroll(other_key, at=now)
        self._put(caller, token, {"peripherals": [CAMERA]})
        assert counts(other)["Peripheral"] == 0
        number = tokens.parse("grdt", token).tenant_number
        forged = token.replace(token[5:10], other_key[5:10], 1)
        assert number == owner.number
        check_problem(self._put(caller, forged, {}), 401)


def test_every_address_of_devices_is_described(db):
    from portal.api.schema import document

    paths = document()["paths"]
    wanted = {
        "/device/v1/enroll/challenge": "post",
        "/device/v1/enroll": "post",
        "/device/v1/token/rotate": "post",
        "/device/v1/token/recover": "post",
        "/device/v1/inventory": "put",
    }
    for path, method in wanted.items():
        described = paths[path][method]
        assert described["operationId"].startswith("device_")
        assert described["tags"] == ["device"]
    enroll = paths["/device/v1/enroll"]["post"]
    assert {"201", "400", "401", "422", "429"} <= enroll["responses"].keys()
    assert enroll["security"] == [{"enrollmentKey": []}]
    assert not paths["/device/v1/enroll/challenge"]["post"].get("security")
