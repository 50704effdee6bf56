"""Finds out who asks and enters their organisation for the time of the request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from allauth.account.adapter import get_adapter
from django.db import transaction
from django.http import HttpRequest, HttpResponse

from foundation import clock
from foundation.context import tenant
from portal.access import Principal
from portal.errors import problem
from tenancy import api_tokens, audit, roles, tenants
from tenancy.audit import Actor
from tenancy.models import Membership, Tenant, User

CHOSEN = "organisation"  # session key: id of the organisation a person looks at
CONSOLE = "/operations"
PEOPLES_API = "/api/"
DEVICES = "/device/"
WITHOUT_PRINCIPAL = (DEVICES, "/static/", "/healthz", "/readyz", "/metrics")


class TenantMiddleware:
    """Sets `request.principal` and `request.tenant`, and runs the view inside `tenant(...)`.

    The transaction rolls back when the answer is 400 or above; the event of a refusal is written after it, in
    a transaction of its own. The device side authenticates itself (portal.api.devices).
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> HttpResponse:
        request.principal = None
        if request.path.startswith(WITHOUT_PRINCIPAL):
            return self.get_response(request)
        if request.path.startswith(PEOPLES_API):
            request.principal = _token_holder(request)
            if request.principal is None and request.headers.get("Authorization"):
                return problem(
                    401, "Not signed in", "This token is not valid.", headers={"WWW-Authenticate": "Bearer"}
                )
        elif request.user.is_authenticated:
            request.principal = _operator(request) if _on_console(request.path) else _member(request)
        if request.principal is None:
            return self.get_response(request)
        return self._inside(request, request.principal)

    def _inside(self, request: Any, principal: Principal) -> HttpResponse:
        request.tenant = principal.tenant
        with audit.acting(principal.actor):
            with tenant(principal.tenant.id):
                response = self.get_response(request)
                if response.status_code >= 400:
                    transaction.set_rollback(True)
            if response.status_code == 403:
                with tenant(principal.tenant.id):
                    audit.record(
                        "access.denied",
                        tenant_id=principal.tenant.id,
                        at=clock.now(),
                        result="failed",
                        name=f"{request.method} {request.path}",
                    )
        return response


def _on_console(path: str) -> bool:
    return path == CONSOLE or path.startswith(f"{CONSOLE}/")


def _actor(request: Any, kind: str, id: Any, name: str) -> Actor:
    return Actor(kind, id, name, address=client_address(request), request_id=request.id)


def client_address(request: Any) -> str | None:
    """The address of the caller; X-Forwarded-For counts only behind the configured number of proxies."""
    address: str | None = get_adapter().get_client_ip(request)  # knows how many proxies are ours
    return address


def _token_holder(request: Any) -> Principal | None:
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    holder = api_tokens.holder_of(text.strip(), at=clock.now()) if scheme == "Bearer" else None
    if holder is None:
        return None
    actor = _actor(request, "token", holder.token.id, holder.token.label)
    return Principal(actor, holder.tenant, (holder.tenant,), holder.permissions)


def _member(request: Any) -> Principal | None:
    """A person in the portal: the organisation chosen, else the first customer they may enter."""
    user: User = request.user
    enterable = [(each, kind) for each, kind in tenants.tenants_of(user) if each.kind == Tenant.Kind.CUSTOMER]
    if not enterable:
        return None
    wanted = request.session.get(CHOSEN)
    chosen, kind = next(((each, k) for each, k in enterable if str(each.id) == wanted), enterable[0])
    by_operator = kind == Membership.Kind.OPERATOR
    permissions = _operator_permissions(user) if by_operator else None
    with tenant(chosen.id):
        person = tenants.person_in(chosen.id, user.id)
        if person is None:
            return None
        if permissions is None:
            permissions = roles.permissions_of(person)
    actor = _actor(request, "person", user.id, user.name)
    request.organisations = [each for each, _ in enterable]
    return Principal(actor, chosen, (chosen,), permissions, user, person, by_operator)


def _operator(request: Any) -> Principal | None:
    """One of the operator's people on the console, over the customers they serve."""
    user: User = request.user
    memberships = tenants.tenants_of(user)
    own = next((each for each, _ in memberships if each.kind == Tenant.Kind.OPERATOR), None)
    if own is None:
        return None
    served = tuple(each for each, kind in memberships if kind == Membership.Kind.OPERATOR)
    with tenant(own.id):
        person = tenants.person_in(own.id, user.id)
        if person is None:
            return None
        permissions = roles.permissions_of(person)
    actor = _actor(request, "person", user.id, user.name)
    return Principal(actor, own, served, permissions, user, person, by_operator=True)


def _operator_permissions(user: User) -> frozenset[str]:
    own = next((each for each, _ in tenants.tenants_of(user) if each.kind == Tenant.Kind.OPERATOR), None)
    if own is None:
        return frozenset()
    with tenant(own.id):
        person = tenants.person_in(own.id, user.id)
        return roles.permissions_of(person) if person else frozenset()
