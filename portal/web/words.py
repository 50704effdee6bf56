"""What pages call things, and how they say times. Tones are those of the design: ok bad warn off mute info none."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from foundation import clock

ROOM_STATES = {
    "healthy": ("ok", "Healthy"),
    "unhealthy": ("bad", "Unhealthy"),
    "unmonitored": ("off", "Offline"),
    "suppressed": ("mute", "Suppressed"),
    "onboarding": ("info", "Onboarding"),
    "unenrolled": ("none", "No device"),
}
SIGNAL_STATES = {
    "healthy": ("ok", "Healthy"),
    "unhealthy": ("bad", "Unhealthy"),
    "watching": ("warn", "Watching"),
    "unknown": ("none", "Unknown"),
    "suppressed": ("mute", "Suppressed"),
    "disabled": ("mute", "Off"),
}
CATALOGUE_VERDICTS = {
    "certified": ("ok", "Certified"),
    "ends_soon": ("warn", "Support ends soon"),
    "ended": ("bad", "Support ended"),
    "not_certified": ("warn", "Not certified"),
    "unknown": ("none", "Not in the catalogue"),
}
CATALOGUE_KINDS = {
    "room_system": "Room system",
    "video_bar": "Video bar",
    "board": "Board",
    "console": "Touch console",
    "panel": "Panel",
    "camera": "Camera",
    "content_camera": "Content camera",
    "speakerphone": "Speakerphone",
    "microphone": "Microphone",
    "speaker": "Speaker",
    "audio_system": "Audio system",
    "display": "Display",
    "other": "Other",
}
CATALOGUE_PLATFORMS = {"windows": "Windows", "android": "Android", "any": "Any"}
SEVERITIES = {
    1: ("bad", "Critical"),
    2: ("warn", "Important"),
    3: ("info", "Warning"),
    4: ("off", "Recommended"),
}
TICKET_STATES = {
    "new": ("none", "New", "New"),
    "investigating": ("info", "Investigating", "Investigating"),
    "needs_action": ("warn", "Waiting on you", "Waiting on customer"),
    "pending_investigation": ("none", "Waiting for Operations", "In the queue"),
    "assigned_to_soc": ("info", "With Operations", "In progress"),
    "resolved": ("ok", "Resolved", "Resolved"),
    "closed": ("ok", "Closed", "Closed"),
}
BULK_STATES = {
    "draft": ("none", "Draft"),
    "queued": ("info", "Under way"),
    "done": ("ok", "Done"),
    "undoing": ("info", "Being undone"),
    "undone": ("mute", "Undone"),
}
DATE_AFTER_S = 48 * 3600
JUST_NOW_S = 180


def ticket_state(name: str, *, for_operator: bool = False) -> tuple[str, str]:
    """Tone and label of a ticket's state, as the customer or the operator reads it."""
    tone, customers, operators = TICKET_STATES[name]
    if name == "needs_action" and for_operator:
        tone = "mute"
    return tone, operators if for_operator else customers


def zone_of(context: Any) -> ZoneInfo:
    """The zone a page tells times in: its own (`zone`), else the organisation's."""
    zone = context.get("zone")
    if zone is None:
        principal = context.get("principal")
        zone = principal.tenant.time_zone if principal is not None else "UTC"
    return zone if isinstance(zone, ZoneInfo) else ZoneInfo(zone)


def seconds_since(moment: datetime) -> int:
    """Whole seconds from `moment` to now; negative for what is to come."""
    return int((clock.now() - moment).total_seconds())


def span_text(seconds: int) -> str:
    """ "20 s", "5 m", "2 h 56 m", "4 d"."""
    seconds = max(seconds, 0)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} m"
    if seconds < DATE_AFTER_S:
        return f"{seconds // 3600} h {seconds % 3600 // 60:02d} m"
    return f"{seconds // 86400} d"


def countdown_text(left_s: int) -> str:
    seconds = abs(left_s)
    hours, minutes = seconds // 3600, seconds % 3600 // 60
    if hours < 10:
        text = f"{hours}:{minutes:02d}:{seconds % 60:02d}"
    elif hours < 48:
        text = f"{hours} h {minutes:02d} m"
    else:
        text = f"{hours // 24} d {hours % 24} h"
    return ("−" if left_s < 0 else "") + text


def moment_text(moment: datetime, zone: ZoneInfo) -> str:
    """Wall-clock time: "09:21" today, "11 Nov, 22:14" this year, else "11 Nov 2025"."""
    local, today = moment.astimezone(zone), clock.now().astimezone(zone)
    if local.date() == today.date():
        return f"{local:%H:%M}"
    if local.year == today.year:
        return f"{local.day} {local:%b}, {local:%H:%M}"
    return f"{local.day} {local:%b} {local.year}"


def period_text(seconds: int) -> str:
    """A length of time as settings say it: "none", "10 s", "5 minutes", "1 h 30 m"."""
    if not seconds:
        return "none"
    if seconds < 60 or seconds % 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min"
    hours, minutes = divmod(seconds // 60, 60)
    return f"{hours} h {minutes:02d} min" if minutes else f"{hours} h"
