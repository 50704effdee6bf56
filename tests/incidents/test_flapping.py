from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incidents.flapping import BEGINS, ENDS, HALF_LIFE, calm_at, faded, turned
from incidents.models import Incident, IncidentEntry, SignalStability
from tests.factories.incidents import (
    CAMERA_WATCH,
    heal,
    heard,
    incidents_of,
    kinds_of,
    make_incident,
    make_watched_device,
    said,
    the_incident,
    watch_ends,
)

MINUTE = timedelta(minutes=1)


def after_turns(at, minutes):
    known, when = None, at
    for gap in minutes:
        when += gap * MINUTE
        known = turned(known, turns=1, at=when)
    return known


def test_a_turn_fades_to_half_in_its_half_life(at):
    known = turned(None, turns=1, at=at)
    assert faded(known, at + HALF_LIFE) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("minutes", "flapping"),
    [
        ([0, 30], False),  # a fault that came, stayed and went
        ([0, 30, 60, 30], False),
        ([0, 1, 1, 1], False),
        ([0, 1, 1, 1, 1], True),
        ([0] + [10] * 7, True),
        ([0] + [60] * 20, False),
    ],
)
def test_only_what_turns_often_flaps(at, minutes, flapping):
    assert after_turns(at, minutes).flapping is flapping


@given(gaps=st.lists(st.integers(0, 200), min_size=1, max_size=60))
def test_between_the_limits_a_signal_stays_what_it_was(gaps):
    from datetime import UTC, datetime

    when, known = datetime(2026, 11, 22, tzinfo=UTC), None
    for gap in gaps:
        when += gap * MINUTE
        before = known
        known = turned(known, turns=1, at=when)
        if known.score >= BEGINS:
            assert known.flapping
        if known.score <= ENDS:
            assert not known.flapping
        if ENDS < known.score < BEGINS and known.flapping:
            assert before is not None and before.flapping
        end = calm_at(known)
        assert end >= when
        if known.flapping:
            assert faded(known, end) == pytest.approx(ENDS)


@pytest.fixture
def device(inside, at):
    return make_watched_device(at=at)


def flap(device, *, at, times, gap=MINUTE):
    """Unhealthy and healthy by turns, `times` of each; returns when it was last healthy."""
    when = at
    for _ in range(times):
        heard(said(device, at=when), at=when)
        when += gap
        heal(device, at=when)
        when += gap
    return when - gap


def test_a_signal_that_comes_and_goes_has_one_ticket_that_stays_until_it_is_calm(device, at):
    last = flap(device, at=at, times=6)
    incident = the_incident(device)
    assert incident.is_open
    assert incident.summary.endswith("on and off")
    assert kinds_of(incident) == ["opened", "state"]  # told once
    until = device.signals.get(signal="camera_room").watch_until
    assert until > last + 30 * MINUTE
    watch_ends(device, at=until - timedelta(seconds=1))
    incident.refresh_from_db()
    assert incident.is_open
    watch_ends(device, at=until)
    incident.refresh_from_db()
    assert (incident.state, incident.cause) == ("resolved", "healthy")


def test_a_flapping_signal_opens_though_each_fault_is_shorter_than_its_watch(device, at):
    flap(device, at=at, times=6, gap=CAMERA_WATCH / 2)
    assert len(incidents_of(device)) == 1


def test_a_calm_signal_leaves_one_small_row_that_is_forgotten(device, at):
    from incidents import stability

    make_incident(device, at=at)
    heal(device, at=at + MINUTE)
    assert SignalStability.objects.get().score == pytest.approx(2, abs=0.1)
    assert stability.forget_old(device.tenant_id, at=at + timedelta(days=2)) == 1


def test_with_a_tolerance_a_ticket_is_resolved_only_after_it_was_healthy_for_so_long(device, at):
    from incidents import signal_settings

    signal_settings.change(device.tenant_id, "camera_room", {"recover": 5 * MINUTE}, at=at)
    incident = make_incident(device, at=at)
    assert heal(device, at=at + MINUTE).resolved == 0
    heard(said(device, at=at + 2 * MINUTE), at=at + 2 * MINUTE)  # back inside the tolerance: nothing happened
    watch_ends(device, at=at + 6 * MINUTE)
    incident.refresh_from_db()
    assert incident.is_open
    assert IncidentEntry.objects.filter(incident=incident).count() == 2
    heal(device, at=at + 10 * MINUTE)
    assert watch_ends(device, at=at + 15 * MINUTE).resolved == 1


def test_a_speaker_is_held_back_while_the_choice_of_speakers_explains_it(device, at):
    heard(said(device, "spk_misconfigured", at=at), said(device, "spk_conf", at=at), at=at)
    watch_ends(device, "spk_misconfigured", at=at + MINUTE)
    watch_ends(device, "spk_conf", at=at + MINUTE)
    assert [each.signal for each in incidents_of(device)] == ["spk_misconfigured"]
    heal(device, "spk_misconfigured", at=at + 2 * MINUTE)  # no longer explained
    watch_ends(device, "spk_conf", at=at + 3 * MINUTE)
    assert Incident.objects.get(signal="spk_conf").is_open


def test_the_calendar_takes_over_from_the_exchange_signal(device, at):
    incident = make_incident(device, "signin_exchange", at=at)
    heard(said(device, "calendar_sync", "healthy", at=at + MINUTE), at=at + MINUTE)
    incident.refresh_from_db()
    assert incident.state == "resolved"
    assert heard(said(device, "signin_exchange", at=at + MINUTE), at=at + 2 * MINUTE).opened == 0


def test_an_optional_signal_is_off_until_a_customer_turns_it_on(device, at):
    from incidents import signal_settings

    heard(said(device, "proximity_sensor", at=at), at=at)
    assert device.signals.get().watch_until is None
    signal_settings.change(device.tenant_id, "proximity_sensor", {"enabled": True}, at=at)
    assert watch_ends(device, "proximity_sensor", at=at + MINUTE).opened == 1
