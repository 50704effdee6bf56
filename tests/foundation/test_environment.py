from __future__ import annotations

import os
import subprocess
import sys

import pytest

from foundation.environment import BadSetting, Environment, MailServer


def read(**variables):
    environment = Environment(variables)
    port = environment.integer("GREENROOM_PORT", 8000, "Port.", least=1, most=65534)
    debug = environment.flag("GREENROOM_DEBUG", False, "Debug.")
    database = environment.database("DATABASE_URL", "Database.")
    environment.finish()
    return port, debug, database


def test_defaults_and_given_values():
    assert read() == (8000, False, {})
    port, debug, database = read(
        GREENROOM_PORT="9000", GREENROOM_DEBUG="yes", DATABASE_URL="postgresql://app:p%40ss@db:6432/rooms"
    )
    assert (port, debug) == (9000, True)
    assert database == {"NAME": "rooms", "USER": "app", "PASSWORD": "p@ss", "HOST": "db", "PORT": "6432"}


def test_every_bad_value_is_named_at_once():
    with pytest.raises(BadSetting) as refusal:
        read(GREENROOM_PORT="99999", GREENROOM_DEBUG="maybe", DATABASE_URL="mysql://x/y")
    text = str(refusal.value)
    assert "GREENROOM_PORT must be 1 to 65534." in text
    assert "GREENROOM_DEBUG must be true or false." in text
    assert "DATABASE_URL must look like postgresql://" in text
    assert len(text.splitlines()) == 4


def test_networks():
    def networks(value):
        environment = Environment({"GREENROOM_DDI_PROXIES": value})
        found = environment.networks("GREENROOM_DDI_PROXIES", "", "Proxies.")
        environment.finish()
        return [str(each) for each in found]

    assert networks("") == []
    assert networks("192.0.2.7, 2001:db8::/32,") == ["192.0.2.7/32", "2001:db8::/32"]
    with pytest.raises(BadSetting, match=r"GREENROOM_DDI_PROXIES must look like 192\.0\.2\.7"):
        networks("192.0.2.7/8")


def mail_server(address):
    environment = Environment({"GREENROOM_MAIL_URL": address})
    found = environment.mail_server("GREENROOM_MAIL_URL", "Mail.")
    environment.finish()
    return found


@pytest.mark.parametrize(
    ("address", "read"),
    [
        ("", None),
        ("smtp://me:p%40ss%2F@mail.example", MailServer("mail.example", 587, "me", "p@ss/", "starttls")),
        ("smtps://me:pass@mail.example", MailServer("mail.example", 465, "me", "pass", "at once")),
        ("smtp://[::1]:2525", MailServer("::1", 2525, "", "", "starttls")),
        ("smtp://relay:25?tls=none", MailServer("relay", 25, "", "", "none")),
    ],
)
def test_a_mail_server(address, read):
    assert mail_server(address) == read


@pytest.mark.parametrize(
    "address",
    [
        "mail.example",
        "http://mail.example",
        "smtp://",
        "smtp://mail.example:many",
        "smtp://mail.example:99999",
        "smtp://me@mail.example",
        "smtp://mail.example/in",
        "smtps://mail.example?tls=none",
        "smtp://me:pass@mail.example?tls=none",
        "smtp://[mail",
    ],
)
def test_a_mail_server_that_cannot_be(address):
    with pytest.raises(BadSetting, match="GREENROOM_MAIL_URL must") as refusal:
        mail_server(address)
    assert "pass" not in str(refusal.value).replace("password", "")


def test_production_says_what_it_lacks_for_mail(tmp_path):
    """The whole settings, in a process of their own."""
    given = {
        **{name: value for name, value in os.environ.items() if not name.startswith("GREENROOM_")},
        "GREENROOM_MODE": "production",
        "GREENROOM_HOME": str(tmp_path),
        "GREENROOM_SECRET_KEY": "k" * 40,
    }

    def read_settings(**more):
        command = [sys.executable, "-c", "import portal.settings as s; print(s.EMAIL_BACKEND)"]
        return subprocess.run(
            command, env={**given, **more}, capture_output=True, text=True, check=False, timeout=60
        )

    refused = read_settings()
    assert refused.returncode == 1
    assert "GREENROOM_MAIL_URL must be set in production" in refused.stderr
    assert "GREENROOM_MAIL_FROM must be set in production" in refused.stderr
    mails = {"GREENROOM_MAIL_URL": "smtps://me:pass@mail.example", "GREENROOM_MAIL_FROM": "rooms@a.example"}
    assert read_settings(**mails).stdout == "workers.mail_server.MailServerBackend\n"
    wrong = read_settings(**{**mails, "GREENROOM_MAIL_FROM": "nobody"})
    assert "GREENROOM_MAIL_FROM must look like" in wrong.stderr
