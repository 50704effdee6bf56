"""Operators and administrators reach nothing but their account before a second factor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import urlencode

from portal.access import Principal
from portal.errors import is_program, problem
from portal.sign_in import factors, proofs

WITHOUT = ("account", "mfa_", "sign-in", "session")  # beginnings of the names of addresses that need none


class SecondFactorMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: Any, view: Any, args: Any, kwargs: Any) -> HttpResponseBase | None:
        principal: Principal | None = getattr(request, "principal", None)
        if principal is None or not factors.must_have_second_factor(principal):
            return None
        name = (request.resolver_match.url_name or "") if request.resolver_match else ""
        if name.startswith(WITHOUT) or proofs.used_second_factor(request):
            return None
        if is_program(request):
            return problem(403, "Not allowed", "This needs a second factor.", code="mfa_required")
        known = factors.has_second_factor(request.user)
        page = reverse("mfa_reauthenticate" if known else "mfa_index")
        address = f"{page}?{urlencode({'next': request.get_full_path() if request.method == 'GET' else '/'})}"
        if request.headers.get("HX-Request") == "true":
            return HttpResponse(status=204, headers={"HX-Redirect": page})
        return HttpResponseRedirect(address)
