"""The outermost layer: a request id, one reading of the clock, no traces of an error but its reference."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from foundation import clock

STATELESS = ("/static/", "/healthz", "/favicon")  # answered without the database


class RequestMiddleware:
    """Pins the time for the request and names it in every answer."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.id = secrets.token_hex(8)  # type: ignore[attr-defined]
        if request.path.startswith(STATELESS):
            return self.get_response(request)
        with clock.read_once():
            response = self.get_response(request)  # a database that is away: portal.errors.server_error
        response.headers.setdefault("X-Request-Id", request.id)  # type: ignore[attr-defined]
        if getattr(request, "principal", None) is not None:
            response.headers["Cache-Control"] = "no-store"  # whatever a view says: it is somebody's
        response.headers.setdefault("Cache-Control", "no-store")
        return response
