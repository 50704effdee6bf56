"""Answers to devices that post heartbeats, as bytes: the same from the ingest process and from Django's view."""

from __future__ import annotations

import json
import secrets
from datetime import UTC, datetime
from typing import NamedTuple

from enrollment.credentials import Standing
from fleet.heartbeat_reading import BadBody, BodyTooLarge
from portal.errors import RETRY_SPAN_S

NO_STORE = ("cache-control", "no-store")
ACCEPTED_HEADERS = [("content-type", "application/json"), NO_STORE]
NO_REPLY = [b"", b"null", b'{"operations":0}']  # epoch, committed, members where nobody wrote a reply yet


class Answer(NamedTuple):
    status: int
    headers: list[tuple[str, str]]
    body: bytes


def problem(
    status: int,
    title: str,
    detail: str = "",
    *,
    code: str = "",
    headers: tuple[tuple[str, str], ...] = (),
    **more: object,
) -> Answer:
    """Problem details (RFC 9457), in the form of portal.errors.problem."""
    members: dict[str, object] = {"type": "about:blank", "title": title, "status": status}
    if detail:
        members["detail"] = detail
    if code:
        members["code"] = code
    body = json.dumps(members | more, ensure_ascii=False).encode()
    return Answer(status, [("content-type", "application/problem+json"), NO_STORE, *headers], body)


def bad_body(error: BadBody) -> Answer:
    if isinstance(error, BodyTooLarge):
        return problem(413, "Too large", error.message, code=error.code)
    if error.field is None:
        return problem(400, "Bad request", error.message, code=error.code)
    errors = [{"field": error.field, "message": error.message}]
    return problem(400, "Not valid", error.message, code="invalid", errors=errors)


def unknown_encoding(encoding: str) -> Answer:
    detail = f"Content-Encoding {encoding[:40]} is not known here; gzip is."
    return problem(
        415,
        "Unsupported media type",
        detail,
        code="unsupported_encoding",
        headers=(("accept-encoding", "gzip"),),
    )


def not_let_in(standing: Standing | None) -> Answer:
    """None: no token, or one that is none of ours. Only a holder of a real token learns that it was revoked."""
    challenge = (("www-authenticate", "Device"),)
    if standing is Standing.REVOKED:
        detail = "This device was shut out. A person has to let it in again."
        return problem(401, "Not let in", detail, code="revoked", headers=challenge)
    if standing is Standing.EXPIRED:
        detail = "This token has expired. A device with a key may ask for a new one."
        return problem(401, "Not let in", detail, code="expired", headers=challenge)
    return problem(401, "Not let in", "This token is not valid.", code="unauthorized", headers=challenge)


def too_often(retry_after_s: int) -> Answer:
    detail = "A device may post one request every 2 seconds, and 30 at once after a pause."
    return problem(
        429, "Too many requests", detail, code="too_often", headers=(("retry-after", str(retry_after_s)),)
    )


def unavailable() -> Answer:
    """Devices come back spread, or a whole fleet would come back in one second."""
    low, high = RETRY_SPAN_S
    retry_after = str(low + secrets.randbelow(high - low + 1))
    detail = "A part of the service is away. Keep the heartbeats and send them later."
    return problem(503, "Unavailable", detail, code="unavailable", headers=(("retry-after", retry_after),))


def not_found() -> Answer:
    return problem(404, "Not found", "Nothing is served at this address.", code="not_found")


def wrong_method(allowed: str) -> Answer:
    return problem(
        405, "Method not allowed", f"{allowed} is served here.", code="method", headers=(("allow", allowed),)
    )


def internal_error(reference: str) -> Answer:
    return problem(500, "Internal error", f"This is our mistake. Its reference is {reference}.")


class TimeText:
    """ISO 8601, UTC, milliseconds, of seconds since 1970; the part that lasts a second is kept."""

    def __init__(self) -> None:
        self._second = -1
        self._text = b""

    def __call__(self, now_s: float) -> bytes:
        second = int(now_s)
        if second != self._second:
            self._text = datetime.fromtimestamp(second, tz=UTC).strftime("%Y-%m-%dT%H:%M:%S").encode()
            self._second = second
        return b"%b.%03dZ" % (self._text, int((now_s - second) * 1000))


def accepted(epoch: bytes, reply: bytes | None, server_time: bytes, next_in_s: float, rotate: str) -> Answer:
    """A 202. `epoch`: as JSON. `reply`: of fleet.stream, three lines; of another epoch it says no committed."""
    lines = reply.split(b"\n") if reply else NO_REPLY
    known_epoch, committed, members = lines if len(lines) == 3 else NO_REPLY
    if known_epoch != epoch:
        committed = b"null"
    body = b'{"epoch":%b,"committed":%b,"server_time":"%b","next_in":%.1f,%b' % (
        epoch,
        committed,
        server_time,
        next_in_s,
        members[1:],
    )
    if rotate:
        body = body[:-1] + b',"rotate":"%b"}' % rotate.encode()
    return Answer(202, ACCEPTED_HEADERS, body)
