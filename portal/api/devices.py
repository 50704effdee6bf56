"""The devices' side: challenge, enroll, renew and recover tokens, inventory. Heartbeats are in portal.api.heartbeats."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, ClassVar, cast

from django.conf import settings
from django.http import HttpRequest
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from enrollment import credentials, keys, nonces, registration, signatures
from enrollment.canonical import canonical
from enrollment.credentials import Holder, NewToken
from enrollment.hardware import described, one_line
from enrollment.models import EnrollmentKey
from enrollment.registration import Application
from fleet import peripherals
from foundation import clock
from foundation.errors import NotValid
from portal.api import device_bodies as bodies
from portal.api.device_access import DeviceView, KeyAuthentication, secret_of
from portal.api.schema import ProblemSerializer
from portal.middleware.tenants import client_address
from tenancy.models import Tenant

HEARTBEATS = "/device/v1/heartbeats"
SMALL_BODY_BYTES = 64_000


def _refusals(**reasons: str) -> dict[Any, Any]:
    told = {"400": "The body is not valid; `errors` names each member at fault.", **reasons}
    return {
        (status.strip("_"), "application/problem+json"): OpenApiResponse(ProblemSerializer, description)
        for status, description in told.items()
    }


class Challenge(DeviceView):
    """A nonce for enrolling or recovering. Nothing is stored."""

    authentication_classes = ()

    @extend_schema(
        operation_id="device_challenge",
        tags=["device"],
        request=None,
        responses={200: bodies.ChallengeAnswer},
    )
    def post(self, request: Request) -> Response:
        nonce = nonces.make("enroll", at=clock.now())
        return Response({"nonce": nonce, "expires_in": int(nonces.LIFETIMES["enroll"].total_seconds())})


class Enroll(DeviceView):
    """Register a device with an enrollment key, or give it a new token: the same public key is the same device."""

    authentication_classes = (KeyAuthentication,)
    scheme = "Enroll"
    counts_failures = True
    max_body_bytes: ClassVar[int] = SMALL_BODY_BYTES

    @extend_schema(
        operation_id="device_enroll",
        tags=["device"],
        request=bodies.EnrollmentBody,
        responses={
            201: bodies.EnrollmentAnswer,
            **_refusals(
                _401="The key is wrong, expired or revoked.",
                _422="The key is good, the device is refused; `code` names the reason.",
                _429="Too many failed attempts from this network address.",
            ),
        },
    )
    def post(self, request: Request) -> Response:
        key = cast(EnrollmentKey, request.user)
        address = client_address(request._request)
        enrolled = registration.enroll(key, _application(request.data), address=address, at=clock.now())
        answer = {
            "device_id": str(enrolled.device.id),
            **_token(enrolled.token),
            "status": enrolled.status,
            "heartbeat_interval_s": enrolled.interval_s,
            "heartbeat_url": f"{settings.GREENROOM_INGEST_URL}{HEARTBEATS}",
        }
        return Response(answer, status=201)

    def refused_tenant(self, request: HttpRequest) -> Tenant | None:
        return keys.owner_of(secret_of(request, "Enroll")) or super().refused_tenant(request)

    def refused_facts(self, request: HttpRequest) -> dict[str, Any]:
        shown = secret_of(request, "Enroll")
        known = keys.owner_of(shown) is not None
        return {**super().refused_facts(request), "key_id": shown.split("_")[1] if known else ""}


class RotateToken(DeviceView):
    """A new token for an old one and a signed nonce. Both work until the new one is used. May be repeated."""

    max_body_bytes: ClassVar[int] = SMALL_BODY_BYTES

    @extend_schema(
        operation_id="device_token_rotate",
        tags=["device"],
        request=bodies.RotationBody,
        responses={
            200: bodies.TokenAnswer,
            **_refusals(
                _401="The token is wrong, expired or revoked (`code`).",
                _422="The nonce or the signature does not hold.",
            ),
        },
    )
    def post(self, request: Request) -> Response:
        given = _checked(bodies.RotationBody, request.data)
        holder = cast(Holder, request.user)
        token = credentials.rotate(
            holder, nonce=given["nonce"], signature=given.get("signature"), at=clock.now()
        )
        return Response(_token(token))


class RecoverToken(DeviceView):
    """A new token for a device whose own expired or was lost: it signs a challenge with its key."""

    authentication_classes = ()
    counts_failures = True
    max_body_bytes: ClassVar[int] = SMALL_BODY_BYTES

    @extend_schema(
        operation_id="device_token_recover",
        tags=["device"],
        request=bodies.RecoveryBody,
        responses={
            200: bodies.TokenAnswer,
            **_refusals(
                _401="Not known, not signed by it, or (`code` revoked) shut out.",
                _429="Too many failed attempts from this network address.",
            ),
        },
    )
    def post(self, request: Request) -> Response:
        given = _checked(bodies.RecoveryBody, request.data)
        self.act(request, "device", given["device_id"], "")
        token = credentials.recover(
            given["device_id"],
            nonce=given["nonce"],
            signature=given.get("signature") or "",
            at=clock.now(),
        )
        return Response(_token(token))


class Inventory(DeviceView):
    """The whole inventory document, when a heartbeat reply says it is wanted."""

    @extend_schema(
        operation_id="device_inventory",
        tags=["device"],
        request=bodies.InventoryBody,
        responses={204: None, **_refusals(_401="The token is wrong, expired or revoked (`code`).")},
    )
    def put(self, request: Request) -> Response:
        document = _object(request.data)
        digest = f"sha256:{hashlib.sha256(canonical(document)).hexdigest()}"
        peripherals.store_inventory(self.device, document, digest=digest, at=clock.now())
        return Response(status=204)


def _application(data: Any) -> Application:
    given = _checked(bodies.EnrollmentBody, data)
    hardware, agent, room = given["hardware"], given.get("agent") or {}, given.get("room") or {}
    key = given.get("public_key")
    return Application(
        nonce=given["nonce"],
        platform=given["platform"],
        kind=given["kind"],
        hardware=described(
            hardware["make"],
            hardware["model"],
            hardware.get("serial") or "",
            hardware.get("firmware_uuid") or "",
            hardware.get("macs") or (),
        ),
        digest=registration.signed_digest(data),
        public_key=signatures.decoded(key, signatures.PUBLIC_KEY_BYTES) if key else None,
        signature=given.get("signature") or "",
        agent_name=one_line(agent.get("name") or "", 40),
        agent_version=one_line(agent.get("version") or "", 40),
        room_name=one_line(room.get("name") or "", 120),
        resource_account=one_line(room.get("resource_account") or "", 254),
    )


def _checked(body: type[serializers.Serializer[Any]], data: Any) -> dict[str, Any]:
    """Raises ValidationError."""
    given = body(data=_object(data))
    given.is_valid(raise_exception=True)
    values: dict[str, Any] = given.validated_data
    return values


def _object(data: Any) -> Mapping[str, Any]:
    if not isinstance(data, Mapping):
        raise NotValid("The body must be a JSON object.")
    return data


def _token(token: NewToken) -> dict[str, str]:
    return {
        "token": token.text,
        "expires_at": token.expires_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
