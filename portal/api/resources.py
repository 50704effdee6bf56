"""What all views of the people's API share: tenant, permissions by method, lists, one effect per Idempotency-Key."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpResponseBase
from rest_framework import generics
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer

from fleet import scope
from foundation import clock, idempotency, secrets
from foundation.errors import NotAllowed, NotFound
from portal.access import Principal, ask_customer, principal_of, waits_for_customer
from portal.api.errors import WaitsForApproval
from portal.api.fields import Input
from portal.api.filters import Filters, StrictFilterBackend
from portal.api.pagination import KeysetPagination

MAX_BODY_BYTES = 64_000
IDEMPOTENCY_KEY = "Idempotency-Key"
SEALED = "api.idempotent_answer"  # answers that hold a secret are kept encrypted


@dataclass(frozen=True)
class Parameter:
    """One of the query string."""

    description: str
    required: bool = True
    format: str = ""


class Resource(generics.GenericAPIView[Any]):
    """One address of the API.

    `permissions`: the permission each method needs. `inputs`: what each method takes. `answers`: status and body
    where they are not the usual ones. `field_names`: how the API calls a field of the domain.
    """

    permissions: ClassVar[Mapping[str, str]] = {}
    field_names: ClassVar[Mapping[str, str]] = {}
    filterset_class: ClassVar[type[Filters] | None] = None
    filter_backends = (StrictFilterBackend,)
    inputs: ClassVar[Mapping[str, type[Input]]] = {}
    answers: ClassVar[Mapping[str, tuple[int, type[BaseSerializer[Any]] | None]]] = {}
    pages: ClassVar[bool] = False  # GET answers a page of many
    has_versions: ClassVar[bool] = False  # PATCH minds If-Match
    order_by: ClassVar[tuple[str, ...]] = ("name", "id")
    max_body_bytes: ClassVar[int] = MAX_BODY_BYTES
    operation_ids: ClassVar[Mapping[str, str]] = {}  # by method, where the usual one would name two
    holds_secret: ClassVar[bool] = False  # its answer shows a secret once
    takes_file: ClassVar[bool] = False  # the body of POST is a file, as it is
    gives_file: ClassVar[bool] = False  # GET answers one
    parameters: ClassVar[Mapping[str, Mapping[str, Parameter]]] = {}  # by method, beside those of lists
    http_method_names = ["get", "head", "post", "put", "patch", "delete"]

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Every query of the view shows what the permission it needs reaches, and no more."""
        principal: Principal | None = getattr(request, "principal", None)
        method = "GET" if request.method == "HEAD" else str(request.method)
        permission = self.permissions.get(method)
        if principal is None or permission is None:
            return super().dispatch(request, *args, **kwargs)
        with scope.within(principal.rights, permission, reading=method == "GET"):
            return super().dispatch(request, *args, **kwargs)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """What the customer wants to approve first waits for that: 202."""
        super().initial(request, *args, **kwargs)
        method = str(request.method)
        permission = self.permissions.get(method)
        if permission is None or method == "GET" or not waits_for_customer(request._request, permission):
            return
        if self.takes_file and method == "POST":
            raise NotAllowed("The customer approves this first, and a file cannot wait for that.")
        if self.holds_secret and method != "DELETE":
            raise NotAllowed("The customer approves this first, and its answer is shown only once.")
        body = dict(request.data) if isinstance(request.data, dict) else {}
        handler = getattr(self, method.lower())
        do = partial(self._finished, request, handler, *args, **kwargs)
        answer = ask_customer(request._request, permission, body, do, by_program=True)
        if answer is None:
            raise WaitsForApproval
        setattr(self, method.lower(), lambda *_, **__: answer)  # refused, or nothing to do: already answered

    def _finished(self, request: Request, handler: Callable[..., Response], *args: Any, **kwargs: Any) -> Any:
        return self.finalize_response(request, handler(request, *args, **kwargs), *args, **kwargs)

    @property
    def principal(self) -> Principal:
        return principal_of(self.request)

    @property
    def tenant_id(self) -> UUID:
        return self.principal.tenant.id

    @classmethod
    def answer(cls, method: str) -> tuple[int, type[BaseSerializer[Any]] | None]:
        """Status and body of a success."""
        usual = {"POST": (201, cls.serializer_class), "DELETE": (204, None)}
        return cls.answers.get(method) or usual.get(method, (200, cls.serializer_class))

    def given(self) -> dict[str, Any]:
        """The body, checked. Raises ValidationError."""
        method = str(self.request.method)
        body = self.inputs[method](data=self.request.data, partial=method == "PATCH")
        body.is_valid(raise_exception=True)
        values: dict[str, Any] = body.validated_data
        return values

    def list_of(self, rows: QuerySet[Any], *, show: QuerySet[Any] | None = None) -> Response:
        """One page of `rows`, filtered as the query string says. `show`: see portal.paging."""
        pager = KeysetPagination()
        page = pager.paginate_queryset(self.filter_queryset(rows), self.request, self, show=show)
        return pager.get_paginated_response(self._shown(page, many=True))

    def shown(self, row: Any, **headers: str) -> Response:
        """The usual answer of the method about one row."""
        status, body = self.answer(str(self.request.method))
        return Response(self._shown(row) if body else None, status=status, headers=headers or None)

    def one_of(self, rows: QuerySet[Any], object_id: UUID) -> Any:
        """Raises NotFound: missing, or another customer's."""
        found = rows.filter(id=object_id).first()
        if found is None:
            raise NotFound("This does not exist.")
        return found

    def once(self, request: Request, effect: Callable[[], Response]) -> Response:
        """Carry `effect` out, or repeat the answer it once gave under the same Idempotency-Key.

        A refusal rolls the request's transaction back and its record with it: it may be tried again.
        """
        key = request.headers.get(IDEMPOTENCY_KEY)
        if key is None:
            return effect()
        route = f"{request.method} {request.path}"[:120]
        body = idempotency.fingerprint(self.body_of(request))
        who = self.principal.actor.id
        kept = idempotency.begin(self.tenant_id, route, key, body, by=who, at=clock.now())
        if kept is not None:
            return Response(self._opened(kept.body), status=kept.status)
        response = effect()
        kept_body = self._closed(response.data)
        idempotency.finish(self.tenant_id, route, key, status=response.status_code, body=kept_body, by=who)
        return response

    def body_of(self, request: Request) -> bytes:
        """What makes two requests with one Idempotency-Key the same."""
        return json.dumps(request.data, sort_keys=True).encode()

    def _shown(self, rows: Any, *, many: bool = False) -> Any:
        _, body = self.answer("GET" if self.request.method == "HEAD" else str(self.request.method))
        if body is None:
            raise TypeError(f"{type(self).__name__} shows nothing.")
        return body(rows, many=many, context=self.get_serializer_context()).data

    def _closed(self, body: Any) -> Any:
        if not self.holds_secret:
            return body
        return secrets.seal(json.dumps(body, default=str), tenant_id=self.tenant_id, field=SEALED).decode()

    def _opened(self, body: Any) -> Any:
        if not self.holds_secret:
            return body
        return json.loads(secrets.unseal(body.encode(), tenant_id=self.tenant_id, field=SEALED))
