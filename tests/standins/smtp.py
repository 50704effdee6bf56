"""A mail server on this machine: EHLO, STARTTLS or TLS from the start, AUTH PLAIN, one mail after the other, faults."""

from __future__ import annotations

import base64
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path


@dataclass
class MailServer:
    """`mails` that arrived. `answers`: what a command is answered with in place of the usual, one after the other."""

    certificate: Path | None = None  # with its key
    at_once: bool = False  # TLS from the first byte; else offered as STARTTLS, where there is a certificate
    users: dict[str, str] = field(default_factory=dict)
    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    answers: dict[str, list[str]] = field(default_factory=dict)
    heard_in_clear: list[str] = field(default_factory=list)
    port: int = 0

    def tls(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(str(self.certificate))
        return context


@contextmanager
def running(told: MailServer) -> Iterator[MailServer]:
    class Conversation(_Conversation):
        server_told = told

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Conversation) as server:
        server.daemon_threads = True
        told.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield told
        finally:
            server.shutdown()
            thread.join()


class _Conversation(socketserver.BaseRequestHandler):
    server_told: MailServer

    def handle(self) -> None:
        told, self.secure, self.known = self.server_told, False, not self.server_told.users
        try:
            if told.at_once:
                self._secure()
            else:
                self.lines = self.request.makefile("rb")
            self._say(self._fault("connect") or "220 mail.example ESMTP")
            while line := self.lines.readline():
                if not self.secure:
                    told.heard_in_clear.append(line.decode().strip())
                if not self._obey(line.decode().strip()):
                    return
        except OSError:  # the client went away
            return
        finally:
            self.request.close()

    def _obey(self, line: str) -> bool:
        told, verb = self.server_told, line.split(" ")[0].upper()
        if verb == "QUIT":
            self._say("221 bye")
            return False
        if answer := self._fault(verb):
            self._say(answer)
        elif verb == "EHLO":
            offered = ["mail.example", "SIZE 1000000"]
            if told.certificate and not self.secure:
                offered.append("STARTTLS")
            if told.users:
                offered.append("AUTH PLAIN")
            for each in offered[:-1]:
                self._say(f"250-{each}")
            self._say(f"250 {offered[-1]}")
        elif verb == "STARTTLS":
            self._say("220 go ahead")
            self._secure()
        elif verb == "AUTH":
            _, user, password = base64.b64decode(line.split(" ")[2]).decode().split("\0")
            self.known = told.users.get(user) == password
            self._say("235 welcome" if self.known else "535 wrong name or password")
        elif not self.known:
            self._say("530 who are you")
        elif verb == "RCPT":
            told.recipients.append(line.partition("<")[2].partition(">")[0])
            self._say("250 ok")
        elif verb == "DATA":
            self._say("354 go ahead")
            text = b""
            while (part := self.lines.readline()) != b".\r\n":
                text += part.removeprefix(b".").replace(b"\r\n", b"\n")
            answer = self._fault("END")
            if answer is None:
                told.mails.append(message_from_bytes(text, EmailMessage, policy=policy.default))
            self._say(answer or "250 taken")
        else:
            self._say("250 ok")
        return True

    def _fault(self, verb: str) -> str | None:
        waiting = self.server_told.answers.get(verb)
        return waiting.pop(0) if waiting else None

    def _secure(self) -> None:
        self.request = self.server_told.tls().wrap_socket(self.request, server_side=True)
        self.secure, self.lines = True, self.request.makefile("rb")

    def _say(self, line: str) -> None:
        self.request.sendall(f"{line}\r\n".encode())
