"""What the Teams Rooms app wrote about itself into the event log `Skype Room System`, source `SRS-App`.

Every 5 minutes it writes one event of its heartbeat (2000 fine, 2001 failed) and one of its equipment (3000, 3001); 4000
when it starts. The text is JSON, and what failed stands in its Description as `<part> status : <word>.`, in English
whatever the system's language. Source: Microsoft, "Monitor Microsoft Teams Rooms devices with Azure Monitor".
"""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from agent.readers.facts import RoomApp, clean

HEARTBEAT, HARDWARE, RESTART = (2000, 2001), (3000, 3001), 4000
FINE = (2000, 3000)
RECENT = timedelta(minutes=16)  # three times five minutes and a little: then it has fallen silent
_STATUS = re.compile(r"([A-Za-z][A-Za-z ]*?)\s+status\s*:\s*(\w+)")
_DISPLAYS = re.compile(r"Configured display count is (\d+)\W+Real display count is (\d+)")


def room_app(rows: Iterable[Mapping[str, Any]], *, at: datetime) -> RoomApp:
    """From events, in any order, to what holds at `at` (aware). Older ones than RECENT tell nothing but restarts.

    Raises what an event of another form makes of reading it: then nothing of it is told.
    """
    events = sorted(
        ((_moment(row["At"]), int(row["Id"]), str(row["Text"] or "")) for row in rows), reverse=True
    )
    beat = next(((when, key, text) for when, key, text in events if key in HEARTBEAT), None)
    check = next(((when, key, text) for when, key, text in events if key in HARDWARE), None)
    parts: dict[str, str] = {}
    displays = None
    if check is not None and at - check[0] <= RECENT:
        parts |= {} if check[1] in FINE else statuses(_description(check[2]))
        displays = _DISPLAYS.search(_description(check[2]))
    if beat is not None and at - beat[0] <= RECENT:
        parts |= {} if beat[1] in FINE else statuses(_description(beat[2]))
    newest = beat or check
    return RoomApp(
        version=clean(str(_document(newest[2]).get("AppVersion") or "")) if newest else "",
        beats=beat is not None and at - beat[0] <= RECENT,
        checks=check is not None and at - check[0] <= RECENT,
        parts=parts,
        displays=(int(displays[1]), int(displays[2])) if displays else None,
        restarts=sum(key == RESTART for _, key, _ in events),
    )


def statuses(description: str) -> dict[str, str]:
    """`Camera status : Unhealthy. Exchange status : GeneralError.` as {"camera": "unhealthy", "exchange": …}."""
    return {part.strip().lower(): word.lower() for part, word in _STATUS.findall(description)}


def _document(text: str) -> dict[str, Any]:
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("an event of the room app is no object")
    return found


def _description(text: str) -> str:
    return str(_document(text).get("Description") or "")


def _moment(text: str) -> datetime:
    """PowerShell's round-trip form has seven digits of a second, one more than Python reads."""
    found = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text))
    return found if found.tzinfo else found.replace(tzinfo=UTC)
