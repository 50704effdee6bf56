"""/people, /roles and /tokens: who may do what, and the programs that act for them."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from fleet.errors import Missing
from fleet.models import Room, RoomGroup
from foundation import clock
from foundation.context import current_tenant
from foundation.errors import NotAllowed
from portal.api.fields import Flag, Id, Input, Moment, Text, Word
from portal.api.filters import CharFilter, Filters, UUIDFilter, YesNoFilter
from portal.api.resources import Resource
from tenancy import api_tokens, custom_roles, invitations, people, roles
from tenancy.models import ApiToken, Invitation, Person, Role
from tenancy.rights import Place
from tenancy.roles import PERMISSIONS


class PlaceInput(Input):
    kind = Word(choices=[("room", "room"), ("group", "group")])
    id = Id()


def places(given: list[dict[str, Any]] | None) -> tuple[bool, list[Place]]:
    """Everywhere, or the rooms and groups named. Raises Missing for one that is not there, or not the caller's."""
    named: list[Place] = [(each["kind"], each["id"]) for each in given or ()]
    tenant_id = current_tenant()
    for kind, model in (("room", Room), ("group", RoomGroup)):
        wanted = {key for of, key in named if of == kind}
        if wanted and model.objects.for_tenant(tenant_id).filter(id__in=wanted).count() != len(wanted):
            raise Missing(kind, field="scope")
    return given is None, named


class ScopeSerializer(serializers.Serializer[Any]):
    kind = serializers.CharField()
    id = serializers.UUIDField()


class WithScope(serializers.Serializer[Any]):
    scope = serializers.SerializerMethodField(help_text="Rooms and groups; null for all rooms.")

    def get_scope(self, row: Any) -> list[dict[str, str]] | None:
        return None if row.everywhere else [{"kind": kind, "id": key} for kind, key in row.scope]


# People --------------------------------------------------------------------------------------------------------


class PersonSerializer(serializers.Serializer[Person]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    email = serializers.CharField()
    ended_at = serializers.DateTimeField(allow_null=True)


class ReasonSerializer(serializers.Serializer[roles.Source]):
    role = serializers.CharField()
    assignment = serializers.CharField(help_text="Empty where the role was given directly.")
    scope = serializers.CharField(source="kind", help_text="all, room or group.")
    scope_id = serializers.UUIDField(source="place_id", allow_null=True)


class RightSerializer(serializers.Serializer[Any]):
    permission = serializers.CharField()
    because = ReasonSerializer(many=True)


class PersonDetailSerializer(PersonSerializer):
    rights = RightSerializer(many=True, help_text="What the person may do, and why.")


class PersonFilters(Filters):
    email = CharFilter(max_length=254)
    ended = YesNoFilter(method="is_ended")

    def is_ended(self, rows: QuerySet[Person], name: str, value: str) -> QuerySet[Person]:
        return rows.filter(ended_at__isnull=value == "false")


class People(Resource):
    permissions: ClassVar = {"GET": "roles.view"}
    serializer_class = PersonSerializer
    filterset_class = PersonFilters
    pages = True

    def get(self, request: Request) -> Response:
        """People by name, those who have left too."""
        return self.list_of(Person.objects.for_tenant(self.tenant_id))


class PersonDetail(Resource):
    permissions: ClassVar = {"GET": "roles.view", "DELETE": "roles.modify"}
    serializer_class = PersonDetailSerializer

    def get(self, request: Request, person_id: UUID) -> Response:
        """One person, with every right and the roles that give it."""
        person: Any = people.person(person_id)
        person.rights = [
            {"permission": name, "because": because} for name, because in roles.explain(person).items()
        ]
        return self.shown(person)

    def delete(self, request: Request, person_id: UUID) -> Response:
        """End a person's access. What they did stays on record. Repeating it changes nothing."""
        people.end(person_id, at=clock.now())
        return Response(status=204)


class InvitationSerializer(WithScope):
    id = serializers.UUIDField()
    email = serializers.CharField()
    name = serializers.CharField()
    role = serializers.UUIDField(source="role_id")
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    accepted_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)


class InvitationInput(Input):
    email = Text(max_length=254)
    name = Text(required=False, allow_blank=True, max_length=120)
    role = Id()
    scope = PlaceInput(many=True, required=False, help_text="All rooms where left out.")


class Invitations(Resource):
    permissions: ClassVar = {"GET": "roles.view", "POST": "roles.modify"}
    serializer_class = InvitationSerializer
    inputs: ClassVar = {"POST": InvitationInput}
    order_by = ("-created_at", "-id")
    pages = True

    def get(self, request: Request) -> Response:
        """Invitations, newest first."""
        return self.list_of(Invitation.objects.for_tenant(self.tenant_id))

    def post(self, request: Request) -> Response:
        """Invite somebody: a link that works once goes out by mail."""
        values = self.given()
        everywhere, scope = places(values.get("scope"))

        def invite() -> Response:
            return self.shown(
                invitations.invite(
                    email=values["email"],
                    name=values.get("name", ""),
                    role_id=values["role"],
                    everywhere=everywhere,
                    scope=scope,
                    link=f"{settings.GREENROOM_URL}/invitation/",
                    by=self.principal.person,
                    rights=self.principal.rights,
                    at=clock.now(),
                )
            )

        return self.once(request, invite)


class InvitationRevoke(Resource):
    permissions: ClassVar = {"POST": "roles.modify"}
    serializer_class = InvitationSerializer
    answers: ClassVar = {"POST": (200, InvitationSerializer)}

    def post(self, request: Request, invitation_id: UUID) -> Response:
        """Take an invitation back; its link ends."""
        return self.once(request, lambda: self.shown(invitations.revoke(invitation_id, at=clock.now())))


