"""Microphones and speakers."""

from __future__ import annotations

from incidents.rules.registry import BotFirst, Category, ReportCategory, reported
from incidents.severity import Severity

AT_ONCE_S = 20  # the agent tells of these changes at once (docs/signals.md)
MIC_ADVICE = "Check the cable and mute switch of the microphone, and that it is the configured device."
SPEAKER_ADVICE = "Check the cable and volume of the speaker, and that it is the configured device."

mic_conf = reported(
    "mic_conf",
    "Conferencing microphone missing",
    name="Conferencing microphone missing",
    component="Conferencing microphone",
    severity=Severity.IMPORTANT,
    poll_min=5,
    watch_min=5,
    our_watch_s=AT_ONCE_S,
    category=Category.HARDWARE,
    report_category=ReportCategory.AUDIO,
    platforms="win",
    advice=MIC_ADVICE,
    bot_first=BotFirst.RESET_USB,
)
mic_configured = reported(
    "mic_configured",
    "Configured microphone missing, another one is used",
    name="Configured microphone missing, other used",
    component="Configured microphone",
    severity=Severity.WARNING,
    poll_min=5,
    watch_min=5,
    our_watch_s=AT_ONCE_S,
    category=Category.HARDWARE,
    report_category=ReportCategory.AUDIO,
    platforms="win",
    advice=MIC_ADVICE,
    bot_first=BotFirst.RESET_USB,
)
spk_conf = reported(
    "spk_conf",
    "Conferencing speaker missing",
    name="Conferencing speaker missing",
    component="Conferencing speaker",
    severity=Severity.IMPORTANT,
    poll_min=5,
    watch_min=5,
    our_watch_s=AT_ONCE_S,
    category=Category.HARDWARE,
    report_category=ReportCategory.AUDIO,
    platforms="win",
    advice=SPEAKER_ADVICE,
    bot_first=BotFirst.RESET_USB,
    held_by=("spk_misconfigured",),
)
spk_configured = reported(
    "spk_configured",
    "Configured conferencing speaker missing, another one is used",
    name="Configured conferencing speaker missing, other used",
    component="Configured speaker",
    severity=Severity.WARNING,
    poll_min=5,
    watch_min=5,
    our_watch_s=AT_ONCE_S,
    category=Category.HARDWARE,
    report_category=ReportCategory.AUDIO,
    platforms="win",
    advice=SPEAKER_ADVICE,
    bot_first=BotFirst.RESET_USB,
)
spk_misconfigured = reported(
    "spk_misconfigured",
    "Conferencing speaker is the one of the display",
    name="Conferencing speaker is the display's",
    component="Speaker choice",
    severity=Severity.WARNING,
    poll_min=5,
    watch_min=5,
    our_watch_s=AT_ONCE_S,
    category=Category.HARDWARE,
    report_category=ReportCategory.AUDIO,
    platforms="win",
    advice=SPEAKER_ADVICE,
    bot_first=BotFirst.RESET_USB,
)
spk_default = reported(
    "spk_default",
    "Configured default speaker missing",
    name="Configured default speaker missing",
    component="Default speaker",
    severity=Severity.WARNING,
    poll_min=5,
    watch_min=5,
    our_watch_s=AT_ONCE_S,
    category=Category.HARDWARE,
    report_category=ReportCategory.AUDIO,
    platforms="win",
    advice=SPEAKER_ADVICE,
    bot_first=BotFirst.RESET_USB,
)
vendor_mic_pod = reported(
    "vendor_mic_pod",
    "Microphone pods missing",
    name="Vendor mic pods missing",
    component="Microphone pods",
    severity=Severity.WARNING,
    poll_min=5,
    watch_min=5,
    our_watch_s=AT_ONCE_S,
    category=Category.HARDWARE,
    report_category=ReportCategory.AUDIO,
    platforms="win",
    advice=MIC_ADVICE,
    bot_first=BotFirst.RESET_USB,
)
vendor_speaker = reported(
    "vendor_speaker",
    "Speakers of the room's maker missing",
    name="Vendor speakers missing",
    component="Vendor speakers",
    severity=Severity.WARNING,
    poll_min=5,
    watch_min=5,
    our_watch_s=AT_ONCE_S,
    category=Category.HARDWARE,
    report_category=ReportCategory.AUDIO,
    platforms="win",
    advice=SPEAKER_ADVICE,
    bot_first=BotFirst.RESET_USB,
)
