"""/incidents/<id>/…: resolving, merging and linking, rooms, high impact, attachments, the same fault before."""

from __future__ import annotations

from typing import IO, Any, ClassVar, cast
from uuid import UUID

from django.http import FileResponse
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from foundation import clock
from foundation.errors import NotValid
from incidents import attachments, lifecycle, recorded, relations
from incidents.models import Incident, IncidentAttachment
from incidents.timeline import Author
from portal.api.fields import Id, Input, Text, Word
from portal.api.incidents import IncidentAction, IncidentSerializer, incidents_of
from portal.api.parsers import BinaryParser
from portal.api.resources import Parameter, Resource
from portal.web import downloads

LONGEST_NAME = 200


class ResolveInput(Input):
    cause = Word(choices=list(lifecycle.CAUSES.items()))
    text = Text(required=False, allow_blank=True, max_length=10_000, help_text="What fixed it.")


class MergeInput(Input):
    into = Id(help_text="The incident that goes on.")


class LinkInput(Input):
    other = Id()


class ImpactInput(Input):
    reason = Text(max_length=recorded.LONGEST_REASON)


class IncidentRoomsInput(Input):
    rooms = serializers.ListField(child=Id(), min_length=1, max_length=recorded.MOST_ROOMS)


class LinkedSerializer(serializers.Serializer[Any]):
    results = IncidentSerializer(many=True)


class EarlierSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField(source="incident.id")
    number = serializers.CharField(source="incident.number")
    state = serializers.ChoiceField(source="incident.state", choices=Incident.State.choices)
    opened_at = serializers.DateTimeField(source="incident.opened_at")
    resolved_at = serializers.DateTimeField(source="incident.resolved_at", allow_null=True)
    cause = serializers.CharField(source="incident.cause")
    solved = serializers.CharField(help_text="What solved it, as told.")


class EarlierListSerializer(serializers.Serializer[Any]):
    results = EarlierSerializer(many=True)


class AttachmentSerializer(serializers.Serializer[IncidentAttachment]):
    id = serializers.UUIDField()
    name = serializers.CharField(source="file.name")
    media_type = serializers.CharField(source="file.media_type", help_text="By its content.")
    size_bytes = serializers.IntegerField(source="file.size_bytes")
    sha256 = serializers.CharField(source="file.sha256")
    by = serializers.CharField(source="by.name", default=None, allow_null=True)
    by_operator = serializers.BooleanField()
    at = serializers.DateTimeField()


class IncidentResolve(IncidentAction):
    inputs: ClassVar = {"POST": ResolveInput}

    def post(self, request: Request, incident_id: UUID) -> Response:
        """It is done, and why. A signal that is still unhealthy after its watching period opens it again."""
        values = self.given()
        return self.carry_out(
            request,
            incident_id,
            lambda incident, by: lifecycle.resolve(
                incident, by=by, by_operator=False, at=clock.now(), **values
            ),
        )


class IncidentMerge(IncidentAction):
    inputs: ClassVar = {"POST": MergeInput}

    def post(self, request: Request, incident_id: UUID) -> Response:
        """It is a duplicate: another one goes on, for its rooms too."""
        values = self.given()
        return self.carry_out(
            request,
            incident_id,
            lambda incident, by: relations.merge(
                incident, self.named(values["into"], "into"), author=Author(by), at=clock.now()
            ),
        )


class IncidentLinks(IncidentAction):
    permissions: ClassVar = {"GET": "tickets.view", "POST": "tickets.modify"}
    inputs: ClassVar = {"POST": LinkInput}
    answers: ClassVar = {"GET": (200, LinkedSerializer), "POST": (201, IncidentSerializer)}

    def get(self, request: Request, incident_id: UUID) -> Response:
        """Incidents a person linked to it, by number."""
        incident = self.one_of(incidents_of(self.tenant_id), incident_id)
        ids = [each.id for each in relations.linked_to(incident)]
        return self.shown({"results": incidents_of(self.tenant_id).filter(id__in=ids).order_by("number")})

    def post(self, request: Request, incident_id: UUID) -> Response:
        """The two belong together. Repeating it changes nothing."""
        values = self.given()
        return self.carry_out(
            request,
            incident_id,
            lambda incident, by: relations.link(
                incident, self.named(values["other"], "other"), author=Author(by), at=clock.now()
            ),
        )


class IncidentLink(IncidentAction):
    permissions: ClassVar = {"DELETE": "tickets.modify"}
    answers: ClassVar = {"DELETE": (204, None)}

    def delete(self, request: Request, incident_id: UUID, other_id: UUID) -> Response:
        """They do not belong together after all."""
        incident = self.one_of(incidents_of(self.tenant_id), incident_id)
        other = relations.linked(incident, other_id)
        relations.unlink(incident, other, author=Author(self.person_acting()), at=clock.now())
        return Response(status=204)


