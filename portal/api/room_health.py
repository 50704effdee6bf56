"""/rooms/<id>/health: the live score of a room with what takes points, and its local day so far; and what a directory
tells of its account, /rooms/<id>/sign-in."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from fleet.models import Room
from foundation import clock
from incidents import account_facts, room_scores
from portal.api.fields import Input, Moment
from portal.api.resources import Resource


class PartSerializer(serializers.Serializer[Any]):
    points = serializers.IntegerField(help_text="What it takes.")
    text = serializers.CharField()
    incident = serializers.UUIDField(source="incident_id", allow_null=True)


class TodaySerializer(serializers.Serializer[Any]):
    healthy = serializers.BooleanField(
        help_text="At most 20 minutes of fault between 05:00 and 21:00 so far."
    )
    fault_s = serializers.IntegerField()


class RoomHealthSerializer(serializers.Serializer[Any]):
    room = serializers.UUIDField()
    state = serializers.ChoiceField(choices=Room.State.choices)
    score = serializers.IntegerField(allow_null=True, help_text="0 to 100; null: no device is watched.")
    label = serializers.CharField()  # type: ignore[assignment]  # a declared field is no attribute
    parts = PartSerializer(many=True)
    today = TodaySerializer(help_text="The room's local day.")


class RoomHealth(Resource):
    permissions: ClassVar = {"GET": "rooms.view"}
    serializer_class = RoomHealthSerializer

    def get(self, request: Request, room_id: UUID) -> Response:
        """The health of a room now, 100 less what takes points, the heaviest first."""
        room: Room = self.one_of(Room.objects.for_tenant(self.tenant_id).current(), room_id)
        at = clock.now()
        found = room_scores.score_of(room, at=at)
        return self.shown(
            {
                "room": room.id,
                "state": room.state,
                "score": found.value,
                "label": found.label,
                "parts": found.parts,
                "today": room_scores.today(room, at=at),
            }
        )


class SignInInput(Input):
    signed_in_at = Moment(
        help_text="When the room's account last signed in to Teams, as your directory tells."
    )


class SignInSerializer(serializers.Serializer[Any]):
    room = serializers.UUIDField()
    signed_in_at = serializers.DateTimeField()


class RoomSignIn(Resource):
    permissions: ClassVar = {"PUT": "rooms.modify"}
    serializer_class = SignInSerializer
    inputs: ClassVar = {"PUT": SignInInput}

    def put(self, request: Request, room_id: UUID) -> Response:
        """Tell when the room's account last signed in: a silent device whose account is in use is the signal
        `monitoring` rather than `offline`. An earlier time than is known changes nothing."""
        room: Room = self.one_of(Room.objects.for_tenant(self.tenant_id).current(), room_id)
        known = account_facts.note_sign_in(room, self.given()["signed_in_at"], at=clock.now())
        return self.shown({"room": room.id, "signed_in_at": known})
