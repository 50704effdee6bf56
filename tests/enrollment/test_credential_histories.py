"""Histories of tokens: lost and late replies, long silences, a thief; nobody who is the device is locked out."""

from __future__ import annotations

import os
import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from enrollment import credentials, nonces
from enrollment.errors import BadCredential, Revoked
from fleet.models import Device
from foundation.context import tenant
from tests.factories.enrollment import KeyPair, make_device, make_token
from tests.factories.tenancy import make_customer

ROTATIONS = 10_000 if os.environ.get("GREENROOM_CHAOS") else 300
COPIES = 10
START = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


class PlayedDevice:
    """A device as the contract wants it: one token on disk, the old one used until a new one has arrived."""

    def __init__(self, device: Device, key: KeyPair | None, *, at: datetime) -> None:
        self.device, self.key = device, key
        self.token = make_token(device, key, at=at)
        self.answers: list[str] = []  # tokens handed out whose answers are still under way

    def heartbeat(self, *, at: datetime) -> credentials.Holder:
        holder = credentials.find(self.token, at=at)
        assert holder is not None
        return holder

    def rotate(self, *, lost: bool, late: bool = False, at: datetime) -> bool:
        """Whether a new token arrived. `late`: the request is delivered a second time, its answer lost."""
        holder = self.heartbeat(at=at)
        if not holder.valid:
            return False
        nonce = nonces.make("rotate", holder.public_id, at=at)
        signature = self.key.rotation(nonce, self.device.id) if self.key else None
        for _ in range(2 if late else 1):
            with tenant(holder.tenant_id):
                new = credentials.rotate(holder, nonce=nonce, signature=signature, at=at).text
            self.answers.append(new)
        if not lost:
            self.token = self.answers[-2 if late else -1]
        return not lost

    def recover(self, *, lost: bool, at: datetime) -> None:
        assert self.key is not None
        nonce = nonces.make("enroll", at=at)
        signature = self.key.recovery(nonce, self.device.id)
        new = credentials.recover(self.device.id, nonce=nonce, signature=signature, at=at)
        if not lost:
            self.token = new.text


@pytest.mark.chaos
@pytest.mark.parametrize("simple", [False, True], ids=["with a key", "simple client"])
def test_rotations_with_replies_lost_lock_nobody_out_and_flag_nobody(committed_db, simple):
    """security.md, section 11: 10,000 rotations, 30 % of the replies lost."""
    chance, at = random.Random(20261122), START
    customer = make_customer(at=at)
    played = PlayedDevice(make_device(customer, at=at), None if simple else KeyPair.fresh(), at=at)
    arrived = 0
    rotations = ROTATIONS // 3 if simple else ROTATIONS
    for _ in range(rotations):
        at += timedelta(minutes=chance.randrange(1, 20 * 60))
        arrived += played.rotate(lost=chance.random() < 0.3, late=chance.random() < 0.1, at=at)
        assert played.heartbeat(at=at).valid
    assert 0.6 * rotations < arrived < 0.8 * rotations
    with tenant(customer.id):
        assert Device.objects.for_tenant(customer).get().status == "enrolled"


def test_every_copied_token_is_flagged_with_its_first_use_after_a_rotation(committed_db):
    at = START
    customer = make_customer(at=at)
    for number in range(COPIES):
        played = PlayedDevice(make_device(customer, at=at), KeyPair.fresh(), at=at)
        played.heartbeat(at=at)
        stolen = played.token
        for _ in range(1 + number % 3):
            assert played.rotate(lost=False, at=at)
            assert played.heartbeat(at=at).valid
        assert credentials.find(stolen, at=at).revoked
        assert played.heartbeat(at=at).revoked
        with pytest.raises(Revoked):
            played.recover(lost=False, at=at)
    with tenant(customer.id):
        statuses = Device.objects.for_tenant(customer).values_list("status", flat=True)
        assert list(statuses) == ["quarantined"] * COPIES


class Histories(RuleBasedStateMachine):
    """One device and anything that may happen to it; a thief who copies its token at some moment."""

    def __init__(self) -> None:
        super().__init__()
        self.at = START
        self.customer = make_customer(at=self.at)
        self.played = PlayedDevice(make_device(self.customer, at=self.at), KeyPair.fresh(), at=self.at)
        self.stolen = ""
        self.used_since_stolen = False  # the device used a newer token than the stolen one
        self.shut_out = False

    @rule(hours=st.integers(1, 30 * 24))
    def time_passes(self, hours: int) -> None:
        self.at += timedelta(hours=hours)

    @rule()
    def heartbeat(self) -> None:
        holder = self.played.heartbeat(at=self.at)
        assert holder.revoked == self.shut_out
        if holder.valid and self.stolen and self.played.token != self.stolen:
            self.used_since_stolen = True

    @rule(lost=st.booleans(), late=st.booleans())
    def rotate(self, lost: bool, late: bool) -> None:
        self.heartbeat()
        self.played.rotate(lost=lost, late=late, at=self.at)

    @precondition(lambda self: not self.shut_out)
    @rule(lost=st.booleans())
    def recover(self, lost: bool) -> None:
        self.played.recover(lost=lost, at=self.at)

    @precondition(lambda self: self.shut_out)
    @rule()
    def recovering_after_being_shut_out_is_refused(self) -> None:
        with pytest.raises(Revoked):
            self.played.recover(lost=False, at=self.at)

    @rule()
    def a_stranger_recovers_in_vain(self) -> None:
        nonce = nonces.make("enroll", at=self.at)
        signature = KeyPair.fresh().recovery(nonce, self.played.device.id)
        with pytest.raises(BadCredential):
            credentials.recover(self.played.device.id, nonce=nonce, signature=signature, at=self.at)

    @precondition(lambda self: not self.stolen and not self.shut_out)
    @rule()
    def a_thief_copies_the_token_in_use(self) -> None:
        if self.played.heartbeat(at=self.at).valid:
            self.stolen, self.used_since_stolen = self.played.token, False

    @precondition(lambda self: self.stolen and not self.shut_out and self.used_since_stolen)
    @rule()
    def the_thief_uses_the_old_token_and_both_are_out(self) -> None:
        assert credentials.find(self.stolen, at=self.at).revoked
        self.shut_out = True

    @invariant()
    def the_device_can_always_come_back(self) -> None:
        """Its token is valid, or its key is good for a new one; never both closed while nobody shut it out."""
        self.heartbeat()
        if not self.shut_out:
            with tenant(self.customer.id):
                assert Device.objects.for_tenant(self.customer).get().status == "enrolled"


@pytest.mark.chaos
def test_any_history_leaves_the_device_a_way_back_and_the_thief_none(committed_db):
    large = bool(os.environ.get("GREENROOM_CHAOS"))
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=300 if large else 15,
            stateful_step_count=50 if large else 20,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
