"""/search: rooms, devices, equipment and assets by their words."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from fleet.models import Room
from portal.api.assets import AssetSerializer
from portal.api.device_records import DeviceSerializer, PeripheralRecordSerializer
from portal.api.filters import CharFilter, Filters, StrictFilterBackend
from portal.api.resources import Resource
from portal.web.search import LONGEST, hits

SHOWN = 20


class FoundRoomSerializer(serializers.Serializer[Room]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    state = serializers.ChoiceField(choices=Room.State.choices)
    site_name = serializers.CharField(source="place.full_name")
    resource_account = serializers.CharField()


class SearchSerializer(serializers.Serializer[Any]):
    rooms = FoundRoomSerializer(many=True)
    devices = DeviceSerializer(many=True)
    peripherals = PeripheralRecordSerializer(many=True)
    assets = AssetSerializer(many=True)


class SearchFilters(Filters):
    q = CharFilter(max_length=LONGEST, required=True, help_text="Each word begins a word of what is found.")


class Search(Resource):
    permissions: ClassVar = {"GET": "rooms.view"}
    serializer_class = SearchSerializer
    filterset_class = SearchFilters

    def get(self, request: Request) -> Response:
        """The first 20 rooms, devices, peripherals and assets that match all words; their lists take the same `q` for the rest."""
        StrictFilterBackend().check(request, self)
        q = request.query_params.get("q", "").strip()
        if not q or len(q) > LONGEST:
            raise ValidationError({"q": [f"Give 1 to {LONGEST} characters."]})
        found = {each.listing: each.rows for each in hits(self.tenant_id, q.replace("\0", ""), shown=SHOWN)}
        return self.shown(found)
