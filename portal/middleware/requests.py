"""The outermost layer: a request id, one reading of the clock, no traces of an error but its reference."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable

from django.db import OperationalError
from django.http import HttpRequest, HttpResponse

from foundation import clock
from portal.errors import unavailable

log = logging.getLogger(__name__)
STATELESS = ("/static/", "/healthz", "/favicon")  # answered without the database


class RequestMiddleware:
    """Pins the time for the request and answers 503 while the database is away."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.id = secrets.token_hex(8)  # type: ignore[attr-defined]
        if request.path.startswith(STATELESS):
            return self.get_response(request)
        try:
            with clock.read_once():
                response = self.get_response(request)
        except OperationalError:
            log.warning("The database is away (request %s)", request.id, exc_info=True)  # type: ignore[attr-defined]
            response = unavailable(request)
        response.headers.setdefault("X-Request-Id", request.id)  # type: ignore[attr-defined]
        response.headers.setdefault("Cache-Control", "no-store")
        return response
