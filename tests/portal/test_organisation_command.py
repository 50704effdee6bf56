"""Organisations come to be by a command: the first administrator by mail, the rest through the portal."""

from __future__ import annotations

import io

import pytest
from django.core.management import CommandError, call_command

from tenancy.models import Tenant
from tests.factories.sign_in import browser
from tests.factories.tenancy import make_agent, make_operator
from tests.portal.test_people import GOOD, link_in_mail, signed_in, words


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("organisation", *arguments, stdout=out)
    return out.getvalue()


def test_a_customer_begins_with_an_invited_administrator(db):
    said = run("add", "Fjord Hotels", "--time-zone", "Europe/Oslo", "--administrator", "nora@fjord.example")
    assert "nora@fjord.example is invited as Pro Manager" in said
    link = link_in_mail(Tenant.objects.get(name="Fjord Hotels"))
    guest = browser()
    guest.post(link, {"name": "Nora Lind", "password": GOOD, "again": GOOD})
    assert guest.get("/settings/people").status_code == 200


def test_an_operator_serves_a_customer_from_then_on(db, at):
    run("add", "Fjord Hotels", "--administrator", "nora@fjord.example")
    mina = make_agent(make_operator(at=at), [], at=at)
    assert "Fjord Hotels" not in words(signed_in(mina).get("/operations/tenants"))
    assert "Mina Okafor serves Fjord Hotels" in run("serve", "Fjord Hotels", mina.email)
    assert "Fjord Hotels" in words(signed_in(mina).get("/operations/tenants"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("add", "X", "--administrator", "nobody"), "Write an address like"),
        (
            ("add", "X", "--time-zone", "Mars/Base", "--administrator", "a@b.example"),
            "no time zone Mars/Base",
        ),
        (("add", "X", "--kind", "partner", "--administrator", "a@b.example"), "needs the domain"),
        (("serve", "Nowhere", "a@b.example"), "There is no customer Nowhere"),
    ],
)
def test_what_is_wrong_is_said_and_leaves_nothing(db, arguments, message):
    with pytest.raises(CommandError, match=message):
        run(*arguments)
    assert not Tenant.objects.filter(name="X").exists()


def test_a_domain_is_one_partners(db):
    run("add", "One", "--kind", "partner", "--domain", "av.example", "--administrator", "a@av.example")
    with pytest.raises(CommandError, match="Another organisation has the domain"):
        run("add", "Two", "--kind", "partner", "--domain", "AV.example", "--administrator", "b@av.example")
