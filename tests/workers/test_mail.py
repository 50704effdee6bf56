"""Mail as the outbox sends it: to a real conversation with a mail server, over TLS, through its faults."""

from __future__ import annotations

from datetime import timedelta

import pytest

from foundation import clock, mail, outbox
from foundation.context import tenant
from foundation.environment import Environment
from foundation.models import OutboxEntry
from tests.factories.tenancy import make_customer
from tests.standins import smtp
from tests.standins.tls import make_certificates
from workers.effects import SENDERS

pytestmark = pytest.mark.usefixtures("committed_db")
USERS = {"greenroom": "p@ss word"}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("mail"))


@pytest.fixture
def reach(settings, certificates):
    """The installation's way to a mail server, as its settings would make it."""

    def reached(address: str, *, trusted: bool = True) -> None:
        server = Environment({"MAIL": address}).mail_server("MAIL", "")
        assert server is not None, address
        settings.EMAIL_BACKEND = "workers.mail_server.MailServerBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = server.host, server.port
        settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = server.user, server.password
        settings.EMAIL_USE_SSL = server.tls == "at once"
        settings.EMAIL_USE_TLS = server.tls == "starttls"
        settings.DEFAULT_FROM_EMAIL = "Greenroom <rooms@operations.example>"
        settings.GUARDED_CLIENT_CA = str(certificates[0]) if trusted else ""

    return reached


class Sent:
    """One mail of a new customer, and what came of it."""

    def __init__(self, secret: str | None = None) -> None:
        self.owner = make_customer(at=clock.now())
        with tenant(self.owner.id):
            self.id = mail.queue(
                tenant_id=self.owner.id,
                to="nora@fjord.example",
                subject="Fjord Hotels invites you",
                text=f"Open https://rooms.example/invitation/{mail.HERE}\n.\nÅpne",
                secret=secret,
                at=clock.now(),
            ).id

    def send(self, *, later: timedelta = timedelta()) -> None:
        mine = {mail.KIND: lambda each: SENDERS[mail.KIND](each) if each.tenant_id == self.owner.id else None}
        outbox.send_due(mine, at=clock.now() + later)

    @property
    def row(self) -> OutboxEntry:
        with tenant(self.owner.id):
            row: OutboxEntry = OutboxEntry.objects.for_tenant(self.owner).get(id=self.id)
            return row


@pytest.mark.parametrize("at_once", [False, True])
def test_a_mail_arrives_over_tls_and_with_its_secret(certificates, reach, at_once):
    told = smtp.MailServer(certificate=certificates[1], at_once=at_once, users=USERS)
    with smtp.running(told):
        reach(f"{'smtps' if at_once else 'smtp'}://greenroom:p%40ss%20word@localhost:{told.port}")
        sent = Sent(secret="grin_once")
        sent.send()
    row = sent.row
    assert (row.state, row.payload, "fjord" in row.lane) == ("done", {}, False)
    (arrived,) = told.mails
    assert told.recipients == ["nora@fjord.example"]
    assert (arrived["From"], arrived["Subject"]) == (
        "Greenroom <rooms@operations.example>",
        "Fjord Hotels invites you",
    )
    assert arrived["Message-ID"] == f"<{sent.id}@operations.example>"
    assert arrived.get_content() == "Open https://rooms.example/invitation/grin_once\n.\nÅpne\n"
    assert [line for line in told.heard_in_clear if not line.startswith(("ehlo", "STARTTLS"))] == []


def test_a_relay_on_the_same_network_may_do_without_tls(reach):
    with smtp.running(smtp.MailServer()) as told:
        reach(f"smtp://127.0.0.1:{told.port}?tls=none")
        sent = Sent()
        sent.send()
    assert (sent.row.state, len(told.mails)) == ("done", 1)


@pytest.mark.parametrize("offers", [True, False])
def test_neither_password_nor_mail_goes_to_a_server_that_is_not_ours(certificates, reach, offers):
    """One with a certificate of somebody else, and one that offers no TLS at all."""
    told = smtp.MailServer(certificate=certificates[1] if offers else None, users=USERS)
    with smtp.running(told):
        reach(f"smtp://greenroom:p%40ss%20word@localhost:{told.port}", trusted=not offers)
        sent = Sent()
        sent.send()
    assert (sent.row.state, told.mails) == ("due", [])
    assert not any("AUTH" in line or "MAIL" in line for line in told.heard_in_clear)


@pytest.mark.parametrize(
    ("verb", "answer", "state"),
    [
        ("connect", "554 no service", "due"),
        ("AUTH", "535 wrong password", "due"),
        ("RCPT", "450 busy, greylisted", "due"),
        ("RCPT", "550 no such person", "dead"),
        ("MAIL", "451 later", "due"),
        ("END", "452 full", "due"),
        ("END", "554 looks like spam", "dead"),
        ("DATA", "421 closing", "due"),
    ],
)
def test_what_the_server_says_decides_whether_it_is_tried_again(certificates, reach, verb, answer, state):
    told = smtp.MailServer(certificate=certificates[1], users=USERS, answers={verb: [answer]})
    with smtp.running(told):
        reach(f"smtp://greenroom:p%40ss%20word@localhost:{told.port}")
        sent = Sent()
        sent.send()
        assert (sent.row.state, told.mails) == (state, [])
        assert answer[:3] in sent.row.last_error
        sent.send(later=timedelta(minutes=1))
    assert sent.row.state == ("done" if state == "due" else "dead")
    assert len(told.mails) == (state == "due")


def test_a_server_that_is_away_is_tried_again(reach):
    with smtp.running(smtp.MailServer()) as told:
        pass
    reach(f"smtp://127.0.0.1:{told.port}?tls=none")
    sent = Sent()
    sent.send()
    assert (sent.row.state, sent.row.last_error) == ("due", "The mail server is away: ConnectionRefusedError")
