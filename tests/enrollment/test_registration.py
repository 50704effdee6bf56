from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import IntegrityError, connections

from enrollment import credentials, keys, nonces, registration
from enrollment.errors import EnrollmentRefused, NotWaiting
from enrollment.models import DeviceCredential, EnrollmentKey, HardwareFact
from fleet.errors import Missing
from fleet.models import Device, Room, RoomGroupMember
from fleet.room_groups import add_group
from foundation.context import tenant
from tenancy.models import AuditEvent
from tests.factories.enrollment import Candidate, KeyPair, make_key
from tests.factories.fleet import make_room, state_of
from tests.factories.tenancy import make_customer

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


@pytest.fixture
def key(customer, at):
    return make_key(customer, at=at)[1]


@pytest.fixture
def auto_key(customer, at):
    return make_key(customer, at=at, approval="auto", simple_clients=True)[1]


def counts(customer):
    with tenant(customer.id):
        models = (Device, DeviceCredential, HardwareFact, Room)
        return tuple(model.objects.for_tenant(customer).count() for model in models)


def uses(customer, text):
    with tenant(customer.id):
        return EnrollmentKey.objects.for_tenant(customer).get(public_id=text.split("_")[1]).uses


def events(customer, action):
    with tenant(customer.id):
        return list(AuditEvent.objects.for_tenant(customer).filter(action=action).order_by("id"))


def heard(enrollment, *, at):
    """The device used its token and sent a heartbeat."""
    assert credentials.find(enrollment.token.text, at=at).valid
    with tenant(enrollment.device.tenant_id):
        Device.objects.filter(id=enrollment.device.id).update(last_seen_at=at)


def test_a_device_waits_as_onboarding_until_a_person_accepts_it(customer, key, at):
    room = {"name": "Aurora", "resource_account": "aurora@example.com"}
    applying = Candidate(room=room)
    enrolled = applying.enroll(key, at=at)
    device = enrolled.device
    assert (enrolled.status, device.name, device.room_id) == ("onboarding", "Aurora", None)
    assert (device.wanted_room, device.wanted_account) == ("Aurora", "aurora@example.com")
    assert (device.make, device.model, device.serial_number) == ("Dell", "OptiPlex 7080", applying.serial)
    assert (device.security_level, enrolled.interval_s, enrolled.token.expires_at) == (
        2,
        60,
        at + timedelta(days=30),
    )
    assert credentials.find(enrolled.token.text, at=at).device_id == device.id
    assert uses(customer, key) == 1
    (event,) = events(customer, "device.enroll")
    assert (event.object_id, event.after["recognised"]) == (device.id, "new")


def test_a_key_that_approves_finds_or_makes_the_room_and_watches_at_once(customer, auto_key, at):
    first = Candidate(room={"name": "Aurora"}).enroll(auto_key, at=at)
    second = Candidate(room={"name": "Aurora"}, kind="console").enroll(auto_key, at=at)
    assert first.status == second.status == "enrolled"
    assert first.device.room_id == second.device.room_id
    assert first.device.next_due_at == at + 2 * MINUTE
    with tenant(customer.id):
        room = Room.objects.for_tenant(customer).get()
        assert (room.name, room.state) == ("Aurora", "healthy")
        assert RoomGroupMember.objects.for_tenant(customer).get(room=room).group.is_default


def test_a_new_room_joins_the_keys_group(customer, at):
    with tenant(customer.id):
        group = add_group(name="Oslo", at=at)
    _, text = make_key(customer, at=at, approval="auto", group=group)
    device = Candidate(room={"name": "Aurora"}).enroll(text, at=at).device
    with tenant(customer.id):
        assert RoomGroupMember.objects.for_tenant(customer).get(room_id=device.room_id).group == group


def test_a_device_that_names_no_room_gets_one_of_its_own_name(customer, auto_key, at):
    one, other = (Candidate().enroll(auto_key, at=at).device for _ in range(2))
    assert one.room_id != other.room_id
    with tenant(customer.id):
        assert one.room.name.startswith("Dell OptiPlex 7080 ")


