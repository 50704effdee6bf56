from __future__ import annotations

import json
import logging

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from foundation import secrets, tokens
from foundation.ids import new_id
from foundation.logs import HideSecrets, json_lines, without_secrets


@given(st.integers(1, tokens.MAX_NUMBER))
def test_an_issued_token_parses_back_to_its_tenant_and_digest(number):
    issued = tokens.issue("grek", number)
    presented = tokens.parse("grek", issued.text)
    assert presented is not None
    assert (presented.public_id, presented.tenant_number) == (issued.public_id, number)
    assert presented.matches(issued.digest)
    assert tokens.parse("grdt", issued.text) is None


@given(st.data())
def test_a_token_with_any_character_changed_is_none(data):
    text = tokens.issue("grat", 77).text
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters().filter(lambda character: character != text[place]))
    assert tokens.parse("grat", text[:place] + other + text[place + 1 :]) is None


@given(st.text())
def test_any_text_is_a_token_or_none(text):
    assert tokens.parse("grat", text) is None


@pytest.fixture
def keyring(settings):
    settings.GREENROOM_FIELD_KEYS = [Fernet.generate_key().decode()]
    return settings


def test_a_sealed_secret_opens_for_its_tenant_and_field_only(keyring):
    owner = new_id()
    sealed = secrets.seal("hunter2", tenant_id=owner, field="servicenow.password")
    assert b"hunter2" not in sealed
    assert secrets.unseal(sealed, tenant_id=owner, field="servicenow.password") == "hunter2"
    for tenant_id, field in ((new_id(), "servicenow.password"), (owner, "other")):
        with pytest.raises(secrets.SecretUnreadable):
            secrets.unseal(sealed, tenant_id=tenant_id, field=field)
    with pytest.raises(secrets.SecretUnreadable):
        secrets.unseal(sealed[:-2] + b"xx", tenant_id=owner, field="servicenow.password")


def test_a_secret_names_its_key_and_moves_to_the_newest(keyring):
    owner = new_id()
    sealed = secrets.seal("hunter2", tenant_id=owner, field="f")
    old = secrets.key_of(sealed.decode())
    keyring.GREENROOM_FIELD_KEYS = [Fernet.generate_key().decode(), *keyring.GREENROOM_FIELD_KEYS]
    assert secrets.unseal(sealed, tenant_id=owner, field="f") == "hunter2"
    moved = secrets.resealed(sealed)
    keyring.GREENROOM_FIELD_KEYS = keyring.GREENROOM_FIELD_KEYS[:1]
    assert secrets.unseal(moved, tenant_id=owner, field="f") == "hunter2"
    assert secrets.key_of(moved.decode()) == secrets.keys().newest != old
    with pytest.raises(secrets.SecretUnreadable):
        secrets.unseal(sealed, tenant_id=owner, field="f")


@pytest.mark.parametrize(
    "line",
    [
        "Authorization: Device {secret}",
        "headers {{'authorization': 'Bearer {secret}'}}",
        "Bearer {secret}",
        "POST client_secret={secret}&grant_type=x",
        '{{"password": "{secret}"}}',
        "cookie: sessionid={secret}; csrftoken={secret}",
        "postgresql://greenroom_app:{secret}@127.0.0.1/greenroom",
        "https://user:{secret}@relay.example/x",
        "{{'password': ['{secret}'], 'login': ['ada']}}",
        "password1={secret}&password2={secret}",
        "oldpassword={secret} new_password: {secret}",
        "PGPASSWORD={secret} DB_PASSWORD='{secret}'",
        "GREENROOM_SECRET_KEY={secret}",
        '{{"body": "{{\\"password\\": \\"{secret}\\"}}"}}',
        "client_secret%3D{secret}",
        "[(b'cookie', b'sessionid={secret}')]",
        "sessionid={secret}; path=/",
        "smtp://greenroom:{secret}@mail.example:587",
    ],
)
def test_no_secret_reaches_a_log(line):
    secret = "s3cr3t-Value_0123456789"
    record = logging.LogRecord("x", logging.INFO, "", 0, "%s", (line.format(secret=secret),), None)
    HideSecrets().filter(record)
    assert secret not in record.getMessage()


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("{'password': 'three plain words', 'name': 'Ada'}", "{'password': '[hidden]', 'name': 'Ada'}"),
        (r'{"password": "with \" a quote", "a": 1}', '{"password": "[hidden]", "a": 1}'),
        ("password=one&name=Ada", "password=[hidden]&name=Ada"),
        ("password: ''", "password: ''"),
        ('password: "never closed and more', 'password: "[hidden]'),
    ],
)
def test_a_secret_is_hidden_to_its_end_and_no_further(line, shown):
    assert without_secrets(line) == shown


def test_our_own_tokens_keep_their_public_half_in_a_log():
    issued = tokens.issue("grdt", 5)
    shown = without_secrets(f"unknown token {issued.text}!")
    assert issued.public_id in shown
    assert issued.text not in shown


@pytest.mark.parametrize("start", ["/invitation/{}", "Unprocessable Entity: /invitation/{} and more"])
def test_a_link_that_lets_somebody_in_reaches_no_log(start):
    secret = tokens.issue("grin", 5).text
    assert secret not in without_secrets(start.format(secret))
    line = "Not Found: /sign-in/new-password/3f-d1x2c3-0123456789abcdef0123456789abcdef"
    assert "0123456789" not in without_secrets(line)


def test_a_json_log_line_tells_time_level_logger_and_event():
    line = json_lines().format(logging.LogRecord("fleet", logging.WARNING, "", 0, "late by %d s", (7,), None))
    told = json.loads(line)
    assert (told["level"], told["logger"], told["event"]) == ("warning", "fleet", "late by 7 s")
    assert told["timestamp"].endswith("Z")
