"""What partners want to do where the customer approves each use: kept as the request it was, carried out when approved."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.contrib.messages.storage.cookie import CookieStorage
from django.core.exceptions import PermissionDenied
from django.core.handlers.wsgi import WSGIRequest
from django.db import transaction
from django.http import Http404, HttpRequest
from django.urls import resolve

from foundation import clock
from foundation.errors import DomainError
from portal.access import Principal, mark_approved
from tenancy import approvals, audit, partners, roles
from tenancy.audit import Actor
from tenancy.models import PendingAction, Person, Tenant, User

FORM, JSON = "application/x-www-form-urlencoded", "application/json"


def carry_out(action: PendingAction, *, by: Person | None) -> PendingAction:
    """Approve, and do it with the rights the partner's person has now. Raises Missing, Over.

    What the state of things forbids by now is noted as its outcome, and changes nothing.
    """
    at = clock.now()
    held = approvals.approve(action.id, by=by, at=at)
    outcome = _done(held)
    approvals.finish(held, worked=not outcome, outcome=outcome)
    return held


def _done(held: PendingAction) -> str:
    """What went wrong; "" for nothing."""
    request = _request(held)
    actor = Actor(
        "person",
        held.person.user_id,
        held.person.name,
        tenant_id=_home(held.person),
        grant_id=held.partnership_id,
    )
    try:
        match = resolve(urlsplit(held.path).path)
        with audit.acting(actor), transaction.atomic():
            answer = match.func(request, *match.args, **match.kwargs)
            if hasattr(answer, "render"):
                answer = answer.render()
            if answer.status_code >= 400:
                transaction.set_rollback(True)
                return "What was asked for is not possible any more"
    except PermissionDenied:
        return "The partner may not do this any more"
    except Http404:
        return "What it was about is gone"
    except DomainError as error:
        return error.message[:200]
    return ""


def _home(person: Person) -> Any:
    return User.objects.values_list("home_id", flat=True).get(id=person.user_id)


def _request(held: PendingAction) -> HttpRequest:
    """The request as it came, in the name of the partner's person, approved."""
    kind = JSON if held.path.startswith("/api/") else FORM
    body = (json.dumps(held.body) if kind == JSON else urlencode(held.body, doseq=True)).encode()
    parts = urlsplit(held.path)
    request: Any = WSGIRequest(
        {
            "REQUEST_METHOD": held.method,
            "PATH_INFO": parts.path,
            "QUERY_STRING": parts.query,
            "CONTENT_TYPE": kind,
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_HX_REQUEST": "true",
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "wsgi.input": BytesIO(body),
        }
    )
    tenant = Tenant.objects.get(id=held.tenant_id)
    rights = partners.worth(roles.rights_of(held.person))
    actor = audit.current_actor()
    request.principal = Principal(actor, tenant, (tenant,), rights, person=held.person)
    request.tenant, request.id, request.session = tenant, actor.request_id, {}
    request._messages = CookieStorage(request)
    request._dont_enforce_csrf_checks = True
    mark_approved(request)
    return request  # type: ignore[no-any-return]
