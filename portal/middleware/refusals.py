"""A refusal of the domain that no page turned into a message of its own becomes a page that says it."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from foundation.errors import Conflict, DomainError, NotAllowed, NotFound, Unavailable
from portal import errors

STATUSES: tuple[tuple[type[DomainError], int, str], ...] = (
    (Conflict, 409, "Not possible now"),
    (Unavailable, 503, "Not available now"),
    (DomainError, 400, "Not possible"),
)


class RefusalMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """The programs' side translates for itself (portal.api.errors)."""
        if not isinstance(exception, DomainError) or errors.is_program(request):
            return None
        if isinstance(exception, NotFound):
            return errors.not_found(request, exception)
        if isinstance(exception, NotAllowed):
            return errors.permission_denied(request, exception)
        status, title = next(
            (status, title) for kind, status, title in STATUSES if isinstance(exception, kind)
        )
        context = {"title": title, "sentence": exception.message}
        return render(request, "errors/refused.html", context, status=status)
