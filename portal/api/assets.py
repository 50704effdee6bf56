"""/assets: things of rooms that no device reports."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from fleet import assets
from fleet.errors import ChangedMeanwhile
from fleet.models import Asset
from foundation import clock
from portal.api.fields import Id, Input, Text, Word
from portal.api.filters import CharFilter, RoomwiseFilters, any_of
from portal.api.resources import Resource
from portal.api.rooms import matches


class AssetSerializer(serializers.Serializer[Asset]):
    id = serializers.UUIDField()
    room = serializers.UUIDField(source="room_id")
    room_name = serializers.CharField(source="room.name")
    kind = serializers.ChoiceField(choices=Asset.Kind.choices)
    name = serializers.CharField()
    make = serializers.CharField()
    model = serializers.CharField()
    serial_number = serializers.CharField()
    tag = serializers.CharField(help_text="Your own inventory number.")
    note = serializers.CharField()
    version = serializers.IntegerField(help_text="Of what people edit; the ETag.")
    created_at = serializers.DateTimeField()


class AssetInput(Input):
    room = Id()
    kind = Word(choices=Asset.Kind.choices)
    name = Text(max_length=120)
    make = Text(required=False, allow_blank=True, max_length=80)
    model = Text(required=False, allow_blank=True, max_length=120)
    serial_number = Text(required=False, allow_blank=True, max_length=64)
    tag = Text(required=False, allow_blank=True, max_length=64)
    note = Text(required=False, allow_blank=True, max_length=300)


class AssetFilters(RoomwiseFilters):
    kind = any_of(Asset.Kind.choices)
    serial_number = CharFilter(max_length=64)
    tag = CharFilter(max_length=64)


class Assets(Resource):
    permissions: ClassVar = {"GET": "rooms.view", "POST": "rooms.modify"}
    serializer_class = AssetSerializer
    filterset_class = AssetFilters
    inputs: ClassVar = {"POST": AssetInput}
    pages = True

    def get(self, request: Request) -> Response:
        """Assets by name."""
        return self.list_of(Asset.objects.for_tenant(self.tenant_id).current().select_related("room"))

    def post(self, request: Request) -> Response:
        """List a thing of a room."""
        values = self.given()
        room_id = values.pop("room")
        return self.once(request, lambda: self._add(room_id, values))

    def _add(self, room_id: UUID, values: dict[str, Any]) -> Response:
        made = assets.add_asset(room_id=room_id, at=clock.now(), **values)
        return self.shown(made, ETag=etag(made))


class AssetDetail(Resource):
    permissions: ClassVar = {"GET": "rooms.view", "PATCH": "rooms.modify", "DELETE": "rooms.modify"}
    serializer_class = AssetSerializer
    inputs: ClassVar = {"PATCH": AssetInput}
    has_versions = True

    def get(self, request: Request, asset_id: UUID) -> Response:
        """One asset. The ETag is the version If-Match takes."""
        found = assets.asset(asset_id)
        return self.shown(found, ETag=etag(found))

    def patch(self, request: Request, asset_id: UUID) -> Response:
        """Change what is given; another room moves the asset."""
        values = self.given()
        held = assets.asset(asset_id)
        wanted = request.headers.get("If-Match")
        if wanted is not None and not matches(wanted, etag(held)):
            raise ChangedMeanwhile("Somebody changed this asset meanwhile. Look at it again.")
        if "room" in values:
            values["room_id"] = values.pop("room")
        version = held.version if wanted is not None else None
        changed = assets.edit_asset(asset_id, values, if_version=version, at=clock.now())
        return self.shown(changed, ETag=etag(changed))

    def delete(self, request: Request, asset_id: UUID) -> Response:
        """Remove an asset; the history of its room keeps it."""
        assets.remove_asset(asset_id, at=clock.now())
        return Response(status=204)


def etag(asset: Asset) -> str:
    return f'"v{asset.version}"'
