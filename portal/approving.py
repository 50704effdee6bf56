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
from django.http import Http404
from django.urls import resolve

from foundation import clock
from foundation.errors import Conflict, DomainError
from portal import rehearsal
from portal.access import Principal, mark_approved
from tenancy import api_tokens, approvals, audit, partners, roles
from tenancy.audit import Actor
from tenancy.models import ApiToken, PendingAction, Person, Tenant, User
from tenancy.rights import Rights

FORM, JSON = "application/x-www-form-urlencoded", "application/json"
CHANGED = "It was changed after the partner asked. They can ask again"
PROGRAM_OUT = "The token it was asked with does not hold any more"


def carry_out(action: PendingAction, *, by: Person | None) -> PendingAction:
    """Approve, and do it with the rights the partner's person, or the program's token, has now. Raises Missing, Over.

    What the state of things forbids by now, and what would change something else than was shown, is noted as its
    outcome, and changes nothing.
    """
    at = clock.now()
    held = approvals.approve(action.id, by=by, at=at)
    outcome = _done(held)
    approvals.finish(held, worked=not outcome, outcome=outcome)
    return held


def _done(held: PendingAction) -> str:
    """What went wrong; "" for nothing."""
    rights = _rights(held)
    if rights is None:
        return PROGRAM_OUT
    request = _request(held, rights)
    try:
        with audit.acting(request.principal.actor), transaction.atomic():
            match = resolve(urlsplit(held.path).path)
            effect = rehearsal.run(
                request, lambda: match.func(request, *match.args, **match.kwargs), keep=True
            )
            if not effect.worked:
                return "What was asked for is not possible any more"
            if held.effect and not rehearsal.same_ground(held.effect, effect):
                raise Conflict(CHANGED)
    except PermissionDenied:
        return "The partner may not do this any more"
    except Http404:
        return "What it was about is gone"
    except DomainError as error:
        return error.message[:200]
    return ""


def _rights(held: PendingAction) -> Rights | None:
    """None where the program may not ask any more."""
    if held.token is None:
        return partners.worth(roles.rights_of(held.person))
    usable = ApiToken.objects.for_tenant(held.tenant_id).usable(at=clock.now())
    if not usable.filter(id=held.token.id).exists():
        return None
    return partners.worth(api_tokens.rights_of(held.token))


def _home(person: Person) -> Any:
    return User.objects.values_list("home_id", flat=True).get(id=person.user_id)


def _request(held: PendingAction, rights: Rights) -> Any:
    """The request as it came, in the name of whoever asked, approved."""
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
    actor = Actor(
        "token" if held.token else "person",
        held.token.id if held.token else held.person.user_id,
        held.token.label if held.token else held.person.name,
        request_id=audit.current_actor().request_id,
        tenant_id=_home(held.person),
        grant_id=held.partnership_id,
    )
    request.principal = Principal(actor, tenant, (tenant,), rights, person=held.person)
    request.tenant, request.id, request.session = tenant, actor.request_id, {}
    request._messages = CookieStorage(request)
    request._dont_enforce_csrf_checks = True
    mark_approved(request)
    return request
