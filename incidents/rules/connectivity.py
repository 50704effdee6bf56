"""Reaching the device, and what the device reaches."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from incidents.facts import DeviceFacts, Finding
from incidents.rules.registry import Category, ReportCategory, rule
from incidents.severity import Severity


def _silence(facts: DeviceFacts) -> Iterator[Finding]:
    """`silent_since` is set once the deadlines are missed; our own outages are subtracted before."""
    if facts.silent_since is not None:
        evidence = {"silent_since": facts.silent_since.isoformat()}
        yield Finding("", "Device is silent", evidence, fault_at=facts.silent_since)


@rule(
    "offline",
    name="Device silent",
    component="Heartbeat",
    severity=Severity.IMPORTANT,
    poll=timedelta(minutes=180),
    watch=timedelta(minutes=1),
    category=Category.CONNECTIVITY,
    report_category=ReportCategory.CONNECTIVITY,
    platforms="win",
    advice="Check power and network of the device: switch port, cable, proxy and firewall.",
    derived=True,
)
def offline(facts: DeviceFacts) -> Iterator[Finding]:
    """A room system has missed its deadlines."""
    yield from _silence(facts)


@rule(
    "a_offline",
    name="Device silent",
    component="Heartbeat",
    severity=Severity.CRITICAL,
    poll=timedelta(minutes=180),
    watch=timedelta(minutes=60),
    category=Category.CONNECTIVITY,
    report_category=ReportCategory.CONNECTIVITY,
    platforms="bar con",
    advice="Check power and network of the device: switch port, cable, proxy and firewall.",
    derived=True,
)
def a_offline(facts: DeviceFacts) -> Iterator[Finding]:
    """A video bar or touch console has missed its deadlines."""
    yield from _silence(facts)


@rule(
    "network",
    name="Limited internet access",
    component="Internet access",
    severity=Severity.WARNING,
    poll=timedelta(minutes=5),
    watch=timedelta(0),
    category=Category.CONNECTIVITY,
    report_category=ReportCategory.CONNECTIVITY,
    platforms="win",
    advice="Check switch port, proxy and firewall: some addresses the device needs cannot be reached.",
)
def network(facts: DeviceFacts) -> Iterator[Finding]:
    """Some of the addresses a room needs cannot be reached."""
    yield from facts.reported("network", "Limited internet access")


@rule(
    "wifi_only",
    name="Connected by Wi-Fi only",
    component="Wired network",
    severity=Severity.RECOMMENDED,
    poll=timedelta(minutes=120),
    watch=timedelta(0),
    category=Category.CONNECTIVITY,
    report_category=ReportCategory.CONNECTIVITY,
    platforms="win",
    advice="Connect the device by cable: Wi-Fi alone makes meetings less reliable.",
)
def wifi_only(facts: DeviceFacts) -> Iterator[Finding]:
    """Connected by Wi-Fi and by nothing else."""
    yield from facts.reported("wifi_only", "Connected by Wi-Fi only")
