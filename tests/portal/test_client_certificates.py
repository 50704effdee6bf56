"""Devices that get in by a client certificate a proxy in front checked."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from enrollment import credentials, issuers
from enrollment.models import TrustedIssuer
from fleet.errors import AlreadyThere
from fleet.models import Device
from foundation import clock
from foundation.context import tenant
from foundation.errors import NotValid
from tenancy.models import AuditEvent
from tests.factories.api import Api, make_api_token
from tests.factories.tenancy import make_customer, make_person
from tests.factories.updates import make_fleet
from updates.models import UpdateClient

SHA256, SHA1 = "ab" * 32, "cd" * 20
PROXY = "192.0.2.7"


@pytest.fixture
def now(db: None) -> Any:
    return clock.now()


@pytest.fixture(autouse=True)
def _proxies(settings: Any) -> None:
    settings.GREENROOM_DDI_PROXIES = [ip_network("192.0.2.0/28"), ip_network("2001:db8::/32")]


@pytest.fixture
def device(customer: Any, now: Any) -> Device:
    """Of a customer that trusts an issuer."""
    with tenant(customer.id):
        [made] = make_fleet(rings_of={"Staging": 1}, at=now)["Staging"]
        issuers.add(label="Factory", fingerprint=SHA256, at=now)
    return made


def asks(owner: Any, controller: object, *, by: str = PROXY, method: str = "get", **headers: str) -> Any:
    """`headers`: X_Authority for X-Authority; the certificate names the device unless told otherwise."""
    told = {"X-Controller-Id": str(controller)} | {name.replace("_", "-"): v for name, v in headers.items()}
    client = Client(REMOTE_ADDR=by)
    return getattr(client, method)(f"/{owner.number}/controller/v1/{controller}", headers=told)


@pytest.mark.parametrize(
    "headers",
    [
        {"X_Authority": SHA256},
        {"X_Authority": SHA256.upper()},
        {"X_Authority": ":".join(["AB"] * 32)},
        {"X_Authority": f"{'0' * 64}; {SHA256}"},
        {"X_Authority": f"{'0' * 64},{SHA256}"},
        {"X_Authority_0": "0" * 64, "X_Authority_1": SHA256},
    ],
)
def test_a_device_gets_in_by_a_certificate_of_a_trusted_issuer(customer, device, headers):
    answer = asks(customer, device.id, **headers)
    assert answer.status_code == 200
    assert answer.json()["_links"]["configData"]["href"].endswith(f"/controller/v1/{device.id}/configData")
    by_serial = asks(customer, device.serial_number, **headers)
    assert by_serial.status_code == 200
    with tenant(customer.id):
        known = UpdateClient.objects.for_tenant(customer).get()
        assert (known.device_id, known.controller_id) == (device.id, device.serial_number)
        assert known.last_poll_at is not None


@pytest.mark.parametrize(
    ("by", "headers"),
    [
        ("198.51.100.7", {"X_Authority": SHA256}),  # no proxy of ours
        ("198.51.100.8", {"X_Authority": SHA256, "X_Forwarded_For": PROXY}),
        ("192.0.2.1", {}),
        ("192.0.2.2", {"X_Authority": ""}),
        ("192.0.2.3", {"X_Authority": SHA256[:-1]}),
        ("192.0.2.4", {"X_Authority": "\xe4" * 64}),
        ("192.0.2.5", {"X_Authority": SHA256, "X_Controller_Id": "another"}),
        ("192.0.2.6", {"X_Authority": SHA256, "X_Controller_Id": ""}),
        ("192.0.2.8", {"X_Authority": SHA256, "Authorization": "TargetToken wrong"}),
        ("192.0.2.9", {"X_Authority_99": SHA256}),
        ("192.0.2.0", {"X_Authority": "0" * 64, "X_Authority_0": SHA256}),  # the second is the device's own
    ],
)
def test_others_do_not_and_get_an_empty_401(customer, device, by, headers):
    answer = asks(customer, device.id, by=by, **headers)
    assert (answer.status_code, answer.content) == (401, b"")


def test_a_certificate_opens_no_other_customer_and_no_device_nobody_knows(customer, device, now):
    other = make_customer(at=now)
    with tenant(other.id):
        [theirs] = make_fleet(rings_of={"Staging": 1}, at=now)["Staging"]
    for owner, controller in ((other, theirs.id), (customer, theirs.id), (customer, "nobody")):
        answer = asks(owner, controller, by="192.0.2.10", X_Authority=SHA256)
        assert (answer.status_code, answer.content) == (401, b"")
    nameless = Client(REMOTE_ADDR="2001:db8::1").get(
        f"/DEFAULT/controller/v1/{device.id}",
        headers={"X-Controller-Id": str(device.id), "X-Authority": SHA256},
    )
    assert nameless.status_code == 401, "a certificate does not say whose it is"


def test_nobody_is_taken_for_another_by_the_name_it_calls_itself(customer, device, now):
    with tenant(customer.id):
        [squatter] = make_fleet(rings_of={"General": 1}, at=now)["General"]
        token = credentials.issue(squatter, public_key=None, at=now)
    address = f"/{customer.number}/controller/v1/{device.serial_number}"
    squats = Client(headers={"Authorization": f"TargetToken {token.text}"})
    assert squats.get(address).status_code == 200
    answer = asks(customer, device.serial_number, by="192.0.2.11", X_Authority=SHA256)
    assert answer.status_code == 401
    assert asks(customer, device.id, by="192.0.2.11", X_Authority=SHA256).status_code == 200


def test_an_issuer_no_longer_trusted_lets_nobody_in(customer, device, now):
    assert asks(customer, device.id, X_Authority=SHA256).status_code == 200
    with tenant(customer.id):
        issuers.remove(TrustedIssuer.objects.for_tenant(customer).get(), at=now)
    assert asks(customer, device.id, by="192.0.2.12", X_Authority=SHA256).status_code == 401


def test_a_device_that_was_put_out_stays_out(customer, device):
    with tenant(customer.id):
        Device.objects.for_tenant(customer).filter(id=device.id).update(status=Device.Status.QUARANTINED)
    assert asks(customer, device.id, by="192.0.2.13", X_Authority=SHA256).status_code == 401


def test_without_a_proxy_of_ours_the_headers_count_for_nothing(customer, device, settings):
    settings.GREENROOM_DDI_PROXIES = []
    assert asks(customer, device.id, by="192.0.2.14", X_Authority=SHA256).status_code == 401


def test_issuers_are_kept_in_one_way_of_writing_and_once(customer, now, monkeypatch):
    with tenant(customer.id):
        row = issuers.add(label=" Factory ", fingerprint=":".join(["CD"] * 20), at=now)
        assert (row.label, row.fingerprint) == ("Factory", SHA1)
        with pytest.raises(AlreadyThere):
            issuers.add(label="Again", fingerprint=SHA1, at=now)
        for wrong in ("", "ab", "zz" * 32, "ab" * 33):
            with pytest.raises(NotValid):
                issuers.add(label="Wrong", fingerprint=wrong, at=now)
        monkeypatch.setattr(issuers, "MOST", 1)
        with pytest.raises(NotValid):
            issuers.add(label="One more", fingerprint=SHA256, at=now)


def test_people_and_programs_say_whom_to_trust(customer, now):
    with tenant(customer.id):
        admin = make_person(customer, "pro_manager", at=now)
    api = Api(make_api_token(customer, at=now))
    made = api.post("/certificate-issuers", {"label": "Factory", "fingerprint": SHA256}).json()
    assert api.get("/certificate-issuers").json()["results"] == [made]
    client = Client()
    client.force_login(admin.user)
    page = client.get(reverse("portal:key-list")).content.decode()
    assert "Client certificates" in page
    assert "Factory" in page
    assert api.delete(f"/certificate-issuers/{made['id']}").status_code == 204
    assert api.delete(f"/certificate-issuers/{made['id']}").status_code == 404
    with tenant(customer.id):
        told = AuditEvent.objects.for_tenant(customer).filter(action__startswith="certificate_issuer")
        assert list(told.order_by("id").values_list("action", flat=True)) == [
            "certificate_issuer.create",
            "certificate_issuer.delete",
        ]


def test_who_has_no_such_proxy_is_not_bothered_with_it(customer, now, settings):
    settings.GREENROOM_DDI_PROXIES = []
    client = Client()
    client.force_login(make_person(customer, "pro_manager", at=now).user)
    assert "Client certificates" not in client.get(reverse("portal:key-list")).content.decode()
