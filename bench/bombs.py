"""Requests made to cost the service much and the sender little: what each is answered, how fast, and what it takes.

The service runs as it does in an installation; every one must end as 4xx within 200 ms without taking 20 MB.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from bench.rows import Row

if TYPE_CHECKING:
    from tests.portal.server_process import ServerProcess

ROOMS, ENROLL, HEARTBEATS, SIGN_IN = "/api/v1/rooms", "/device/v1/enroll", "/device/v1/heartbeats", "/sign-in"
JSON, FORM = "application/json", "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Bomb:
    """`as_whom`: api, device or browser; its credentials are put in by whoever throws it."""

    name: str
    path: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    as_whom: str = "api"
    method: str = "POST"


def _zipped(body: bytes) -> dict[str, object]:
    return {
        "body": gzip.compress(body, mtime=0),
        "headers": {"Content-Type": JSON, "Content-Encoding": "gzip"},
    }


def _json(body: bytes) -> dict[str, object]:
    return {"body": body, "headers": {"Content-Type": JSON}}


def _form(body: bytes) -> dict[str, object]:
    return {"body": body, "headers": {"Content-Type": FORM}, "as_whom": "browser"}


def _multipart(parts: int) -> bytes:
    one = b'--x\r\nContent-Disposition: form-data; name="f%d"; filename="a"\r\n\r\n1\r\n'
    return b"".join(one % number for number in range(parts)) + b"--x--\r\n"


_UNDER = b'{"name": %s}'
BOMBS = tuple(
    Bomb(name, path, **given)  # type: ignore[arg-type]
    for name, path, given in (
        ("50 MB of spaces in 50 kB of gzip", ROOMS, _zipped(b" " * 50_000_000)),
        ("gzip in gzip", ROOMS, _zipped(gzip.compress(b" " * 50_000_000))),
        ("one byte too much, gzipped", ROOMS, _zipped(b" " * 512_001)),
        ("gzip cut off", ROOMS, {**_zipped(b" " * 9_000), "body": gzip.compress(b" " * 9_000)[:-4]}),
        ("gzip with a tail", ROOMS, {**_zipped(b""), "body": gzip.compress(b"{}") + b"x" * 60_000}),
        ("an encoding nobody knows", ROOMS, {"body": b"x", "headers": {"Content-Type": JSON, "Content-Encoding": "br"}}),
        ("10 MB of JSON", ROOMS, _json(b'"' + b"a" * 10_000_000 + b'"')),
        ("100,000 brackets", ROOMS, _json(b"[" * 100_000)),
        ("100,000 objects in each other", ROOMS, _json(b'{"a":' * 80_000)),
        ("a number of 500,000 digits", ROOMS, _json(_UNDER % (b"9" * 500_000))),
        ("a number beyond every double", ROOMS, _json(_UNDER % b"1e400000000")),
        ("NaN", ROOMS, _json(_UNDER % b"NaN")),
        ("one name 60,000 times", ROOMS, _json(b"{" + b",".join([b'"a":1'] * 60_000) + b"}")),
        ("60,000 escaped surrogates", ROOMS, _json(_UNDER % (b'"' + b"\\ud800" * 60_000 + b'"'))),
        ("an open string of backslashes", ROOMS, _json(b'{"a": "' + b"\\" * 500_000)),
        ("UTF-16", ROOMS, _json("{}".encode("utf-16"))),
        ("XML with entities", ROOMS, {"body": b"<!DOCTYPE a [<!ENTITY b 'bbbb'>]><a>&b;</a>", "headers": {"Content-Type": "application/xml"}}),
        ("a room named by 400 kB", ROOMS, _json(json.dumps({"name": "x" * 400_000}).encode())),
        ("a search of 60 kB", f"{ROOMS}?search={'a%20' * 15_000}", {"method": "GET"}),
        ("a page mark of 60 kB", f"{ROOMS}?after={'A' * 60_000}", {"method": "GET"}),
        ("a key to repeat of 30 kB", ROOMS, {"body": b"{}", "headers": {"Content-Type": JSON, "Idempotency-Key": "k" * 30_000}}),
        ("a token of 60 kB", ROOMS, {"method": "GET", "headers": {"Authorization": "Bearer grat_" + "a" * 60_000}}),
        ("enrolling with 50 MB in gzip", ENROLL, {**_zipped(b" " * 50_000_000), "as_whom": "nobody"}),
        ("enrolling with 100,000 brackets", ENROLL, {**_json(b"[" * 100_000), "as_whom": "nobody"}),
        ("a form of 20,000 fields", SIGN_IN, _form(b"&".join(b"f%d=1" % number for number in range(20_000)))),
        ("a form of 5 MB", SIGN_IN, _form(b"password=" + b"a" * 5_000_000)),
        ("a form of 5,000 files", SIGN_IN, {"body": _multipart(5_000), "headers": {"Content-Type": "multipart/form-data; boundary=x"}, "as_whom": "browser"}),
        ("a form whose parts never end", SIGN_IN, {"body": b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\n" + b"a" * 900_000, "headers": {"Content-Type": "multipart/form-data; boundary=x"}, "as_whom": "browser"}),
        ("a password of 900 kB", SIGN_IN, _form(b"login=a@b.example&password=" + b"a" * 900_000)),
    )
)  # fmt: skip

MOST_S, MOST_BYTES = 0.2, 20_000_000


@dataclass(frozen=True)
class Thrown:
    """What came of one: the status, and seconds to the answer."""

    bomb: Bomb
    status: int
    seconds: float


def throw_all(web: ServerProcess, *, token: str) -> Iterator[Thrown]:
    """Throw each at a running web process; `token` is one of the people's API."""
    cookie = web.ask("GET", SIGN_IN).headers["set-cookie"].partition(";")[0]
    credentials = {
        "api": {"Authorization": f"Bearer {token}"},
        "browser": {"Cookie": cookie, "X-CSRFToken": cookie.partition("=")[2]},
        "nobody": {},
    }
    for bomb in BOMBS:
        headers = {**credentials[bomb.as_whom], **bomb.headers}
        began = time.perf_counter()
        try:
            status = web.ask(bomb.method, bomb.path, bomb.body, **headers).status
        except (ConnectionError, OSError):  # the server closed before it had read all: a refusal too
            status = 400
        yield Thrown(bomb, status, time.perf_counter() - began)


