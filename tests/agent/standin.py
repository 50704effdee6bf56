"""A stand-in for the service's device API: real HTTP, in this process, with faults on demand.

It keeps heartbeats by the rule of the contract (an item is stored only if it follows the last stored one, or
everything between lies below `from`) and remembers whatever a correct agent must never do.
"""

import base64
import gzip
import hashlib
import json
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

KEY = "grek_ABCDEFGHIJKL_" + "s" * 21 + "_" + "t" * 21 + "_abc123"
Fault = Callable[["Handler", dict[str, Any]], bool]  # returns whether it has answered


@dataclass
class Service:
    """What the stand-in knows and what it should do next."""

    url: str = ""
    tokens: set[str] = field(default_factory=set)
    revoked: bool = False
    public_key: str = ""
    enrollments: list[dict[str, Any]] = field(default_factory=list)
    enroll_answer: dict[str, Any] = field(default_factory=dict)
    enroll_problem: tuple[int, dict[str, Any]] | None = None
    stored: dict[str, dict[int, dict[str, Any]]] = field(default_factory=dict)  # by epoch, by number
    watermark: dict[str, int] = field(default_factory=dict)
    told: dict[str, int] = field(default_factory=dict)  # what replies say is committed, one request behind
    requests: list[dict[str, Any]] = field(default_factory=list)
    inventories: list[dict[str, Any]] = field(default_factory=list)
    faults: deque[Fault] = field(default_factory=deque)  # one for each of the next heartbeat requests
    extra: dict[str, Any] = field(default_factory=dict)  # added to the replies
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    clock_ahead: timedelta = timedelta()
    sins: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    issued: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock)

    def new_token(self) -> str:
        self.issued += 1
        token = f"grdt_{self.issued}"
        self.tokens.add(token)
        return token

    def store(self, request: dict[str, Any]) -> None:
        epoch, lowest = request["epoch"], request["from"]
        kept = self.stored.setdefault(epoch, {})
        for item in request["items"]:
            seq = item["seq"]
            content = {name: value for name, value in item.items() if name != "t_mono"}
            if seq in kept:
                if kept[seq] != content:
                    self.sins.append(f"{epoch} {seq} came with two contents")
                continue
            last = self.watermark.get(epoch, 0)
            if seq == last + 1 or (seq > last and lowest > last and seq == max(lowest, last + 1)):
                kept[seq] = content
                self.watermark[epoch] = seq

    def seqs(self) -> list[int]:
        """The numbers stored, of the only epoch."""
        [kept] = self.stored.values()
        return sorted(kept)

    def reply(self, epoch: str) -> dict[str, Any]:
        told = self.told.get(epoch)
        self.told[epoch] = self.watermark.get(epoch, 0)
        now = self.now() + self.clock_ahead
        answer = {
            "epoch": epoch,
            "committed": told,
            "server_time": now.isoformat(),
            "next_in": 60,
            "operations": 0,
        }
        return {**answer, **self.extra}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    service: Service

    def log_message(self, *_: object) -> None:
        """Quiet."""

    def answer(self, status: int, body: object, **headers: str) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(content)),
            **headers,
        }.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def problem(self, status: int, detail: str, **members: str) -> None:
        self.answer(
            status, {"title": "Problem", "detail": detail, **members}, Content_Type="application/problem+json"
        )

    def body(self) -> dict[str, Any]:
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if len(raw) > 64_000:
            self.service.sins.append("a body above 64 kB")
        if self.headers.get("Content-Encoding") == "gzip":
            raw = gzip.decompress(raw)
        if len(raw) > 512_000:
            self.service.sins.append("a decoded body above 512 kB")
        return json.loads(raw) if raw else {}

    def do_POST(self) -> None:
        body = self.body()
        with self.service.lock:
            self.service.calls.append(self.path)
            match self.path:
                case "/device/v1/enroll/challenge":
                    self.answer(200, {"nonce": "nonce-1", "expires_in": 300})
                case "/device/v1/enroll":
                    self.enroll(body)
                case "/device/v1/heartbeats":
                    self.heartbeats(body)
                case "/device/v1/token/rotate":
                    self.rotate(body)
                case "/device/v1/token/recover":
                    self.recover(body)
                case _:
                    self.problem(404, "no such page")

    def do_PUT(self) -> None:
        body = self.body()
        with self.service.lock:
            self.service.calls.append(self.path)
            if self.signed_in():
                self.service.inventories.append(body)
                self.answer(204, b"")

    def signed_in(self) -> bool:
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        if self.service.revoked:
            self.problem(401, "This device was revoked.", code="revoked")
        elif scheme != "Device" or token not in self.service.tokens:
            self.problem(401, "The token is not valid.")
        else:
            return True
        return False

    def enroll(self, body: dict[str, Any]) -> None:
        service = self.service
        if service.enroll_problem:
            status, problem = service.enroll_problem
            self.answer(status, problem)
            return
        if self.headers.get("Authorization") != f"Enroll {KEY}":
            self.problem(401, "The enrollment key is not valid.")
            return
        unsigned = {name: value for name, value in body.items() if name != "signature"}
        # For text, objects and lists alone this is RFC 8785.
        canonical = json.dumps(unsigned, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        service.public_key = body["public_key"]
        self.check(body["signature"], "greenroom-enroll-v1", body["nonce"], KEY[5:17], digest)
        service.enrollments.append(body)
        fresh = {
            "device_id": "0190-device",
            "token": service.new_token(),
            "expires_at": "2027-01-01T00:00:00Z",
            "status": "onboarding",
            "heartbeat_interval_s": 60,
            "heartbeat_url": f"{service.url}/device/v1/heartbeats",
        }
        self.answer(201, {**fresh, **service.enroll_answer})

    def heartbeats(self, body: dict[str, Any]) -> None:
        service = self.service
        if not self.signed_in():
            return
        service.requests.append(body)
        seqs = [item["seq"] for item in body["items"]]
        if seqs != list(range(seqs[0], seqs[0] + len(seqs))) or body["from"] > seqs[0]:
            service.sins.append(f"numbers out of order: from {body['from']}, {seqs}")
        if service.faults and service.faults.popleft()(self, body):
            return
        service.store(body)
        self.answer(202, service.reply(body["epoch"]))

    def rotate(self, body: dict[str, Any]) -> None:
        if self.signed_in():
            self.check(body["signature"], "greenroom-rotate-v1", body["nonce"], "0190-device")
            self.service.extra.pop("rotate", None)
            self.answer(200, {"token": self.service.new_token(), "expires_at": "2027-02-01T00:00:00Z"})

    def recover(self, body: dict[str, Any]) -> None:
        if self.service.revoked:
            self.problem(401, "This device was revoked.", code="revoked")
            return
        self.check(body["signature"], "greenroom-recover-v1", body["nonce"], body["device_id"])
        self.answer(200, {"token": self.service.new_token(), "expires_at": "2027-02-01T00:00:00Z"})

    def check(self, signature: str, *lines: str) -> None:
        """Raises, and so answers nothing, if the device did not sign these lines."""
        key = Ed25519PublicKey.from_public_bytes(unpadded(self.service.public_key))
        key.verify(unpadded(signature), "\n".join(lines).encode())


def unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def overloaded(retry_after: str) -> Fault:
    def fault(handler: Handler, _: dict[str, Any]) -> bool:
        handler.answer(503, {"title": "Unavailable"}, Retry_After=retry_after)
        return True

    return fault


def reply_lost(handler: Handler, body: dict[str, Any]) -> bool:
    """Stored, but the connection breaks before the answer."""
    handler.service.store(body)
    handler.close_connection = True
    handler.connection.shutdown(2)
    return True


def accepted_and_lost(handler: Handler, body: dict[str, Any]) -> bool:
    """Accepted and then forgotten, as by a queue that was flushed."""
    handler.answer(202, handler.service.reply(body["epoch"]))
    return True


def committed_unknown(handler: Handler, body: dict[str, Any]) -> bool:
    handler.service.store(body)
    handler.answer(202, {**handler.service.reply(body["epoch"]), "committed": None})
    return True


def portal_page(handler: Handler, _: dict[str, Any]) -> bool:
    """A captive portal answers in the service's place."""
    handler.answer(200, b"<html>Please sign in</html>", Content_Type="text/html")
    return True


def garbage(handler: Handler, _: dict[str, Any]) -> bool:
    handler.answer(202, b"\xff\x00{")
    return True


def refused(status: int, detail: str) -> Fault:
    def fault(handler: Handler, _: dict[str, Any]) -> bool:
        handler.problem(status, detail)
        return True

    return fault


def fine(handler: Handler, _: dict[str, Any]) -> bool:
    return False


class Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """A client that was killed in the middle of a request is no error of ours."""


@contextmanager
def running(service: Service, port: int = 0) -> Iterator[Service]:
    handler = type("BoundHandler", (Handler,), {"service": service})
    with Server(("127.0.0.1", port), handler) as server:
        service.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield service
        finally:
            server.shutdown()
            thread.join()
