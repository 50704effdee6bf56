"""Pages of the API: {"results": [...], "next": url or null}."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.http import QueryDict
from rest_framework.exceptions import ValidationError
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response

from portal.paging import MAX_SIZE, KeysetPage, keyset_page, merged_page

CURSOR, LIMIT = "after", "limit"
DEFAULT_SIZE = 50


class KeysetPagination(BasePagination):
    """By key, in the order the view names (`order_by`)."""

    def paginate_queryset(
        self, queryset: Any, request: Request, view: Any = None, *, show: Any = None
    ) -> list[Any]:
        self._request = request
        self._page: KeysetPage[Any] = keyset_page(
            queryset,
            order_by=view.order_by,
            after=request.query_params.get(CURSOR),
            size=_size(request.query_params.get(LIMIT)),
            show=show,
        )
        return self._page.rows

    def paginate_tables(self, querysets: list[Any], request: Request, view: Any) -> list[Any]:
        """Rows of several tables as if they were one."""
        self._request = request
        self._page = merged_page(
            querysets,
            order_by=view.order_by,
            after=request.query_params.get(CURSOR),
            size=_size(request.query_params.get(LIMIT)),
        )
        return self._page.rows

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"results": data, "next": self._next()})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        return {
            "type": "object",
            "required": ["results", "next"],
            "properties": {
                "results": schema,
                "next": {
                    "type": ["string", "null"],
                    "format": "uri",
                    "description": "Address of the next page; null on the last one.",
                },
            },
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        return [
            {
                "name": CURSOR,
                "in": "query",
                "description": "Cursor of a page, as `next` holds it.",
                "schema": {"type": "string"},
            },
            {
                "name": LIMIT,
                "in": "query",
                "description": "Rows a page.",
                "schema": {"type": "integer", "minimum": 1, "maximum": MAX_SIZE, "default": DEFAULT_SIZE},
            },
        ]

    def _next(self) -> str | None:
        if self._page.next is None:
            return None
        query: QueryDict = self._request.query_params.copy()
        query[CURSOR] = self._page.next
        here = urlsplit(self._request.build_absolute_uri())
        return here._replace(query=query.urlencode()).geturl()


def _size(given: str | None) -> int:
    if given is None:
        return DEFAULT_SIZE
    if not (given.isascii() and given.isdigit() and len(given) <= 4 and 1 <= int(given) <= MAX_SIZE):
        raise ValidationError({LIMIT: [f"This must be a whole number from 1 to {MAX_SIZE}."]})
    return int(given)