def test_repeating_with_the_same_key_is_the_same_device_and_takes_no_use(customer, at):
    _, text = make_key(customer, at=at, max_uses=1)
    applying = Candidate()
    first = applying.enroll(text, at=at)
    again = applying.enroll(text, at=at + MINUTE)
    assert again.device == first.device
    assert uses(customer, text) == 1
    assert credentials.find(first.token.text, at=at).standing == "ended", "a token never used is replaced"
    assert credentials.find(again.token.text, at=at).valid


def test_a_token_in_use_lives_on_until_the_repeated_enrollments_is_used(customer, key, at):
    applying = Candidate()
    first = applying.enroll(key, at=at)
    heard(first, at=at)
    again = applying.enroll(key, at=at + MINUTE)
    assert credentials.find(first.token.text, at=at + MINUTE).valid
    assert credentials.find(again.token.text, at=at + MINUTE).valid
    assert not credentials.find(first.token.text, at=at + 2 * MINUTE).valid


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        ({"nonce": "x" * 64}, "nonce"),
        ({"nonce": ""}, "nonce"),
        ({"kind": "panel"}, "kind"),
    ],
)
def test_a_refused_device_leaves_nothing(customer, at, spoil, code):
    _, text = make_key(customer, at=at, kinds=["room_system"])
    before = counts(customer)
    with pytest.raises(EnrollmentRefused) as refusal:
        Candidate().enroll(text, at=at, **spoil)
    assert refusal.value.code == code
    assert counts(customer) == before
    assert uses(customer, text) == 0


def test_the_signature_covers_every_word_of_the_body_and_the_key(customer, key, at):
    _, other_key = make_key(customer, at=at)
    applying = Candidate()
    good = applying.application(key, at=at)
    for changed in (
        {"signature": ""},
        {"signature": applying.application(other_key, at=at).signature},
        {"digest": "0" * 64},
        {"public_key": KeyPair.fresh().public},
        {"public_key": None},
        {"nonce": applying.application(key, at=at).nonce},
    ):
        with tenant(customer.id), pytest.raises(EnrollmentRefused) as refusal:
            registration.enroll(keys.find(key, at=at), replace(good, **changed), address=None, at=at)
        assert refusal.value.code == "signature"
    assert counts(customer)[0] == 0


def test_a_nonce_is_good_for_five_minutes(customer, key, at):
    old = nonces.make("enroll", at=at - 5 * MINUTE)
    with pytest.raises(EnrollmentRefused) as refusal:
        Candidate().enroll(key, at=at, nonce=old)
    assert refusal.value.code == "nonce"


def test_only_a_key_that_says_so_lets_simple_clients_in(customer, key, auto_key, at):
    with pytest.raises(EnrollmentRefused) as refusal:
        Candidate(key=None).enroll(key, at=at)
    assert refusal.value.code == "key_pair_required"
    enrolled = Candidate(key=None).enroll(auto_key, at=at)
    assert (enrolled.status, enrolled.device.security_level) == ("enrolled", 1)


def test_a_reinstalled_machine_takes_over_its_silent_self(customer, key, at):
    machine = Candidate()
    first = machine.enroll(key, at=at)
    heard(first, at=at)
    with tenant(customer.id):
        registration.accept(first.device, room=make_room("Aurora", at=at), at=at)
        Device.objects.filter(id=first.device.id).update(silent_since=at + 2 * MINUTE)
    machine.key = KeyPair.fresh()
    again = machine.enroll(key, at=at + 15 * MINUTE)
    assert (again.device.id, again.status) == (first.device.id, "enrolled")
    assert uses(customer, key) == 2
    assert credentials.find(first.token.text, at=at + HOUR).revoked
    assert credentials.find(again.token.text, at=at + HOUR).valid


