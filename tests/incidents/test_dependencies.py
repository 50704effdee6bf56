from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from fleet.models import Device, Room
from foundation.models import Timer
from incidents import detection, lifecycle
from incidents.dependencies import Affected, Family, Scope, common_cause, is_over
from incidents.models import HeldFinding, Incident
from tests.factories.fleet import make_device, make_place, make_room
from tests.factories.incidents import come_back, fall_silent, heard, said, watch_ends

MINUTE = timedelta(minutes=1)
SITES = [UUID(int=number) for number in range(1, 4)]


def at_fault(at, *, site=0, number=5, apart_s=10, switch="", first=0):
    return [
        Affected(UUID(int=1000 + first + n), SITES[site], at + n * timedelta(seconds=apart_s), switch)
        for n in range(number)
    ]


def cause(affected, totals, family=Family.SILENCE):
    return common_cause(
        affected[0], affected, {Scope(site_id=k) if k else Scope(): v for k, v in totals.items()}, family
    )


def test_five_of_a_site_within_two_minutes_are_one_cause(at):
    assert cause(at_fault(at), {SITES[0]: 24, None: 500}) == Scope(site_id=SITES[0])


@pytest.mark.parametrize(
    ("affected", "total"),
    [
        ({"number": 4}, 4),  # fewer than five
        ({"number": 5}, 25),  # 20 % exactly
        ({"apart_s": 60}, 5),  # not within two minutes of each other
    ],
)
def test_fewer_or_farther_apart_stand_alone(at, affected, total):
    assert cause(at_fault(at, **affected), {SITES[0]: total, None: 500}) is None


def test_sites_that_fail_together_have_one_cause_above_them(at):
    both = at_fault(at) + at_fault(at, site=1, first=100)
    assert cause(both, {SITES[0]: 10, SITES[1]: 10, None: 40}) == Scope()


def test_two_sites_of_many_fail_for_themselves(at):
    both = at_fault(at) + at_fault(at, site=1, first=100)
    assert cause(both, {SITES[0]: 10, SITES[1]: 10, None: 400}) == Scope(site_id=SITES[0])


def test_devices_spread_over_sites_without_one_that_fails_are_the_customers_cause(at):
    spread = [each for site in range(3) for each in at_fault(at, site=site, number=2, first=site * 100)]
    assert cause(spread, {**dict.fromkeys(SITES, 9), None: 27}) == Scope()


def test_the_switch_is_the_cause_where_everything_silent_hangs_on_it(at):
    affected = at_fault(at, switch="sw-3")
    totals = {Scope(switch="sw-3"): 6, Scope(site_id=SITES[0]): 20, Scope(): 100}
    assert common_cause(affected[0], affected, totals, Family.SILENCE) == Scope(switch="sw-3")
    more = affected + at_fault(at, first=100)
    assert common_cause(more[0], more, totals, Family.SILENCE) == Scope(site_id=SITES[0])


def test_accounts_have_no_place(at):
    affected = at_fault(at)
    assert cause(affected, {SITES[0]: 5, None: 100}, Family.ACCOUNT) is None
    assert cause(affected, {SITES[0]: 5, None: 20}, Family.ACCOUNT) == Scope()


def test_a_cause_is_over_when_a_tenth_is_left():
    assert is_over(2, 20)
    assert not is_over(3, 20)


# On the database ----------------------------------------------------------------------------------------------


@pytest.fixture
def site(inside, at):
    return make_place(kind="building", at=at)


@pytest.fixture
def devices(site, at):
    return [make_device(make_room(place=site, at=at), at=at) for _ in range(6)]


def silence(devices, *, at):
    for number, device in enumerate(devices):
        fall_silent(device, at=at + number * timedelta(seconds=5))


def watches_end(devices, *, at, signal="offline"):
    detection.evaluate_timers(devices[0].tenant_id, [f"{each.id}:{signal}:" for each in devices], at=at)


def test_a_site_that_falls_silent_is_one_ticket_with_its_rooms_under_it(devices, site, at):
    silence(devices, at=at)
    watches_end(devices, at=at + 2 * MINUTE)
    (incident,) = Incident.objects.all()
    assert (incident.signal, incident.cause_key, incident.place) == ("site_silent", f"site:{site.id}", site)
    assert (incident.state, incident.severity, incident.device) == ("pending_investigation", 2, None)
    assert incident.rooms.count() == HeldFinding.objects.count() == 6
    assert {room.open_faults for room in Room.objects.all()} == {1}


def test_the_cause_ends_with_its_devices_heard_and_latecomers_get_their_own_ticket(devices, at):
    more = [make_device(make_room(place=devices[0].room.place, at=at), at=at) for _ in range(6)]
    silence(devices + more, at=at)
    watches_end(devices + more, at=at + 3 * MINUTE)
    back = at + 30 * MINUTE
    for device in (devices + more)[1:]:
        come_back(device, at=back)
    incident = Incident.objects.get()
    assert (incident.state, incident.cause) == ("resolved", "healthy")
    timer = Timer.objects.get(kind=lifecycle.RELEASE)
    assert timer.due_at == back + 10 * MINUTE
    assert detection.release_held(incident.tenant_id, incident.id, at=timer.due_at).opened == 1
    late = Incident.objects.get(signal="offline")
    assert (late.device, late.parent) == (devices[0], incident)
    assert not HeldFinding.objects.filter(released_at=None).exists()


def test_a_site_silent_again_within_seven_days_reopens_its_ticket(devices, at):
    for start in (at, at + timedelta(days=1)):
        silence(devices, at=start)
        watches_end(devices, at=start + 2 * MINUTE)
        for device in devices:
            come_back(device, at=start + 30 * MINUTE)
    incident = Incident.objects.get()
    assert (incident.state, incident.reopened) == ("resolved", 1)
    assert {room.open_faults for room in Room.objects.all()} == {0}


def test_a_few_silent_devices_have_tickets_of_their_own(devices, at):
    silence(devices[:4], at=at)
    watches_end(devices[:4], at=at + 2 * MINUTE)
    assert list(Incident.objects.values_list("signal", flat=True)) == ["offline"] * 4


def test_a_single_ticket_just_before_belongs_under_the_cause(devices, at):
    fall_silent(devices[0], at=at)
    watch_ends(devices[0], "offline", at=at + MINUTE)
    silence(devices[1:], at=at + MINUTE)
    watches_end(devices[1:], at=at + 3 * MINUTE)
    cause = Incident.objects.get(signal="site_silent")
    assert Incident.objects.get(signal="offline").parent == cause


def test_many_accounts_that_cannot_sign_in_are_one_outage(devices, at):
    heard(*[said(device, "signin_teams", at=at) for device in devices], at=at)
    watches_end(devices, at=at + 30 * MINUTE, signal="signin_teams")
    incident = Incident.objects.get()
    assert (incident.signal, incident.severity) == ("outage", 1)
    heard(
        *[said(device, "signin_teams", "healthy", at=at + 40 * MINUTE) for device in devices],
        at=at + 40 * MINUTE,
    )
    incident.refresh_from_db()
    assert incident.state == "resolved"


def test_an_unenrolled_device_no_longer_counts_under_a_cause(devices, at):
    silence(devices, at=at)
    watches_end(devices, at=at + 2 * MINUTE)
    Device.objects.filter(id__in=[each.id for each in devices]).update(status="unenrolled")
    detection.evaluate_devices(devices[0].tenant_id, [each.id for each in devices], at=at + 5 * MINUTE)
    assert Incident.objects.get().state == "resolved"
