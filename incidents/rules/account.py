"""Signing in, and the calendar of the room's account."""

from __future__ import annotations

from incidents.rules.registry import BotFirst, Category, ReportCategory, reported
from incidents.severity import Severity

ADVICE = "Check the password of the room's account, its licence and the access policies it falls under."

signin_exchange = reported(
    "signin_exchange",
    "Room cannot sign in to Exchange",
    name="Sign in (Exchange)",
    component="Exchange sign-in",
    severity=Severity.CRITICAL,
    poll_min=5,
    watch_min=30,
    category=Category.ACCOUNT,
    report_category=ReportCategory.CONNECTIVITY,
    platforms="win",
    advice=ADVICE,
    bot_first=BotFirst.COLLECT_LOGS,
    replaced_by="calendar_sync",  # on the new interface of the room app
)
signin_teams = reported(
    "signin_teams",
    "Room cannot sign in to Teams",
    name="Sign in (Teams)",
    component="Teams sign-in",
    severity=Severity.CRITICAL,
    poll_min=5,
    watch_min=30,
    category=Category.ACCOUNT,
    report_category=ReportCategory.CONNECTIVITY,
    platforms="win",
    advice=ADVICE,
    bot_first=BotFirst.COLLECT_LOGS,
)
calendar_sync = reported(
    "calendar_sync",
    "Calendar of the room is not updated",
    name="Calendar sync",
    component="Calendar",
    severity=Severity.CRITICAL,
    poll_min=5,
    watch_min=30,
    category=Category.ACCOUNT,
    report_category=ReportCategory.CONNECTIVITY,
    platforms="win",
    advice=ADVICE,
    bot_first=BotFirst.COLLECT_LOGS,
)
a_signin_teams = reported(
    "a_signin_teams",
    "Room cannot sign in to Teams",
    name="Sign in (Teams)",
    component="Teams sign-in",
    severity=Severity.CRITICAL,
    poll_min=180,
    watch_min=0,
    category=Category.ACCOUNT,
    report_category=ReportCategory.CONNECTIVITY,
    platforms="bar con",
    advice=ADVICE,
    bot_first=BotFirst.COLLECT_LOGS,
)
