from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connections

from enrollment import keys
from enrollment.errors import BadCredential, EnrollmentRefused
from enrollment.models import EnrollmentKey
from fleet.errors import Missing
from foundation import tokens
from foundation.context import tenant
from foundation.errors import NotValid
from tenancy.models import AuditEvent
from tests.factories.enrollment import make_key
from tests.factories.tenancy import make_customer

DAY = timedelta(days=1)


def actions(customer):
    with tenant(customer.id):
        rows = AuditEvent.objects.for_tenant(customer).filter(action__startswith="enrollment_key")
        return sorted(rows.values_list("action", flat=True))


def test_a_key_is_found_by_its_text_which_is_kept_nowhere(customer, at):
    made, text = make_key(customer, at=at)
    assert keys.find(text, at=at) == made
    with tenant(customer.id):
        stored = EnrollmentKey.objects.for_tenant(customer).values().get()
    assert text.split("_", 2)[2][:43] not in str(stored)
    assert bytes(stored["digest"]) == tokens.parse("grek", text).digest
    assert (made.expires_at, made.approval, made.uses) == (at + 30 * DAY, "manual", 0)
    assert actions(customer) == ["enrollment_key.create"]


def test_what_is_no_key_of_ours_is_not_found(customer, at):
    _, text = make_key(customer, at=at)
    unknown = tokens.issue("grek", customer.number).text
    for wrong in ("", "x", text[:-1], text.swapcase(), "grdt" + text[4:], unknown, text + " "):
        assert keys.find(wrong, at=at) is None
    assert keys.owner_of(unknown) == customer
    assert keys.owner_of("nonsense") is None


def test_a_key_ends_with_its_time_and_with_its_revocation(customer, at):
    made, text = make_key(customer, at=at, expires_at=at + DAY)
    assert keys.find(text, at=at + DAY - timedelta(seconds=1))
    assert keys.find(text, at=at + DAY) is None
    with tenant(customer.id):
        keys.revoke(made, at=at)
        keys.revoke(made, at=at)
    assert keys.find(text, at=at) is None
    assert actions(customer) == ["enrollment_key.create", "enrollment_key.revoke"]


def test_a_reset_key_has_a_new_text_and_the_same_terms(customer, at):
    terms = {"kinds": ["video_bar"], "approval": "auto", "max_uses": 7, "allowed_cidrs": ["192.0.2.0/24"]}
    made, text = make_key(customer, at=at, expires_at=at + 10 * DAY, **terms)
    with tenant(customer.id):
        fresh, new_text = keys.reset(made, at=at + 5 * DAY)
    assert keys.find(text, at=at + 5 * DAY) is None
    assert keys.find(new_text, at=at + 5 * DAY) == fresh
    assert fresh.expires_at == at + 15 * DAY
    assert {name: getattr(fresh, name) for name in terms} == terms


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        ({"label": ""}, "label"),
        ({"label": "x" * 81}, "label"),
        ({"kinds": ["toaster"]}, "kinds"),
        ({"approval": "perhaps"}, "approval"),
        ({"allowed_cidrs": ["300.0.0.1/8"]}, "allowed_cidrs"),
        ({"allowed_cidrs": [f"10.{each}.0.0/16" for each in range(21)]}, "allowed_cidrs"),
        ({"max_uses": 0}, "max_uses"),
        ({"max_uses": 100_001}, "max_uses"),
        ({"expires_at": timedelta(0)}, "expires_at"),
        ({"expires_at": timedelta(days=367)}, "expires_at"),
    ],
)
def test_terms_that_make_no_sense_are_refused_by_field(customer, at, terms, field):
    if "expires_at" in terms:
        terms = {"expires_at": at + terms["expires_at"]}
    with pytest.raises(NotValid) as refusal:
        make_key(customer, at=at, **terms)
    assert refusal.value.field == field


def test_another_customers_key_does_not_exist(customer, at):
    made, _ = make_key(customer, at=at)
    other = make_customer(at=at)
    with tenant(customer.id):
        assert keys.key(made.id) == made
    with tenant(other.id), pytest.raises(Missing):
        keys.key(made.id)


def test_a_key_is_for_its_kinds_and_networks(customer, at):
    networks = ["192.0.2.0/24", "2001:db8::/32"]
    made, _ = make_key(customer, at=at, kinds=["panel", "console"], allowed_cidrs=networks)
    for address in ("192.0.2.200", "2001:db8::1", "::ffff:192.0.2.1"):
        keys.check_allowed(made, kind="panel", address=address)
    for address in ("192.0.3.1", "2001:db9::1", None):
        with pytest.raises(EnrollmentRefused) as refusal:
            keys.check_allowed(made, kind="panel", address=address)
        assert refusal.value.code == "address"
    with pytest.raises(EnrollmentRefused, match="panel, console") as refusal:
        keys.check_allowed(made, kind="room_system", address="192.0.2.1")
    assert refusal.value.code == "kind"


def test_uses_are_counted_to_the_limit_and_not_beyond(customer, at):
    made, text = make_key(customer, at=at, max_uses=2)
    with tenant(customer.id):
        keys.take_use(made, at=at)
        keys.take_use(made, at=at)
        with pytest.raises(EnrollmentRefused) as refusal:
            keys.take_use(made, at=at)
        assert refusal.value.code == "limit"
        made.refresh_from_db()
        assert (made.uses, made.last_used_at) == (2, at)
        keys.revoke(made, at=at)
        with pytest.raises(BadCredential):
            keys.take_use(made, at=at)
    assert keys.find(text, at=at) is None


def test_racing_devices_share_the_last_uses(committed_db, at):
    customer = make_customer(at=at)
    made, _ = make_key(customer, at=at, max_uses=3)
    start = threading.Barrier(8)
    outcomes = []

    def race():
        start.wait()
        try:
            with tenant(customer.id):
                keys.take_use(made, at=at)
            outcomes.append("in")
        except EnrollmentRefused as refusal:
            outcomes.append(refusal.code)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=race) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["in"] * 3 + ["limit"] * 5
    with tenant(customer.id):
        made.refresh_from_db()
    assert made.uses == 3
