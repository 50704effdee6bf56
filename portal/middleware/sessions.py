"""A session ends after a time without activity, at the latest after 12 hours, and when its person loses a right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from allauth.usersessions.models import UserSession
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse

from foundation import clock
from portal.access import Principal
from portal.errors import is_update_client
from portal.htmx import SEEN as POLLS
from portal.middleware.tenants import WITHOUT_PRINCIPAL
from portal.sign_in.factors import needs_second_factor
from portal.sign_in.proofs import BEGAN, SEEN
from tenancy.models import Tenant

IDLE_PRIVILEGED_S, IDLE_S, LONGEST_S = 30 * 60, 8 * 3600, 12 * 3600
NOTED_EACH_S = 60  # activity is noted once a minute: a write per request costs more
RIGHTS = "rights"  # in the session, by organisation: what the person could do when last seen

IDLE_TEXT = "You were signed out after some time without activity."
LONGEST_TEXT = "You were signed out: a session lasts 12 hours."
RIGHTS_TEXT = "Your role has changed. Sign in again."


class SessionEndMiddleware:
    """Stands inside the tenant middleware: how long a session may rest depends on the principal."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> HttpResponse:
        principal: Principal | None = getattr(request, "principal", None)
        if principal is not None and principal.user is None:  # a token has no session
            return self.get_response(request)
        if (
            request.path.startswith(WITHOUT_PRINCIPAL)
            or is_update_client(request)
            or not request.session.session_key
            or not request.user.is_authenticated
        ):
            return self.get_response(request)
        reason = _over(request, principal)
        if reason:
            return _end(request, reason)
        _note(request, principal)
        return self.get_response(request)


def _over(request: Any, principal: Principal | None) -> str:
    """Why this session has ended, "" while it holds."""
    at = clock.now().timestamp()
    began, seen = request.session.get(BEGAN, at), request.session.get(SEEN, at)
    if at - began > LONGEST_S:
        return LONGEST_TEXT
    privileged = principal is not None and needs_second_factor(principal)
    if at - seen > (IDLE_PRIVILEGED_S if privileged else IDLE_S):
        return IDLE_TEXT
    if principal is not None and _own(principal):
        held = request.session.get(RIGHTS, {}).get(principal.tenant.id.hex, [])
        if not principal.permissions.issuperset(held):
            return RIGHTS_TEXT
    return ""


def _own(principal: Principal) -> bool:
    """Rights of operators and partners at a customer come and go with grants; those of a role count."""
    if principal.partnership is not None:
        return False
    return not principal.by_operator or principal.tenant.kind == Tenant.Kind.OPERATOR


def _note(request: Any, principal: Principal | None) -> None:
    session, at = request.session, clock.now().timestamp()
    if BEGAN not in session:
        session[BEGAN] = session[SEEN] = at
    if (
        at - session.get(SEEN, 0) > NOTED_EACH_S and POLLS not in request.headers
    ):  # a live page is no activity
        session[SEEN] = at
        UserSession.objects.filter(session_key=session.session_key).update(last_seen_at=clock.now())
    if principal is not None and _own(principal):
        rights, now = session.get(RIGHTS, {}), sorted(principal.permissions)
        if rights.get(principal.tenant.id.hex) != now:
            session[RIGHTS] = {**rights, principal.tenant.id.hex: now}


def _end(request: Any, reason: str) -> HttpResponse:
    UserSession.objects.filter(session_key=request.session.session_key).delete()
    logout(request)
    messages.info(request, reason)
    if request.headers.get("HX-Request") == "true":  # no refusal: that would take the session's end back
        return HttpResponse(status=204, headers={"HX-Redirect": "/sign-in"})
    return redirect_to_login(request.get_full_path() if request.method == "GET" else "/")
