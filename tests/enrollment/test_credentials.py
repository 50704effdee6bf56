from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta

import pytest

from enrollment import credentials, nonces
from enrollment.errors import BadCredential, Refused, Revoked
from enrollment.models import DeviceCredential
from fleet.models import Device, MonitoringSettings
from foundation import tokens
from foundation.context import tenant
from tenancy.models import AuditEvent
from tests.factories.enrollment import KeyPair, make_device, make_token
from tests.factories.tenancy import make_customer

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture
def key():
    return KeyPair.fresh()


@pytest.fixture
def device(customer, at):
    return make_device(customer, at=at)


@pytest.fixture
def token(device, key, at):
    return make_token(device, key, at=at)


def rotated(text, key, *, at):
    """What a device does with a nonce it was given: shows its token and signs."""
    holder = credentials.find(text, at=at)
    nonce = nonces.make("rotate", holder.public_id, at=at)
    with tenant(holder.tenant_id):
        signature = key.rotation(nonce, holder.device_id) if key else None
        return credentials.rotate(holder, nonce=nonce, signature=signature, at=at).text


def standing(text, *, at):
    return credentials.find(text, at=at).standing


def actions(customer):
    with tenant(customer.id):
        return list(AuditEvent.objects.for_tenant(customer).order_by("id").values_list("action", flat=True))


def test_a_token_names_its_device_and_what_accepting_needs(customer, device, token, at):
    holder = credentials.find(token, at=at)
    assert (holder.tenant_id, holder.placement) == (customer.id, customer.placement)
    assert (holder.device_id, holder.device_key) == (device.id, device.key)
    assert (holder.valid, holder.interval_s) == (True, 60)
    assert (holder.issued_at, holder.ends_at) == (at, at + 30 * DAY)
    assert holder.rotate_from == at + 15 * DAY
    assert all(type(value).__module__ != "enrollment.models" for value in asdict(holder).values())


def test_the_interval_is_the_customers(customer, device, token, at):
    with tenant(customer.id):
        MonitoringSettings.objects.for_tenant(customer).update_or_create(
            defaults={"heartbeat_interval_s": 20}
        )
    assert credentials.find(token, at=at).interval_s == 20


def test_only_the_digest_of_a_token_is_kept(customer, device, token):
    with tenant(customer.id):
        stored = DeviceCredential.objects.for_tenant(customer).values().get()
    secret = token.split("_", 2)[2][:43]
    assert secret not in str(stored)
    assert bytes(stored["digest"]) == tokens.parse("grdt", token).digest


def test_what_is_no_token_of_ours_has_no_holder(customer, token, at):
    other = tokens.issue("grdt", customer.number).text
    unknown_tenant = tokens.issue("grdt", tokens.MAX_NUMBER).text
    for text in ("", "x", token[:-1], token.upper(), "grek" + token[4:], other, unknown_tenant, token + "é"):
        assert credentials.find(text, at=at) is None


def test_a_token_ends_with_its_days(token, at):
    assert standing(token, at=at + 30 * DAY - timedelta(seconds=1)) == "valid"
    assert standing(token, at=at + 30 * DAY) == "expired"


def test_the_old_token_works_until_the_new_one_is_used(token, key, at):
    new = rotated(token, key, at=at)
    assert standing(token, at=at + HOUR) == "valid"
    assert standing(new, at=at + 2 * HOUR) == "valid"
    assert credentials.find(new, at=at + 2 * HOUR).device_id == credentials.find(new, at=at).device_id


def test_the_old_token_ends_a_day_after_a_new_one_was_handed_out(token, key, at):
    new = rotated(token, key, at=at)
    assert standing(token, at=at + DAY - timedelta(seconds=1)) == "valid"
    assert standing(token, at=at + DAY) == "expired"
    assert standing(new, at=at + 2 * DAY) == "valid"


def test_asking_again_after_a_lost_reply_locks_nobody_out(token, key, at):
    lost = rotated(token, key, at=at)
    got = rotated(token, key, at=at + HOUR)
    assert standing(got, at=at + 2 * HOUR) == "valid"
    assert standing(lost, at=at + 2 * HOUR) == "ended"
    assert standing(got, at=at + 2 * HOUR) == "valid", "a token nobody ever used is no sign of a copy"


def test_replies_that_overtake_each_other_lock_nobody_out(token, key, at):
    got = rotated(token, key, at=at)
    rotated(token, key, at=at)  # the first request again, delivered late
    assert standing(got, at=at) == "valid"


def test_of_many_unused_tokens_the_oldest_end(token, key, at):
    handed_out = [rotated(token, key, at=at) for _ in range(5)]
    assert [standing(text, at=at) for text in handed_out[:2]] == ["ended", "ended"]
    assert standing(handed_out[4], at=at) == "valid"