def test_a_new_key_on_the_hardware_of_a_living_device_waits_for_a_person(customer, key, at):
    machine = Candidate()
    first = machine.enroll(key, at=at)
    heard(first, at=at + HOUR)
    machine.key = KeyPair.fresh()
    second = machine.enroll(key, at=at + HOUR + 14 * MINUTE)
    assert second.device != first.device
    assert second.status == "pending"
    assert credentials.find(first.token.text, at=at + HOUR).valid
    with tenant(customer.id):
        room = make_room("Aurora", at=at)
        registration.accept(first.device, room=room, at=at)
        accepted = registration.accept(second.device, room=room, at=at + 2 * HOUR)
        former = Device.objects.for_tenant(customer).get(id=first.device.id)
        assert (accepted.status, former.status) == ("enrolled", "unenrolled")
        assert state_of(room.id) == "healthy"
    assert credentials.find(first.token.text, at=at + 2 * HOUR).revoked
    (_, event) = events(customer, "device.accept")
    assert event.after["replaces"] == [first.device.name]


def test_the_old_key_of_a_machine_that_was_taken_over_names_nobody(customer, key, at):
    machine = Candidate()
    former_key = machine.key
    first = machine.enroll(key, at=at)
    machine.key = KeyPair.fresh()
    second = machine.enroll(key, at=at + HOUR)
    assert second.device == first.device
    heard(second, at=at + HOUR)
    machine.key = former_key
    third = machine.enroll(key, at=at + HOUR + MINUTE)
    assert (third.status, third.device == first.device) == ("pending", False)


def test_a_serial_number_alone_is_no_proof_but_a_question(customer, key, at):
    first = Candidate(serial="ABC-1234", firmware_uuid="", macs=[]).enroll(key, at=at)
    second = Candidate(serial="ABC-1234", firmware_uuid="", macs=[]).enroll(key, at=at + 2 * HOUR)
    assert (second.device != first.device, second.status) == (True, "pending")


def test_machines_that_tell_nothing_of_themselves_are_all_new(customer, key, at):
    silent = {"serial": "To be filled by O.E.M.", "firmware_uuid": "", "macs": ["02:42:ac:11:00:02"]}
    enrolled = [Candidate(**silent).enroll(key, at=at) for _ in range(3)]
    assert [each.status for each in enrolled] == ["onboarding"] * 3
    assert len({each.device.id for each in enrolled}) == 3


def test_a_known_key_from_other_hardware_is_kept_apart_and_the_original_runs_on(customer, key, at):
    original = Candidate()
    first = original.enroll(key, at=at)
    heard(first, at=at)
    copy = Candidate(key=original.key)
    second = copy.enroll(key, at=at + MINUTE)
    assert (second.status, second.device.status) == ("pending", "quarantined")
    assert second.device != first.device
    assert copy.enroll(key, at=at + 2 * MINUTE).device == second.device, "the copy again is the same copy"
    assert original.enroll(key, at=at + 2 * MINUTE).device == first.device
    assert [event.object_id for event in events(customer, "device.quarantine")] == [second.device.id]


def test_a_disk_moved_to_a_new_machine_takes_the_old_ones_place_when_a_person_says_so(customer, key, at):
    original = Candidate()
    first = original.enroll(key, at=at)
    with tenant(customer.id):
        room = make_room("Aurora", at=at)
        registration.accept(first.device, room=room, at=at)
    moved = Candidate(key=original.key).enroll(key, at=at + HOUR)
    with tenant(customer.id):
        assert registration.accept(moved.device, room=room, at=at + HOUR).status == "enrolled"
        assert Device.objects.for_tenant(customer).get(id=first.device.id).status == "unenrolled"
    assert credentials.find(moved.token.text, at=at + HOUR).valid


