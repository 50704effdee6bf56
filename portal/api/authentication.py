"""Who may call what: the token was resolved by the tenant middleware; each view names its permissions."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from portal.access import Principal


class ApiTokenAuthentication(BaseAuthentication):
    """`Authorization: Bearer grat_…`. A wrong token never gets here: the middleware answered it."""

    def authenticate(self, request: Request) -> tuple[Principal, None] | None:
        principal: Principal | None = getattr(request._request, "principal", None)
        return None if principal is None else (principal, None)

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class HasPermission(BasePermission):
    """The principal's role holds the permission the view names for the method; a view that names none refuses."""

    def has_permission(self, request: Request, view: Any) -> bool:
        principal: Principal | None = getattr(request._request, "principal", None)
        if principal is None:
            return False
        method = "GET" if request.method == "HEAD" else str(request.method)
        if method.lower() not in view.http_method_names or not hasattr(view, method.lower()):
            return True  # answered with 405
        wanted: str | None = getattr(view, "permissions", {}).get(method)
        return wanted is not None and principal.may(wanted)


class ApiTokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # registers itself
    target_class = ApiTokenAuthentication
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "grat_…"}
