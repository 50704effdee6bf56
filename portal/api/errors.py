"""Every refusal of the API as problem details (RFC 9457), whoever raised it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponseBase
from rest_framework import exceptions, status

from fleet.errors import ChangedMeanwhile
from foundation.errors import Conflict, DomainError, NotAllowed, NotFound, NotValid, Unavailable
from foundation.idempotency import Different
from portal.errors import problem, unavailable


class WaitsForApproval(exceptions.APIException):
    """The customer wants to approve what a partner's program asked for."""

    status_code = status.HTTP_202_ACCEPTED


CHALLENGE = {"WWW-Authenticate": "Bearer"}
_STATUS: tuple[tuple[type[DomainError], int, str], ...] = (  # the first that matches
    (ChangedMeanwhile, status.HTTP_412_PRECONDITION_FAILED, "Changed meanwhile"),
    (Different, status.HTTP_422_UNPROCESSABLE_ENTITY, "Idempotency key reused"),
    (NotValid, status.HTTP_400_BAD_REQUEST, "Not valid"),
    (NotFound, status.HTTP_404_NOT_FOUND, "Not found"),
    (NotAllowed, status.HTTP_403_FORBIDDEN, "Not allowed"),
    (Conflict, status.HTTP_409_CONFLICT, "Conflict"),
)


def problem_details(error: Exception, context: Mapping[str, Any]) -> HttpResponseBase | None:
    """REST framework's exception handler. None: an error of ours, which the outer layers answer."""
    if isinstance(error, DomainError):
        return _domain(error, context)
    if isinstance(error, WaitsForApproval):
        detail = "The customer approves this first. It waits there now."
        return problem(202, "Waits for approval", detail, code="waits_for_approval")
    if isinstance(error, Http404 | exceptions.NotFound):
        return not_found()
    if isinstance(error, exceptions.NotAuthenticated | exceptions.AuthenticationFailed):
        return problem(
            401, "Not signed in", "This needs a token: Authorization: Bearer <token>.", headers=CHALLENGE
        )
    if isinstance(error, PermissionDenied | exceptions.PermissionDenied):
        return problem(403, "Not allowed", "Your role does not allow this.")
    if isinstance(error, exceptions.ValidationError):
        return not_valid(list(_flat(error.detail)))
    if isinstance(error, exceptions.APIException):
        return _framework(error)
    return None


def not_found() -> HttpResponseBase:
    """One body for what is missing and what is another customer's."""
    return problem(404, "Not found", "This does not exist, or is not yours to see.")


def not_valid(errors: list[dict[str, str]]) -> HttpResponseBase:
    """`errors`: {"field", "message"}, at least one; the first is also the sentence a person reads."""
    first = errors[0]
    detail = f"{first['field']}: {first['message']}" if first["field"] else first["message"]
    return problem(400, "Not valid", detail, code="invalid", errors=errors)


def _domain(error: DomainError, context: Mapping[str, Any]) -> HttpResponseBase:
    names: Mapping[str, str] = getattr(context.get("view"), "field_names", {})
    field = names.get(error.field, error.field) if error.field else ""
    if isinstance(error, NotFound):  # what a path names is not found; what a body names makes the body wrong
        return not_valid([{"field": field, "message": error.message}]) if field else not_found()
    if isinstance(error, Unavailable):
        return unavailable(context["request"]._request)
    number, title = next(
        ((number, title) for kind, number, title in _STATUS if isinstance(error, kind)), (400, "Refused")
    )
    if number == status.HTTP_400_BAD_REQUEST:
        return not_valid([{"field": field, "message": error.message}])
    members: dict[str, Any] = {"errors": [{"field": field, "message": error.message}]} if field else {}
    return problem(number, title, error.message, code=error.code, **members)


def _framework(error: exceptions.APIException) -> HttpResponseBase:
    headers: dict[str, str] = {}
    wait = getattr(error, "wait", None)
    if wait is not None:
        headers["Retry-After"] = str(int(wait) or 1)
    title = {
        400: "Bad request",
        405: "Method not allowed",
        406: "Not acceptable",
        413: "Too large",
        415: "Unsupported media type",
        429: "Too many requests",
    }.get(error.status_code, "Refused")
    code = error.get_codes()
    return problem(
        error.status_code,
        title,
        str(error.detail),
        code=code if isinstance(code, str) else "",
        headers=headers,
    )


def _flat(detail: Any, field: str = "") -> Iterator[dict[str, str]]:
    """REST framework's nested errors as a list; fields of inner objects are joined by dots."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            own = "" if name == "non_field_errors" else str(name)
            yield from _flat(inner, ".".join(filter(None, (field, own))))
    elif isinstance(detail, list | tuple):
        for inner in detail:
            yield from _flat(inner, field)
    else:
        yield {"field": field, "message": str(detail)}
