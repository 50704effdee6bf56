"""The OpenAPI 3.1 description, made from the views: what they declare is what they check."""

from __future__ import annotations

from functools import lru_cache
from http import HTTPStatus
from typing import Any

from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.settings import patched_settings
from drf_spectacular.types import OpenApiTypes
from rest_framework import serializers

from foundation.idempotency import MAX_KEY
from portal.api.fields import Input
from portal.api.filters import schema_of
from portal.api.resources import IDEMPOTENCY_KEY, Resource

JSON = "application/json"
PROBLEM = "application/problem+json"
REFUSALS = {
    "400": "The request is not valid; `errors` names each member or parameter at fault.",
    "401": "No token, or one that is not valid.",
    "403": "The token's role does not allow this.",
    "404": "It does not exist, or is not yours to see.",
    "409": "The state of the thing forbids it, or the name is taken.",
    "412": "It was changed since the version named in If-Match.",
}
GENERATION = {  # enumerations stand where they are used: there are no two readers of one
    "POSTPROCESSING_HOOKS": [],
    "SORT_OPERATIONS": False,
    "SORT_OPERATION_PARAMETERS": False,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
}


class FieldErrorSerializer(serializers.Serializer[Any]):
    field = serializers.CharField(help_text="Member or parameter at fault; inner members are joined by dots.")
    message = serializers.CharField()


class ProblemSerializer(serializers.Serializer[Any]):
    """Problem details (RFC 9457)."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField(required=False)
    code = serializers.CharField(required=False, help_text="A stable word a program may branch on.")
    errors = FieldErrorSerializer(many=True, required=False)  # type: ignore[assignment]  # a declared field is no attribute


class GreenroomSchema(AutoSchema):
    """Reads what a Resource declares; other views are described by drf-spectacular's own means."""

    view: Any

    def get_operation(self, *args: Any, **kwargs: Any) -> dict[str, Any] | None:
        operation = super().get_operation(*args, **kwargs)
        if operation is None or not isinstance(self.view, Resource):
            return operation
        permission = self.view.permissions[self.method]
        told = operation.get("description", "")
        operation["description"] = f"{told}\n\nNeeds the permission `{permission}`.".strip()
        operation["x-permission"] = permission
        for status, answer in operation["responses"].items():
            answer["description"] = answer["description"] or HTTPStatus(int(status)).phrase
        problem = self.resolve_serializer(ProblemSerializer, "response").ref
        for status in self._refusals(operation):
            operation["responses"].setdefault(
                status, {"description": REFUSALS[status], "content": {PROBLEM: {"schema": problem}}}
            )
        return operation

    def get_operation_id(self) -> str:
        """rooms_list, rooms_create, rooms_retrieve, devices_accept …"""
        named = self.view.operation_ids.get(self.method) if isinstance(self.view, Resource) else None
        if named:
            return str(named)
        if self.method == "POST" and "{" in self.path:
            return "_".join(part.replace("-", "_") for part in self._tokenize_path())
        return super().get_operation_id()

    def get_tags(self) -> list[str]:
        return [self._tokenize_path()[0]]

    def get_request_serializer(self) -> Any:
        if not isinstance(self.view, Resource):
            return super().get_request_serializer()
        if self.view.takes_file and self.method == "POST":
            return OpenApiTypes.BINARY
        wanted = self.view.inputs.get(self.method)
        return wanted(partial=self.method == "PATCH") if wanted else None

    def get_response_serializers(self) -> Any:
        if not isinstance(self.view, Resource):
            return super().get_response_serializers()
        status, body = self.view.answer(self.method)
        if self.view.gives_file and self.method == "GET":
            return {(status, "application/octet-stream"): OpenApiTypes.BINARY}
        if body is None:
            return {status: None}
        return {status: body(many=True) if self._is_list_view() else body()}

    def get_override_parameters(self) -> list[Any]:
        return []

    def _map_basic_serializer(self, serializer: Any, direction: Any) -> dict[str, Any]:
        described: dict[str, Any] = super()._map_basic_serializer(serializer, direction)  # type: ignore[no-untyped-call]
        if isinstance(serializer, Input):
            described["additionalProperties"] = False
        return described

    def _is_list_view(self, serializer: Any = None) -> bool:
        if isinstance(self.view, Resource):
            return self.method == "GET" and self.view.pages
        return super()._is_list_view(serializer)

    def _get_filter_parameters(self) -> list[dict[str, Any]]:
        if not isinstance(self.view, Resource):
            return list(super()._get_filter_parameters())  # type: ignore[no-untyped-call]
        filters = getattr(self.view.filterset_class, "base_filters", {}) if self.method == "GET" else {}
        return [
            {
                "name": name,
                "in": "query",
                "schema": schema_of(each),
                **({"description": each.extra["help_text"]} if "help_text" in each.extra else {}),
                **({"required": True} if each.extra.get("required") else {}),
            }
            for name, each in filters.items()
        ]

    def _get_parameters(self) -> list[dict[str, Any]]:
        parameters: list[dict[str, Any]] = super()._get_parameters()
        if isinstance(self.view, Resource):
            parameters += [
                {
                    "name": name,
                    "in": "query",
                    "required": each.required,
                    "description": each.description,
                    "schema": {"type": "string", **({"format": each.format} if each.format else {})},
                }
                for name, each in self.view.parameters.get(self.method, {}).items()
            ]
            if self.method == "POST":
                parameters.append(
                    _header(IDEMPOTENCY_KEY, "One effect however often it is sent (24 h).", MAX_KEY)
                )
            if self.method == "PATCH" and self.view.has_versions:
                parameters.append(
                    _header("If-Match", "The ETag last read: refuse if it was changed since.", 200)
                )
        return parameters

    def _refusals(self, operation: dict[str, Any]) -> list[str]:
        wanted = {"400", "401", "403"}
        if "{" in self.path:
            wanted.add("404")
        if self.method not in ("GET", "HEAD"):
            wanted.add("409")
        if self.method == "PATCH" and self.view.has_versions:
            wanted.add("412")
        return sorted(wanted)


@lru_cache(maxsize=1)
def document() -> dict[str, Any]:
    """The whole description; made once in a process."""
    with patched_settings(GENERATION):
        generator: Any = SchemaGenerator(urlconf="portal.urls")  # type: ignore[no-untyped-call]
        described: dict[str, Any] = _without_hints(generator.get_schema(request=None, public=True))
    return described


def _without_hints(part: Any) -> Any:
    """The generator's marks for its own later steps are no part of the description."""
    if isinstance(part, dict):
        return {name: _without_hints(inner) for name, inner in part.items() if name != "x-spec-enum-id"}
    return [_without_hints(inner) for inner in part] if isinstance(part, list) else part


def _header(name: str, description: str, longest: int) -> dict[str, Any]:
    schema = {"type": "string", "maxLength": longest}
    return {"name": name, "in": "header", "description": description, "schema": schema}