class IncidentImpact(IncidentAction):
    permissions: ClassVar = {"PUT": "tickets.modify", "DELETE": "tickets.modify"}
    inputs: ClassVar = {"PUT": ImpactInput}
    answers: ClassVar = {"PUT": (200, IncidentSerializer), "DELETE": (204, None)}

    def put(self, request: Request, incident_id: UUID) -> Response:
        """It is of high impact, for a reason."""
        return self._set(incident_id, self.given()["reason"])

    def delete(self, request: Request, incident_id: UUID) -> Response:
        """It is of high impact no longer. Repeating it changes nothing."""
        return self._set(incident_id, "")

    def _set(self, incident_id: UUID, reason: str) -> Response:
        incident = self.one_of(incidents_of(self.tenant_id), incident_id)
        recorded.set_high_impact(incident, reason, author=Author(self.person_acting()), at=clock.now())
        return Response(status=204) if not reason else self.again(incident_id)


class IncidentRooms(IncidentAction):
    permissions: ClassVar = {"PUT": "tickets.modify"}
    inputs: ClassVar = {"PUT": IncidentRoomsInput}
    answers: ClassVar = {"PUT": (200, IncidentSerializer)}

    def put(self, request: Request, incident_id: UUID) -> Response:
        """A recorded issue is about these rooms from now on."""
        wanted = self.given()["rooms"]
        incident = self.one_of(incidents_of(self.tenant_id), incident_id)
        recorded.change_rooms(incident, wanted, author=Author(self.person_acting()), at=clock.now())
        return self.again(incident_id)


class IncidentEarlier(Resource):
    permissions: ClassVar = {"GET": "tickets.view"}
    serializer_class = EarlierListSerializer

    def get(self, request: Request, incident_id: UUID) -> Response:
        """Earlier incidents of the same fault and what solved them, the latest first; five at most."""
        incident = self.one_of(incidents_of(self.tenant_id), incident_id)
        return self.shown({"results": relations.same_fault_before(incident)})


class IncidentAttachments(IncidentAction):
    """The body of an upload is the file itself; its name is a parameter."""

    permissions: ClassVar = {"GET": "tickets.view", "POST": "tickets.modify"}
    serializer_class = AttachmentSerializer  # type: ignore[assignment]  # of another thing than its siblings
    answers: ClassVar = {"POST": (201, AttachmentSerializer)}
    parser_classes = (BinaryParser,)
    takes_file = True
    parameters: ClassVar = {"POST": {"name": Parameter("The file's name, as shown and downloaded.")}}
    order_by = ("at", "id")
    pages = True

    def get(self, request: Request, incident_id: UUID) -> Response:
        """Pictures, videos and logs of an incident, oldest first."""
        return self.list_of(attachments.of(self.one_of(incidents_of(self.tenant_id), incident_id)))

    def post(self, request: Request, incident_id: UUID) -> Response:
        """Attach a file: the body is its content. PNG, JPEG, WebP and GIF up to 15 MB; MP4 and WebM up to 200 MB;
        text, zip, gzip and evtx up to 50 MB. The content decides."""
        incident = self.one_of(incidents_of(self.tenant_id), incident_id)
        name = request.query_params.get("name", "").strip()
        if not name or len(name) > LONGEST_NAME or "\0" in name:
            raise NotValid("Name the file: ?name=photo.jpg, at most 200 characters.", field="name")
        if not hasattr(request.data, "read"):  # nothing was sent, so nothing was parsed
            raise NotValid("The body is the file, and it is empty.")
        author = Author(self.person_acting())
        return self.once(
            request,
            lambda: self.shown(
                attachments.attach(
                    incident, cast(IO[bytes], request.data), name, author=author, at=clock.now()
                )
            ),
        )

    def body_of(self, request: Request) -> bytes:
        """A file is not read twice: who repeats a key sends the same name and length."""
        return f"{request.get_full_path()}\n{request.headers.get('Content-Length', '')}".encode()


class IncidentAttachmentDetail(IncidentAction):
    permissions: ClassVar = {"GET": "tickets.view", "DELETE": "tickets.modify"}
    answers: ClassVar = {"GET": (200, None), "DELETE": (204, None)}
    gives_file = True

    def get(self, request: Request, incident_id: UUID, attachment_id: UUID) -> FileResponse:
        """The file's content, to be saved and never shown."""
        incident = self.one_of(incidents_of(self.tenant_id), incident_id)
        return downloads.download(attachments.attachment(incident, attachment_id).file)

    def delete(self, request: Request, incident_id: UUID, attachment_id: UUID) -> Response:
        """Remove it, content and all."""
        incident = self.one_of(incidents_of(self.tenant_id), incident_id)
        attachments.detach(incident, attachment_id, author=Author(self.person_acting()), at=clock.now())
        return Response(status=204)
