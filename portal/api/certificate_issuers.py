"""/certificate-issuers: whose client certificates let update clients in, where a proxy in front checks them."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from enrollment import issuers
from enrollment.models import TrustedIssuer
from foundation import clock
from portal.api.fields import Input, Text
from portal.api.resources import Resource


class IssuerSerializer(serializers.Serializer[TrustedIssuer]):
    id = serializers.UUIDField()
    label = serializers.CharField()  # type: ignore[assignment]  # a declared field is no attribute
    fingerprint = serializers.CharField(help_text="SHA-256 or SHA-1, lower-case hex.")
    created_at = serializers.DateTimeField()


class IssuerInput(Input):
    label = Text(max_length=80)  # type: ignore[assignment]  # a declared field is no attribute
    fingerprint = Text(max_length=120, help_text="SHA-256 or SHA-1 in hex, with or without colons.")


class CertificateIssuers(Resource):
    permissions: ClassVar = {"GET": "keys.download", "POST": "keys.reset"}
    serializer_class = IssuerSerializer
    inputs: ClassVar = {"POST": IssuerInput}
    order_by = ("-created_at", "-id")
    pages = True

    def get(self, request: Request) -> Response:
        """Trusted issuers, newest first."""
        return self.list_of(TrustedIssuer.objects.for_tenant(self.tenant_id))

    def post(self, request: Request) -> Response:
        """Trust one: devices get in with its certificates, without a token."""
        values = self.given()
        by = self.principal.person
        return self.once(request, lambda: self.shown(issuers.add(**values, by=by, at=clock.now())))


class CertificateIssuerDetail(Resource):
    permissions: ClassVar = {"DELETE": "keys.reset"}

    def delete(self, request: Request, issuer_id: UUID) -> Response:
        """Trust it no longer."""
        issuers.remove(issuers.issuer(issuer_id), at=clock.now())
        return Response(status=204)
