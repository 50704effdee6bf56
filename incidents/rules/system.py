"""The operating system and the meeting app."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from incidents.facts import DeviceFacts, Finding
from incidents.rules.registry import Category, ReportCategory, rule
from incidents.severity import Severity


@rule(
    "time_drift",
    name="Time drift",
    component="Clock",
    severity=Severity.WARNING,
    poll=timedelta(minutes=120),
    watch=timedelta(0),
    category=Category.OS_APP,
    report_category=ReportCategory.VERSIONING,
    platforms="win",
    advice="Set the time source of the device; its clock is more than five minutes off.",
)
def time_drift(facts: DeviceFacts) -> Iterator[Finding]:
    """The device's clock differs from ours by more than 5 minutes, as the agent measures it."""
    yield from facts.reported("time_drift", "Clock of the device is wrong")


@rule(
    "app_heartbeat",
    name="Meeting app (heartbeat)",
    component="Meeting app",
    severity=Severity.CRITICAL,
    poll=timedelta(minutes=10),
    watch=timedelta(minutes=60),
    category=Category.CONFIG,
    report_category=ReportCategory.CONNECTIVITY,
    platforms="win",
    advice="Check that the device has power and that its local account signs in by itself.",
)
def app_heartbeat(facts: DeviceFacts) -> Iterator[Finding]:
    """The meeting app does not run or does not answer."""
    yield from facts.reported("app_heartbeat", "Meeting app does not run")
