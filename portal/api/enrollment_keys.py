"""/enrollment-keys: secrets with which devices register themselves."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from enrollment import keys
from enrollment.models import EnrollmentKey
from fleet import room_groups
from fleet.models import Device
from foundation import clock
from portal.api.fields import Flag, Id, Input, Moment, Text, Whole, Word
from portal.api.filters import Filters, UUIDFilter, YesNoFilter
from portal.api.resources import Resource


class EnrollmentKeySerializer(serializers.Serializer[EnrollmentKey]):
    id = serializers.UUIDField()
    public_id = serializers.CharField(help_text="The part of the key that is no secret.")
    label = serializers.CharField()  # type: ignore[assignment]  # a declared field is no attribute
    group = serializers.UUIDField(source="group_id", help_text="Where rooms it makes go.")
    kinds = serializers.ListField(child=serializers.CharField(), help_text="Kinds of devices; empty for all.")
    approval = serializers.ChoiceField(choices=EnrollmentKey.Approval.choices)
    simple_clients = serializers.BooleanField(help_text="A device may come without a key pair.")
    allowed_cidrs = serializers.ListField(child=serializers.CharField(), help_text="Networks; empty for all.")
    max_uses = serializers.IntegerField()
    uses = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    last_used_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)


class NewEnrollmentKeySerializer(EnrollmentKeySerializer):
    key = serializers.CharField(help_text="The secret. It is shown this once.")


class NewEnrollmentKeyInput(Input):
    label = Text(max_length=80)  # type: ignore[assignment]  # a declared field is no attribute
    group = Id(required=False, help_text="The default group where left out.")
    kinds = serializers.ListField(required=False, child=Word(choices=Device.Kind.choices), max_length=4)
    approval = Word(required=False, choices=EnrollmentKey.Approval.choices)
    simple_clients = Flag(required=False)
    allowed_cidrs = serializers.ListField(
        required=False, child=Text(max_length=43), max_length=keys.MOST_NETWORKS
    )
    max_uses = Whole(required=False, min_value=1, max_value=keys.MOST_USES)
    expires_at = Moment(required=False, help_text="Within a year; in 30 days where left out.")


class EnrollmentKeyFilters(Filters):
    group = UUIDFilter(field_name="group_id")
    revoked = YesNoFilter(method="is_revoked")

    def is_revoked(self, rows: QuerySet[EnrollmentKey], name: str, value: str) -> QuerySet[EnrollmentKey]:
        return rows.filter(revoked_at__isnull=value == "false")


class WithSecret(Resource):
    """Its answer shows a secret, this once."""

    serializer_class = EnrollmentKeySerializer
    answers: ClassVar = {"POST": (201, NewEnrollmentKeySerializer)}
    holds_secret = True

    def with_secret(self, row: EnrollmentKey, text: str) -> Response:
        row.key = text  # type: ignore[attr-defined]  # for this one answer
        return self.shown(row)


class EnrollmentKeys(WithSecret):
    permissions: ClassVar = {"GET": "keys.download", "POST": "keys.download"}
    filterset_class = EnrollmentKeyFilters
    inputs: ClassVar = {"POST": NewEnrollmentKeyInput}
    order_by = ("-created_at", "-id")
    pages = True

    def get(self, request: Request) -> Response:
        """Keys, newest first. Their secrets are kept nowhere."""
        return self.list_of(EnrollmentKey.objects.for_tenant(self.tenant_id))

    def post(self, request: Request) -> Response:
        """Make a key."""
        values = self.given()
        group_id = values.pop("group", None)

        def make() -> Response:
            group = room_groups.group(group_id) if group_id else room_groups.default_group()
            row, text = keys.issue(group=group, by=self.principal.person, at=clock.now(), **values)
            return self.with_secret(row, text)

        return self.once(request, make)


class EnrollmentKeyDetail(Resource):
    permissions: ClassVar = {"GET": "keys.download"}
    serializer_class = EnrollmentKeySerializer

    def get(self, request: Request, key_id: UUID) -> Response:
        """One key without its secret."""
        return self.shown(keys.key(key_id))


class EnrollmentKeyRevoke(Resource):
    permissions: ClassVar = {"POST": "keys.reset"}
    serializer_class = EnrollmentKeySerializer
    answers: ClassVar = {"POST": (200, EnrollmentKeySerializer)}

    def post(self, request: Request, key_id: UUID) -> Response:
        """Nobody enrolls with it any more; devices it let in stay."""

        def revoke() -> Response:
            row = keys.key(key_id)
            keys.revoke(row, at=clock.now())
            return self.shown(row)

        return self.once(request, revoke)


class EnrollmentKeyReset(WithSecret):
    permissions: ClassVar = {"POST": "keys.reset"}

    def post(self, request: Request, key_id: UUID) -> Response:
        """Revoke a key and make one with the same terms."""

        def reset() -> Response:
            return self.with_secret(*keys.reset(keys.key(key_id), by=self.principal.person, at=clock.now()))

        return self.once(request, reset)
