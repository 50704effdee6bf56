"""/audit: what was done, newest first."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from portal.api.filters import CharFilter, Filters
from portal.api.resources import Resource
from tenancy.audit_log import Asked, Names, events
from tenancy.models import AuditEvent


class AuditListSerializer(serializers.ListSerializer[AuditEvent]):
    """People are named once for the whole page."""

    def to_representation(self, data: Any) -> list[Any]:
        rows = list(data)
        assert isinstance(self.child, AuditEventSerializer)
        self.child.names = Names(rows)
        return super().to_representation(rows)


class AuditEventSerializer(serializers.Serializer[AuditEvent]):
    id = serializers.UUIDField()
    at = serializers.DateTimeField()
    actor_kind = serializers.CharField(help_text="person, token, device, enrollment_key, stranger or system.")
    actor_id = serializers.UUIDField(allow_null=True)
    actor = serializers.SerializerMethodField()
    actor_organisation = serializers.UUIDField(
        source="actor_tenant_id", allow_null=True, help_text="Where the actor is of another organisation."
    )
    grant = serializers.UUIDField(
        source="grant_id", allow_null=True, help_text="Partnership or emergency access acted under."
    )
    action = serializers.CharField()
    object_kind = serializers.CharField()
    object_id = serializers.UUIDField(allow_null=True)
    object = serializers.SerializerMethodField()
    result = serializers.CharField()
    before = serializers.SerializerMethodField()
    after = serializers.SerializerMethodField()
    address = serializers.CharField(allow_null=True)
    request_id = serializers.CharField()

    names: Names

    class Meta:
        list_serializer_class = AuditListSerializer

    def get_actor(self, row: AuditEvent) -> str:
        return self.names.actor(row)

    def get_object(self, row: AuditEvent) -> str:
        return self.names.about(row)

    def get_before(self, row: AuditEvent) -> dict[str, Any] | None:
        return self.names.plain(row.before) if row.before is not None else None

    def get_after(self, row: AuditEvent) -> dict[str, Any] | None:
        return self.names.plain(row.after) if row.after is not None else None


class AuditFilters(Filters):
    action = CharFilter(max_length=60)
    result = CharFilter(max_length=12)
    actor_kind = CharFilter(max_length=20)
    object_kind = CharFilter(max_length=40)


class Audit(Resource):
    permissions: ClassVar = {"GET": "audit.export"}
    serializer_class = AuditEventSerializer
    filterset_class = AuditFilters
    pages = True
    order_by: ClassVar = ("-id",)

    def get(self, request: Request) -> Response:
        """What was done, newest first."""
        return self.list_of(events(Asked()))