# Roles ---------------------------------------------------------------------------------------------------------


class RoleSerializer(serializers.Serializer[Role]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    description = serializers.CharField()
    permissions = serializers.ListField(child=serializers.CharField())
    built_in = serializers.BooleanField(help_text="Built-in roles cannot be changed.")


class RoleInput(Input):
    name = Text(max_length=80)
    description = Text(required=False, allow_blank=True, max_length=300)
    permissions = serializers.ListField(
        child=Word(choices=[(name, name) for name in PERMISSIONS]), max_length=len(PERMISSIONS)
    )


class Roles(Resource):
    permissions: ClassVar = {"GET": "roles.view", "POST": "roles.modify"}
    serializer_class = RoleSerializer
    inputs: ClassVar = {"POST": RoleInput}
    pages = True

    def get(self, request: Request) -> Response:
        """Roles by name."""
        return self.list_of(Role.objects.for_tenant(self.tenant_id))

    def post(self, request: Request) -> Response:
        """Make a role of your own, of rights that you have yourself."""
        values = self.given()
        rights = self.principal.rights
        return self.once(
            request, lambda: self.shown(custom_roles.add_role(**values, by=rights, at=clock.now()))
        )


class RoleDetail(Resource):
    permissions: ClassVar = {"GET": "roles.view", "PATCH": "roles.modify", "DELETE": "roles.modify"}
    serializer_class = RoleSerializer
    inputs: ClassVar = {"PATCH": RoleInput}

    def get(self, request: Request, role_id: UUID) -> Response:
        """One role."""
        return self.shown(custom_roles.role(role_id))

    def patch(self, request: Request, role_id: UUID) -> Response:
        """Change a role of your own; whoever holds it has the new rights at once."""
        values = self.given()
        rights = self.principal.rights
        return self.shown(custom_roles.edit_role(role_id, **values, by=rights, at=clock.now()))

    def delete(self, request: Request, role_id: UUID) -> Response:
        """Delete a role of your own that nobody holds."""
        custom_roles.delete_role(role_id, at=clock.now())
        return Response(status=204)


# Tokens --------------------------------------------------------------------------------------------------------


class TokenSerializer(WithScope):
    id = serializers.UUIDField()
    public_id = serializers.CharField(help_text="The part of the token that is no secret.")
    label = serializers.CharField()  # type: ignore[assignment]  # a declared field is no attribute
    role = serializers.UUIDField(source="role_id")
    person = serializers.UUIDField(
        source="person_id", allow_null=True, help_text="Whose own it is; null for a service account."
    )
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    last_used_at = serializers.DateTimeField(allow_null=True, help_text="To the hour.")
    revoked_at = serializers.DateTimeField(allow_null=True)


class NewTokenSerializer(TokenSerializer):
    token = serializers.CharField(help_text="The secret. It is shown this once.")


class TokenInput(Input):
    label = Text(max_length=80)  # type: ignore[assignment]  # a declared field is no attribute
    role = Id()
    own = Flag(
        required=False, help_text="A token of the person whose token this is, not of a service account."
    )
    scope = PlaceInput(many=True, required=False, help_text="All rooms where left out.")
    expires_at = Moment(help_text="Within a year.")


class TokenFilters(Filters):
    person = UUIDFilter(field_name="person_id")
    revoked = YesNoFilter(method="is_revoked")

    def is_revoked(self, rows: QuerySet[ApiToken], name: str, value: str) -> QuerySet[ApiToken]:
        return rows.filter(revoked_at__isnull=value == "false")


class Tokens(Resource):
    permissions: ClassVar = {"GET": "roles.view", "POST": "roles.modify"}
    serializer_class = TokenSerializer
    filterset_class = TokenFilters
    inputs: ClassVar = {"POST": TokenInput}
    answers: ClassVar = {"POST": (201, NewTokenSerializer)}
    order_by = ("-created_at", "-id")
    holds_secret = True
    pages = True

    def get(self, request: Request) -> Response:
        """Tokens, newest first. Their secrets are kept nowhere."""
        return self.list_of(ApiToken.objects.for_tenant(self.tenant_id))

    def post(self, request: Request) -> Response:
        """Make a token. It never does more than the one it is made with."""
        values = self.given()
        principal = self.principal
        own = values.pop("own", False)
        if own and principal.person is None:
            raise NotAllowed("The token of a service account has no person to make tokens for.")
        everywhere, scope = places(values.pop("scope", None))
        role_id = values.pop("role")

        def make() -> Response:
            row, text = api_tokens.issue(
                principal.tenant,
                role=custom_roles.role(role_id, field="role"),
                by=principal.person,
                person=principal.person if own else None,
                everywhere=everywhere,
                scope=scope,
                rights=principal.rights,
                made_with=api_tokens.token(principal.actor.id) if principal.actor.id else None,
                at=clock.now(),
                **values,
            )
            row.token = text  # type: ignore[attr-defined]  # for this one answer
            return self.shown(row)

        return self.once(request, make)


class TokenDetail(Resource):
    permissions: ClassVar = {"GET": "roles.view", "DELETE": "roles.modify"}
    serializer_class = TokenSerializer

    def get(self, request: Request, token_id: UUID) -> Response:
        """One token without its secret."""
        return self.shown(api_tokens.token(token_id))

    def delete(self, request: Request, token_id: UUID) -> Response:
        """Revoke a token; programs that use it are refused at once. Repeating it changes nothing."""
        api_tokens.revoke(api_tokens.token(token_id), at=clock.now())
        return Response(status=204)
