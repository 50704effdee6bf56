"""/rollouts: releases on their way to rooms."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from foundation import clock
from portal.api.fields import Flag, Id, Input, Moment, Text, Whole, Word
from portal.api.filters import Filters, UUIDFilter, any_of
from portal.api.releases import etag, wanted_revision
from portal.api.resources import Resource
from updates import overview, proposals, rollout_actions
from updates.models import Rollout, RolloutTarget
from updates.states import RolloutState, TargetState

ROLLOUT_STATES = [(each.value, each.value) for each in RolloutState]
TARGET_STATES = [(each.value, each.value) for each in TargetState]


class StageSerializer(serializers.Serializer[overview.StageView]):
    ring = serializers.UUIDField(source="stage.ring_id")
    name = serializers.CharField(source="stage.name")
    position = serializers.IntegerField(source="stage.position")
    state = serializers.CharField(source="stage.state")
    reason = serializers.CharField(source="stage.reason", help_text="Why it stopped.")
    starts_on = serializers.DateField(source="stage.starts_on")
    rollout_days = serializers.IntegerField(source="stage.rollout_days")
    test_until = serializers.DateTimeField(allow_null=True)
    waits_for_approval = serializers.BooleanField(source="waits_for_yes")
    scheduled = serializers.IntegerField(source="counts.scheduled")
    in_progress = serializers.IntegerField(source="counts.in_progress")
    succeeded = serializers.IntegerField(source="counts.succeeded")
    failed = serializers.IntegerField(source="counts.failed")
    skipped = serializers.IntegerField(source="counts.skipped")


class RolloutSerializer(serializers.Serializer[Rollout]):
    id = serializers.UUIDField()
    release = serializers.UUIDField(source="release_id")
    kind = serializers.ChoiceField(choices=Rollout.Kind.choices)
    undoes = serializers.UUIDField(source="undoes_id", allow_null=True)
    state = serializers.ChoiceField(choices=ROLLOUT_STATES)
    reason = serializers.CharField(help_text="Why it is paused or over.")
    stopped_by_gate = serializers.BooleanField()
    starts_on = serializers.DateField(help_text="The first night, in the time of each room.")
    health_minutes = serializers.IntegerField()
    needs_consent = serializers.BooleanField()
    download_only = serializers.BooleanField()
    forced_at = serializers.DateTimeField(
        allow_null=True, help_text="From then on update clients are told to install; null: they may choose."
    )
    created_at = serializers.DateTimeField()
    approved_at = serializers.DateTimeField(allow_null=True)
    started_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)


class RolloutDetailSerializer(RolloutSerializer):
    rings = serializers.SerializerMethodField()
    left_out = serializers.SerializerMethodField(help_text="Devices by the reason they are left out for.")

    def get_rings(self, row: Rollout) -> list[dict[str, Any]]:
        views = overview.stage_views([row], at=clock.now())[row.id]
        return [dict(StageSerializer(view).data) for view in views]

    def get_left_out(self, row: Rollout) -> dict[str, int]:
        return proposals.left_out(row)


class TargetSerializer(serializers.Serializer[RolloutTarget]):
    id = serializers.UUIDField()
    device = serializers.UUIDField(source="device_id")
    room = serializers.UUIDField(source="room_id", allow_null=True)
    ring = serializers.CharField(source="stage.name", allow_null=True, default=None)
    state = serializers.ChoiceField(choices=TARGET_STATES)
    reason = serializers.CharField(help_text="Why it is left out, was skipped or failed.")
    detail = serializers.CharField()
    night = serializers.DateField(allow_null=True, help_text="Planned, in the room's time.")
    before = serializers.CharField(help_text="The version it ran.")
    catch_up = serializers.BooleanField()
    forced = serializers.CharField()
    changed_at = serializers.DateTimeField()


class RolloutInput(Input):
    release = Id()
    starts_on = serializers.DateField(
        required=False, allow_null=True, help_text="Left out: the next Wednesday, or today where critical."
    )
    rings = serializers.ListField(required=False, child=Id(), max_length=9, help_text="All where left out.")
    health_minutes = Whole(required=False)
    needs_consent = Flag(required=False, help_text="Update clients that can are asked before they begin.")
    download_only = Flag(
        required=False, help_text="Devices fetch the file and leave it at that; a later rollout installs it."
    )
    forced_at = Moment(
        required=False, allow_null=True, help_text="From then on update clients may no longer choose when."
    )


class RolloutReasonInput(Input):
    reason = Text(max_length=200)


class RollBackInput(RolloutReasonInput):
    release = Id(help_text="An earlier release of the same product.")
    ring = Id(required=False, allow_null=True, help_text="Rooms of one ring; of all where left out.")


class ForceInput(RolloutReasonInput):
    when = Word(choices=list(rollout_actions.FORCES))


class RetriedSerializer(serializers.Serializer[dict[str, int]]):
    retried = serializers.IntegerField()


class StoppedSerializer(serializers.Serializer[rollout_actions.Stopped]):
    rollout = RolloutDetailSerializer()
    taken_back = serializers.IntegerField(source="withdrawn.taken_back")
    asked_to_stop = serializers.IntegerField(source="withdrawn.asked")
    past_return = serializers.IntegerField(source="withdrawn.past", help_text="They finish.")


class RolloutFilters(Filters):
    state = any_of(ROLLOUT_STATES)
    release = UUIDFilter(field_name="release_id")


class TargetFilters(Filters):
    state = any_of(TARGET_STATES)
    room = UUIDFilter(field_name="room_id")
    device = UUIDFilter(field_name="device_id")


class Rollouts(Resource):
    permissions: ClassVar = {"GET": "updates.view", "POST": "updates.create"}
    serializer_class = RolloutSerializer
    filterset_class = RolloutFilters
    inputs: ClassVar = {"POST": RolloutInput}
    answers: ClassVar = {"POST": (201, RolloutDetailSerializer)}
    order_by = ("-created_at", "-id")
    pages = True

    def get(self, request: Request) -> Response:
        """Rollouts, newest first."""
        return self.list_of(Rollout.objects.for_tenant(self.tenant_id))

    def post(self, request: Request) -> Response:
        """Plan one: who gets it on which night, who is left out. Nothing happens before it is approved."""
        values = self.given()
        by = self.principal.person

        def plan() -> Response:
            made = proposals.propose(
                values["release"],
                starts_on=values.get("starts_on"),
                ring_ids=values.get("rings"),
                health_minutes=values.get("health_minutes", proposals.HEALTH_MINUTES),
                needs_consent=values.get("needs_consent", False),
                forced_at=values.get("forced_at"),
                download_only=values.get("download_only", False),
                by=by,
                at=clock.now(),
            )
            return self.shown(made, ETag=etag(made.revision))

        return self.once(request, plan)


class RolloutDetail(Resource):
    permissions: ClassVar = {"GET": "updates.view"}
    serializer_class = RolloutDetailSerializer

    def get(self, request: Request, rollout_id: UUID) -> Response:
        """One rollout with its rings. The ETag is the version If-Match takes."""
        row = self.one_of(Rollout.objects.for_tenant(self.tenant_id), rollout_id)
        return self.shown(row, ETag=etag(row.revision))


class RolloutTargets(Resource):
    permissions: ClassVar = {"GET": "updates.view"}
    serializer_class = TargetSerializer
    filterset_class = TargetFilters
    order_by = ("id",)
    pages = True

    def get(self, request: Request, rollout_id: UUID) -> Response:
        """Its devices: when, how far, and why not."""
        row = self.one_of(Rollout.objects.for_tenant(self.tenant_id), rollout_id)
        rows = RolloutTarget.objects.for_tenant(self.tenant_id).filter(rollout=row)
        show = RolloutTarget.objects.for_tenant(self.tenant_id).select_related("stage")
        return self.list_of(rows, show=show)


class RolloutAction(Resource):
    """What people do to a rollout; If-Match makes sure that it is the one they looked at."""

    serializer_class: Any = RolloutDetailSerializer
    answers: ClassVar = {"POST": (200, RolloutDetailSerializer)}

    def row(self, request: Request, rollout_id: UUID) -> tuple[UUID, int | None]:
        found = self.one_of(Rollout.objects.for_tenant(self.tenant_id), rollout_id)
        return found.id, wanted_revision(request, found.revision)


class RolloutApprove(RolloutAction):
    permissions: ClassVar = {"POST": "updates.create"}

    def post(self, request: Request, rollout_id: UUID) -> Response:
        """It begins on its first night."""
        key, revision = self.row(request, rollout_id)
        by = self.principal.person
        return self.shown(rollout_actions.approve(key, revision=revision, by=by, at=clock.now()))


class RolloutStart(RolloutAction):
    permissions: ClassVar = {"POST": "updates.create"}

    def post(self, request: Request, rollout_id: UUID) -> Response:
        """Begin today instead of on the day planned."""
        key, revision = self.row(request, rollout_id)
        return self.shown(rollout_actions.start(key, revision=revision, at=clock.now()))


class RolloutPause(RolloutAction):
    permissions: ClassVar = {"POST": "updates.modify"}
    serializer_class = StoppedSerializer
    inputs: ClassVar = {"POST": RolloutReasonInput}
    answers: ClassVar = {"POST": (200, StoppedSerializer)}

    def post(self, request: Request, rollout_id: UUID) -> Response:
        """No further room; says how many are past the point of no return. Opens a ticket."""
        values = self.given()
        key, revision = self.row(request, rollout_id)
        return self.shown(rollout_actions.pause(key, revision=revision, **values, at=clock.now()))


class RolloutResume(RolloutAction):
    permissions: ClassVar = {"POST": "updates.modify"}

    def post(self, request: Request, rollout_id: UUID) -> Response:
        """Go on."""
        key, revision = self.row(request, rollout_id)
        return self.shown(rollout_actions.resume(key, revision=revision, at=clock.now()))


class RolloutCancel(RolloutAction):
    permissions: ClassVar = {"POST": "updates.modify"}
    serializer_class = StoppedSerializer
    inputs: ClassVar = {"POST": RolloutReasonInput}
    answers: ClassVar = {"POST": (200, StoppedSerializer)}

    def post(self, request: Request, rollout_id: UUID) -> Response:
        """End it for good."""
        values = self.given()
        key, revision = self.row(request, rollout_id)
        return self.shown(rollout_actions.cancel(key, revision=revision, **values, at=clock.now()))


class RolloutRetry(RolloutAction):
    permissions: ClassVar = {"POST": "updates.modify"}
    serializer_class = RetriedSerializer
    answers: ClassVar = {"POST": (200, RetriedSerializer)}

    def post(self, request: Request, rollout_id: UUID) -> Response:
        """Let every device that failed try again in its next hours."""
        key, _ = self.row(request, rollout_id)
        return self.shown({"retried": rollout_actions.retry_failed(key, at=clock.now())})


class RolloutRollBack(RolloutAction):
    permissions: ClassVar = {"POST": "updates.modify"}
    inputs: ClassVar = {"POST": RollBackInput}
    answers: ClassVar = {"POST": (201, RolloutDetailSerializer)}

    def post(self, request: Request, rollout_id: UUID) -> Response:
        """Bring updated rooms back to an earlier release: a rollout of its own. This one is paused."""
        values = self.given()
        key, _ = self.row(request, rollout_id)
        by = self.principal.person
        return self.once(
            request,
            lambda: self.shown(
                rollout_actions.roll_back(
                    key,
                    to_release_id=values["release"],
                    reason=values["reason"],
                    ring_id=values.get("ring"),
                    by=by,
                    at=clock.now(),
                )
            ),
        )


class RolloutRingApprove(RolloutAction):
    permissions: ClassVar = {"POST": "updates.create"}

    def post(self, request: Request, rollout_id: UUID, ring_id: UUID) -> Response:
        """Let a ring begin that waits for a yes. Repeating it changes nothing."""
        key, _ = self.row(request, rollout_id)
        rollout_actions.approve_ring(key, ring_id, at=clock.now())
        return self.shown(rollout_actions.rollout(key))


class TargetRetry(RolloutAction):
    permissions: ClassVar = {"POST": "updates.modify"}
    serializer_class = TargetSerializer
    answers: ClassVar = {"POST": (200, TargetSerializer)}

    def post(self, request: Request, rollout_id: UUID, target_id: UUID) -> Response:
        """One device that failed or was skipped tries again."""
        key, _ = self.row(request, rollout_id)
        return self.shown(rollout_actions.retry(key, target_id, at=clock.now()))


class TargetForce(RolloutAction):
    permissions: ClassVar = {"POST": "updates.modify"}
    serializer_class = TargetSerializer
    inputs: ClassVar = {"POST": ForceInput}
    answers: ClassVar = {"POST": (200, TargetSerializer)}

    def post(self, request: Request, rollout_id: UUID, target_id: UUID) -> Response:
        """One device whatever its ring, night and hours. On record; not advised."""
        values = self.given()
        key, _ = self.row(request, rollout_id)
        return self.shown(rollout_actions.force(key, target_id, **values, at=clock.now()))
