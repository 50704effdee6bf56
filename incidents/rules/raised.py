"""Types of tickets no telemetry opens: people record them, an update or a common cause raises them."""

from __future__ import annotations

from incidents.rules.registry import BotFirst, Category, ReportCategory, raised
from incidents.severity import Severity

ALL = "win bar con pan"

recorded_issue = raised(
    "recorded_issue",
    name="Recorded issue",
    component="Recorded issue",
    severity=Severity.CRITICAL,
    category=Category.RECORDED,
    report_category=ReportCategory.RECORDED,
    platforms=ALL,
    advice="Describe what happens and add pictures; Operations answers in the ticket.",
)
event_flagged = raised(
    "event_flagged",
    name="Flagged events",
    component="Flagged events",
    severity=Severity.CRITICAL,
    category=Category.RECORDED,
    report_category=ReportCategory.RECORDED,
    platforms=ALL,
    advice="Describe what happens and add pictures; Operations answers in the ticket.",
)
outage = raised(
    "outage",
    name="Service outage",
    component="Service",
    severity=None,
    category=Category.OUTAGE,
    report_category=ReportCategory.CONNECTIVITY,
    platforms="win",
    advice="Wait: many rooms have the same trouble at once. Operations tells you more here.",
)
site_silent = raised(
    "site_silent",
    name="Many devices silent",
    component="Site",
    severity=None,
    category=Category.OUTAGE,
    report_category=ReportCategory.CONNECTIVITY,
    platforms=ALL,
    advice="Check the power and the network of the place: many of its devices fell silent at once.",
    bot_first=BotFirst.PROBE_ENDPOINTS,
)
update_failed = raised(
    "update_failed",
    name="Update failed",
    component="Update",
    severity=Severity.IMPORTANT,
    category=Category.OS_APP,
    report_category=ReportCategory.VERSIONING,
    platforms=ALL,
    advice="Keep the device on and online overnight.",
    bot_first=BotFirst.OFFER_CATCH_UP,
)
update_paused = raised(
    "update_paused",
    name="Update paused",
    component="Update",
    severity=Severity.WARNING,
    category=Category.OS_APP,
    report_category=ReportCategory.VERSIONING,
    platforms=ALL,
    advice="Keep the device on and online overnight.",
    bot_first=BotFirst.OFFER_CATCH_UP,
)
device_copy = raised(
    "device_copy",
    name="Copy of a device suspected",
    component="Identity",
    severity=Severity.IMPORTANT,
    category=Category.SECURITY,
    report_category=ReportCategory.CONNECTIVITY,
    platforms=ALL,
    advice="Two devices seem to use one identity. Enroll the one that was copied anew.",
)
operation_lost = raised(
    "operation_lost",
    name="Remote action without an end",
    component="Remote action",
    severity=Severity.WARNING,
    category=Category.CONNECTIVITY,
    report_category=ReportCategory.CONNECTIVITY,
    platforms=ALL,
    advice="Check that the device is on and online; the action may have to be started again.",
)
