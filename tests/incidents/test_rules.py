from __future__ import annotations

from datetime import timedelta

import pytest

from incidents.facts import DeviceFacts, SignalFact
from incidents.rules import RULES
from incidents.rules.connectivity import a_offline, offline
from incidents.rules.display import display_front
from incidents.severity import Severity

# key: severity, poll and watch in minutes, category (domain: signals)
DOMAIN = {
    "time_drift": ("W", 120, 0, "os_app"),
    "app_heartbeat": ("C", 10, 60, "config"),
    "camera_room": ("I", 5, 5, "hardware"),
    "disk_space": ("I", 120, 15, "hardware"),
    "mic_conf": ("I", 5, 5, "hardware"),
    "spk_conf": ("I", 5, 5, "hardware"),
    "display_front": ("I", 5, 5, "display"),
    "network": ("W", 5, 0, "connectivity"),
    "offline": ("I", 180, 1, "connectivity"),
    "a_offline": ("C", 180, 60, "connectivity"),
    "wifi_only": ("R", 120, 0, "connectivity"),
}
LETTERS = {"C": Severity.CRITICAL, "I": Severity.IMPORTANT, "W": Severity.WARNING, "R": Severity.RECOMMENDED}


def facts(at, *signals, kind="room_system", **given):
    return DeviceFacts(kind=kind, observed_at=at, signals=signals, **given)


def test_every_rule_has_the_values_of_the_domain_as_default():
    found = {key: (rule.severity, rule.poll, rule.watch, rule.category.value) for key, rule in RULES.items()}
    assert found == {
        key: (LETTERS[letter], timedelta(minutes=poll), timedelta(minutes=watch), category)
        for key, (letter, poll, watch, category) in DOMAIN.items()
    }


@pytest.mark.parametrize("key", sorted(RULES))
def test_every_rule_names_itself_and_tells_the_customer_what_to_do(key):
    rule = RULES[key]
    assert rule.key == key
    assert rule.name
    assert rule.component
    assert rule.advice.endswith(".")
    assert rule.platforms <= {"win", "bar", "con", "pan"}


@pytest.mark.parametrize("key", sorted(key for key, rule in RULES.items() if not rule.derived))
def test_a_reported_signal_is_a_finding_for_each_unhealthy_instance(key, at):
    reported = (
        SignalFact(key, "1", "unhealthy", at, "gone"),
        SignalFact(key, "2", "healthy", at),
        SignalFact(key, "3", "unknown", at),
        SignalFact("something_else", "1", "unhealthy", at),
    )
    (finding,) = RULES[key].findings(facts(at, *reported))
    assert finding.instance == "1"
    assert finding.summary.endswith("(1)")
    assert finding.evidence == {"detail": "gone"}
    assert finding.fault_at == at


def test_a_long_instance_never_makes_a_title_too_long_to_store(at):
    (finding,) = display_front.findings(facts(at, SignalFact("display_front", "x" * 400, "unhealthy", at)))
    assert len(finding.summary) == 300


def test_silence_is_a_finding_of_the_rule_of_the_device_kind(at):
    assert not list(offline.findings(facts(at)))
    assert [each.fault_at for each in offline.findings(facts(at, silent_since=at))] == [at]
    assert not list(a_offline.findings(facts(at, silent_since=at)))
    assert list(a_offline.findings(facts(at, kind="console", silent_since=at)))
    assert not list(offline.findings(facts(at, kind="panel", silent_since=at)))


def test_a_device_that_claims_to_be_offline_is_not_believed(at):
    assert not list(offline.findings(facts(at, SignalFact("offline", "", "unhealthy", at))))
