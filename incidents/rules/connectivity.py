"""Reaching the device, and what the device reaches."""

from __future__ import annotations

from collections.abc import Iterator

from incidents.facts import DeviceFacts, Finding
from incidents.rules.registry import BotFirst, Category, ReportCategory, Source, reported, rule
from incidents.severity import Severity

ADVICE = "Check power and network of the device: switch port, cable, proxy and firewall."
REACH_ADVICE = "Check switch port, proxy and firewall: some addresses the device needs cannot be reached."

network = reported(
    "network",
    "Limited internet access",
    name="Limited internet access",
    component="Internet access",
    severity=Severity.WARNING,
    poll_min=5,
    watch_min=0,
    category=Category.CONNECTIVITY,
    report_category=ReportCategory.CONNECTIVITY,
    platforms="win",
    advice=REACH_ADVICE,
    bot_first=BotFirst.PROBE_ENDPOINTS,
)
monitoring_partial = reported(
    "monitoring_partial",
    "The agent cannot tell everything",
    name="Agent cannot send all signals",
    component="Agent",
    severity=Severity.WARNING,
    poll_min=120,
    watch_min=150,
    category=Category.CONNECTIVITY,
    report_category=ReportCategory.CONNECTIVITY,
    platforms="win",
    advice="Check that the agent runs with the rights it needs.",
    bot_first=BotFirst.PROBE_ENDPOINTS,
)
wifi_only = reported(
    "wifi_only",
    "Connected by Wi-Fi only",
    name="Connected by Wi-Fi only",
    component="Wired network",
    severity=Severity.RECOMMENDED,
    poll_min=120,
    watch_min=0,
    category=Category.CONNECTIVITY,
    report_category=ReportCategory.CONNECTIVITY,
    platforms="win",
    advice="Connect the device by cable: Wi-Fi alone makes meetings less reliable.",
    bot_first=BotFirst.PROBE_ENDPOINTS,
)
wifi_weak = reported(
    "wifi_weak",
    "Connected by weak Wi-Fi only",
    name="Wi-Fi only and weak",
    component="Wi-Fi",
    severity=Severity.WARNING,
    poll_min=120,
    watch_min=0,
    category=Category.CONNECTIVITY,
    report_category=ReportCategory.CONNECTIVITY,
    platforms="win",
    advice="Connect the device by cable, or move the access point nearer.",
    bot_first=BotFirst.PROBE_ENDPOINTS,
)
wu_blocked = reported(
    "wu_blocked",
    "Update addresses cannot be reached",
    name="Update endpoints unreachable",
    component="Update addresses",
    severity=Severity.WARNING,
    poll_min=120,
    watch_min=10,
    category=Category.CONNECTIVITY,
    report_category=ReportCategory.VERSIONING,
    platforms="win",
    advice="Open the update addresses in proxy and firewall.",
)
a_network = reported(
    "a_network",
    "Some addresses meetings need cannot be reached",
    name="Some critical endpoints unreachable",
    component="Internet access",
    severity=Severity.IMPORTANT,
    poll_min=180,
    watch_min=20,
    category=Category.CONNECTIVITY,
    report_category=ReportCategory.CONNECTIVITY,
    platforms="bar con",
    advice=REACH_ADVICE,
    bot_first=BotFirst.PROBE_ENDPOINTS,
)


def _silence(facts: DeviceFacts) -> Iterator[Finding]:
    """`silent_since` is set once the deadlines are missed; our own outages are subtracted before."""
    if facts.silent_since is not None:
        evidence = {"silent_since": facts.silent_since.isoformat()}
        yield Finding("", "Device is silent", evidence, fault_at=facts.silent_since)


@rule(
    "monitoring",
    name="No telemetry, Teams sign-in recent",
    component="Telemetry",
    severity=Severity.IMPORTANT,
    poll_min=60,
    watch_min=1,
    category=Category.CONNECTIVITY,
    report_category=ReportCategory.CONNECTIVITY,
    platforms="win",
    advice="The room works, but its agent is not heard: check that it runs and reaches us.",
    bot_first=BotFirst.PROBE_ENDPOINTS,
    source=Source.DERIVED,
)
def monitoring(facts: DeviceFacts) -> Iterator[Finding]:
    """Silent, though the room's account signed in to Teams after that: the room works, its agent does not."""
    signed_in = facts.signed_in_at
    if facts.silent_since is not None and signed_in is not None and signed_in > facts.silent_since:
        evidence = {"silent_since": facts.silent_since.isoformat(), "signed_in_at": signed_in.isoformat()}
        yield Finding("", "No telemetry, though the room signs in", evidence, fault_at=facts.silent_since)


@rule(
    "offline",
    name="Device silent",
    component="Heartbeat",
    severity=Severity.IMPORTANT,
    poll_min=180,
    watch_min=1,
    category=Category.CONNECTIVITY,
    report_category=ReportCategory.CONNECTIVITY,
    platforms="win",
    advice=ADVICE,
    bot_first=BotFirst.PROBE_ENDPOINTS,
    source=Source.DERIVED,
    held_by=("monitoring",),
)
def offline(facts: DeviceFacts) -> Iterator[Finding]:
    """A room system has missed its deadlines."""
    yield from _silence(facts)


@rule(
    "a_offline",
    name="Device silent",
    component="Heartbeat",
    severity=Severity.CRITICAL,
    poll_min=180,
    watch_min=60,
    category=Category.CONNECTIVITY,
    report_category=ReportCategory.CONNECTIVITY,
    platforms="bar con",
    advice=ADVICE,
    bot_first=BotFirst.PROBE_ENDPOINTS,
    source=Source.DERIVED,
)
def a_offline(facts: DeviceFacts) -> Iterator[Finding]:
    """A video bar or touch console has missed its deadlines."""
    yield from _silence(facts)
