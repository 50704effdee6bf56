"""A person at a browser that signs in as people do, and the codes an authenticator app would show."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import struct
import time
from itertools import count
from typing import Any

from django.test import Client

from tenancy.models import User
from tests.factories.tenancy import PASSWORD

_addresses = count(1)


def browser(**headers: str) -> Client:
    """A browser at an address of its own: limits count by address."""
    number = next(_addresses)
    return Client(headers=headers or None, REMOTE_ADDR=f"198.18.{number // 250}.{number % 250 + 1}")


def sign_in(user: User, client: Client | None = None, password: str = PASSWORD) -> Client:
    """A browser in which `user` entered the password; a second factor may still be asked for."""
    client = client or browser()
    answer = client.post("/sign-in", {"login": user.email, "password": password})
    assert answer.status_code == 302, answer.content.decode()
    return client


def totp(secret: str, *, steps: int = 0, at_s: float | None = None) -> str:
    """The six digits an app shows for `secret` (RFC 6238), `steps` half minutes from now."""
    counter = int((time.time() if at_s is None else at_s) // 30) + steps
    digest = hmac.new(base64.b32decode(secret), struct.pack(">Q", counter), hashlib.sha1).digest()
    offset = digest[-1] & 15
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFFFFFF
    return f"{number % 1_000_000:06}"


def add_app(client: Client) -> tuple[str, list[str]]:
    """Set an authenticator app up by the pages: its secret and the recovery codes that are shown once."""
    page = client.get("/account/app").content.decode()
    secret = re.search(r'<code id="secret"[^>]*>([A-Z2-7]+)</code>', page)[1]  # type: ignore[index]
    answer: Any = client.post("/account/app", {"code": totp(secret)}, follow=True)
    assert answer.redirect_chain[-1][0] == "/account/recovery-codes", answer.content.decode()
    return secret, re.findall(r"\b\d{10}\b", answer.content.decode())
