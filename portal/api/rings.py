"""/rings: who is updated before whom; /install-hours: when rooms may be."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from fleet import room_groups
from fleet.models import Room
from foundation import clock
from portal.api.fields import Flag, Id, Input, Text, Whole
from portal.api.releases import etag, wanted_revision
from portal.api.resources import Resource
from portal.api.rooms import RoomFilters, RoomSerializer, rooms_of
from updates import rings
from updates.models import InstallWindowSetting, Ring, RingMembership


class RingSerializer(serializers.Serializer[Ring]):
    id = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=Ring.Kind.choices)
    name = serializers.CharField()
    description = serializers.CharField()
    position = serializers.IntegerField(help_text="1 comes first.")
    rollout_days = serializers.IntegerField(help_text="Its rooms are spread over so many nights.")
    test_days = serializers.IntegerField()
    needs_approval = serializers.BooleanField(help_text="It begins only after somebody's yes.")
    at_once = serializers.IntegerField(help_text="Rooms being updated at a time.")
    building_limit = serializers.IntegerField(allow_null=True, help_text="Of those, in one building.")
    model_limit = serializers.IntegerField(allow_null=True, help_text="Of those, of one model.")
    failure_limit_pct = serializers.IntegerField(help_text="More failures at its end stop the rollout.")
    created_at = serializers.DateTimeField()


class RingTermsInput(Input):
    description = Text(required=False, allow_blank=True, max_length=300)
    needs_approval = Flag(required=False)
    at_once = Whole(required=False)
    building_limit = Whole(required=False, allow_null=True)
    model_limit = Whole(required=False, allow_null=True)
    failure_limit_pct = Whole(required=False)


class RingInput(RingTermsInput):
    name = Text(max_length=80)
    position = Whole()
    rollout_days = Whole()
    test_days = Whole()


class RingRoomsInput(Input):
    rooms = serializers.ListField(child=Id(), min_length=1, max_length=rings.MOST_AT_ONCE)


class RingRoomsSerializer(serializers.Serializer[dict[str, int]]):
    moved = serializers.IntegerField(help_text="How many had another ring before.")


class InstallHoursSerializer(serializers.Serializer[InstallWindowSetting]):
    id = serializers.UUIDField()
    group = serializers.UUIDField(source="group_id", allow_null=True, help_text="Null: of all rooms.")
    starts = serializers.TimeField(help_text="In the time of each room.")
    ends = serializers.TimeField(help_text="Before `starts`: on the next day.")


class InstallHoursInput(Input):
    group = Id(required=False, allow_null=True, help_text="Left out: of all rooms.")
    starts = serializers.TimeField()
    ends = serializers.TimeField()


class Rings(Resource):
    permissions: ClassVar = {"GET": "updates.view", "POST": "updates.create"}
    serializer_class = RingSerializer
    inputs: ClassVar = {"POST": RingInput}
    order_by = ("position", "id")
    pages = True

    def get(self, request: Request) -> Response:
        """Rings in their order."""
        rings.all_rings(at=clock.now())
        return self.list_of(Ring.objects.for_tenant(self.tenant_id))

    def post(self, request: Request) -> Response:
        """Add a ring. All rings together may take 60 days."""
        values = self.given()

        def add() -> Response:
            made = rings.add_ring(**values, at=clock.now())
            return self.shown(made, ETag=etag(made.revision))

        return self.once(request, add)


class RingDetail(Resource):
    permissions: ClassVar = {"GET": "updates.view", "PATCH": "updates.create", "DELETE": "updates.create"}
    serializer_class = RingSerializer
    inputs: ClassVar = {"PATCH": RingInput}
    has_versions = True

    def get(self, request: Request, ring_id: UUID) -> Response:
        """One ring. The ETag is the version If-Match takes."""
        row = self.one_of(Ring.objects.for_tenant(self.tenant_id), ring_id)
        return self.shown(row, ETag=etag(row.revision))

    def patch(self, request: Request, ring_id: UUID) -> Response:
        """Change what is given. Rollouts planned before keep their terms."""
        values = self.given()
        row = self.one_of(Ring.objects.for_tenant(self.tenant_id), ring_id)
        changed = rings.edit_ring(
            row.id, revision=wanted_revision(request, row.revision), **values, at=clock.now()
        )
        return self.shown(changed, ETag=etag(changed.revision))

    def delete(self, request: Request, ring_id: UUID) -> Response:
        """Delete a ring of your own; its rooms fall back to the ring of their groups, or General."""
        row = self.one_of(Ring.objects.for_tenant(self.tenant_id), ring_id)
        rings.delete_ring(row.id, at=clock.now())
        return Response(status=204)


class RingRooms(Resource):
    permissions: ClassVar = {"GET": "updates.view", "POST": "updates.modify"}
    serializer_class = RoomSerializer
    filterset_class = RoomFilters
    inputs: ClassVar = {"POST": RingRoomsInput}
    answers: ClassVar = {"POST": (200, RingRoomsSerializer)}
    pages = True

    def get(self, request: Request, ring_id: UUID) -> Response:
        """Rooms put into a ring by name."""
        row = self.one_of(Ring.objects.for_tenant(self.tenant_id), ring_id)
        own = RingMembership.objects.for_tenant(self.tenant_id).filter(ring=row).exclude(room=None)
        rooms = Room.objects.for_tenant(self.tenant_id).current().filter(id__in=own.values("room_id"))
        return self.list_of(rooms, show=rooms_of(self.tenant_id))

    def post(self, request: Request, ring_id: UUID) -> Response:
        """Give rooms this ring. Repeating it changes nothing."""
        values = self.given()
        row = self.one_of(Ring.objects.for_tenant(self.tenant_id), ring_id)
        return self.once(
            request,
            lambda: self.shown({"moved": rings.move_rooms(row.id, values["rooms"], at=clock.now())}),
        )


class RingRoom(Resource):
    permissions: ClassVar = {"DELETE": "updates.modify"}

    def delete(self, request: Request, ring_id: UUID, room_id: UUID) -> Response:
        """Take a room out of a ring: it follows its groups again. Repeating it changes nothing."""
        row = self.one_of(Ring.objects.for_tenant(self.tenant_id), ring_id)
        room = self.one_of(Room.objects.for_tenant(self.tenant_id).current(), room_id)
        own = RingMembership.objects.for_tenant(self.tenant_id).filter(ring=row, room=room)
        rings.move_rooms(None, [room.id] if own.exists() else [], at=clock.now())
        return Response(status=204)


class RingGroup(Resource):
    permissions: ClassVar = {"PUT": "updates.modify", "DELETE": "updates.modify"}
    serializer_class = RingSerializer

    def put(self, request: Request, ring_id: UUID, group_id: UUID) -> Response:
        """Put a group into a ring. Repeating it changes nothing."""
        row = self.one_of(Ring.objects.for_tenant(self.tenant_id), ring_id)
        rings.move_group(row.id, group_id, at=clock.now())
        return self.shown(row)

    def delete(self, request: Request, ring_id: UUID, group_id: UUID) -> Response:
        """Take a group out of a ring. Repeating it changes nothing."""
        row = self.one_of(Ring.objects.for_tenant(self.tenant_id), ring_id)
        own = RingMembership.objects.for_tenant(self.tenant_id).filter(ring=row, group_id=group_id)
        if own.exists():
            rings.move_group(None, group_id, at=clock.now())
        else:
            room_groups.group(group_id, field="")
        return Response(status=204)


class InstallHours(Resource):
    permissions: ClassVar = {"GET": "updates.view", "PUT": "updates.create"}
    serializer_class = InstallHoursSerializer
    inputs: ClassVar = {"PUT": InstallHoursInput}
    order_by = ("id",)
    pages = True

    def get(self, request: Request) -> Response:
        """Hours that were set. Without any: 00:00 to 05:00."""
        return self.list_of(InstallWindowSetting.objects.for_tenant(self.tenant_id))

    def put(self, request: Request) -> Response:
        """Set the hours of a group, or of all rooms."""
        values = self.given()
        group_id = values.get("group")
        rings.set_window(group_id, rings.window(values["starts"], values["ends"]), at=clock.now())
        row = InstallWindowSetting.objects.for_tenant(self.tenant_id).get(group_id=group_id)
        return self.shown(row)
