from __future__ import annotations

from datetime import timedelta

import pytest

from incidents.facts import DeviceFacts, SignalFact
from incidents.rules import RULES
from incidents.rules.connectivity import a_offline, offline
from incidents.rules.display import display_front
from incidents.severity import Severity

# The domain's table of signals: platforms, category, severity, poll and watch in minutes.
DOMAIN = {
    "recorded_issue": ("win bar con pan", "recorded", "C", 0, 0),
    "signin_exchange": ("win", "account", "C", 5, 30),
    "signin_teams": ("win", "account", "C", 5, 30),
    "calendar_sync": ("win", "account", "C", 5, 30),
    "app_version": ("win", "os_app", "W", 120, 0),
    "os_version": ("win", "os_app", "W", 120, 0),
    "time_drift": ("win", "os_app", "W", 120, 0),
    "wu_disabled": ("win", "os_app", "W", 120, 0),
    "os_activation": ("win", "os_app", "R", 120, 0),
    "wsus_enabled": ("win", "os_app", "I", 120, 0),
    "wu_components": ("win", "os_app", "I", 120, 0),
    "app_heartbeat": ("win", "config", "C", 10, 60),
    "nightly_reboot": ("win", "config", "W", 120, 0),
    "camera_room": ("win", "hardware", "I", 5, 5),
    "camera_default": ("win", "hardware", "W", 5, 5),
    "camera_content": ("win", "hardware", "I", 5, 5),
    "hdmi_ingest": ("win", "hardware", "I", 5, 10),
    "disk_space": ("win", "hardware", "I", 120, 15),
    "disk_health": ("win", "hardware", "I", 120, 0),
    "usb_suspend": ("win", "hardware", "W", 120, 0),
    "usb_power": ("win", "hardware", "W", 120, 0),
    "bluetooth_off": ("win", "hardware", "W", 120, 0),
    "mic_conf": ("win", "hardware", "I", 5, 5),
    "mic_configured": ("win", "hardware", "W", 5, 5),
    "spk_conf": ("win", "hardware", "I", 5, 5),
    "spk_configured": ("win", "hardware", "W", 5, 5),
    "spk_misconfigured": ("win", "hardware", "W", 5, 5),
    "spk_default": ("win", "hardware", "W", 5, 5),
    "vendor_mic_pod": ("win", "hardware", "W", 5, 5),
    "vendor_speaker": ("win", "hardware", "W", 5, 5),
    "cpu_limited": ("win", "hardware", "W", 120, 0),
    "sleep_timer": ("win", "hardware", "W", 120, 0),
    "display_front": ("win", "display", "I", 5, 5),
    "display_console": ("win", "display", "I", 5, 5),
    "default_credentials": ("win", "security", "W", 120, 0),
    "network": ("win", "connectivity", "W", 5, 0),
    "monitoring": ("win", "connectivity", "I", 60, 1),
    "monitoring_partial": ("win", "connectivity", "W", 120, 150),
    "offline": ("win", "connectivity", "I", 180, 1),
    "wifi_only": ("win", "connectivity", "R", 120, 0),
    "wifi_weak": ("win", "connectivity", "W", 120, 0),
    "wu_blocked": ("win", "connectivity", "W", 120, 10),
    "outage": ("win", "outage", "-", 0, 0),
    "a_signin_teams": ("bar con", "account", "C", 180, 0),
    "a_app_heartbeat": ("bar con", "os_app", "C", 180, 20),
    "a_display_second": ("bar con", "display", "W", 180, 20),
    "a_bluetooth_off": ("bar con", "hardware", "W", 180, 20),
    "a_pair_console": ("bar", "hardware", "W", 180, 60),
    "a_pair_bar": ("con", "hardware", "W", 180, 60),
    "a_network": ("bar con", "connectivity", "I", 180, 20),
    "a_offline": ("bar con", "connectivity", "C", 180, 60),
    "proximity_sensor": ("win", "hardware", "I", 5, 5),  # an older one, off until a customer turns it on
}
OTHER_TYPES = {  # of tickets without a signal
    "event_flagged": "C",
    "update_failed": "I",
    "update_paused": "W",
    "site_silent": "-",
    "device_copy": "I",
    "operation_lost": "W",
}
# The domain's table of incident types: report category and what Greenroom does first.
TYPES = {
    "recorded_issue event_flagged": ("Recorded issues", "nothing"),
    "signin_exchange signin_teams calendar_sync a_signin_teams": ("Connectivity", "collect_logs"),
    "app_version os_version update_failed update_paused": ("Versioning", "offer_catch_up"),
    "wu_disabled wsus_enabled wu_blocked": ("Versioning", "nothing"),
    "wu_components": ("Versioning", "reset_components"),
    "time_drift os_activation nightly_reboot default_credentials": ("Versioning", "nothing"),
    "app_heartbeat a_app_heartbeat": ("Connectivity", "repair_app"),
    "camera_room camera_default camera_content hdmi_ingest": ("Peripherals", "reset_usb"),
    "mic_conf mic_configured spk_conf spk_configured spk_misconfigured spk_default vendor_mic_pod vendor_speaker": (
        "Audio",
        "reset_usb",
    ),
    "display_front display_console a_display_second": ("Display", "nothing"),
    "disk_space": ("Peripherals", "clean_up"),
    "disk_health usb_suspend usb_power cpu_limited sleep_timer bluetooth_off": ("Peripherals", "nothing"),
    "a_bluetooth_off a_pair_console a_pair_bar": ("Peripherals", "nothing"),
    "network a_network offline a_offline monitoring monitoring_partial wifi_only wifi_weak": (
        "Connectivity",
        "probe_endpoints",
    ),
    "outage": ("Connectivity", "nothing"),
}
AT_ONCE = timedelta(seconds=20)  # our own watch of what the agent tells at once (docs/signals.md)
LETTERS = {"C": Severity.CRITICAL, "I": Severity.IMPORTANT, "W": Severity.WARNING, "R": Severity.RECOMMENDED}


