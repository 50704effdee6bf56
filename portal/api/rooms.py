"""/rooms: meeting spaces, their state and what people change about them."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from fleet import expectations, inventory, licences, merging, room_groups, search, validation
from fleet.errors import ChangedMeanwhile
from fleet.licences import Standing
from fleet.models import Room
from foundation import clock
from portal.api.fields import Day, Id, Input, Moment, Text, Whole, Word
from portal.api.filters import CharFilter, Filters, UUIDFilter, any_of
from portal.api.resources import Resource

FIELD_NAMES = {"place": "site", "place_id": "site"}


class RoomSerializer(serializers.Serializer[Room]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    state = serializers.ChoiceField(choices=Room.State.choices)
    state_since = serializers.DateTimeField()
    site = serializers.UUIDField(source="place_id")
    site_name = serializers.CharField(source="place.full_name")
    groups = serializers.SerializerMethodField()
    resource_account = serializers.CharField()
    room_type = serializers.ChoiceField(choices=[("", ""), *Room.Type.choices])
    capacity = serializers.IntegerField(allow_null=True)
    licence = serializers.ChoiceField(choices=[("", ""), *Room.Licence.choices], help_text="Of the account.")
    licence_ends = serializers.DateField(allow_null=True, help_text="Its last day; 30 days of grace follow.")
    licence_state = serializers.SerializerMethodField(help_text="How the licence stands today.")
    labels = serializers.ListField(child=serializers.CharField())
    time_zone = serializers.CharField(help_text="IANA name.")
    expected = serializers.DictField(
        child=serializers.IntegerField(), help_text="Equipment that must be there, counted by signal."
    )
    open_faults = serializers.IntegerField(help_text="Open Critical and Important incidents.")
    open_warnings = serializers.IntegerField(help_text="Open incidents of other severities.")
    suppressed_until = serializers.DateTimeField(allow_null=True)
    suppressed_reason = serializers.CharField()
    last_seen_at = serializers.DateTimeField(allow_null=True)
    version = serializers.IntegerField(help_text="Of what people edit; the ETag.")
    created_at = serializers.DateTimeField()

    def get_licence_state(self, room: Room) -> Standing:
        return licences.of(room, on=clock.now().date()).standing

    def get_groups(self, room: Room) -> list[UUID]:
        return sorted(member.group_id for member in room.group_members.all())


class RoomInput(Input):
    name = Text(max_length=120)
    site = Id()
    resource_account = Text(required=False, allow_blank=True, max_length=254)
    room_type = Word(required=False, allow_blank=True, choices=Room.Type.choices)
    capacity = Whole(required=False, allow_null=True, min_value=0, max_value=inventory.MOST_SEATS)
    licence = Word(required=False, allow_blank=True, choices=Room.Licence.choices)
    licence_ends = Day(required=False, allow_null=True)
    labels = serializers.ListField(
        required=False, child=Text(max_length=validation.LONGEST_LABEL), max_length=validation.MOST_LABELS
    )
    time_zone = Text(required=False, max_length=64, help_text="IANA name; the site's where left out.")
    expected = serializers.DictField(required=False, child=Whole(min_value=0, max_value=expectations.AT_MOST))


class NewRoomInput(RoomInput):
    groups = serializers.ListField(
        required=False, child=Id(), max_length=50, help_text="The default group where left out."
    )


class MergeRoomInput(Input):
    into = Id(help_text="The room that stays.")


class SuppressionInput(Input):
    until = Moment()
    reason = Text(max_length=200)


class RoomFilters(Filters):
    state = any_of(Room.State.choices)
    licence = any_of(Room.Licence.choices)
    label = CharFilter(
        method="with_label", max_length=validation.LONGEST_LABEL, help_text="A whole label, in any case."
    )
    room_type = any_of(Room.Type.choices)
    site = UUIDFilter(method="in_site", help_text="Rooms anywhere below this site.")
    group = UUIDFilter(method="in_group")
    q = CharFilter(method="with_words", max_length=200, help_text="Each word begins a word of the room.")
    resource_account = CharFilter(method="with_account", max_length=254)

    def in_site(self, rows: Any, name: str, value: UUID) -> Any:
        return rows.inside(value)

    def in_group(self, rows: Any, name: str, value: UUID) -> Any:
        return rows.in_group(value)

    def with_words(self, rows: Any, name: str, value: str) -> Any:
        return search.matching(rows, value)

    def with_label(self, rows: Any, name: str, value: str) -> Any:
        return search.labelled(rows, [value])

    def with_account(self, rows: Any, name: str, value: str) -> Any:
        return rows.filter(resource_account=value.casefold())


class Rooms(Resource):
    permissions: ClassVar = {"GET": "rooms.view", "POST": "rooms.modify"}
    serializer_class = RoomSerializer
    filterset_class = RoomFilters
    inputs: ClassVar = {"POST": NewRoomInput}
    field_names: ClassVar = FIELD_NAMES
    pages = True

    def get(self, request: Request) -> Response:
        """Rooms by name."""
        rooms = Room.objects.for_tenant(self.tenant_id).current()
        return self.list_of(rooms, show=rooms_of(self.tenant_id))

    def post(self, request: Request) -> Response:
        """Add a room without devices."""
        values = self.given()
        group_ids = values.pop("groups", None)
        return self.once(request, lambda: self._add(values, group_ids))

    def _add(self, values: dict[str, Any], group_ids: list[UUID] | None) -> Response:
        wanted = None if group_ids is None else dict.fromkeys(group_ids)
        groups = None if wanted is None else [room_groups.group(each, field="groups") for each in wanted]
        made = inventory.add_room(place_id=values.pop("site"), groups=groups, **values, at=clock.now())
        return self.shown(made, ETag=etag(made))


class RoomDetail(Resource):
    permissions: ClassVar = {"GET": "rooms.view", "PATCH": "rooms.modify", "DELETE": "rooms.modify"}
    serializer_class = RoomSerializer
    inputs: ClassVar = {"PATCH": RoomInput}
    field_names: ClassVar = FIELD_NAMES
    has_versions = True

    def get(self, request: Request, room_id: UUID) -> Response:
        """One room. The ETag is the version If-Match takes."""
        room = self.one_of(rooms_of(self.tenant_id), room_id)
        return self.shown(room, ETag=etag(room))

    def patch(self, request: Request, room_id: UUID) -> Response:
        """Change what is given; another site moves the room."""
        values = self.given()
        room = self.one_of(rooms_of(self.tenant_id), room_id)
        wanted = request.headers.get("If-Match")
        if wanted is not None and not matches(wanted, etag(room)):
            raise ChangedMeanwhile("Somebody changed this room meanwhile. Look at it again.")
        if "site" in values:
            values["place_id"] = values.pop("site")
        version = room.version if wanted is not None else None
        changed = inventory.edit_room(room_id, values, if_version=version, at=clock.now())
        return self.shown(changed, ETag=etag(changed))

    def delete(self, request: Request, room_id: UUID) -> Response:
        """Retire a room. It must have no devices; its history stays."""
        inventory.retire_room(self.one_of(rooms_of(self.tenant_id), room_id).id, at=clock.now())
        return Response(status=204)


class RoomMerge(Resource):
    permissions: ClassVar = {"POST": "rooms.modify"}
    serializer_class = RoomSerializer
    inputs: ClassVar = {"POST": MergeRoomInput}
    answers: ClassVar = {"POST": (200, RoomSerializer)}

    def post(self, request: Request, room_id: UUID) -> Response:
        """Make this room part of another, which is the answer. It cannot be undone."""
        room = self.one_of(rooms_of(self.tenant_id), room_id)
        into_id = self.given()["into"]
        return self.once(
            request, lambda: self.shown(merging.merge_rooms(room.id, into_id=into_id, at=clock.now()))
        )


class RoomSuppression(Resource):
    permissions: ClassVar = {"PUT": "rooms.modify", "DELETE": "rooms.modify"}
    serializer_class = RoomSerializer
    inputs: ClassVar = {"PUT": SuppressionInput}
    answers: ClassVar = {"DELETE": (200, RoomSerializer)}

    def put(self, request: Request, room_id: UUID) -> Response:
        """Keep a room quiet until a moment: its faults make no tickets' noise and do not count."""
        values = self.given()
        return self.shown(inventory.suppress_room(room_id, **values, at=clock.now()))

    def delete(self, request: Request, room_id: UUID) -> Response:
        """End the quiet before its time."""
        return self.shown(inventory.unsuppress_room(room_id, at=clock.now()))


def rooms_of(tenant_id: UUID) -> QuerySet[Room]:
    rooms = Room.objects.for_tenant(tenant_id).current()
    return rooms.select_related("place").prefetch_related("group_members")


def etag(room: Room) -> str:
    return f'"v{room.version}"'


def matches(given: str, current: str) -> bool:
    """Strong comparison (RFC 9110): a weak tag never matches."""
    return given.strip() == "*" or current in [each.strip() for each in given.split(",")]
