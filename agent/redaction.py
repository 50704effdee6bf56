"""What was said and who met stays on the device: meeting subject and body, contacts and chat are cut out of any text
or document before it is kept or sent.

Two readers: JSON, also inside a text, by the names of members; and lines of the form "Subject: …".
"""

import json
import re
from typing import Any

REMOVED = "[removed]"
PRIVATE = frozenset(  # names in lower case, without separators
    "subject meetingsubject title meetingtitle body bodypreview bodytext agenda notes "
    "attendees attendee requiredattendees optionalattendees participants organizer organiser invitees "
    "contact contacts contactcard contactcards vcard "
    "chat chatmessage chatmessages chattext transcript caption captions".split()
)
_NOT_LETTERS = re.compile(r"[^a-z]")
_BLOCK = re.compile(
    r"(?im)^([ \t]*(?:body(?:[ _-]?(?:preview|text))?|agenda|notes|chat(?:[ _-]?messages?)?|transcript)[ \t]*[:=])"
    r"[^\n]*\n(?:(?![ \t]*\r?\n|[ \t]*[\w -]{1,40}[:=]).+(?:\n|\Z))*"
)
_LINE = re.compile(
    r"(?im)\b((?:meeting[ _-]?)?(?:subject|title)|body(?:[ _-]?preview)?|agenda|(?:required|optional)?[ _-]?attendees?|"
    r"participants?|organi[sz]er|invitees?|contacts?|contact[ _-]?cards?|chat(?:[ _-]?messages?)?|transcript)"
    r"(\s*[:=]\s*)(?!\s*$)(\"(?:[^\"\\]|\\.)*\"|[^\r\n]*)"
)


def document(value: Any) -> Any:
    """The same JSON value with private members removed, however deep; texts in it are read too."""
    if isinstance(value, dict):
        return {name: REMOVED if _private(name) else document(each) for name, each in value.items()}
    if isinstance(value, list):
        return [document(each) for each in value]
    return text(value) if isinstance(value, str) else value


def text(value: str) -> str:
    """A line of a log or the description of an event."""
    start = value.find("{")
    if start >= 0:
        try:
            found, end = json.JSONDecoder().raw_decode(value, start)
        except (ValueError, RecursionError):
            pass  # no JSON after all: read as lines below
        else:
            inside = json.dumps(document(found), ensure_ascii=False)
            return f"{lines(value[:start])}{inside}{text(value[end:])}"
    return lines(value)


def lines(value: str) -> str:
    """What follows a private word, and the lines below a body or chat up to an empty one or the next "Name: …"."""
    return _LINE.sub(rf"\1\2{REMOVED}", _BLOCK.sub(rf"\1{REMOVED}\n", value))


def _private(name: str) -> bool:
    return _NOT_LETTERS.sub("", name.lower()) in PRIVATE
