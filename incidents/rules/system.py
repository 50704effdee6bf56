"""The operating system, its updates, and the meeting app."""

from __future__ import annotations

from collections.abc import Iterator

from incidents.facts import DeviceFacts, Finding
from incidents.rules.registry import BotFirst, Category, ReportCategory, Source, reported, rule
from incidents.severity import Severity

SUPPORTED_LINES = 2
POLICY_ADVICE = "Remove the policy or redirect that keeps updates away, and open the update addresses."
KEEP_ON = "Keep the device on and online overnight: updates are installed then."
APP_ADVICE = "Check that the device has power and that its local account signs in by itself."


@rule(
    "app_version",
    name="Meeting app version",
    component="Meeting app version",
    severity=Severity.WARNING,
    poll_min=120,
    watch_min=0,
    category=Category.OS_APP,
    report_category=ReportCategory.VERSIONING,
    platforms="win",
    advice=KEEP_ON,
    bot_first=BotFirst.OFFER_CATCH_UP,
    source=Source.DERIVED,
)
def app_version(facts: DeviceFacts) -> Iterator[Finding]:
    """The maker supports the newest line and the one before; this one is older."""
    if facts.lines_behind is not None and facts.lines_behind >= SUPPORTED_LINES:
        evidence = {"version": facts.app_version, "newer_versions": facts.lines_behind}
        yield Finding(
            "", f"Meeting app {facts.app_version} is {facts.lines_behind} versions behind", evidence
        )


os_version = reported(
    "os_version",
    "Operating system is no longer supported",
    name="OS version unsupported",
    component="Operating system",
    severity=Severity.WARNING,
    poll_min=120,
    watch_min=0,
    category=Category.OS_APP,
    report_category=ReportCategory.VERSIONING,
    platforms="win",
    advice=KEEP_ON,
    bot_first=BotFirst.OFFER_CATCH_UP,
)
time_drift = reported(
    "time_drift",
    "Clock of the device is wrong",
    name="Time drift",
    component="Clock",
    severity=Severity.WARNING,
    poll_min=120,
    watch_min=0,
    category=Category.OS_APP,
    report_category=ReportCategory.VERSIONING,
    platforms="win",
    advice="Set the time source of the device; its clock is more than five minutes off.",
)
wu_disabled = reported(
    "wu_disabled",
    "Windows Update is disabled",
    name="Windows Update disabled",
    component="Windows Update",
    severity=Severity.WARNING,
    poll_min=120,
    watch_min=0,
    category=Category.OS_APP,
    report_category=ReportCategory.VERSIONING,
    platforms="win",
    advice=POLICY_ADVICE,
)
os_activation = reported(
    "os_activation",
    "Windows is not activated",
    name="Windows activation",
    component="Activation",
    severity=Severity.RECOMMENDED,
    poll_min=120,
    watch_min=0,
    category=Category.OS_APP,
    report_category=ReportCategory.VERSIONING,
    platforms="win",
    advice="Activate Windows on the device.",
)
wsus_enabled = reported(
    "wsus_enabled",
    "An update server is set and no recent updates arrived",
    name="WSUS configured, no recent updates",
    component="Update server",
    severity=Severity.IMPORTANT,
    poll_min=120,
    watch_min=0,
    category=Category.OS_APP,
    report_category=ReportCategory.VERSIONING,
    platforms="win",
    advice=POLICY_ADVICE,
)
wu_components = reported(
    "wu_components",
    "Windows Update components need a reset",
    name="Windows Update components need reset",
    component="Update components",
    severity=Severity.IMPORTANT,
    poll_min=120,
    watch_min=0,
    category=Category.OS_APP,
    report_category=ReportCategory.VERSIONING,
    platforms="win",
    advice="A technician on site may have to repair Windows Update if the reset does not help.",
    bot_first=BotFirst.RESET_COMPONENTS,
)
app_heartbeat = reported(
    "app_heartbeat",
    "Meeting app does not run",
    name="Meeting app (heartbeat)",
    component="Meeting app",
    severity=Severity.CRITICAL,
    poll_min=10,
    watch_min=60,
    category=Category.CONFIG,
    report_category=ReportCategory.CONNECTIVITY,
    platforms="win",
    advice=APP_ADVICE,
    bot_first=BotFirst.REPAIR_APP,
)
nightly_reboot = reported(
    "nightly_reboot",
    "Device was not restarted for two days",
    name="Nightly reboot disabled",
    component="Nightly restart",
    severity=Severity.WARNING,
    poll_min=120,
    watch_min=0,
    category=Category.CONFIG,
    report_category=ReportCategory.VERSIONING,
    platforms="win",
    advice="Turn the task on that restarts the device every night.",
)
default_credentials = reported(
    "default_credentials",
    "Local administrator has the factory password",
    name="Factory admin credentials",
    component="Local administrator",
    severity=Severity.WARNING,
    poll_min=120,
    watch_min=0,
    category=Category.SECURITY,
    report_category=ReportCategory.VERSIONING,
    platforms="win",
    advice="Change the password of the local administrator.",
)
a_app_heartbeat = reported(
    "a_app_heartbeat",
    "Meeting app does not run",
    name="Meeting app (heartbeat)",
    component="Meeting app",
    severity=Severity.CRITICAL,
    poll_min=180,
    watch_min=20,
    category=Category.OS_APP,
    report_category=ReportCategory.CONNECTIVITY,
    platforms="bar con",
    advice=APP_ADVICE,
    bot_first=BotFirst.REPAIR_APP,
)
