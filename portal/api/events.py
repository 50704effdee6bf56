"""/events: what happened in rooms, and making an incident of some."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from foundation import clock
from foundation.tenant_tables import TenantQuerySet
from incidents import events
from incidents.models import RoomEvent
from incidents.recorded import LONGEST_TITLE
from incidents.timeline import Author
from portal.api.fields import Id, Input, Moment, Text, Word
from portal.api.filters import IsoDateTimeFilter, RoomwiseFilters, YesNoFilter, any_of
from portal.api.incidents import IncidentAction, IncidentSerializer
from portal.api.resources import Resource


class EventSerializer(serializers.Serializer[RoomEvent]):
    id = serializers.UUIDField()
    at = serializers.DateTimeField()
    kind = serializers.ChoiceField(choices=RoomEvent.Kind.choices)
    room = serializers.UUIDField(source="room_id")
    room_name = serializers.CharField(source="room.name")
    device = serializers.UUIDField(source="device_id", allow_null=True)
    source = serializers.CharField(help_text="Who says so.")  # type: ignore[assignment]  # a declared field is no attribute
    text = serializers.CharField()
    incident = serializers.UUIDField(source="incident_id", allow_null=True, help_text="Made of it.")


class EventInput(Input):
    room = Id()
    kind = Word(choices=RoomEvent.Kind.choices)
    source = Text(max_length=events.LONGEST_SOURCE)  # type: ignore[assignment]  # a declared field is no attribute
    text = Text(required=False, allow_blank=True, max_length=events.LONGEST_TEXT)
    at = Moment(required=False, help_text="Left out: now. At most 30 days ago.")


class FlagInput(Input):
    events = serializers.ListField(child=Id(), min_length=1, max_length=events.MOST_AT_ONCE)
    title = Text(required=False, allow_blank=True, max_length=LONGEST_TITLE)


class EventFilters(RoomwiseFilters):
    kind = any_of(RoomEvent.Kind.choices)
    flagged = YesNoFilter(field_name="incident", method="is_flagged", help_text="An incident was made of it.")
    after = IsoDateTimeFilter(field_name="at", lookup_expr="gte")
    before = IsoDateTimeFilter(field_name="at", lookup_expr="lt")

    def is_flagged(self, rows: Any, name: str, value: str) -> Any:
        return rows.filter(incident__isnull=value == "false")


class Events(Resource):
    permissions: ClassVar = {"GET": "tickets.view", "POST": "tickets.modify"}
    serializer_class = EventSerializer
    filterset_class = EventFilters
    inputs: ClassVar = {"POST": EventInput}
    field_names: ClassVar = {"happened_at": "at"}
    order_by = ("-at", "-id")
    pages = True

    def get(self, request: Request) -> Response:
        """Events, newest first."""
        return self.list_of(events_of(self.tenant_id))

    def post(self, request: Request) -> Response:
        """Tell of something that happened in a room, as a call-quality service would."""
        values = self.given()
        told = {"room_id": values.pop("room"), "happened_at": values.pop("at", None), **values}
        return self.once(
            request, lambda: self.shown(events.add_event(self.tenant_id, **told, at=clock.now()))
        )


class EventDetail(Resource):
    permissions: ClassVar = {"GET": "tickets.view"}
    serializer_class = EventSerializer

    def get(self, request: Request, event_id: UUID) -> Response:
        """One event."""
        return self.shown(self.one_of(events_of(self.tenant_id), event_id))


class EventFlag(IncidentAction):
    inputs: ClassVar = {"POST": FlagInput}
    answers: ClassVar = {"POST": (201, IncidentSerializer)}

    def post(self, request: Request) -> Response:
        """Their rooms are unhealthy: a critical incident is made of these events."""
        values = self.given()
        author = Author(self.person_acting())

        def once() -> Response:
            made = events.flag(
                self.tenant_id,
                values["events"],
                author=author,
                at=clock.now(),
                title=values.get("title", ""),
            )
            return self.again(made.id)

        return self.once(request, once)


def events_of(tenant_id: UUID) -> TenantQuerySet[RoomEvent]:
    return RoomEvent.objects.for_tenant(tenant_id).select_related("room")