def test_an_unenrolled_device_comes_again_as_itself(customer, key, at):
    machine = Candidate()
    first = machine.enroll(key, at=at)
    with tenant(customer.id):
        registration.unenroll(first.device, at=at)
        registration.unenroll(first.device, at=at)
    assert credentials.find(first.token.text, at=at).revoked
    again = machine.enroll(key, at=at + MINUTE)
    assert (again.device, again.status) == (first.device, "onboarding")
    assert uses(customer, key) == 2
    machine.key = KeyPair.fresh()
    with tenant(customer.id):
        registration.unenroll(first.device, at=at + HOUR)
    assert machine.enroll(key, at=at + HOUR).device == first.device, "its hardware tells"
    assert len(events(customer, "device.unenroll")) == 2


def test_a_name_no_room_can_have_is_refused_with_the_field(customer, auto_key, at):
    with pytest.raises(EnrollmentRefused) as refusal:
        Candidate(room={"name": "Aurora", "resource_account": "no account"}).enroll(auto_key, at=at)
    assert (refusal.value.code, refusal.value.field) == ("room", "room.resource_account")
    assert counts(customer) == (0, 0, 0, 0)


def test_accepting_moving_and_unenrolling_keep_the_rooms_right(customer, key, at):
    device = Candidate().enroll(key, at=at).device
    with tenant(customer.id):
        one, other = make_room("One", at=at), make_room("Other", at=at)
        accepted = registration.accept(device, room=one, at=at)
        assert (accepted.status, accepted.next_due_at) == ("enrolled", at + 2 * MINUTE)
        registration.accept(device, room=one, at=at)
        assert state_of(one.id) == "healthy"
        with pytest.raises(NotWaiting):
            registration.accept(device, room=other, at=at)
        registration.move(device, room=other, at=at)
        registration.move(device, room=other, at=at)
        assert (state_of(one.id), state_of(other.id)) == ("unenrolled", "healthy")
        registration.unenroll(device, at=at)
        assert state_of(other.id) == "unenrolled"
        device.refresh_from_db()
        assert (device.status, device.next_due_at) == ("unenrolled", None)
        with pytest.raises(NotWaiting):
            registration.move(device, room=one, at=at)
        with pytest.raises(NotWaiting):
            registration.accept(device, room=one, at=at)
    for action in ("device.accept", "device.move", "device.unenroll", "device.token_revoke"):
        assert len(events(customer, action)) == 1


def test_no_device_of_another_customer_can_be_touched(customer, key, at):
    device = Candidate().enroll(key, at=at).device
    other = make_customer(at=at)
    with tenant(other.id):
        room = make_room("Elsewhere", at=at)
    with pytest.raises(IntegrityError, match="foreign key"), tenant(customer.id, other.id):
        registration.accept(device, room=room, at=at)


def test_a_retired_room_takes_no_device(customer, key, at):
    device = Candidate().enroll(key, at=at).device
    with tenant(customer.id):
        room = make_room("Gone", at=at)
        room.retired_at = at
        with pytest.raises(Missing):
            registration.accept(device, room=room, at=at)


def test_one_machine_enrolling_many_times_at_once_is_one_device(committed_db, at):
    customer = make_customer(at=at)
    _, text = make_key(customer, at=at, max_uses=1)
    applying = Candidate()
    start = threading.Barrier(6)
    devices, failures = [], []

    def race():
        start.wait()
        try:
            devices.append(applying.enroll(text, at=at).device.id)
        except Exception as error:
            failures.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=race) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert len(devices) == 6 and len(set(devices)) == 1
    assert uses(customer, text) == 1


def test_different_machines_racing_for_the_last_use_get_it_once(committed_db, at):
    customer = make_customer(at=at)
    _, text = make_key(customer, at=at, max_uses=1, approval="auto")
    start = threading.Barrier(6)
    outcomes = []

    def race():
        start.wait()
        try:
            outcomes.append(Candidate(room={"name": "Aurora"}).enroll(text, at=at).status)
        except EnrollmentRefused as refusal:
            outcomes.append(refusal.code)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=race) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["enrolled"] + ["limit"] * 5
    assert counts(customer)[:2] == (1, 1)
