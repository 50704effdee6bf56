"""POST /device/v1/events: what happened in a device's room, apart from the state of its signals."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import exceptions, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from foundation import clock
from foundation.errors import NotValid
from incidents import events
from incidents.models import RoomEvent
from portal.api.device_access import DeviceView
from portal.api.fields import Moment, Text, Word
from portal.api.schema import ProblemSerializer

RETRY_AFTER_S = 3600


class HappeningBody(serializers.Serializer[Any]):
    id = Text(
        required=False,
        allow_blank=True,
        max_length=events.LONGEST_UID,
        help_text="The device's own name for it: told again it adds nothing.",
    )
    kind = Word(choices=RoomEvent.Kind.choices)
    at = Moment()
    text = Text(required=False, allow_blank=True, max_length=events.LONGEST_TEXT)


class EventsBody(serializers.Serializer[Any]):
    events = HappeningBody(many=True, max_length=events.MOST_AT_ONCE)  # type: ignore[call-arg]  # of the list


class EventsAnswer(serializers.Serializer[Any]):
    stored = serializers.IntegerField(help_text="How many are new; none from a device that is not watched.")


class DeviceEvents(DeviceView):
    """Poor calls, reports from the room, restarts of the app. May be repeated."""

    @extend_schema(
        operation_id="device_events",
        tags=["device"],
        request=EventsBody,
        responses={
            200: EventsAnswer,
            ("400", "application/problem+json"): OpenApiResponse(
                ProblemSerializer, "The body is not valid; `errors` names each member at fault."
            ),
            ("401", "application/problem+json"): OpenApiResponse(
                ProblemSerializer, "The token is wrong, expired or revoked (`code`)."
            ),
            ("429", "application/problem+json"): OpenApiResponse(
                ProblemSerializer, "More than 200 events within an hour."
            ),
        },
    )
    def post(self, request: Request) -> Response:
        if not isinstance(request.data, dict):
            raise NotValid("The body must be a JSON object.")
        body = EventsBody(data=request.data)
        body.is_valid(raise_exception=True)
        at = clock.now()
        if not events.has_room_for(self.device, at=at):
            raise exceptions.Throttled(wait=RETRY_AFTER_S)
        told = [
            events.Happening(each["kind"], each["at"], each.get("text", ""), each.get("id", ""))
            for each in body.validated_data["events"]
        ]
        return Response({"stored": events.take_in(self.device, told, at=at)})
