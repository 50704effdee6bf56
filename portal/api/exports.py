"""/exports: lists as CSV, XLSX or JSON, written in the background."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar
from uuid import UUID

from django.http import FileResponse
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from fleet import exports
from fleet.export_tables import TABLES
from foundation import clock, jobs
from foundation.models import Job
from foundation.tables.writing import FORMATS
from portal.api.fields import Input, Word
from portal.api.filters import Filters, any_of
from portal.api.resources import Resource
from portal.web import downloads
from tenancy.on_behalf import By


class ExportSerializer(serializers.Serializer[Job]):
    id = serializers.UUIDField()
    what = serializers.SerializerMethodField()
    format = serializers.SerializerMethodField()
    filters = serializers.SerializerMethodField()
    state = serializers.ChoiceField(choices=Job.State.choices)
    done = serializers.IntegerField(help_text="Rows written.")
    total = serializers.IntegerField(allow_null=True, help_text="Rows in all; null until they are counted.")
    size_bytes = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    expires_at = serializers.SerializerMethodField()

    def get_what(self, job: Job) -> str:
        return str(job.parameters["what"])

    def get_format(self, job: Job) -> str:
        return str(job.parameters["format"])

    def get_filters(self, job: Job) -> dict[str, list[str]]:
        return dict(job.parameters["filters"])

    def get_size_bytes(self, job: Job) -> int | None:
        size: int | None = job.result.get("size_bytes")
        return size

    def get_expires_at(self, job: Job) -> str | None:
        return (job.ended_at + jobs.KEPT_FOR).isoformat() if job.ended_at else None


class ExportFiltersField(serializers.DictField):
    """{filter: value or values}, as the list's own parameters."""

    def to_internal_value(self, data: Any) -> dict[str, list[str]]:
        if not isinstance(data, Mapping):
            self.fail("not_a_dict", input_type=type(data).__name__)
        given: dict[str, list[str]] = {}
        for name, value in data.items():
            values = value if isinstance(value, list) else [value]
            if not all(isinstance(each, str) for each in values):
                raise ValidationError({name: ["This must be a text, or a list of texts."]})
            given[str(name)] = values
        return given


class ExportInput(Input):
    what = Word(choices=[(key, key) for key in TABLES])
    format = Word(choices=[(key, key) for key in FORMATS])
    filters = ExportFiltersField(
        required=False,
        child=serializers.ListField(child=serializers.CharField()),
        help_text="As the list's own parameters: {filter: [values]}.",
    )


class ExportFilters(Filters):
    state = any_of(Job.State.choices)


class ExportResource(Resource):
    serializer_class = ExportSerializer

    def by(self) -> By:
        return By(self.principal.actor, self.principal.rights)


class Exports(ExportResource):
    permissions: ClassVar = {"GET": "rooms.view", "POST": "rooms.view"}
    filterset_class = ExportFilters
    inputs: ClassVar = {"POST": ExportInput}
    order_by: ClassVar = ("-created_at", "-id")
    pages = True

    def get(self, request: Request) -> Response:
        """Exports, newest first: one's own, or all for somebody who sees every room. Each is kept for a week."""
        return self.list_of(exports.visible(self.by()))

    def post(self, request: Request) -> Response:
        """Write a list as a file. Ask for the export until its state is `done`, then fetch its file."""
        values = self.given()
        return self.once(request, lambda: self._start(values))

    def _start(self, values: dict[str, Any]) -> Response:
        query = values.get("filters", {})
        made = exports.start(values["what"], values["format"], query, by=self.by(), at=clock.now())
        return self.shown(made)


class ExportDetail(ExportResource):
    permissions: ClassVar = {"GET": "rooms.view", "DELETE": "rooms.view"}
    answers: ClassVar = {"DELETE": (200, ExportSerializer)}

    def get(self, request: Request, export_id: UUID) -> Response:
        """One export and how far it is."""
        return self.shown(exports.export(export_id, self.by()))

    def delete(self, request: Request, export_id: UUID) -> Response:
        """Stop writing it. One that has ended stays as it is."""
        return self.shown(exports.cancel(export_id, by=self.by(), at=clock.now()))


class ExportFile(ExportResource):
    permissions: ClassVar = {"GET": "rooms.view"}
    answers: ClassVar = {"GET": (200, None)}
    gives_file = True

    def get(self, request: Request, export_id: UUID) -> FileResponse:
        """The file, once the export is done."""
        return downloads.download(exports.file_of(exports.export(export_id, self.by()), at=clock.now()))
