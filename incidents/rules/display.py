"""Displays of the room."""

from __future__ import annotations

from incidents.rules.registry import Category, ReportCategory, reported
from incidents.severity import Severity

AT_ONCE_S = 20  # the agent tells of these changes at once (docs/signals.md)
ADVICE = "Check power, input and cable of the display, and how many displays the room should have."

display_front = reported(
    "display_front",
    "Front-of-room display missing",
    name="Front-of-room display missing",
    component="Front-of-room display",
    severity=Severity.IMPORTANT,
    poll_min=5,
    watch_min=5,
    our_watch_s=AT_ONCE_S,
    category=Category.DISPLAY,
    report_category=ReportCategory.DISPLAY,
    platforms="win",
    advice=ADVICE,
)
display_console = reported(
    "display_console",
    "Console display missing",
    name="Console display missing",
    component="Console display",
    severity=Severity.IMPORTANT,
    poll_min=5,
    watch_min=5,
    our_watch_s=AT_ONCE_S,
    category=Category.DISPLAY,
    report_category=ReportCategory.DISPLAY,
    platforms="win",
    advice=ADVICE,
)
a_display_second = reported(
    "a_display_second",
    "Second display and dual mode disagree",
    name="Second display and dual mode disagree",
    component="Second display",
    severity=Severity.WARNING,
    poll_min=180,
    watch_min=20,
    category=Category.DISPLAY,
    report_category=ReportCategory.DISPLAY,
    platforms="bar con",
    advice=ADVICE,
)
