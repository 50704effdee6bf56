"""What the Direct Device Integration protocol says, as values: the poll, the deployment, what a device reports.

Pure. Links in documents are absolute; `base` is the address of one device's resources, without a slash at its end.
"""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import quote

from foundation.errors import NotValid

SLEEP_S = (
    30,
    24 * 3600 - 1,
)  # hours have two digits and end at 23: clients read the text with a clock's format
MOST_DETAILS = 50
MOST_CHARACTERS = 1_000  # of one line a device tells
LEGACY_PARTS = {"application": "bApp", "runtime": "jvm"}


@dataclass(frozen=True)
class OfferedFile:
    name: str
    size_bytes: int
    sha256: str
    sha1: str
    md5: str


@dataclass(frozen=True)
class Offer:
    """The one update in force for a device. `number`: 1 to 2**31 - 1, never used twice: clients remember it."""

    number: int
    part: str
    version: str
    name: str
    file: OfferedFile
    forced: bool = False
    download_only: bool = False
    cancelling: bool = False
    confirming: bool = False  # waits for consent


class Report(StrEnum):
    """What a report means for the attempt."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNDER_WAY = "under_way"  # still on it, or not now: nothing is decided
    STOPPED = "stopped"  # cancelled as asked
    GOES_ON = "goes_on"  # could not or would not be cancelled


@dataclass(frozen=True)
class Feedback:
    execution: str
    finished: str
    details: tuple[str, ...]
    percent: int | None = None  # how far it is, where it tells

    def of_deployment(self, *, download_only: bool = False) -> Report:
        """A failure under way is no end, and `canceled` only an intent: `closed` alone decides.

        `download_only`: there `downloaded` ends it too.
        """
        if download_only and self.execution == "downloaded" and self.finished != "failure":
            return Report.SUCCEEDED
        if self.execution != "closed":
            return Report.UNDER_WAY
        return Report.FAILED if self.finished == "failure" else Report.SUCCEEDED

    def of_cancellation(self) -> Report:
        """`canceled` counts as done: devices that say it wait for no further question."""
        if self.execution == "canceled" or (self.execution == "closed" and self.finished != "failure"):
            return Report.STOPPED
        return Report.GOES_ON if self.execution in ("closed", "rejected") else Report.UNDER_WAY


EXECUTIONS = (
    "closed",
    "proceeding",
    "scheduled",
    "resumed",
    "download",
    "downloaded",
    "rejected",
    "canceled",
)
FINISHED = ("success", "failure", "none")


def feedback(body: object) -> Feedback:
    """A device's report; unknown members are passed over. Raises NotValid."""
    status = _member(body, "status", "status")
    execution = _member(status, "execution", "status.execution")
    result = _member(status, "result", "status.result")
    finished = _member(result, "finished", "status.result.finished")
    if execution not in EXECUTIONS:
        raise NotValid(f"One of {', '.join(EXECUTIONS)}.", field="status.execution")
    if finished not in FINISHED:
        raise NotValid(f"One of {', '.join(FINISHED)}.", field="status.result.finished")
    told = status.get("details") or []
    lines = told if isinstance(told, list) else [told]
    if not all(isinstance(line, str) for line in lines):
        raise NotValid("A list of texts.", field="status.details")
    kept = (line.replace("\x00", "").encode("utf-8", "replace").decode() for line in lines[:MOST_DETAILS])
    lines_kept = tuple(line[:MOST_CHARACTERS] for line in kept)
    return Feedback(execution, finished, lines_kept, _percent(result.get("progress")))


def poll(
    base: str, *, sleep_s: int, offer: Offer | None, wants_attributes: bool, installed: int | None = None
) -> dict[str, Any]:
    """The answer to a poll. A cancellation hides the deployment: a device does one thing at a time."""
    document: dict[str, Any] = {"config": {"polling": {"sleep": sleep_text(sleep_s)}}}
    links = {}
    if offer is not None and offer.cancelling:
        links["cancelAction"] = {"href": f"{base}/cancelAction/{offer.number}"}
    elif offer is not None and offer.confirming:
        links["confirmationBase"] = {"href": f"{base}/confirmationBase/{offer.number}?c={revision(offer)}"}
    elif offer is not None:
        links["deploymentBase"] = {"href": f"{base}/deploymentBase/{offer.number}?c={revision(offer)}"}
    if installed is not None:
        links["installedBase"] = {"href": f"{base}/installedBase/{installed}"}
    if wants_attributes:
        links["configData"] = {"href": f"{base}/configData"}
    return document | ({"_links": links} if links else {})


def deployment(base: str, offer: Offer, *, query: str = "", member: str = "deployment") -> dict[str, Any]:
    """What to install. `query`: a signature that lets whoever has the link fetch without a token.

    Both kinds of links are there always: clients without TLS read the second only.
    """
    way = "forced" if offer.forced or offer.download_only else "attempt"
    module = f"{base}/softwaremodules/{offer.number}/artifacts/{quote(offer.file.name, safe='')}"
    link, checksum = {"href": f"{module}{query}"}, {"href": f"{module}.MD5SUM{query}"}
    artifact = {
        "filename": offer.file.name,
        "size": offer.file.size_bytes,
        "hashes": {"sha1": offer.file.sha1, "md5": offer.file.md5, "sha256": offer.file.sha256},
        "_links": {
            "download": link,
            "md5sum": checksum,
            "download-http": link,
            "md5sum-http": checksum,
        },
    }
    part = LEGACY_PARTS.get(offer.part, offer.part)
    chunk = {"part": part, "version": offer.version, "name": offer.name, "artifacts": [artifact]}
    return {
        "id": str(offer.number),
        member: {"download": way, "update": "skip" if offer.download_only else way, "chunks": [chunk]},
    }


def cancellation(offer: Offer) -> dict[str, Any]:
    return {"id": str(offer.number), "cancelAction": {"stopId": str(offer.number)}}


def revision(offer: Offer) -> int:
    """Another number whenever the deployment would read differently under the same id; 32 bits, signed."""
    unsigned = zlib.crc32(repr(offer).encode())
    return unsigned - 2**32 if unsigned >= 2**31 else unsigned


def etag(body: bytes) -> str:
    return f'"{hashlib.blake2s(body, digest_size=16).hexdigest()}"'


def sleep_text(sleep_s: int) -> str:
    """`HH:MM:SS`, within what clients can read."""
    least, most = SLEEP_S
    seconds = min(max(sleep_s, least), most)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def md5sum_line(file: OfferedFile) -> str:
    """A file `md5sum -c` reads."""
    return f"{file.md5}  {file.name}"


def _percent(progress: Any) -> int | None:
    """Clients tell `cnt` of `of` parts, or `percentage`; anything else tells nothing."""
    if not isinstance(progress, dict):
        return None
    if "percentage" in progress:
        return _share(progress["percentage"], 100)
    return _share(progress.get("cnt"), progress.get("of"))


def _share(done: object, of: object) -> int | None:
    for number in (done, of):
        if isinstance(number, bool):
            return None
    if not isinstance(done, int | float) or not isinstance(of, int | float):
        return None
    return int(100 * done / of) if of > 0 and 0 <= done <= of else None


def _member(body: object, name: str, field: str) -> Any:
    value = body.get(name) if isinstance(body, dict) else None
    if value is None:
        raise NotValid("This is missing.", field=field)
    return value