def facts(at, *signals, kind="room_system", **given):
    return DeviceFacts(kind=kind, observed_at=at, signals=signals, **given)


def test_every_signal_of_the_domain_has_a_rule_with_its_values():
    found = {
        key: (rule.platforms, rule.category.value, rule.severity, rule.poll, rule.makers_watch or rule.watch)
        for key, rule in RULES.items()
        if key not in OTHER_TYPES
    }
    assert found == {
        key: (
            frozenset(platforms.split()),
            category,
            LETTERS.get(letter),
            timedelta(minutes=poll),
            timedelta(minutes=watch),
        )
        for key, (platforms, category, letter, poll, watch) in DOMAIN.items()
    }


def test_types_without_a_signal_are_raised_never_judged(at):
    assert {key for key, rule in RULES.items() if rule.raised} == {*OTHER_TYPES, "recorded_issue", "outage"}
    for key, letter in OTHER_TYPES.items():
        assert RULES[key].severity == LETTERS.get(letter)
        assert not list(RULES[key].findings(facts(at, SignalFact(key, "", "unhealthy", at))))


def test_every_type_is_counted_and_first_tried_as_the_domain_says():
    told = {key: wanted for keys, wanted in TYPES.items() for key in keys.split()}
    for key, (category, bot) in told.items():
        assert (RULES[key].report_category.value, RULES[key].bot_first.value) == (category, bot), key
    assert set(RULES) - set(told) == {"proximity_sensor", "site_silent", "device_copy", "operation_lost"}


def test_only_what_the_agent_tells_at_once_has_a_shorter_watch_than_the_maker():
    ours = {key: rule.watch for key, rule in RULES.items() if rule.makers_watch is not None}
    assert set(ours.values()) == {AT_ONCE}
    kinds = {RULES[key].report_category.value for key in ours}
    assert kinds == {"Peripherals", "Audio", "Display"}
    assert "camera_room" in ours


def test_the_old_exchange_signal_is_not_judged_where_the_calendar_is_reported(at):
    old = SignalFact("signin_exchange", "", "unhealthy", at)
    assert list(RULES["signin_exchange"].findings(facts(at, old)))
    new_ui = SignalFact("calendar_sync", "", "healthy", at)
    assert not list(RULES["signin_exchange"].findings(facts(at, old, new_ui)))
    unknown = SignalFact("calendar_sync", "", "unknown", at)
    assert list(RULES["signin_exchange"].findings(facts(at, old, unknown)))


def test_a_silent_device_whose_room_signed_in_since_lacks_telemetry_only(at):
    silent = facts(at, silent_since=at, signed_in_at=at + timedelta(minutes=3))
    assert [each.fault_at for each in RULES["monitoring"].findings(silent)] == [at]
    assert RULES["offline"].held_by == ("monitoring",)
    before = facts(at, silent_since=at, signed_in_at=at - timedelta(minutes=3))
    assert not list(RULES["monitoring"].findings(before))
    assert not list(RULES["monitoring"].findings(facts(at, silent_since=at)))  # without the fact, no finding


@pytest.mark.parametrize("key", sorted(RULES))
def test_every_rule_names_itself_and_tells_the_customer_what_to_do(key):
    rule = RULES[key]
    assert rule.key == key
    assert rule.name
    assert rule.component
    assert rule.advice.endswith(".")
    assert rule.platforms <= {"win", "bar", "con", "pan"}


@pytest.mark.parametrize("key", sorted(key for key, rule in RULES.items() if rule.source == "device"))
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
