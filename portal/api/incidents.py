"""/incidents: tracked issues (pages say ticket), their timeline, and the customer's side of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar
from uuid import UUID

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from foundation import clock
from foundation.errors import NotAllowed
from incidents import lifecycle, notes
from incidents.models import Incident, IncidentEntry
from incidents.severity import Severity
from portal.api.fields import Flag, Input, Text
from portal.api.filters import CharFilter, IsoDateTimeFilter, RoomwiseFilters, UUIDFilter, YesNoFilter, any_of
from portal.api.resources import Resource
from tenancy.models import ApiToken, Person

SEVERITIES = {severity.name.lower(): severity for severity in Severity}


class IncidentSerializer(serializers.Serializer[Incident]):
    id = serializers.UUIDField()
    number = serializers.CharField(help_text="INC- and six characters, unique within the customer.")
    state = serializers.ChoiceField(choices=Incident.State.choices)
    signal = serializers.CharField()
    instance = serializers.CharField()  # type: ignore[assignment]  # a declared field is no attribute
    severity = serializers.SerializerMethodField()
    summary = serializers.CharField()
    room = serializers.UUIDField(source="room_id", allow_null=True)
    room_name = serializers.CharField(source="room.name", default=None, allow_null=True)
    device = serializers.UUIDField(source="device_id", allow_null=True)
    suppressed = serializers.BooleanField(help_text="It does not count for its room.")
    opened_at = serializers.DateTimeField()
    fault_at = serializers.DateTimeField(help_text="When the signal turned, before it was watched.")
    respond_by = serializers.DateTimeField(allow_null=True)
    responded_at = serializers.DateTimeField(allow_null=True)
    resolved_at = serializers.DateTimeField(allow_null=True)
    closed_at = serializers.DateTimeField(allow_null=True)
    reopened = serializers.IntegerField(help_text="How often it was opened again.")
    cause = serializers.CharField(help_text="Why it was resolved or closed.")
    updated_at = serializers.DateTimeField()

    def get_severity(self, incident: Incident) -> str:
        return Severity(incident.severity).name.lower()


class EntrySerializer(serializers.Serializer[IncidentEntry]):
    id = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=IncidentEntry.Kind.choices)
    at = serializers.DateTimeField()
    author = serializers.CharField(source="author.name", default=None, allow_null=True)
    by_operator = serializers.BooleanField()
    text = serializers.CharField()
    before = serializers.CharField()
    after = serializers.CharField()


class CommentInput(Input):
    text = Text(max_length=10_000)
    assign_to_operator = Flag(
        required=False,
        help_text="A ticket you have goes back to Operations; otherwise whoever has it keeps it.",
    )


class IncidentFilters(RoomwiseFilters):
    id = UUIDFilter()
    number = CharFilter(max_length=10)
    state = any_of(Incident.State.choices)
    open = YesNoFilter(method="is_open", help_text="Neither resolved nor closed.")
    signal = CharFilter(max_length=40)
    instance = CharFilter(max_length=64)
    severity = any_of([(name, name) for name in SEVERITIES], method="of_severity")
    device = UUIDFilter(field_name="device_id")
    opened_at = IsoDateTimeFilter()
    opened_after = IsoDateTimeFilter(field_name="opened_at", lookup_expr="gte")
    opened_before = IsoDateTimeFilter(field_name="opened_at", lookup_expr="lt")
    resolved_at = IsoDateTimeFilter()
    resolved_after = IsoDateTimeFilter(field_name="resolved_at", lookup_expr="gte")
    resolved_before = IsoDateTimeFilter(field_name="resolved_at", lookup_expr="lt")

    def is_open(self, rows: QuerySet[Incident], name: str, value: str) -> QuerySet[Incident]:
        return (
            rows.filter(state__in=Incident.OPEN_STATES)
            if value == "true"
            else rows.exclude(state__in=Incident.OPEN_STATES)
        )

    def of_severity(self, rows: QuerySet[Incident], name: str, values: list[str]) -> QuerySet[Incident]:
        return rows.filter(severity__in=[SEVERITIES[value] for value in values]) if values else rows


class Incidents(Resource):
    permissions: ClassVar = {"GET": "tickets.view"}
    serializer_class = IncidentSerializer
    filterset_class = IncidentFilters
    order_by = ("-opened_at", "-id")
    pages = True

    def get(self, request: Request) -> Response:
        """Incidents, newest first."""
        return self.list_of(incidents_of(self.tenant_id))


class IncidentDetail(Resource):
    permissions: ClassVar = {"GET": "tickets.view"}
    serializer_class = IncidentSerializer

    def get(self, request: Request, incident_id: UUID) -> Response:
        """One incident."""
        return self.shown(self.one_of(incidents_of(self.tenant_id), incident_id))


class IncidentTimeline(Resource):
    permissions: ClassVar = {"GET": "tickets.view"}
    serializer_class = EntrySerializer
    order_by = ("at", "id")
    pages = True

    def get(self, request: Request, incident_id: UUID) -> Response:
        """What happened to an incident, oldest first."""
        incident = self.one_of(incidents_of(self.tenant_id), incident_id)
        return self.list_of(notes.entries_of(incident, for_operator=False))


class IncidentAction(Resource):
    """Something a person of the customer does to an incident; a token acts for whoever made it."""

    permissions: ClassVar = {"POST": "tickets.modify"}
    serializer_class = IncidentSerializer
    answers: ClassVar = {"POST": (200, IncidentSerializer)}

    def carry_out(
        self, request: Request, incident_id: UUID, effect: Callable[[Incident, Person], Any]
    ) -> Response:
        def once() -> Response:
            effect(self.one_of(incidents_of(self.tenant_id), incident_id), self._person())
            return self.shown(self.one_of(incidents_of(self.tenant_id), incident_id))

        return self.once(request, once)

    def _person(self) -> Person:
        person = self.principal.person
        if person is None:
            token = ApiToken.objects.for_tenant(self.tenant_id).filter(id=str(self.principal.actor.id))
            maker = token.select_related("created_by").first()
            person = maker.created_by if maker else None
        if person is None or person.ended_at is not None:
            raise NotAllowed("Nobody stands behind this token. Make one that belongs to a person.")
        return person


class IncidentComments(IncidentAction):
    inputs: ClassVar = {"POST": CommentInput}
    answers: ClassVar = {"POST": (201, IncidentSerializer)}

    def post(self, request: Request, incident_id: UUID) -> Response:
        """Write to Operations."""
        values = self.given()
        return self.carry_out(
            request,
            incident_id,
            lambda incident, by: notes.customer_comment(incident, by=by, at=clock.now(), **values),
        )


class IncidentDone(IncidentAction):
    def post(self, request: Request, incident_id: UUID) -> Response:
        """You did what Operations asked for: they go on."""
        return self.carry_out(
            request,
            incident_id,
            lambda incident, by: lifecycle.customer_done(incident, by=by, at=clock.now()),
        )


class IncidentReopen(IncidentAction):
    def post(self, request: Request, incident_id: UUID) -> Response:
        """It is not done: a resolved incident goes back to where it was."""
        return self.carry_out(
            request,
            incident_id,
            lambda incident, by: lifecycle.reopen(incident, by=by, by_operator=False, at=clock.now()),
        )


def incidents_of(tenant_id: UUID) -> QuerySet[Incident]:
    incidents: QuerySet[Incident] = Incident.objects.for_tenant(tenant_id).select_related("room")
    return incidents
