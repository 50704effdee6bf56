"""/sites: the tree of places that rooms stand in."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from fleet import merging, place_tree
from fleet.models import Place
from foundation import clock
from portal.api.fields import Id, Input, Text, Word
from portal.api.filters import Filters, UUIDFilter, any_of
from portal.api.resources import Resource


class SiteSerializer(serializers.Serializer[Place]):
    id = serializers.UUIDField()
    parent = serializers.UUIDField(source="parent_id", allow_null=True)  # type: ignore[assignment]  # a declared field is no attribute
    kind = serializers.ChoiceField(choices=Place.Kind.choices)
    name = serializers.CharField()
    full_name = serializers.CharField(help_text="With the names above it.")
    time_zone = serializers.CharField()
    country_code = serializers.CharField()


class SiteInput(Input):
    name = Text(max_length=120)
    parent = Id(required=False, allow_null=True, help_text="Null at the root.")  # type: ignore[assignment]  # a declared field is no attribute
    time_zone = Text(required=False, max_length=64, help_text="IANA name; the parent's where left out.")
    country_code = Text(required=False, max_length=2, allow_blank=True)


class NewSiteInput(SiteInput):
    kind = Word(choices=Place.Kind.choices)


class MergeSiteInput(Input):
    into = Id(help_text="The site that stays.")


class SiteFilters(Filters):
    kind = any_of(Place.Kind.choices)
    parent = UUIDFilter(field_name="parent_id")
    site = UUIDFilter(method="below_site", help_text="This site and all below it.")

    def below_site(self, rows: Any, name: str, value: UUID) -> Any:
        return rows.filter(path__contains=[value])


class Sites(Resource):
    permissions: ClassVar = {"GET": "rooms.view", "POST": "rooms.modify"}
    serializer_class = SiteSerializer
    filterset_class = SiteFilters
    inputs: ClassVar = {"POST": NewSiteInput}
    pages = True

    def get(self, request: Request) -> Response:
        """Sites by name."""
        return self.list_of(Place.objects.for_tenant(self.tenant_id).filter(retired_at=None))

    def post(self, request: Request) -> Response:
        """Add a site. Its time zone and country are the parent's unless given."""
        values = self.given()
        parent_id = values.pop("parent", None)
        return self.once(
            request,
            lambda: self.shown(place_tree.add_place(parent_id=parent_id, **values, at=clock.now())),
        )


class Site(Resource):
    permissions: ClassVar = {"GET": "rooms.view", "PATCH": "rooms.modify", "DELETE": "rooms.modify"}
    serializer_class = SiteSerializer
    inputs: ClassVar = {"PATCH": SiteInput}

    def get(self, request: Request, site_id: UUID) -> Response:
        """One site."""
        return self.shown(place_tree.place(site_id, field=""))

    def patch(self, request: Request, site_id: UUID) -> Response:
        """Rename or move a site, or change its time zone. Rooms below that had its zone follow."""
        values = self.given()
        site = place_tree.place(site_id, field="")
        if "parent" in values:
            site = place_tree.move_place(site.id, parent_id=values.pop("parent"), at=clock.now())
        if values:
            site = place_tree.edit_place(site.id, **values, at=clock.now())
        return self.shown(site)

    def delete(self, request: Request, site_id: UUID) -> Response:
        """Retire an empty site."""
        merging.retire_place(place_tree.place(site_id, field="").id, at=clock.now())
        return Response(status=204)


class SiteMerge(Resource):
    permissions: ClassVar = {"POST": "rooms.modify"}
    serializer_class = SiteSerializer
    inputs: ClassVar = {"POST": MergeSiteInput}
    answers: ClassVar = {"POST": (200, SiteSerializer)}

    def post(self, request: Request, site_id: UUID) -> Response:
        """Make this site part of another, which is the answer. Rooms and sites in it go there."""
        site = place_tree.place(site_id, field="")
        into_id = self.given()["into"]
        return self.once(
            request, lambda: self.shown(merging.merge_places(site.id, into_id=into_id, at=clock.now()))
        )
