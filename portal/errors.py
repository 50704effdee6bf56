"""Refusals and failures as pages, or as problem details for the programs' side of the address space."""

from __future__ import annotations

import re
import secrets
import sys

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

PROGRAMS = ("/api/", "/device/", "/readyz")
UPDATE_CLIENTS = re.compile(r"/[^/]+/controller/v1/")  # /{tenant}/controller/v1/{controllerId}
RETRY_SPAN_S = (15, 120)  # spread, so that a whole fleet does not come back in one second


def problem(
    status: int,
    title: str,
    detail: str = "",
    *,
    code: str = "",
    headers: dict[str, str] | None = None,
    **members: object,
) -> JsonResponse:
    """A problem-details answer (RFC 9457). `code` is a stable word a program may branch on."""
    body: dict[str, object] = {"type": "about:blank", "title": title, "status": status}
    if detail:
        body["detail"] = detail
    if code:
        body["code"] = code
    body.update(members)
    return JsonResponse(body, status=status, content_type="application/problem+json", headers=headers)


def is_program(request: HttpRequest) -> bool:
    return request.path.startswith(PROGRAMS) or is_update_client(request)


def is_update_client(request: HttpRequest) -> bool:
    """Devices that speak Direct Device Integration (portal.api.ddi)."""
    return UPDATE_CLIENTS.match(request.path) is not None


def unavailable(request: HttpRequest) -> HttpResponse:
    low, high = RETRY_SPAN_S
    headers = {"Retry-After": str(low + secrets.randbelow(high - low + 1))}
    if is_program(request):
        return problem(503, "Unavailable", "A part of the service is away. Try again later.", headers=headers)
    return _plain_503(headers)


def _plain_503(headers: dict[str, str]) -> HttpResponse:
    """Without templates: the shell around a page reads the database, which is what is away."""
    text = (
        "Greenroom cannot reach its database. Nothing is lost; this page works again as soon as it is back."
    )
    return HttpResponse(text, status=503, content_type="text/plain; charset=utf-8", headers=headers)


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _refusal(request, 400, "Bad request", "This request could not be read.")


def permission_denied(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _refusal(request, 403, "Not allowed", "Your role does not allow this.")


def csrf_refused(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form from somewhere else, or from a page open for so long that its token is not ours any more."""
    return _refusal(
        request,
        403,
        "Not sent",
        "This form is out of date. Go back, load the page again and send it once more.",
    )


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _refusal(request, 404, "Not found", "This does not exist, or is not yours to see.")


def server_error(request: HttpRequest) -> HttpResponse:
    """Called while the exception is handled: a database that is away is no mistake of ours, and said as such."""
    if isinstance(sys.exc_info()[1], OperationalError | InterfaceError):
        return unavailable(request)
    reference = getattr(request, "id", "")
    if is_program(request):
        return problem(500, "Internal error", "This is our mistake.", reference=reference)
    text = f"Something failed on our side. Try again; if it stays, tell Operations the reference {reference}."
    return HttpResponse(text, status=500, content_type="text/plain; charset=utf-8")


def _refusal(request: HttpRequest, status: int, title: str, sentence: str) -> HttpResponse:
    if is_program(request):
        return problem(status, title, sentence)
    return render(request, "errors/refused.html", {"title": title, "sentence": sentence}, status=status)
