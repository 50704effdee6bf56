"""/groups: rooms taken together."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from fleet import group_rules, room_groups
from fleet.models import Room, RoomGroup
from foundation import clock
from portal.api.fields import Id, Input, Text, Word
from portal.api.filters import CharFilter, Filters
from portal.api.resources import Resource
from portal.api.rooms import RoomFilters, RoomSerializer, rooms_of
from portal.web import changes


class ClauseSerializer(serializers.Serializer[dict[str, Any]]):
    field = serializers.ChoiceField(choices=[(name, name) for name in group_rules.FIELDS])
    values = serializers.ListField(child=serializers.CharField(), help_text="Any of them is enough.")


class GroupSerializer(serializers.Serializer[RoomGroup]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    description = serializers.CharField()
    is_default = serializers.BooleanField(help_text="Where new rooms go.")
    rule = ClauseSerializer(
        many=True, help_text="Clauses that all hold for the rooms it brings; empty: none."
    )
    created_at = serializers.DateTimeField()


class ClauseInput(Input):
    field = Word(choices=[(name, name) for name in group_rules.FIELDS])
    values = serializers.ListField(
        child=Text(max_length=group_rules.LONGEST_VALUE), min_length=1, max_length=group_rules.MOST_VALUES
    )


class GroupInput(Input):
    name = Text(max_length=80)
    description = Text(required=False, allow_blank=True, max_length=300)
    rule = ClauseInput(many=True, required=False, max_length=group_rules.MOST_CLAUSES)  # type: ignore[call-arg]  # of the list


class MembershipSerializer(serializers.Serializer[group_rules.Membership]):
    group = serializers.UUIDField(source="group.id")
    group_name = serializers.CharField(source="group.name")
    by_hand = serializers.BooleanField(help_text="Put there by a person.")
    clauses = ClauseSerializer(many=True, help_text="Of the group's rule, all of which hold for the room.")


class MembershipsSerializer(serializers.Serializer[dict[str, Any]]):
    results = MembershipSerializer(many=True)


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
        """Add a group: empty, or with a rule that brings its rooms."""
        values = self.given()
        return self.once(request, lambda: self.shown(self._add(values)))

    def _add(self, values: dict[str, Any]) -> RoomGroup:
        rule = values.pop("rule", [])
        made = room_groups.add_group(**values, at=clock.now())
        return group_rules.set_rule(made.id, [dict(each) for each in rule], at=clock.now()) if rule else made


class GroupDetail(Resource):
    permissions: ClassVar = {"GET": "groups.view", "PATCH": "groups.modify", "DELETE": "groups.modify"}
    serializer_class = GroupSerializer
    inputs: ClassVar = {"PATCH": GroupInput}

    def get(self, request: Request, group_id: UUID) -> Response:
        """One group."""
        return self.shown(room_groups.group(group_id, field=""))

    def patch(self, request: Request, group_id: UUID) -> Response:
        """Rename or describe a group, or change its rule: rooms come and go then; those put there by hand stay."""
        values = self.given()
        room_groups.group(group_id, field="")
        rule = values.pop("rule", None)
        changed = room_groups.edit_group(group_id, **values, at=clock.now())
        if rule is not None:
            changed = group_rules.set_rule(group_id, [dict(each) for each in rule], at=clock.now())
        return self.shown(changed)

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


class RoomGroups(Resource):
    permissions: ClassVar = {"GET": "groups.view"}
    serializer_class = MembershipsSerializer

    def get(self, request: Request, room_id: UUID) -> Response:
        """The groups of a room, and why it is in each."""
        room = self.one_of(rooms_of(self.tenant_id), room_id)
        return self.shown({"results": group_rules.memberships(room.id)})


class GroupMember(Resource):
    permissions: ClassVar = {"DELETE": "groups.modify"}

    def delete(self, request: Request, group_id: UUID, room_id: UUID) -> Response:
        """Take a room out of a group it was put into. Repeating it changes nothing; its rule has its own way."""
        group = room_groups.group(group_id, field="")
        room = self.one_of(rooms_of(self.tenant_id), room_id)
        changes.remove_members(group.id, [room.id], at=clock.now())
        return Response(status=204)
