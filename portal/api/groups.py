"""/groups: rooms taken together."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from fleet import room_groups
from fleet.models import Room, RoomGroup
from foundation import clock
from portal.api.fields import Id, Input, Text
from portal.api.filters import CharFilter, Filters
from portal.api.resources import Resource
from portal.api.rooms import RoomFilters, RoomSerializer, rooms_of
from portal.web import changes


class GroupSerializer(serializers.Serializer[RoomGroup]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    description = serializers.CharField()
    is_default = serializers.BooleanField(help_text="Where new rooms go.")
    created_at = serializers.DateTimeField()


class GroupInput(Input):
    name = Text(max_length=80)
    description = Text(required=False, allow_blank=True, max_length=300)


class MembersInput(Input):
    rooms = serializers.ListField(child=Id(), min_length=1, max_length=room_groups.MOST_AT_ONCE)


class MembersSerializer(serializers.Serializer[dict[str, int]]):
    added = serializers.IntegerField(help_text="How many were not in the group before.")


class GroupFilters(Filters):
    name = CharFilter(max_length=80)


class Groups(Resource):
    permissions: ClassVar = {"GET": "groups.view", "POST": "groups.create"}
    serializer_class = GroupSerializer
    filterset_class = GroupFilters
    inputs: ClassVar = {"POST": GroupInput}
    pages = True

    def get(self, request: Request) -> Response:
        """Groups by name."""
        return self.list_of(RoomGroup.objects.for_tenant(self.tenant_id))

    def post(self, request: Request) -> Response:
        """Add an empty group."""
        values = self.given()
        return self.once(request, lambda: self.shown(room_groups.add_group(**values, at=clock.now())))


class GroupDetail(Resource):
    permissions: ClassVar = {"GET": "groups.view", "PATCH": "groups.modify", "DELETE": "groups.modify"}
    serializer_class = GroupSerializer
    inputs: ClassVar = {"PATCH": GroupInput}

    def get(self, request: Request, group_id: UUID) -> Response:
        """One group."""
        return self.shown(room_groups.group(group_id, field=""))

    def patch(self, request: Request, group_id: UUID) -> Response:
        """Rename or describe a group."""
        values = self.given()
        room_groups.group(group_id, field="")
        return self.shown(room_groups.edit_group(group_id, **values, at=clock.now()))

    def delete(self, request: Request, group_id: UUID) -> Response:
        """Delete a group; its rooms stay. The default group cannot be deleted."""
        room_groups.group(group_id, field="")
        changes.delete_group(group_id, at=clock.now())
        return Response(status=204)


class GroupMembers(Resource):
    permissions: ClassVar = {"GET": "groups.view", "POST": "groups.modify"}
    serializer_class = RoomSerializer
    filterset_class = RoomFilters
    inputs: ClassVar = {"POST": MembersInput}
    answers: ClassVar = {"POST": (200, MembersSerializer)}
    pages = True

    def get(self, request: Request, group_id: UUID) -> Response:
        """The rooms of a group, by name."""
        group = room_groups.group(group_id, field="")
        rooms = Room.objects.for_tenant(self.tenant_id).current().in_group(group.id)
        return self.list_of(rooms, show=rooms_of(self.tenant_id))

    def post(self, request: Request, group_id: UUID) -> Response:
        """Put rooms into a group; those in it already stay."""
        values = self.given()
        group = room_groups.group(group_id, field="")
        return self.once(
            request,
            lambda: self.shown({"added": changes.add_members(group.id, values["rooms"], at=clock.now())}),
        )


class GroupMember(Resource):
    permissions: ClassVar = {"DELETE": "groups.modify"}

    def delete(self, request: Request, group_id: UUID, room_id: UUID) -> Response:
        """Take a room out of a group. Repeating it changes nothing."""
        group = room_groups.group(group_id, field="")
        room = self.one_of(rooms_of(self.tenant_id), room_id)
        changes.remove_members(group.id, [room.id], at=clock.now())
        return Response(status=204)
