"""A ticket's timeline as lines of a page: who, what, when; comments with their text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from incidents.lifecycle import CAUSES, CAUSES_OF_GREENROOM
from incidents.models import Incident, IncidentEntry
from incidents.notes import text_of
from portal.web.words import ticket_state

Kind = IncidentEntry.Kind
ICONS = {
    Kind.OPENED: ("incident", "bad"),
    Kind.STATE: ("swap", ""),
    Kind.ASSIGNED: ("user", ""),
    Kind.RESOLVED: ("check", "ok"),
    Kind.REOPENED: ("incident", "warn"),
    Kind.CLOSED: ("lock", ""),
    Kind.SUPPRESSED: ("belloff", "mute"),
    Kind.COUNTED: ("bell", ""),
    Kind.MOVED: ("forward", ""),
    Kind.LINKED: ("link", ""),
    Kind.ATTACHED: ("download", ""),
    Kind.DETACHED: ("x", ""),
    Kind.ROOMS: ("room", ""),
    Kind.IMPACT: ("flag", "bad"),
}

SAID_IN_TEXT = (Kind.LINKED, Kind.ATTACHED, Kind.DETACHED)


@dataclass(frozen=True)
class Line:
    id: str
    at: datetime
    icon: str  # empty: written by somebody, whose initials stand there
    tone: str
    who: str
    side: str  # Operations, or the customer's name
    text: str
    body: str  # what was written
    note: bool  # for Operations alone
    by_operator: bool


def lines(
    incident: Incident, entries: Iterable[IncidentEntry], *, customer: str, for_operator: bool
) -> list[Line]:
    """Oldest first, as given."""
    return [_line(incident, entry, customer, for_operator=for_operator) for entry in entries]


def _line(incident: Incident, entry: IncidentEntry, customer: str, *, for_operator: bool) -> Line:
    written = entry.kind in (Kind.COMMENT, Kind.NOTE)
    icon, tone = ("", "") if written else ICONS[Kind(entry.kind)]
    if entry.kind == Kind.STATE and entry.after == "needs_action":
        tone = "warn"
    return Line(
        id=f"entry-{entry.id}",
        at=entry.at,
        icon=icon,
        tone=tone,
        who=entry.author.name if entry.author else "Greenroom",
        side="" if entry.author is None else "Operations" if entry.by_operator else customer,
        text="" if written else _text(incident, entry, customer, for_operator=for_operator),
        body="" if entry.kind in SAID_IN_TEXT else text_of(entry),
        note=entry.kind == Kind.NOTE,
        by_operator=entry.by_operator,
    )


def _text(incident: Incident, entry: IncidentEntry, customer: str, *, for_operator: bool) -> str:
    match Kind(entry.kind):
        case Kind.OPENED:
            return "recorded the issue" if entry.author is not None else "opened the ticket"
        case Kind.STATE if (
            entry.after == "assigned_to_soc" and entry.before == "needs_action" and not entry.by_operator
        ):
            return "gave it back to Operations"
        case Kind.STATE if entry.after == "assigned_to_soc":
            return "took the ticket"
        case Kind.STATE if entry.after == "needs_action":
            return f"asked {customer} to act" if for_operator else "asked you to act"
        case Kind.STATE if entry.after == "pending_investigation":
            return "put it into the queue of Operations"
        case Kind.ASSIGNED:
            return "handed it to a colleague"
        case Kind.RESOLVED:
            cause = CAUSES.get(incident.cause) or CAUSES_OF_GREENROOM.get(incident.cause, "")
            return f"resolved it: {cause.lower()}" if cause else "resolved it"
        case Kind.REOPENED:
            return "opened it again"
        case Kind.CLOSED:
            return "closed it"
        case Kind.SUPPRESSED:
            return "stopped counting it: the room is suppressed"
        case Kind.COUNTED:
            return "counts it again"
        case Kind.MOVED:
            return "moved it with its device to another room"
        case Kind.LINKED:
            return text_of(entry) or "linked it to another ticket"
        case Kind.ATTACHED:
            return f"attached {entry.text}"
        case Kind.DETACHED:
            return f"removed {entry.text}"
        case Kind.ROOMS:
            return "changed its rooms"
        case Kind.IMPACT:
            return "marked it as of high impact" if entry.text else "took back that it is of high impact"
    return f"changed it to {ticket_state(entry.after, for_operator=for_operator)[1].lower()}"
