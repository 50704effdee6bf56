"""/releases: what can be installed, with its file."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from rest_framework import serializers
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response

from fleet.errors import ChangedMeanwhile
from foundation import clock
from portal.api.fields import Flag, Input, Text, Word
from portal.api.filters import CharFilter, Filters, any_of
from portal.api.resources import Resource
from updates import releases, rollout_actions
from updates.models import Artifact, Release
from updates.versions import Scheme


class ReleaseFileSerializer(serializers.Serializer[Artifact]):
    name = serializers.CharField()
    media_type = serializers.CharField()
    size_bytes = serializers.IntegerField()
    sha256 = serializers.CharField()
    created_at = serializers.DateTimeField()


class ReleaseSerializer(serializers.Serializer[Release]):
    id = serializers.UUIDField()
    name = serializers.CharField(help_text="Of the product.")
    kind = serializers.ChoiceField(choices=Release.Kind.choices)
    version = serializers.CharField()
    scheme = serializers.ChoiceField(choices=[each.value for each in Scheme])
    component = serializers.CharField(
        help_text="Under which devices report the version they run; `equipment`: the firmware of what is attached."
    )
    make = serializers.CharField(help_text="Empty: any.")
    model = serializers.CharField(help_text="Empty: any.")
    runs_from = serializers.CharField(help_text="Installs over this version and later ones. Empty: any.")
    runs_to = serializers.CharField(help_text="And over none later than this. Empty: any.")
    critical = serializers.BooleanField()
    notes = serializers.CharField()
    known_issues = serializers.CharField()
    published_on = serializers.DateField(allow_null=True)
    state = serializers.ChoiceField(choices=Release.State.choices)
    withdrawn = serializers.BooleanField(help_text="Nobody may fetch its file any more.")
    supersedes = serializers.UUIDField(source="supersedes_id", allow_null=True)
    created_at = serializers.DateTimeField()
    file = serializers.SerializerMethodField()

    def get_file(self, row: Release) -> dict[str, Any] | None:
        kept = next(iter(row.artifacts.all()), None)
        return dict(ReleaseFileSerializer(kept).data) if kept else None


class ReleaseTextsInput(Input):
    make = Text(required=False, allow_blank=True, max_length=80)
    model = Text(required=False, allow_blank=True, max_length=120)
    runs_from = Text(required=False, allow_blank=True, max_length=80)
    runs_to = Text(required=False, allow_blank=True, max_length=80)
    critical = Flag(required=False)
    notes = Text(required=False, allow_blank=True, max_length=10_000)
    known_issues = Text(required=False, allow_blank=True, max_length=10_000)
    published_on = serializers.DateField(required=False, allow_null=True)


class ReleaseInput(ReleaseTextsInput):
    name = Text(max_length=80)
    kind = Word(choices=Release.Kind.values)
    version = Text(max_length=80)
    scheme = Word(choices=[each.value for each in Scheme], required=False)
    component = Text(required=False, allow_blank=True, max_length=40)


class DeprecationInput(Input):
    reason = Text(max_length=200)
    withdraw = Flag(required=False, help_text="Nobody may fetch its file any more either.")


class ReleaseFilters(Filters):
    name = CharFilter(max_length=80)
    kind = any_of(Release.Kind.choices)
    state = any_of(Release.State.choices)


class StreamParser(BaseParser):
    """Hands on the body as it comes, whatever its type: a file is never held in memory."""

    media_type = "*/*"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        return stream


class Releases(Resource):
    permissions: ClassVar = {"GET": "updates.view", "POST": "updates.create"}
    serializer_class = ReleaseSerializer
    filterset_class = ReleaseFilters
    inputs: ClassVar = {"POST": ReleaseInput}
    order_by = ("-created_at", "-id")
    pages = True

    def get(self, request: Request) -> Response:
        """Releases, newest first."""
        return self.list_of(Release.objects.for_tenant(self.tenant_id).prefetch_related("artifacts"))

    def post(self, request: Request) -> Response:
        """Add a release; its file is sent after it."""
        values = self.given()
        by = self.principal.person

        def add() -> Response:
            made = releases.add_release(**values, by=by, at=clock.now())
            return self.shown(made, ETag=etag(made.revision))

        return self.once(request, add)


class ReleaseDetail(Resource):
    permissions: ClassVar = {"GET": "updates.view", "PATCH": "updates.create"}
    serializer_class = ReleaseSerializer
    inputs: ClassVar = {"PATCH": ReleaseTextsInput}
    has_versions = True

    def get(self, request: Request, release_id: UUID) -> Response:
        """One release. The ETag is the version If-Match takes."""
        row = self.one_of(Release.objects.for_tenant(self.tenant_id), release_id)
        return self.shown(row, ETag=etag(row.revision))

    def patch(self, request: Request, release_id: UUID) -> Response:
        """Change what is given. Whom it fits stays as it is while a rollout of it runs."""
        values = self.given()
        row = self.one_of(Release.objects.for_tenant(self.tenant_id), release_id)
        changed = releases.edit_release(
            row.id, revision=wanted_revision(request, row.revision), **values, at=clock.now()
        )
        return self.shown(changed, ETag=etag(changed.revision))


class ReleaseFile(Resource):
    permissions: ClassVar = {"PUT": "updates.create"}
    serializer_class = ReleaseSerializer
    parser_classes = (StreamParser,)
    answers: ClassVar = {"PUT": (200, ReleaseSerializer)}

    def put(self, request: Request, release_id: UUID) -> Response:
        """The file as it is, named by `?name=`. `?sha256=` is checked where it is given."""
        row = self.one_of(Release.objects.for_tenant(self.tenant_id), release_id)
        length = request.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()):
            raise ParseError("Send the file with its Content-Length.")
        releases.keep_file(
            row.id,
            request._request,  # type: ignore[arg-type]  # only `read` is asked for
            request.query_params.get("name", "")[:200],
            size_bytes=int(length),
            sha256=request.query_params.get("sha256") or None,
            at=clock.now(),
        )
        return self.shown(releases.release(row.id))


class ReleaseDeprecation(Resource):
    permissions: ClassVar = {"POST": "updates.create"}
    serializer_class = ReleaseSerializer
    inputs: ClassVar = {"POST": DeprecationInput}
    answers: ClassVar = {"POST": (200, ReleaseSerializer)}

    def post(self, request: Request, release_id: UUID) -> Response:
        """It goes to no further room; rollouts of it end. Repeating it changes nothing."""
        values = self.given()
        row = self.one_of(Release.objects.for_tenant(self.tenant_id), release_id)
        return self.shown(rollout_actions.deprecate_release(row.id, **values, at=clock.now()))


def etag(revision: int) -> str:
    return f'"v{revision}"'


def wanted_revision(request: Request, current: int) -> int | None:
    """What If-Match asks for: None without it. Raises ChangedMeanwhile where it is another."""
    wanted = request.headers.get("If-Match")
    if wanted is None or wanted.strip() == "*":
        return None
    if etag(current) not in [each.strip() for each in wanted.split(",")]:
        raise ChangedMeanwhile("Somebody changed this meanwhile. Look at it again.")
    return current
