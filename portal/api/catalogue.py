"""/catalogue: makes and models known to work, shared rows and the customer's own."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django.db.models import Q, QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from fleet import catalog, own_catalog
from fleet.catalog import Row, Verdict
from fleet.errors import ChangedMeanwhile
from fleet.models import CatalogEntry, CatalogFacts, OwnCatalogEntry
from foundation import clock
from foundation.errors import NotFound
from portal.api.fields import Day, Input, Text, Word
from portal.api.filters import CharFilter, Filters, YesNoFilter, any_of
from portal.api.pagination import KeysetPagination
from portal.api.resources import Resource

VERDICTS = [(each.value, each.value) for each in Verdict]


class CatalogueSerializer(serializers.Serializer[Row]):
    id = serializers.UUIDField()
    own = serializers.BooleanField(source="is_own", help_text="A row of yours; it goes before a shared one.")
    make = serializers.CharField()
    model = serializers.CharField()
    also_known_as = serializers.ListField(child=serializers.CharField())
    kind = serializers.ChoiceField(choices=CatalogFacts.Kind.choices)
    platform = serializers.ChoiceField(choices=CatalogFacts.Platform.choices)
    certification = serializers.ChoiceField(choices=CatalogFacts.Certification.choices)
    certified_until = serializers.DateField(allow_null=True)
    support_ends = serializers.DateField(allow_null=True)
    good_firmware = serializers.CharField(help_text="As its source writes it; empty where unknown.")
    usb_ids = serializers.ListField(child=serializers.CharField())
    note = serializers.CharField()
    sources = serializers.ListField(
        child=serializers.CharField(), help_text="Addresses of the pages that say so."
    )
    source_date = serializers.DateField(allow_null=True, help_text="Of the first source, as it was read.")
    state = serializers.SerializerMethodField()
    reason = serializers.SerializerMethodField()
    version = serializers.SerializerMethodField(
        help_text="Of a row of yours; the ETag. Null for a shared one."
    )

    def get_state(self, row: Row) -> Verdict:
        return catalog.judged(row, on=clock.now().date())[0]

    def get_reason(self, row: Row) -> str:
        return catalog.judged(row, on=clock.now().date())[1]

    def get_version(self, row: Row) -> int | None:
        return row.version if isinstance(row, OwnCatalogEntry) else None


class CatalogueInput(Input):
    make = Text(max_length=80)
    model = Text(max_length=120)
    also_known_as = serializers.ListField(
        required=False, child=Text(max_length=120), max_length=own_catalog.MOST_NAMES
    )
    kind = Word(choices=CatalogFacts.Kind.choices)
    platform = Word(choices=CatalogFacts.Platform.choices)
    certification = Word(required=False, choices=CatalogFacts.Certification.choices)
    certified_until = Day(required=False, allow_null=True)
    support_ends = Day(required=False, allow_null=True)
    good_firmware = Text(required=False, allow_blank=True, max_length=120)
    usb_ids = serializers.ListField(
        required=False,
        child=Text(max_length=9),
        max_length=own_catalog.MOST_NAMES,
        help_text="Like 046d:089b.",
    )
    note = Text(required=False, allow_blank=True, max_length=300)
    sources = serializers.ListField(
        required=False, child=Text(max_length=300), max_length=own_catalog.MOST_NAMES
    )


class CatalogueFilters(Filters):
    q = CharFilter(method="with_words", max_length=200, help_text="Each word begins a word of the row.")
    make = CharFilter(field_name="make", lookup_expr="iexact", max_length=80)
    kind = any_of(CatalogFacts.Kind.choices)
    platform = any_of(CatalogFacts.Platform.choices)
    state = any_of(VERDICTS, method="in_state")
    own = YesNoFilter(method="is_own_row")

    def with_words(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        wanted = catalog.matching(value)
        return rows.filter(wanted) if wanted or not value.strip() else rows.none()

    def in_state(self, rows: QuerySet[Any], name: str, value: list[str]) -> QuerySet[Any]:
        if not value:
            return rows
        wanted = Q(pk__in=[])
        for each in value:
            wanted |= catalog.standing_at(Verdict(each), on=clock.now().date())
        return rows.filter(wanted)

    def is_own_row(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        return rows if rows.model.is_own is (value == "true") else rows.none()


class Catalogue(Resource):
    permissions: ClassVar = {"GET": "inventory.view", "POST": "inventory.modify"}
    serializer_class = CatalogueSerializer
    filterset_class = CatalogueFilters
    inputs: ClassVar = {"POST": CatalogueInput}
    order_by = ("sort_key", "id")
    pages = True

    def get(self, request: Request) -> Response:
        """Rows by make and model, yours among the shared ones."""
        own = self.filter_queryset(OwnCatalogEntry.objects.for_tenant(self.tenant_id))
        shared = self.filter_queryset(CatalogEntry.objects.all())
        pager = KeysetPagination()
        page = pager.paginate_tables([own, shared], self.request, self)
        return pager.get_paginated_response(self._shown(page, many=True))

    def post(self, request: Request) -> Response:
        """Add a row of your own."""
        values = self.given()
        return self.once(request, lambda: self._with_etag(own_catalog.add(values, at=clock.now())))

    def _with_etag(self, row: OwnCatalogEntry) -> Response:
        return self.shown(row, ETag=etag(row))


class CatalogueRow(Resource):
    permissions: ClassVar = {
        "GET": "inventory.view",
        "PATCH": "inventory.modify",
        "DELETE": "inventory.modify",
    }
    serializer_class = CatalogueSerializer
    inputs: ClassVar = {"PATCH": CatalogueInput}
    has_versions = True

    def get(self, request: Request, row_id: UUID) -> Response:
        """One row. Of a row of yours the ETag is the version If-Match takes."""
        own = OwnCatalogEntry.objects.for_tenant(self.tenant_id).filter(id=row_id).first()
        row = own or CatalogEntry.objects.filter(id=row_id).first()
        if row is None:
            raise NotFound("This does not exist.")
        return self.shown(row, **({"ETag": etag(own)} if own else {}))

    def patch(self, request: Request, row_id: UUID) -> Response:
        """Change what is given of a row of yours. A shared row is not yours to change."""
        values = self.given()
        row = own_catalog.entry(row_id)
        wanted = request.headers.get("If-Match")
        if wanted is not None and not matches(wanted, etag(row)):
            raise ChangedMeanwhile("Somebody changed this row meanwhile. Look at it again.")
        version = row.version if wanted is not None else None
        changed = own_catalog.edit(row_id, values, if_version=version, at=clock.now())
        return self.shown(changed, ETag=etag(changed))

    def delete(self, request: Request, row_id: UUID) -> Response:
        """Remove a row of yours; a shared row for the same thing counts again."""
        own_catalog.remove(row_id, at=clock.now())
        return Response(status=204)


def etag(row: OwnCatalogEntry) -> str:
    return f'"v{row.version}"'


def matches(given: str, current: str) -> bool:
    """Strong comparison (RFC 9110): a weak tag never matches."""
    return given.strip() == "*" or current in [each.strip() for each in given.split(",")]
