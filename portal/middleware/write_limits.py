"""Writes of people and programs: so many a minute each, per customer, and per address before anybody is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from portal import limits
from portal.access import Principal
from portal.errors import is_program, is_update_client, problem
from portal.middleware.tenants import client_address

READS = ("GET", "HEAD", "OPTIONS")
DEVICES = "/device/"
CUSTOMER, ADDRESS = 10, 2  # times as many as one person


class WriteLimitMiddleware:
    """The device side has limits of its own, per device, so that a site behind one address is not held up."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> HttpResponse:
        if request.method in READS or request.path.startswith(DEVICES) or is_update_client(request):
            return self.get_response(request)
        wait_s = limits.take(*_buckets(request))
        if wait_s == 0:
            return self.get_response(request)
        headers = {"Retry-After": str(wait_s)}
        sentence = f"Too many changes in a short time. Try again in {wait_s} s."
        if is_program(request):
            return problem(429, "Too many requests", sentence, code="throttled", headers=headers)
        context = {"title": "Too many changes", "sentence": sentence}
        response = render(request, "errors/refused.html", context, status=429)
        response["Retry-After"] = headers["Retry-After"]
        return response


def _buckets(request: Any) -> list[limits.Bucket]:
    principal: Principal | None = getattr(request, "principal", None)
    each = settings.WRITES_PER_MINUTE
    if principal is None:
        return [
            limits.per_minute(f"write:address:{limits.source_of(client_address(request))}", ADDRESS * each)
        ]
    return [
        limits.per_minute(f"write:{principal.actor.kind}:{principal.actor.id}", each),
        limits.per_minute(f"write:customer:{principal.tenant.id}", CUSTOMER * each),
    ]
