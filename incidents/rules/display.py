"""Displays of the room."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from incidents.facts import DeviceFacts, Finding
from incidents.rules.registry import Category, ReportCategory, rule
from incidents.severity import Severity


@rule(
    "display_front",
    name="Front-of-room display missing",
    component="Front-of-room display",
    severity=Severity.IMPORTANT,
    poll=timedelta(minutes=5),
    watch=timedelta(minutes=5),
    category=Category.DISPLAY,
    report_category=ReportCategory.DISPLAY,
    platforms="win",
    advice="Check power, input and cable of the display, and how many displays the room should have.",
)
def display_front(facts: DeviceFacts) -> Iterator[Finding]:
    """Fewer front-of-room displays than configured."""
    yield from facts.reported("display_front", "Front-of-room display missing")
