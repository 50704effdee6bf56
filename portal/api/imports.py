"""/imports: tables of rooms, assets and peripherals, checked whole and then applied whole or not at all."""

from __future__ import annotations

import hashlib
import tempfile
from typing import IO, Any, ClassVar
from uuid import UUID

from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from fleet.imports import runs
from fleet.imports.kinds import KINDS
from fleet.models import ImportProblem, ImportRun
from foundation import clock
from foundation.errors import NotValid
from foundation.tables.reading import LARGEST_BYTES
from portal.access import mark_approved
from portal.api.fields import Input, Text
from portal.api.filters import Filters, any_of
from portal.api.parsers import BinaryParser, BodyTooLarge
from portal.api.resources import Resource
from tenancy.on_behalf import By

PIECE = 256 * 1024
LONGEST_NAME = 200


class ImportSerializer(serializers.Serializer[ImportRun]):
    id = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=ImportRun.Kind.choices)
    state = serializers.ChoiceField(choices=ImportRun.State.choices)
    file_name = serializers.CharField()
    size_bytes = serializers.IntegerField()
    header = serializers.ListField(child=serializers.CharField(), help_text="Names of the file's columns.")
    columns = serializers.SerializerMethodField()
    total = serializers.IntegerField(allow_null=True, help_text="Rows; null until they are counted.")
    done = serializers.IntegerField(help_text="Rows of the step under way that are done.")
    creates = serializers.IntegerField()
    updates = serializers.IntegerField()
    unchanged = serializers.IntegerField()
    problems = serializers.IntegerField()
    new_places = serializers.SerializerMethodField()
    note = serializers.CharField(help_text="Why it failed, or was checked again.")
    created_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)

    def get_columns(self, run: ImportRun) -> dict[str, str]:
        return {key: run.header[place] for key, place in run.columns.items()}

    def get_new_places(self, run: ImportRun) -> list[str]:
        return [place["full_name"] for place in run.new_places]


class ProblemOfImportSerializer(serializers.Serializer[ImportProblem]):
    row = serializers.IntegerField(help_text="As a spreadsheet counts; the header is row 1.")
    column = serializers.CharField(help_text="As the file calls it; empty for the row as a whole.")
    value = serializers.CharField()
    message = serializers.CharField()


class ImportColumnsInput(Input):
    columns = serializers.DictField(
        required=False,
        child=Text(max_length=200),
        help_text="Property: name of its column in the file. As guessed where left out.",
    )


class ImportFilters(Filters):
    kind = any_of(ImportRun.Kind.choices)
    state = any_of(ImportRun.State.choices)


class ImportResource(Resource):
    """Only applying changes rooms: the rest needs no approval of the customer's."""

    serializer_class: type[serializers.BaseSerializer[Any]] = ImportSerializer
    answers: ClassVar = {"POST": (200, ImportSerializer)}

    def by(self) -> By:
        return By(self.principal.actor, self.principal.rights)


class Imports(ImportResource):
    permissions: ClassVar = {"GET": "rooms.modify", "POST": "rooms.modify"}
    filterset_class = ImportFilters
    parser_classes = (BinaryParser,)
    takes_file = True
    query: ClassVar = {
        "kind": f"What is in it: {', '.join(KINDS)}.",
        "name": "The file's name, as it is shown.",
    }
    answers: ClassVar = {"POST": (201, ImportSerializer)}
    order_by: ClassVar = ("-created_at", "-id")
    pages = True

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        mark_approved(request._request)
        super().initial(request, *args, **kwargs)

    def get(self, request: Request) -> Response:
        """Imports, newest first: one's own, or all for somebody who may change every room."""
        return self.list_of(runs.visible(self.by()))

    def post(self, request: Request) -> Response:
        """Send a table. Its columns are guessed; nothing is changed."""
        asked = request.query_params
        unknown = sorted(set(asked) - set(self.query))
        if unknown:
            raise ValidationError({unknown[0][:80]: ["There is no such parameter."]})
        kind, name = asked.get("kind", ""), asked.get("name", "").strip()
        if not name or len(name) > LONGEST_NAME or "\0" in name:
            raise NotValid(
                f"Name the file: ?name=rooms.csv, at most {LONGEST_NAME} characters.", field="name"
            )
        with tempfile.TemporaryFile() as file:
            self._digest = _spooled(request.data, file)
            return self.once(request, lambda: self._receive(kind, file, name))

    def body_of(self, request: Request) -> bytes:
        return f"{request.get_full_path()} {self._digest}".encode()

    def _receive(self, kind: str, file: IO[bytes], name: str) -> Response:
        file.seek(0)
        return self.shown(runs.receive(kind, file, name, by=self.by(), at=clock.now()))


def _spooled(stream: Any, file: IO[bytes]) -> str:
    """The body in a file of ours; its digest. An empty one has no stream."""
    digest, size = hashlib.sha256(), 0
    while (piece := stream.read(PIECE) if hasattr(stream, "read") else b"") != b"":
        size += len(piece)
        if size > LARGEST_BYTES:
            raise BodyTooLarge(LARGEST_BYTES)
        digest.update(piece)
        file.write(piece)
    return digest.hexdigest()


class ImportDetail(ImportResource):
    permissions: ClassVar = {"GET": "rooms.modify"}

    def get(self, request: Request, import_id: UUID) -> Response:
        """One import: its columns, how far it is, what it will do."""
        return self.shown(runs.run(import_id, self.by()))


class ImportCheck(ImportResource):
    permissions: ClassVar = {"POST": "rooms.modify"}
    inputs: ClassVar = {"POST": ImportColumnsInput}

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        mark_approved(request._request)
        super().initial(request, *args, **kwargs)

    def post(self, request: Request, import_id: UUID) -> Response:
        """Check every row. Ask for the import until its state is `checked`, then see its problems."""
        named = self.given().get("columns")
        return self.once(request, lambda: self._check(import_id, named))

    def _check(self, import_id: UUID, named: dict[str, str] | None) -> Response:
        columns = None
        if named is not None:
            header = {
                name.casefold(): place for place, name in enumerate(runs.run(import_id, self.by()).header)
            }
            columns = {key: header.get(name.strip().casefold(), -1) for key, name in named.items()}
        return self.shown(runs.check(import_id, columns, by=self.by(), at=clock.now()))


class ImportApply(ImportResource):
    permissions: ClassVar = {"POST": "rooms.modify"}

    def post(self, request: Request, import_id: UUID) -> Response:
        """Carry out what the check found, in one transaction. Refused while there are problems."""
        return self.once(request, lambda: self.shown(runs.apply(import_id, by=self.by(), at=clock.now())))


class ImportCancel(ImportResource):
    permissions: ClassVar = {"POST": "rooms.modify"}

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        mark_approved(request._request)
        super().initial(request, *args, **kwargs)

    def post(self, request: Request, import_id: UUID) -> Response:
        """Drop it before it is applied. Repeating it changes nothing."""
        return self.shown(runs.cancel(import_id, by=self.by(), at=clock.now()))


class ImportProblems(ImportResource):
    permissions: ClassVar = {"GET": "rooms.modify"}
    serializer_class = ProblemOfImportSerializer
    order_by: ClassVar = ("row", "place", "id")
    pages = True

    def get(self, request: Request, import_id: UUID) -> Response:
        """What is wrong, by row and column."""
        return self.list_of(runs.problems_of(runs.run(import_id, self.by())))