def test_a_token_used_after_its_successor_shuts_the_device_out(customer, device, token, key, at):
    credentials.find(token, at=at)
    new = rotated(token, key, at=at)
    assert standing(new, at=at) == "valid"
    assert standing(token, at=at + HOUR) == "revoked"
    assert standing(new, at=at + HOUR) == "revoked"
    with tenant(customer.id):
        assert Device.objects.for_tenant(customer).get(id=device.id).status == "quarantined"
    assert set(actions(customer)[-2:]) == {"device.quarantine", "device.token_revoke"}


def test_rotation_wants_the_signature_of_the_devices_key(customer, device, token, key, at):
    holder = credentials.find(token, at=at)
    nonce = nonces.make("rotate", holder.public_id, at=at)
    good = key.rotation(nonce, device.id)
    others = [None, "", good[:-1], KeyPair.fresh().rotation(nonce, device.id), key.recovery(nonce, device.id)]
    with tenant(customer.id):
        for signature in others:
            with pytest.raises(Refused, match="signature"):
                credentials.rotate(holder, nonce=nonce, signature=signature, at=at)
        assert DeviceCredential.objects.for_tenant(customer).count() == 1


def test_rotation_wants_a_nonce_made_for_this_token(customer, device, token, key, at):
    holder = credentials.find(token, at=at)
    for nonce in (
        nonces.make("rotate", "aaaaaaaaaaaa", at=at),
        nonces.make("enroll", at=at),
        nonces.make("rotate", holder.public_id, at=at - 2 * DAY),
    ):
        with tenant(customer.id), pytest.raises(Refused, match="nonce"):
            credentials.rotate(holder, nonce=nonce, signature=key.rotation(nonce, device.id), at=at)


def test_a_simple_client_rotates_with_its_old_token_alone(customer, device, at):
    token = make_token(device, None, at=at)
    new = rotated(token, None, at=at)
    assert standing(new, at=at) == "valid"


def test_revoking_ends_every_token_and_says_so(customer, device, token, key, at):
    new = rotated(token, key, at=at)
    with tenant(customer.id):
        credentials.revoke(device, at=at)
        credentials.revoke(device, at=at + HOUR)
    assert [standing(text, at=at) for text in (token, new)] == ["revoked", "revoked"]
    assert actions(customer).count("device.token_revoke") == 1


def test_every_change_moves_changed_at(customer, device, token, key, at):
    def changed():
        with tenant(customer.id):
            rows = DeviceCredential.objects.for_tenant(customer).order_by("id")
            return [(row.changed_at - at) // HOUR for row in rows]

    credentials.find(token, at=at + HOUR)
    assert changed() == [1]
    new = rotated(token, key, at=at + 2 * HOUR)
    assert changed() == [2, 2]
    credentials.find(new, at=at + 3 * HOUR)
    assert changed() == [3, 3]
    with tenant(customer.id):
        credentials.revoke(device, at=at + 4 * HOUR)
    assert changed() == [4, 4]


class TestRecovery:
    """Asks which tenant a device belongs to through the sweep role, another connection: rows are committed."""

    @pytest.fixture
    def customer(self, committed_db, at):
        return make_customer(at=at)

    def recovered(self, device, key, *, at):
        nonce = nonces.make("enroll", at=at)
        return credentials.recover(
            device.id, nonce=nonce, signature=key.recovery(nonce, device.id), at=at
        ).text

    def test_an_expired_device_comes_back_with_its_key(self, device, token, key, at):
        later = at + 31 * DAY
        assert standing(token, at=later) == "expired"
        new = self.recovered(device, key, at=later)
        assert standing(new, at=later) == "valid"

    def test_a_device_that_lost_its_token_comes_back_and_the_lost_one_ends_with_the_first_use(
        self, device, token, key, at
    ):
        credentials.find(token, at=at)
        new = self.recovered(device, key, at=at)
        assert standing(new, at=at) == "valid"
        assert standing(token, at=at) == "revoked"

    def test_a_revoked_device_stays_out_and_learns_why_only_by_its_signature(
        self, customer, device, token, key, at
    ):
        with tenant(customer.id):
            credentials.revoke(device, at=at)
        with pytest.raises(Revoked):
            self.recovered(device, key, at=at)
        with pytest.raises(BadCredential) as refusal:
            self.recovered(device, KeyPair.fresh(), at=at)
        assert refusal.value.code == "unauthorized"

    def test_an_unknown_device_and_a_wrong_signature_look_the_same(self, device, token, key, at):
        stranger = make_device(make_customer(at=at), at=at)  # never got a token
        with pytest.raises(BadCredential) as unknown:
            self.recovered(stranger, key, at=at)
        with pytest.raises(BadCredential) as wrong:
            self.recovered(device, KeyPair.fresh(), at=at)
        assert (unknown.value.message, unknown.value.code) == (wrong.value.message, wrong.value.code)

    def test_a_simple_client_has_no_key_to_recover_with(self, device, key, at):
        make_token(device, None, at=at)
        with pytest.raises(BadCredential):
            self.recovered(device, key, at=at)
