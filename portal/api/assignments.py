"""/assignments: a role given to several people, for all rooms or for some."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from foundation import clock
from portal.api.fields import Id, Input, Text
from portal.api.people import PlaceInput, WithScope, places
from portal.api.resources import Resource
from tenancy import assignments
from tenancy.models import Assignment

MOST_MEMBERS = 1_000


class AssignmentSerializer(WithScope):
    id = serializers.UUIDField()
    name = serializers.CharField()
    description = serializers.CharField()
    role = serializers.UUIDField(source="role_id")
    created_at = serializers.DateTimeField()


class AssignmentDetailSerializer(AssignmentSerializer):
    members = serializers.SerializerMethodField(help_text="Ids of people, by name.")

    def get_members(self, row: Assignment) -> list[UUID]:
        return [person.id for person in assignments.members_of(row)]


class AssignmentInput(Input):
    name = Text(max_length=80)
    description = Text(required=False, allow_blank=True, max_length=300)
    role = Id(help_text="It cannot be changed later.")
    members = serializers.ListField(child=Id(), max_length=MOST_MEMBERS)
    scope = PlaceInput(many=True, required=False, help_text="All rooms where left out.")


class AssignmentChange(Input):
    name = Text(max_length=80)
    description = Text(allow_blank=True, max_length=300)
    members = serializers.ListField(child=Id(), max_length=MOST_MEMBERS)
    scope = PlaceInput(many=True, allow_null=True, help_text="Null for all rooms.")


class Assignments(Resource):
    permissions: ClassVar = {"GET": "roles.view", "POST": "roles.modify"}
    serializer_class = AssignmentSerializer
    inputs: ClassVar = {"POST": AssignmentInput}
    answers: ClassVar = {"POST": (201, AssignmentDetailSerializer)}
    pages = True

    def get(self, request: Request) -> Response:
        """Assignments by name."""
        return self.list_of(Assignment.objects.for_tenant(self.tenant_id))

    def post(self, request: Request) -> Response:
        """Give a role to people, of rights that you have yourself; they have them at their next request."""
        values = self.given()
        everywhere, scope = places(values.pop("scope", None))
        role_id = values.pop("role")

        def make() -> Response:
            return self.shown(
                assignments.add(
                    role_id=role_id,
                    everywhere=everywhere,
                    scope=scope,
                    by=self.principal.rights,
                    at=clock.now(),
                    **values,
                )
            )

        return self.once(request, make)


class AssignmentDetail(Resource):
    permissions: ClassVar = {"GET": "roles.view", "PATCH": "roles.modify", "DELETE": "roles.modify"}
    serializer_class = AssignmentDetailSerializer
    inputs: ClassVar = {"PATCH": AssignmentChange}

    def get(self, request: Request, assignment_id: UUID) -> Response:
        """One assignment with its people."""
        return self.shown(assignments.assignment(assignment_id))

    def patch(self, request: Request, assignment_id: UUID) -> Response:
        """Change who has the role, and where."""
        values: dict[str, Any] = self.given()
        if "scope" in values:
            values["everywhere"], values["scope"] = places(values["scope"])
        changed = assignments.edit(assignment_id, **values, by=self.principal.rights, at=clock.now())
        return self.shown(changed)

    def delete(self, request: Request, assignment_id: UUID) -> Response:
        """Its people lose what it gave."""
        assignments.remove(assignment_id, at=clock.now())
        return Response(status=204)
