"""/regions: where the data lives, and in which countries rooms may be enrolled."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from portal.api.resources import Resource
from tenancy import regions
from tenancy.models import Tenant


class RegionSerializer(serializers.Serializer[regions.Region]):
    key = serializers.ChoiceField(choices=Tenant.Region.choices)
    name = serializers.CharField()
    data_lives = serializers.CharField(help_text="The place, as whoever runs the installation names it.")


class CountrySerializer(serializers.Serializer[regions.Country]):
    code = serializers.CharField(help_text="ISO 3166-1 alpha-2.")
    name = serializers.CharField()
    region = serializers.CharField(help_text="The region it belongs to; empty for none.")
    supported = serializers.BooleanField(help_text="Rooms in it may be enrolled.")


class RegionsSerializer(serializers.Serializer[dict[str, Any]]):
    home = RegionSerializer()
    served = RegionSerializer(many=True)
    countries = CountrySerializer(many=True)


class Regions(Resource):
    permissions: ClassVar = {"GET": "rooms.view"}
    serializer_class = RegionsSerializer

    def get(self, request: Request) -> Response:
        """Your home region, the regions this installation serves, and all countries by name."""
        countries = sorted(regions.countries().values(), key=lambda each: each.name)
        home = regions.home_of(self.principal.tenant)
        return self.shown({"home": home, "served": regions.served(), "countries": countries})
