"""/schema and /docs: the description of the API for programs and for people. Public: it holds nothing of a customer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from portal.api.schema import document

METHODS = ("get", "post", "put", "patch", "delete")


class Public(APIView):
    """Needs no token."""

    authentication_classes = ()
    permission_classes = ()
    http_method_names = ["get", "head"]
    schema = None


class Schema(Public):
    def get(self, request: Request) -> Response:
        return Response(document())


class Docs(Public):
    def get(self, request: Request) -> HttpResponse:
        return reference_page(request._request)


@dataclass(frozen=True)
class Line:
    """A parameter or member: what it is called, what it holds, what it means."""

    name: str
    type: str
    required: bool
    description: str


@dataclass(frozen=True)
class Operation:
    id: str
    method: str
    path: str
    description: str
    permission: str
    parameters: list[Line]
    takes: str
    members: list[Line]
    answers: list[tuple[str, str, str]]  # status, its name, what comes


@dataclass(frozen=True)
class Section:
    name: str
    operations: list[Operation]


@dataclass(frozen=True)
class Shape:
    name: str
    description: str
    members: list[Line]


def reference_page(request: HttpRequest) -> HttpResponse:
    described = document()
    context = {
        "title": described["info"]["title"],
        "description": described["info"]["description"],
        "schema_url": reverse("api:schema"),
        "sections": sections(described),
        "shapes": [
            Shape(name, shape.get("description", ""), list(_members(shape)))
            for name, shape in sorted(described["components"]["schemas"].items())
        ],
    }
    return render(request, "api/docs.html", context)


def sections(described: dict[str, Any]) -> list[Section]:
    """Operations by their tag, in the order of the addresses."""
    by_tag: dict[str, list[Operation]] = {}
    for path, item in described["paths"].items():
        for method in METHODS:
            if method in item:
                operation = item[method]
                by_tag.setdefault(operation["tags"][0], []).append(
                    _operation(path, method, operation, described)
                )
    return [Section(tag, operations) for tag, operations in by_tag.items()]


def _operation(path: str, method: str, operation: dict[str, Any], described: dict[str, Any]) -> Operation:
    body = _schema(operation.get("requestBody", {}))
    takes = _name_of(body)
    shape = described["components"]["schemas"].get(takes, {})
    return Operation(
        id=operation["operationId"],
        method=method.upper(),
        path=path,
        description=operation.get("description", "").split("\n\nNeeds")[0],
        permission=operation.get("x-permission", ""),
        parameters=[
            Line(
                each["name"],
                f"{_type_of(each['schema'])} ({each['in']})",
                each.get("required", False),
                each.get("description", ""),
            )
            for each in operation.get("parameters", ())
        ],
        takes=takes,
        members=list(_members(shape)),
        answers=[
            (status, HTTPStatus(int(status)).phrase, _answer(answer))
            for status, answer in operation["responses"].items()
        ],
    )


def _members(shape: dict[str, Any]) -> Iterator[Line]:
    required = shape.get("required", ())
    for name, member in shape.get("properties", {}).items():
        yield Line(name, _type_of(member), name in required, member.get("description", ""))


def _answer(answer: dict[str, Any]) -> str:
    schema = _schema(answer)
    return _type_of(schema) if schema else "no body"


def _schema(body: dict[str, Any]) -> dict[str, Any]:
    """What a request or an answer holds; empty where it has no body."""
    contents: list[dict[str, Any]] = list(body.get("content", {}).values())
    schema: dict[str, Any] = contents[0]["schema"] if contents else {}
    return schema


def _name_of(schema: dict[str, Any]) -> str:
    return str(schema.get("$ref", "")).rpartition("/")[2]


def _type_of(schema: dict[str, Any]) -> str:
    """A schema in few words."""
    if "$ref" in schema:
        return _name_of(schema)
    for several in ("oneOf", "anyOf", "allOf"):
        if several in schema:
            return " or ".join(_type_of(each) for each in schema[several])
    if "enum" in schema:
        return " | ".join("null" if each is None else str(each) or '""' for each in schema["enum"])
    kind = schema.get("type", "any")
    if isinstance(kind, list):
        return " or ".join(_type_of({**schema, "type": each}) for each in kind)
    if kind == "array":
        return f"list of {_type_of(schema.get('items', {}))}"
    return str(schema.get("format", kind)) if kind == "string" else str(kind)
