"""/suppressions and /maintenance-windows: when rooms raise nothing."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from foundation import clock
from incidents import suppression
from incidents.models import MaintenanceWindow, Suppression
from portal.api.fields import Id, Input, Moment, Text
from portal.api.filters import CharFilter, Filters, UUIDFilter, YesNoFilter
from portal.api.resources import Resource


class SuppressionSerializer(serializers.Serializer[Suppression]):
    id = serializers.UUIDField()
    room = serializers.UUIDField(source="room_id", allow_null=True)
    group = serializers.UUIDField(source="group_id", allow_null=True)
    signal = serializers.CharField(help_text="Empty: every signal.")
    until = serializers.DateTimeField()
    reason = serializers.CharField()
    created_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True, help_text="Null while it is in force.")


class QuietInput(Input):
    room = Id(required=False, allow_null=True)
    group = Id(required=False, allow_null=True, help_text="A room or a group; neither means all rooms.")
    signal = Text(required=False, allow_blank=True, max_length=40, help_text="Left out: every signal.")
    until = Moment()
    reason = Text(max_length=200)


class WindowSerializer(serializers.Serializer[MaintenanceWindow]):
    id = serializers.UUIDField()
    room = serializers.UUIDField(source="room_id", allow_null=True)
    group = serializers.UUIDField(source="group_id", allow_null=True)
    site = serializers.UUIDField(source="place_id", allow_null=True)
    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()
    reason = serializers.CharField()
    created_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True, help_text="Null while it is planned or in force.")


class WindowInput(Input):
    room = Id(required=False, allow_null=True)
    group = Id(required=False, allow_null=True)
    site = Id(
        required=False, allow_null=True, help_text="With all places below it. Exactly one of the three."
    )
    starts_at = Moment()
    ends_at = Moment()
    reason = Text(max_length=200)


class QuietFilters(Filters):
    room = UUIDFilter(field_name="room_id")
    group = UUIDFilter(field_name="group_id")
    ended = YesNoFilter(field_name="ended_at", method="has_ended")

    def has_ended(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        return rows.filter(ended_at__isnull=value == "false")


class SuppressionFilters(QuietFilters):
    signal = CharFilter(max_length=40)


class WindowFilters(QuietFilters):
    site = UUIDFilter(field_name="place_id")


class Suppressions(Resource):
    permissions: ClassVar = {"GET": "rooms.view", "POST": "rooms.modify"}
    serializer_class = SuppressionSerializer
    filterset_class = SuppressionFilters
    inputs: ClassVar = {"POST": QuietInput}
    order_by = ("-created_at", "-id")
    pages = True

    def get(self, request: Request) -> Response:
        """Suppressions, newest first."""
        return self.list_of(Suppression.objects.for_tenant(self.tenant_id))

    def post(self, request: Request) -> Response:
        """Keep a signal, or all of them, quiet. What is still bad at the end is raised then."""
        values = self.given()
        named = {f"{name}_id": values.pop(name, None) for name in ("room", "group")}
        by = self.principal.person
        return self.once(
            request,
            lambda: self.shown(
                suppression.suppress(self.tenant_id, **named, **values, by=by, at=clock.now())
            ),
        )


class SuppressionDetail(Resource):
    permissions: ClassVar = {"GET": "rooms.view"}
    serializer_class = SuppressionSerializer

    def get(self, request: Request, suppression_id: UUID) -> Response:
        """One suppression."""
        return self.shown(self.one_of(Suppression.objects.for_tenant(self.tenant_id), suppression_id))


class SuppressionEnd(Resource):
    permissions: ClassVar = {"POST": "rooms.modify"}
    serializer_class = SuppressionSerializer
    answers: ClassVar = {"POST": (200, SuppressionSerializer)}

    def post(self, request: Request, suppression_id: UUID) -> Response:
        """End it now: what is still bad is raised. Repeating it changes nothing."""
        return self.shown(suppression.end_suppression(self.tenant_id, suppression_id, at=clock.now()))


class MaintenanceWindows(Resource):
    permissions: ClassVar = {"GET": "rooms.view", "POST": "rooms.modify"}
    serializer_class = WindowSerializer
    filterset_class = WindowFilters
    inputs: ClassVar = {"POST": WindowInput}
    field_names: ClassVar = {"place": "site"}
    order_by = ("-starts_at", "-id")
    pages = True

    def get(self, request: Request) -> Response:
        """Maintenance windows, the latest start first."""
        return self.list_of(MaintenanceWindow.objects.for_tenant(self.tenant_id))

    def post(self, request: Request) -> Response:
        """Plan maintenance of a room, a group or a site. At its end only what is still bad is raised."""
        values = self.given()
        names = {"room": "room_id", "group": "group_id", "site": "place_id"}
        named = {column: values.pop(name, None) for name, column in names.items()}
        by = self.principal.person
        return self.once(
            request,
            lambda: self.shown(
                suppression.plan_window(self.tenant_id, **named, **values, by=by, at=clock.now())
            ),
        )


class MaintenanceWindowEnd(Resource):
    permissions: ClassVar = {"POST": "rooms.modify"}
    serializer_class = WindowSerializer
    answers: ClassVar = {"POST": (200, WindowSerializer)}

    def post(self, request: Request, window_id: UUID) -> Response:
        """End it now, or take it back before it began. Repeating it changes nothing."""
        return self.shown(suppression.end_window(self.tenant_id, window_id, at=clock.now()))
