"""/views: filters of a list under a name."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from fleet import lists
from fleet.errors import ChangedMeanwhile
from foundation import clock
from foundation.errors import NotValid
from portal.api.fields import Flag, Input, Text, Word
from portal.api.filters import Filters, any_of
from portal.api.resources import Resource
from portal.api.rooms import matches
from portal.web.listing import NOUNS, address
from tenancy import saved_views
from tenancy.models import SavedView

LISTINGS = list(NOUNS.items())


class SavedViewSerializer(serializers.Serializer[SavedView]):
    id = serializers.UUIDField()
    list = serializers.ChoiceField(source="listing", choices=LISTINGS)
    name = serializers.CharField()
    query = serializers.DictField(
        child=serializers.ListField(child=serializers.CharField()), help_text="Values by filter of the list."
    )
    shared = serializers.BooleanField(help_text="Everybody of the organisation has it among their views.")
    address = serializers.SerializerMethodField(help_text="Of the page, below the portal's own address.")
    created_at = serializers.DateTimeField()

    def get_address(self, row: SavedView) -> str:
        return address(row.listing, row.query, row)


class SavedViewInput(Input):
    name = Text(max_length=saved_views.LONGEST_NAME)
    query = serializers.DictField(
        required=False,
        child=serializers.ListField(child=Text(max_length=lists.LONGEST_VALUE), max_length=lists.MOST_VALUES),
    )
    shared = Flag(required=False)


class NewSavedViewInput(SavedViewInput):
    list = Word(choices=LISTINGS)


class SavedViewFilters(Filters):
    list = any_of(LISTINGS, field_name="listing")


class SavedViews(Resource):
    permissions: ClassVar = {"GET": "rooms.view", "POST": "rooms.view"}
    serializer_class = SavedViewSerializer
    filterset_class = SavedViewFilters
    inputs: ClassVar = {"POST": NewSavedViewInput}
    pages = True

    def get(self, request: Request) -> Response:
        """Shared views and one's own, by name."""
        return self.list_of(saved_views.visible_to(self.principal.person))

    def post(self, request: Request) -> Response:
        """Save the filters of a list under a name."""
        values = self.given()
        listing = values.pop("list")
        query = checked(listing, values.pop("query", {}))
        return self.once(request, lambda: self._saved(listing, query, values))

    def _saved(self, listing: str, query: dict[str, list[str]], values: dict[str, Any]) -> Response:
        owner = self.principal.person
        made = saved_views.save(listing=listing, query=query, owner=owner, at=clock.now(), **values)
        return self.shown(made, ETag=etag(made))


class SavedViewDetail(Resource):
    permissions: ClassVar = {"GET": "rooms.view", "PATCH": "rooms.view", "DELETE": "rooms.view"}
    serializer_class = SavedViewSerializer
    inputs: ClassVar = {"PATCH": SavedViewInput}
    has_versions = True

    def get(self, request: Request, view_id: UUID) -> Response:
        """One view. The ETag is the version If-Match takes."""
        row = saved_views.view(view_id, person=self.principal.person)
        return self.shown(row, ETag=etag(row))

    def patch(self, request: Request, view_id: UUID) -> Response:
        """Change what is given: one's own, or a shared one for whoever manages settings."""
        values = self.given()
        row = saved_views.view(view_id, person=self.principal.person)
        wanted = request.headers.get("If-Match")
        if wanted is not None and not matches(wanted, etag(row)):
            raise ChangedMeanwhile("Somebody changed this view meanwhile. Look at it again.")
        if "query" in values:
            values["query"] = checked(row.listing, values["query"])
        changed = saved_views.change(row.id, at=clock.now(), **self._by(), **values)
        return self.shown(changed, ETag=etag(changed))

    def delete(self, request: Request, view_id: UUID) -> Response:
        """Delete a view, for everybody where it is shared."""
        saved_views.delete(view_id, at=clock.now(), **self._by())
        return Response(status=204)

    def _by(self) -> dict[str, Any]:
        principal = self.principal
        return {"person": principal.person, "manages": principal.may_everywhere("settings.modify")}


def checked(listing: str, query: dict[str, list[str]], *, named: str = "query") -> dict[str, list[str]]:
    """Raises NotValid, naming the filter below `named`."""
    try:
        return lists.cleaned(listing, query)
    except NotValid as error:
        raise NotValid(error.message, field=f"{named}.{(error.field or '')[:80]}") from error


def etag(row: SavedView) -> str:
    return f'"v{row.version}"'
