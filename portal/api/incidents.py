"""/incidents: tracked issues (pages say ticket), their timeline, and the customer's side of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar
from uuid import UUID

from django.db.models import Prefetch, QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from fleet import place_tree
from fleet.models import RoomGroupMember
from foundation import clock
from foundation.context import current_tenants
from foundation.errors import NotAllowed, NotFound
from incidents import lifecycle, notes, recorded
from incidents.models import Incident, IncidentEntry, IncidentQuerySet, IncidentRoom
from incidents.rules import RULES, ReportCategory, signals_of
from incidents.severity import Severity
from incidents.timeline import Author
from portal.api.fields import Flag, Id, Input, Text
from portal.api.filters import CharFilter, Filters, IsoDateTimeFilter, UUIDFilter, YesNoFilter, any_of
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
    room = serializers.UUIDField(
        source="room_id", allow_null=True, help_text="Null where it is about several: see `rooms`."
    )
    room_name = serializers.CharField(source="room.name", default=None, allow_null=True)
    rooms = serializers.SerializerMethodField(help_text="All rooms it is about now.")
    device = serializers.UUIDField(source="device_id", allow_null=True)
    category = serializers.SerializerMethodField(help_text="Where reports count it.")
    high_impact = serializers.BooleanField()
    high_impact_reason = serializers.CharField()
    recorded_by = serializers.CharField(source="recorded_by.name", default=None, allow_null=True)
    parent = serializers.UUIDField(  # type: ignore[assignment]  # a declared field is no attribute
        source="parent_id", allow_null=True, help_text="Its common cause, or what it was merged into."
    )
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

    def get_rooms(self, incident: Incident) -> list[UUID]:
        if incident.device_id is not None:
            return [incident.room_id] if incident.room_id is not None else []
        return sorted(each.room_id for each in incident.rooms.all())

    def get_category(self, incident: Incident) -> str:
        rule = RULES.get(incident.signal)
        return rule.report_category.value if rule else ""


class EntrySerializer(serializers.Serializer[IncidentEntry]):
    id = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=IncidentEntry.Kind.choices)
    at = serializers.DateTimeField()
    author = serializers.CharField(source="author.name", default=None, allow_null=True)
    by_operator = serializers.BooleanField()
    text = serializers.SerializerMethodField()
    before = serializers.CharField()
    after = serializers.CharField()

    def get_text(self, entry: IncidentEntry) -> str:
        return notes.text_of(entry)


class CommentInput(Input):
    text = Text(max_length=10_000)
    assign_to_operator = Flag(
        required=False,
        help_text="A ticket you have goes back to Operations; otherwise whoever has it keeps it.",
    )


class RecordInput(Input):
    rooms = serializers.ListField(child=Id(), min_length=1, max_length=recorded.MOST_ROOMS)
    title = Text(max_length=recorded.LONGEST_TITLE)
    text = Text(required=False, allow_blank=True, max_length=10_000)
    high_impact = Text(
        required=False,
        allow_blank=True,
        max_length=recorded.LONGEST_REASON,
        help_text="Why it matters more than other faults.",
    )


class IncidentFilters(Filters):
    id = UUIDFilter()
    room = UUIDFilter(method="of_room")
    site = UUIDFilter(method="in_site", help_text="In rooms anywhere below this site.")
    group = UUIDFilter(method="in_group", help_text="In rooms of this group.")
    category = any_of([(each.value, each.value) for each in ReportCategory], method="of_category")
    high_impact = YesNoFilter(method="is_high_impact")
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

    def of_room(self, rows: IncidentQuerySet, name: str, value: UUID) -> IncidentQuerySet:
        return rows.of_rooms(id=value)

    def in_site(self, rows: IncidentQuerySet, name: str, value: UUID) -> IncidentQuerySet:
        return rows.of_rooms(place_id__in=place_tree.below(value))

    def in_group(self, rows: IncidentQuerySet, name: str, value: UUID) -> IncidentQuerySet:
        members = RoomGroupMember.objects.for_tenant(*current_tenants()).filter(group_id=value)
        return rows.of_rooms(id__in=members.values("room_id"))

    def of_category(self, rows: QuerySet[Incident], name: str, values: list[str]) -> QuerySet[Incident]:
        keys = [key for value in values for key in signals_of(ReportCategory(value))]
        return rows.filter(signal__in=keys) if values else rows

    def is_high_impact(self, rows: QuerySet[Incident], name: str, value: str) -> QuerySet[Incident]:
        return rows.filter(high_impact=value == "true")

    def of_severity(self, rows: QuerySet[Incident], name: str, values: list[str]) -> QuerySet[Incident]:
        return rows.filter(severity__in=[SEVERITIES[value] for value in values]) if values else rows


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
            effect(self.one_of(incidents_of(self.tenant_id), incident_id), self.person_acting())
            return self.again(incident_id)

        return self.once(request, once)

    def again(self, incident_id: UUID) -> Response:
        """As it is after the change."""
        return self.shown(self.one_of(incidents_of(self.tenant_id), incident_id))

    def named(self, incident_id: UUID, field: str) -> Incident:
        """An incident a body names. Raises NotFound."""
        other: Incident | None = incidents_of(self.tenant_id).filter(id=incident_id).first()
        if other is None:
            raise NotFound("There is no such incident.", field=field)
        return other

    def person_acting(self) -> Person:
        person = self.principal.person
        if person is None:
            token = ApiToken.objects.for_tenant(self.tenant_id).filter(id=str(self.principal.actor.id))
            maker = token.select_related("created_by").first()
            person = maker.created_by if maker else None
        if person is None or person.ended_at is not None:
            raise NotAllowed("Nobody stands behind this token. Make one that belongs to a person.")
        return person


class Incidents(IncidentAction):
    permissions: ClassVar = {"GET": "tickets.view", "POST": "tickets.modify"}
    filterset_class = IncidentFilters
    inputs: ClassVar = {"POST": RecordInput}
    answers: ClassVar = {"POST": (201, IncidentSerializer)}
    order_by = ("-opened_at", "-id")
    pages = True

    def get(self, request: Request) -> Response:
        """Incidents, newest first."""
        return self.list_of(incidents_of(self.tenant_id))

    def post(self, request: Request) -> Response:
        """Record an issue about some rooms: they count as unhealthy until it is resolved with a cause."""
        issue = recorded.Issue(**self.given())
        author = Author(self.person_acting())

        def once() -> Response:
            made = recorded.record_issue(self.tenant_id, issue, author=author, at=clock.now())
            return self.again(made.id)

        return self.once(request, once)


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
    rooms = IncidentRoom.objects.for_tenant(tenant_id).filter(left_at=None)
    rows: QuerySet[Incident] = Incident.objects.for_tenant(tenant_id).select_related("room", "recorded_by")
    return rows.prefetch_related(Prefetch("rooms", queryset=rooms))
