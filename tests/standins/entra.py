"""A stand-in for Microsoft Entra ID: a real HTTPS server with discovery, keys, authorize and token, and its faults.

Whoever asks is signed in at once as `person`. It is strict where the real one is: client, secret, redirect address,
PKCE and code are checked, a code counts once.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.standins.tls import make_certificates

HOUR_S = 3600
# What each fault changes in the claims of the token.
WRONG: dict[str, dict[str, Any]] = {
    "wrong nonce": {"nonce": "another"},
    "no nonce": {"nonce": None},
    "wrong tid": {"tid": "00000000-0000-4000-8000-000000000001"},
    "wrong audience": {"aud": "00000000-0000-4000-8000-000000000002"},
    "wrong issuer": {"iss": "https://login.example/v2.0"},
    "no oid": {"oid": None},
}
CLOCKS = {"clock far ahead": 600, "clock far behind": -2 * HOUR_S, "clock a little ahead": 30}


class Entra:
    """One directory with one registered application. `fault`: one of WRONG, CLOCKS, or a name used below."""

    def __init__(self, folder: Path) -> None:
        self.directory, self.client, self.secret = str(uuid4()), str(uuid4()), secrets.token_urlsafe(24)
        self.fault = ""
        self.person: dict[str, Any] = {}
        self.signed_in_at = 0
        self.redirects: set[str] = set()
        self.asked: list[dict[str, str]] = []  # parameters of each authorize, newest last
        self.codes: dict[str, dict[str, str]] = {}
        self.key, self.other_key = (rsa.generate_private_key(65537, 2048) for _ in range(2))
        self.authority, served = make_certificates(folder)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(served)
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.server.daemon_threads = True
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://localhost:{self.server.server_address[1]}"
        self.issuer = f"{self.url}/{self.directory}/v2.0"
        self.is_person(email="kari.nordmann@halden.example", name="Kari Nordmann")

    def is_person(self, *, email: str | None, name: str, **more: Any) -> str:
        """Who is signed in from now on; their `oid`."""
        self.person = {"oid": str(uuid4()), "name": name, "amr": ["pwd"], **more}
        self.signed_in_at = int(time.time())
        if email is not None:
            self.person |= {"email": email, "preferred_username": email}
        return str(self.person["oid"])

    # What the server answers --------------------------------------------------------------------------------

    def described(self) -> dict[str, Any]:
        base = f"{self.url}/{self.directory}"
        elsewhere = "https://elsewhere.example" if self.fault == "keys elsewhere" else self.url
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            "token_endpoint": f"{base}/oauth2/v2.0/token",
            "jwks_uri": f"{elsewhere}/{self.directory}/discovery/v2.0/keys",
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
        }

    def keys(self) -> dict[str, Any]:
        public = jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        return {"keys": [{**public, "kid": "one", "use": "sig"}]}

    def authorize(self, query: dict[str, str]) -> str:
        """Where the browser is sent next."""
        self.asked.append(query)
        assert query["client_id"] == self.client
        assert query["response_type"] == "code"
        assert query["redirect_uri"] in self.redirects, query["redirect_uri"]
        assert query["code_challenge_method"] == "S256"
        if self.fault == "cancelled":
            back = {"error": "access_denied", "state": query["state"]}
        else:
            code = secrets.token_urlsafe(16)
            self.codes[code] = query
            back = {"code": code, "state": "another" if self.fault == "wrong state" else query["state"]}
        return f"{query['redirect_uri']}?{urlencode(back)}"

    def token(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        if form.get("client_id") != self.client or form.get("client_secret") != self.secret:
            return 401, {
                "error": "invalid_client",
                "error_description": "AADSTS7000215: Invalid client secret.",
            }
        if form["grant_type"] == "client_credentials":
            return 200, {"access_token": "application", "token_type": "Bearer", "expires_in": HOUR_S}
        query = self.codes.pop(form["code"], None)
        if query is None or form["redirect_uri"] != query["redirect_uri"]:
            return 400, {"error": "invalid_grant"}
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest())
        if challenge.rstrip(b"=").decode() != query["code_challenge"]:
            return 400, {"error": "invalid_grant"}
        answer = {"access_token": "person", "token_type": "Bearer", "expires_in": HOUR_S}
        return 200, {**answer, "id_token": self.signed(self.claims(query))}

    def claims(self, query: dict[str, str]) -> dict[str, Any]:
        at = int(time.time()) + CLOCKS.get(self.fault, 0)
        claims = {
            "iss": self.issuer,
            "aud": self.client,
            "tid": self.directory,
            "sub": secrets.token_urlsafe(12),
            "iat": at,
            "nbf": at,
            "exp": at + HOUR_S,
            "nonce": query.get("nonce"),
            "auth_time": self._proved_at(query),
            **self.person,
            **WRONG.get(self.fault, {}),
        }
        return {name: value for name, value in claims.items() if value is not None}

    def _proved_at(self, query: dict[str, str]) -> int | None:
        """When the person last entered a password; said where it is asked for."""
        if query.get("max_age") == "0" and query.get("prompt") == "login" and self.fault != "still signed in":
            self.signed_in_at = int(time.time())
        asked = "max_age" in query or "auth_time" in query.get("claims", "")
        return self.signed_in_at if asked and self.fault != "says not when" else None

    def signed(self, claims: dict[str, Any]) -> str:
        if self.fault == "not signed":
            return jwt.encode(claims, None, algorithm="none", headers={"kid": "one"})
        if self.fault == "signed with a password":
            return jwt.encode(claims, "x" * 64, algorithm="HS256", headers={"kid": "one"})
        key = self.other_key if self.fault == "signed by another" else self.key
        return jwt.encode(claims, key, algorithm="RS256", headers={"kid": "one"})


def _handler(entra: Entra) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            if entra.fault == "down":
                self._answer(503, {"error": "temporarily_unavailable"})
            elif parts.path.endswith("/authorize"):
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                self.send_response(302)
                self.send_header("Location", entra.authorize(query))
                self.send_header("Content-Length", "0")
                self.end_headers()
            elif parts.path == f"/{entra.directory}/v2.0/.well-known/openid-configuration":
                self._answer(200, entra.described())
            elif parts.path == f"/{entra.directory}/discovery/v2.0/keys":
                self._answer(200, entra.keys())
            else:
                self._answer(404, {"error": "not_found"})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            self._answer(*((503, {}) if entra.fault == "token away" else entra.token(form)))

        def _answer(self, status: int, body: dict[str, Any]) -> None:
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    return Handler


@contextmanager
def running(folder: Path) -> Iterator[Entra]:
    entra = Entra(folder)
    thread = threading.Thread(target=entra.server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield entra
    finally:
        entra.server.shutdown()
        thread.join()
        entra.server.server_close()
