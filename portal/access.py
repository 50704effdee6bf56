"""Who asks, in which organisation, and whether they may: one principal per request, for pages and the API."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any
from uuid import UUID

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from tenancy.audit import Actor
from tenancy.models import Person, Tenant, User

View = Callable[..., HttpResponseBase]


@dataclass(frozen=True)
class Principal:
    """Somebody signed in, or a program with a token.

    `tenant`: the organisation looked at; on the operations console the operator's own.
    `tenants`: all that may be entered: on the console the customers served, elsewhere just `tenant`.
    """

    actor: Actor
    tenant: Tenant
    tenants: tuple[Tenant, ...]
    permissions: frozenset[str]
    user: User | None = None
    person: Person | None = None
    by_operator: bool = False

    def may(self, permission: str) -> bool:
        return permission in self.permissions

    @property
    def tenant_ids(self) -> tuple[UUID, ...]:
        return tuple(tenant.id for tenant in self.tenants)


class TenantRequest(HttpRequest):
    """A request after the tenant middleware: `principal` and `tenant` are there for whoever is signed in."""

    principal: Principal | None
    tenant: Tenant


def principal_of(request: Any) -> Principal:
    """The principal of a page that requires one. Raises PermissionDenied where there is none."""
    principal: Principal | None = getattr(request, "principal", None)
    if principal is None:
        raise PermissionDenied
    return principal


def requires(permission: str) -> Callable[[View], View]:
    """A page for people with `permission`: others see one sentence (403), strangers the sign-in page."""

    def decorate(view: View) -> View:
        @wraps(view)
        def checked(request: TenantRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if getattr(request, "principal", None) is None:
                return _sign_in_first(request)
            if not principal_of(request).may(permission):
                raise PermissionDenied
            return view(request, *args, **kwargs)

        checked.permission = permission  # type: ignore[attr-defined]  # the isolation matrix reads it
        return checked

    return decorate


def _sign_in_first(request: HttpRequest) -> HttpResponse:
    if request.headers.get("HX-Request") == "true":
        return HttpResponse(status=401, headers={"HX-Refresh": "true"})
    return redirect_to_login(request.get_full_path())
