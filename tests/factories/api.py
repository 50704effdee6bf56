"""A program that calls the people's API through the whole of Django, as one of a customer's tokens."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.test import Client

from foundation.context import tenant
from tenancy import api_tokens
from tenancy.models import Person, Role, Tenant


def make_api_token(
    owner: Tenant, role: str = "pro_manager", *, at: datetime, by: Person | None = None, days: int = 30
) -> str:
    with tenant(owner.id):
        row = Role.objects.for_tenant(owner).get(key=role)
        expires_at = at + timedelta(days=days)
        return api_tokens.issue(owner, role=row, label=f"Test {role}", expires_at=expires_at, by=by, at=at)[1]


class File(NamedTuple):
    """A body that is no JSON, with what belongs into the address."""

    content: bytes
    content_type: str
    query: str


class Api:
    """`api.get("/rooms")`: the answer; its JSON is `.json()`. Raises if anything answers 500."""

    def __init__(self, token: str | None, prefix: str = "/api/v1") -> None:
        self._client = Client(raise_request_exception=True)
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._prefix = prefix

    def get(self, path: str, **headers: str) -> Any:
        answer = self._client.get(self._address(path), headers={**self._headers, **headers})
        if answer.streaming:  # a file: read and closed, or nobody does
            answer.body = b"".join(answer.streaming_content)
            for close in answer._resource_closers:
                close()
        return answer

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self._send("post", path, body, headers)

    def patch(self, path: str, body: Any = None, **headers: str) -> Any:
        return self._send("patch", path, body, headers)

    def put(self, path: str, body: Any = None, **headers: str) -> Any:
        return self._send("put", path, body, headers)

    def delete(self, path: str, **headers: str) -> Any:
        return self._client.delete(self._address(path), headers={**self._headers, **headers})

    def call(self, method: str, path: str, body: Any = None) -> Any:
        return self.get(path) if method == "GET" else self._send(method.lower(), path, body, {})

    def names(self, path: str) -> list[str]:
        """The names on one page."""
        answer = self.get(path)
        assert answer.status_code == 200, answer.content
        return [row["name"] for row in answer.json()["results"]]

    def _send(self, method: str, path: str, body: Any, headers: dict[str, str]) -> Any:
        if isinstance(body, File):
            headers = {**self._headers, **headers}
            address = f"{self._address(path)}?{body.query}"
            return self._client.post(address, body.content, content_type=body.content_type, headers=headers)
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return getattr(self._client, method)(
            self._address(path), data=raw, content_type="application/json", headers={**self._headers, **named}
        )

    def _address(self, path: str) -> str:
        return path if path.startswith("http") else f"{self._prefix}{path}"
