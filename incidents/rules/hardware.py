"""Cameras, microphones, speakers and disks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from incidents.facts import DeviceFacts, Finding
from incidents.rules.registry import Category, ReportCategory, rule
from incidents.severity import Severity


@rule(
    "camera_room",
    name="Room camera missing",
    component="Room camera",
    severity=Severity.IMPORTANT,
    poll=timedelta(minutes=5),
    watch=timedelta(minutes=5),
    category=Category.HARDWARE,
    report_category=ReportCategory.PERIPHERALS,
    platforms="win",
    advice="Check the cable and the power of the room camera, then wait a minute.",
)
def camera_room(facts: DeviceFacts) -> Iterator[Finding]:
    """No camera that shows the room. Content cameras do not count."""
    yield from facts.reported("camera_room", "Room camera missing")


@rule(
    "mic_conf",
    name="Conferencing microphone missing",
    component="Conferencing microphone",
    severity=Severity.IMPORTANT,
    poll=timedelta(minutes=5),
    watch=timedelta(minutes=5),
    category=Category.HARDWARE,
    report_category=ReportCategory.AUDIO,
    platforms="win",
    advice="Check the cable and mute switch of the microphone, and that it is the configured device.",
)
def mic_conf(facts: DeviceFacts) -> Iterator[Finding]:
    """No microphone for meetings."""
    yield from facts.reported("mic_conf", "Conferencing microphone missing")


@rule(
    "spk_conf",
    name="Conferencing speaker missing",
    component="Conferencing speaker",
    severity=Severity.IMPORTANT,
    poll=timedelta(minutes=5),
    watch=timedelta(minutes=5),
    category=Category.HARDWARE,
    report_category=ReportCategory.AUDIO,
    platforms="win",
    advice="Check the cable and volume of the speaker, and that it is the configured device.",
)
def spk_conf(facts: DeviceFacts) -> Iterator[Finding]:
    """No speaker for meetings."""
    yield from facts.reported("spk_conf", "Conferencing speaker missing")


@rule(
    "disk_space",
    name="Low disk space",
    component="Disk space",
    severity=Severity.IMPORTANT,
    poll=timedelta(minutes=120),
    watch=timedelta(minutes=15),
    category=Category.HARDWARE,
    report_category=ReportCategory.PERIPHERALS,
    platforms="win",
    advice="Remove software and files that do not belong on a room device.",
)
def disk_space(facts: DeviceFacts) -> Iterator[Finding]:
    """The system drive has less than 10 % or 5 GB left, as the agent measures it."""
    yield from facts.reported("disk_space", "Low disk space")
