"""Filters of lists: a name nobody knows and a value that cannot be one are refused by name, never ignored."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef, QuerySet
from django_filters.filters import (
    CharFilter,
    ChoiceFilter,
    Filter,
    IsoDateTimeFilter,
    MultipleChoiceFilter,
    UUIDFilter,
)
from django_filters.rest_framework.backends import DjangoFilterBackend
from django_filters.rest_framework.filterset import FilterSet
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from fleet import place_tree
from fleet.models import RoomGroupMember
from foundation.context import current_tenants
from portal.api.pagination import CURSOR, LIMIT

__all__ = [
    "CharFilter",
    "ChoiceFilter",
    "Filters",
    "IsoDateTimeFilter",
    "MultipleChoiceFilter",
    "RoomwiseFilters",
    "StrictFilterBackend",
    "UUIDFilter",
    "YesNoFilter",
    "any_of",
    "schema_of",
]

YES_NO = [("true", "true"), ("false", "false")]


class Filters(FilterSet):
    """Filters of one list; a view names its own as `filterset_class`."""


class RoomwiseFilters(Filters):
    """Of rows that have a room: `site` and `group` are the room's."""

    room = UUIDFilter(field_name="room_id")
    site = UUIDFilter(method="in_site", help_text="In rooms anywhere below this site.")
    group = UUIDFilter(method="in_group", help_text="In rooms of this group.")

    def in_site(self, rows: QuerySet[Any], name: str, value: UUID) -> QuerySet[Any]:
        return rows.filter(room__place_id__in=place_tree.below(value))

    def in_group(self, rows: QuerySet[Any], name: str, value: UUID) -> QuerySet[Any]:
        members = RoomGroupMember.objects.for_tenant(*current_tenants()).filter(
            tenant_id=OuterRef("tenant_id"), room_id=OuterRef("room_id"), group_id=value
        )
        return rows.filter(Exists(members))


class YesNoFilter(ChoiceFilter):
    """true or false; anything else is refused."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(choices=YES_NO, **kwargs)  # type: ignore[no-untyped-call]


def any_of(choices: Iterable[tuple[Any, Any]], **kwargs: Any) -> Filter:
    """Given several times, it matches any of the values."""
    return MultipleChoiceFilter(choices=list(choices), **kwargs)


class StrictFilterBackend(DjangoFilterBackend):
    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: Any) -> QuerySet[Any]:
        self.check(request, view)
        filtered: QuerySet[Any] = super().filter_queryset(request, queryset, view)  # type: ignore[no-untyped-call]
        return filtered

    def check(self, request: Request, view: Any) -> None:
        """Raises ValidationError for a parameter the view does not have."""
        known: dict[str, Filter] = getattr(getattr(view, "filterset_class", None), "base_filters", {})
        problems: dict[str, list[str]] = {}
        for name, values in request.query_params.lists():
            shown = name[:80]
            if name not in known and name not in (CURSOR, LIMIT):
                problems[shown] = [
                    f"There is no such filter. There are: {', '.join([*known, CURSOR, LIMIT])}."
                ]
            elif len(values) > 1 and not isinstance(known.get(name), MultipleChoiceFilter):
                problems[shown] = ["This is given more than once."]
            elif "" in values and name != "q":
                problems[shown] = ["This must not be empty."]
        if problems:
            raise ValidationError(problems)


def schema_of(each: Filter) -> dict[str, Any]:
    """The JSON schema of one filter's value."""
    if isinstance(each, MultipleChoiceFilter):
        return {"type": "array", "items": _choice(each)}
    if isinstance(each, ChoiceFilter):
        return _choice(each)
    if isinstance(each, UUIDFilter):
        return {"type": "string", "format": "uuid"}
    if isinstance(each, IsoDateTimeFilter):
        return {"type": "string", "format": "date-time"}
    longest = each.extra.get("max_length")
    return {"type": "string", "maxLength": longest} if longest else {"type": "string"}


def _choice(each: Filter) -> dict[str, Any]:
    return {"type": "string", "enum": [str(value) for value, _ in each.extra["choices"]]}