def memory_of(web: ServerProcess) -> int:
    """Bytes of memory that the process and its workers hold."""
    main = psutil.Process(web.process.pid)
    return sum(each.memory_info().rss for each in (main, *main.children(recursive=True)))


def measure() -> list[Row]:
    """In a process of its own, with a database of its own."""
    told = subprocess.run(
        [sys.executable, "-m", "bench.bombs"], check=True, stdout=subprocess.PIPE, text=True
    )
    return [Row(**row) for row in json.loads(told.stdout)]


def _measure() -> list[Row]:
    from foundation import clock
    from tests.factories.api import make_api_token
    from tests.factories.tenancy import make_customer
    from tests.portal.server_process import web_process

    at = clock.now()
    token = make_api_token(make_customer("Bombs", at=at), at=at)
    with tempfile.TemporaryDirectory() as folder, web_process(Path(folder)) as web:
        list(throw_all(web, token=token))  # what a process learns once does not count
        before = memory_of(web)
        thrown = [
            min(each, key=lambda one: one.seconds) for each in zip(*_three_rounds(web, token), strict=True)
        ]
        grown = memory_of(web) - before
    slowest = max(thrown, key=lambda each: each.seconds)
    refused = sum(400 <= each.status < 500 for each in thrown)
    return [
        Row("bombs answered with 4xx", f"{refused} of {len(BOMBS)}", "", None, "all", refused == len(BOMBS)),
        Row(
            f"slowest answer to a bomb ({slowest.bomb.name})",
            f"{slowest.seconds * 1e3:.0f} ms",
            "",
            None,
            "≤ 200 ms",
            slowest.seconds <= MOST_S,
        ),
        Row(
            "memory grown by all bombs thrice",
            f"{grown / 1e6:.1f} MB",
            "",
            None,
            "≤ 20 MB",
            grown <= MOST_BYTES,
        ),
    ]


def _three_rounds(web: ServerProcess, token: str) -> list[list[Thrown]]:
    return [list(throw_all(web, token=token)) for _ in range(3)]


if __name__ == "__main__":
    import tests.environment  # noqa: F401 - gives this process its database, before Django is loaded

    os.environ["DJANGO_SETTINGS_MODULE"] = "portal.settings"
    import django

    django.setup()
    print(json.dumps([asdict(row) for row in _measure()]))
