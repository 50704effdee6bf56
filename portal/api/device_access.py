"""What the devices' views share: who calls, their customer entered, everything undone on a refusal, its event."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any, ClassVar
from uuid import UUID

from django.db import OperationalError, transaction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request
from rest_framework.views import APIView

from enrollment import credentials, keys
from enrollment.credentials import Holder, Standing
from enrollment.errors import BadCredential, Refused, Revoked
from enrollment.models import EnrollmentKey
from fleet.models import Device
from foundation import clock
from foundation.context import tenant
from portal.api import failed_attempts, heartbeat_answers
from portal.api.errors import problem_details
from portal.api.parsers import StrictJSONParser
from portal.errors import problem, unavailable
from portal.middleware.tenants import client_address
from tenancy import audit
from tenancy.audit import Actor
from tenancy.models import Tenant

log = logging.getLogger(__name__)


class NotLetIn(BadCredential):
    """A token that does not hold, in the words of the heartbeats' endpoint."""

    def __init__(self, standing: Standing | None) -> None:
        super().__init__("This token is not valid.")
        self.standing = standing


class LengthRequired(exceptions.APIException):
    status_code = 411
    default_code = "length_required"
    default_detail = "Send the body with its Content-Length."


class AnyTypeJSONParser(StrictJSONParser):
    """Devices post JSON and nothing else, so what they call it does not matter: `curl -d` calls it a form."""

    media_type = "*/*"


class DeviceAuthentication(BaseAuthentication):
    """`Authorization: Device grdt_…`. The first use of a token confirms it."""

    def authenticate(self, request: Request) -> tuple[Holder, None]:
        text = secret_of(request, "Device")
        holder = credentials.find(text, at=clock.now()) if text else None
        if holder is None or not holder.valid:
            raise NotLetIn(holder.standing if holder else None)
        return holder, None


class KeyAuthentication(BaseAuthentication):
    """`Authorization: Enroll grek_…`. Why a key is refused is not told."""

    def authenticate(self, request: Request) -> tuple[EnrollmentKey, None]:
        text = secret_of(request, "Enroll")
        key = keys.find(text, at=clock.now()) if text else None
        if key is None:
            raise BadCredential("This enrollment key is not valid.")
        return key, None


class DeviceView(APIView):
    """A view for devices: signs who calls into the audit log and enters their tenant for the handler.

    The transaction rolls back when the answer is 400 or above. `scheme`: what a 401 asks for.
    """

    authentication_classes: Any = (DeviceAuthentication,)
    permission_classes: Any = ()
    parser_classes: Any = (AnyTypeJSONParser,)
    metadata_class: Any = None
    scheme: ClassVar[str] = "Device"
    counts_failures: ClassVar[bool] = False  # failed attempts of an address are limited

    device: Device
    _stack: ExitStack

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        self.refusal: Exception | None = None
        self._entered = False
        try:
            with ExitStack() as self._stack:
                response = super().dispatch(request, *args, **kwargs)
                if self._entered and response.status_code >= 400:
                    transaction.set_rollback(True)
        except OperationalError:
            log.warning("The database is away (request %s)", _request_id(request), exc_info=True)
            return unavailable(request)
        if self.counts_failures and isinstance(self.refusal, BadCredential | Refused):
            return self._failed(request, response)
        return response

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        if request.headers.get("Transfer-Encoding") and not request.headers.get("Content-Length"):
            raise LengthRequired  # it would look empty: WSGI hands out as many bytes as were announced
        super().initial(request, *args, **kwargs)
        who = request.user
        if isinstance(who, Holder):
            self._enter(who.tenant_id)
            self.device = Device.objects.for_tenant(who.tenant_id).get(id=who.device_id)
            self.act(request, "device", self.device.id, self.device.name)
        elif isinstance(who, EnrollmentKey):
            self._enter(who.tenant_id)
            self.act(request, "enrollment_key", who.id, who.label)

    def get_exception_handler(self) -> Callable[[Exception, dict[str, Any]], Any]:
        return self._explained

    def refused_tenant(self, request: HttpRequest) -> Tenant | None:
        """In whose audit log a refusal stands: the operator's, unless a subclass knows better."""
        return Tenant.objects.filter(kind=Tenant.Kind.OPERATOR).order_by("number").first()

    def _enter(self, tenant_id: UUID) -> None:
        self._stack.enter_context(tenant(tenant_id))
        self._entered = True

    def act(self, request: Request, kind: str, who: UUID, name: str) -> None:
        """Sign what follows into the audit log as done by this caller."""
        actor = Actor(kind, who, name, client_address(request._request), _request_id(request._request))
        self._stack.enter_context(audit.acting(actor))

    def _explained(self, error: Exception, context: Mapping[str, Any]) -> HttpResponseBase | None:
        self.refusal = error
        challenge = {"WWW-Authenticate": self.scheme}
        if isinstance(error, NotLetIn):
            return answered(heartbeat_answers.not_let_in(error.standing))
        if isinstance(error, Revoked):
            return answered(heartbeat_answers.not_let_in(Standing.REVOKED))
        if isinstance(error, BadCredential):
            return problem(401, "Not let in", error.message, code=error.code, headers=challenge)
        if isinstance(error, Refused):
            members: dict[str, Any] = {}
            if error.field:
                members["errors"] = [{"field": error.field, "message": error.message}]
            return problem(422, "Refused", error.message, code=error.code, **members)
        if isinstance(error, exceptions.NotAuthenticated | exceptions.AuthenticationFailed):
            return problem(401, "Not let in", str(error.detail), code="unauthorized", headers=challenge)
        return problem_details(error, context)

    def _failed(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Note a failed attempt: its event in a transaction of its own, unless there are too many of them."""
        address = client_address(request)
        wait_s = failed_attempts.note_failure(address)
        if wait_s:
            detail = "Too many attempts from this network address failed."
            return problem(
                429, "Too many requests", detail, code="too_often", headers={"Retry-After": str(wait_s)}
            )
        whose = self.refused_tenant(request)
        if whose is None:
            log.warning("A refused device is in no audit log: there is no operator (address %s)", address)
            return response
        kind = "enrollment_key" if self.scheme == "Enroll" else "device"
        actor = Actor(kind, None, "", address, _request_id(request))
        with audit.acting(actor), tenant(whose.id):
            audit.record(
                "enrollment.refused",
                tenant_id=whose.id,
                at=clock.now(),
                after=self.refused_facts(request),
                result="failed",
                name=request.path,
            )
        return response

    def refused_facts(self, request: HttpRequest) -> dict[str, Any]:
        error = self.refusal
        if isinstance(error, BadCredential | Refused):
            return {"reason": error.code, "said": error.message}
        return {}


class DeviceScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # registers itself
    target_class = DeviceAuthentication
    name = "device"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "Device", "description": "The device's token: grdt_…"}


class KeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # registers itself
    target_class = KeyAuthentication
    name = "enrollmentKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "Enroll", "description": "An enrollment key: grek_…"}


def secret_of(request: Request | HttpRequest, scheme: str) -> str:
    """What follows `scheme` in the Authorization header; empty where another scheme, or none, stands there."""
    given, _, text = request.headers.get("Authorization", "").partition(" ")
    return text.strip() if given.lower() == scheme.lower() else ""


def answered(answer: heartbeat_answers.Answer) -> HttpResponse:
    headers = dict(answer.headers)
    kind = headers.pop("content-type")
    return HttpResponse(answer.body, status=answer.status, content_type=kind, headers=headers)


def _request_id(request: HttpRequest) -> str:
    return str(getattr(request, "id", ""))
