"""A release on its way to rooms: the rollout, its rings, its rooms, each try in a room."""

from __future__ import annotations

from typing import ClassVar, Self

from django.db import models
from django.db.models import Q

from fleet.models import Device, Room
from foundation.tenant_tables import TenantForeignKey, TenantModel, TenantQuerySet
from tenancy.models import Person
from updates.models.releases import Release
from updates.states import AttemptState, RolloutState, StageState, TargetState


class Rollout(TenantModel):
    """One release brought to the rooms it fits, ring after ring; or rooms brought back to an earlier one."""

    class Kind(models.TextChoices):
        INSTALL = "install"
        ROLLBACK = "rollback"

    release = TenantForeignKey(Release, on_delete=models.PROTECT, related_name="rollouts")
    kind = models.CharField(max_length=8, choices=Kind, default=Kind.INSTALL)
    undoes = TenantForeignKey("self", on_delete=models.PROTECT, related_name="+", null=True, blank=True)
    state = models.CharField(max_length=23, choices=[(each.value, each.value) for each in RolloutState])
    starts_on = models.DateField()  # the first night, in each room's time
    health_minutes = models.PositiveSmallIntegerField(default=10)  # healthy so long on it: it succeeded
    needs_consent = models.BooleanField(default=False)  # devices that can are asked before they begin
    download_only = models.BooleanField(default=False)  # another rollout installs it
    forced_at = models.DateTimeField(null=True, blank=True)  # from then on devices are not left the choice
    others = models.PositiveIntegerField(default=0)  # devices of other makes or models: it is not for them
    reason = models.CharField(max_length=200, blank=True)  # why it is paused or was cancelled
    paused_at = models.DateTimeField(null=True, blank=True)
    stopped_by_gate = models.BooleanField(default=False)
    due_at = models.DateTimeField(null=True, blank=True)  # when to look at it again; null: nothing to do
    revision = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField()
    created_by = TenantForeignKey(Person, on_delete=models.PROTECT, related_name="+", null=True, blank=True)
    approved_at = models.DateTimeField(null=True, blank=True)
    approved_by = TenantForeignKey(Person, on_delete=models.PROTECT, related_name="+", null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta(TenantModel.Meta):
        indexes = [
            models.Index(fields=["tenant", "created_at", "id"], name="updates_rollout_order"),
            models.Index(fields=["due_at"], condition=~Q(due_at=None), name="updates_rollout_due"),
            models.Index(fields=["tenant", "release"], name="updates_rollout_release"),
        ]

    def __str__(self) -> str:
        return str(self.release)


class RolloutStage(TenantModel):
    """One ring of a rollout, with the ring's terms as they were when the rollout was planned."""

    rollout = TenantForeignKey(Rollout, on_delete=models.CASCADE, related_name="stages")
    ring_id = models.UUIDField()  # no key: a ring may go, what happened in it stays
    name = models.CharField(max_length=80)
    position = models.PositiveSmallIntegerField()
    rollout_days = models.PositiveSmallIntegerField()
    test_days = models.PositiveSmallIntegerField()
    needs_approval = models.BooleanField(default=False)
    approved_at = models.DateTimeField(null=True, blank=True)
    at_once = models.PositiveSmallIntegerField()
    building_limit = models.PositiveSmallIntegerField(null=True, blank=True)
    model_limit = models.PositiveSmallIntegerField(null=True, blank=True)
    failure_limit_pct = models.PositiveSmallIntegerField()
    state = models.CharField(max_length=11, choices=[(each.value, each.value) for each in StageState])
    reason = models.CharField(max_length=200, blank=True)  # why it stopped
    failed_accepted = models.PositiveIntegerField(default=0)  # failures somebody knew of and went on
    starts_on = models.DateField()  # as planned; put off while an earlier ring is not through
    started_at = models.DateTimeField(null=True, blank=True)
    installed_at = models.DateTimeField(null=True, blank=True)  # the last room was through
    passed_at = models.DateTimeField(null=True, blank=True)
    # How many targets are in each state: kept by the transactions that change them.
    scheduled = models.PositiveIntegerField(default=0)
    in_progress = models.PositiveIntegerField(default=0)
    succeeded = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    skipped = models.PositiveIntegerField(default=0)

    class Meta(TenantModel.Meta):
        constraints = [
            models.UniqueConstraint(fields=["tenant", "rollout", "position"], name="updates_stage_order")
        ]

    def __str__(self) -> str:
        return self.name


class RolloutGate(TenantModel):
    """What rooms of a stage reported so far, over all and per model (updates.gates.FailureGate)."""

    stage = TenantForeignKey(RolloutStage, on_delete=models.CASCADE, related_name="gates")
    model = models.CharField(max_length=201, blank=True)  # make and model; "": over all
    reported = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    score = models.FloatField(default=0.0)
    tripped = models.BooleanField(default=False)

    class Meta(TenantModel.Meta):
        constraints = [models.UniqueConstraint(fields=["tenant", "stage", "model"], name="updates_gate_once")]


class TargetQuerySet(TenantQuerySet["RolloutTarget"]):
    def due(self) -> Self:
        return self.filter(state=TargetState.SCHEDULED)


class RolloutTarget(TenantModel):
    """One device in a rollout. Those the release is for and that are left out are here too, with the reason."""

    rollout = TenantForeignKey(Rollout, on_delete=models.CASCADE, related_name="targets")
    stage = TenantForeignKey(
        RolloutStage, on_delete=models.CASCADE, related_name="targets", null=True, blank=True
    )
    device = TenantForeignKey(Device, on_delete=models.CASCADE, related_name="update_targets")
    room = TenantForeignKey(
        Room, on_delete=models.PROTECT, related_name="update_targets", null=True, blank=True
    )
    model = models.CharField(max_length=201)  # of the device: make and model
    building = models.UUIDField(null=True, blank=True)  # the room's site
    state = models.CharField(max_length=12, choices=[(each.value, each.value) for each in TargetState])
    reason = models.CharField(max_length=40, blank=True)  # a word of updates.reasons: why it waits or is out
    detail = models.CharField(max_length=300, blank=True)  # what the device or the check said last
    night = models.DateField(null=True, blank=True)  # planned; the room's date the window starts on
    before = models.CharField(max_length=80, blank=True)  # the version it ran
    tries = models.PositiveSmallIntegerField(default=0)
    forced = models.CharField(max_length=9, blank=True)  # "", now, next_free
    catch_up = models.BooleanField(default=False)  # came after its ring, does not wait for it
    changed_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[TargetQuerySet] = TargetQuerySet.as_manager()

    class Meta(TenantModel.Meta):
        constraints = [
            models.UniqueConstraint(fields=["tenant", "rollout", "device"], name="updates_target_once")
        ]
        indexes = [
            models.Index(
                fields=["tenant", "rollout", "night", "id"],
                condition=Q(state="scheduled"),
                name="updates_target_waiting",
            ),
            models.Index(fields=["tenant", "rollout", "state", "id"], name="updates_target_state"),
            models.Index(fields=["tenant", "room"], name="updates_target_room"),
        ]


class AttemptQuerySet(TenantQuerySet["Attempt"]):
    def open(self) -> Self:
        return self.filter(ended_at=None)


class Attempt(TenantModel):
    """One try to update one device: what update clients call an action. A retry is a new one with a new number."""

    target = TenantForeignKey(RolloutTarget, on_delete=models.CASCADE, related_name="attempts")
    rollout = TenantForeignKey(Rollout, on_delete=models.CASCADE, related_name="attempts")
    device = TenantForeignKey(Device, on_delete=models.CASCADE, related_name="update_attempts")
    room = TenantForeignKey(Room, on_delete=models.PROTECT, related_name="update_attempts")
    release = TenantForeignKey(Release, on_delete=models.PROTECT, related_name="+")
    number = models.PositiveIntegerField()  # 1 to 2**31 - 1, never used twice by a customer
    state = models.CharField(max_length=11, choices=[(each.value, each.value) for each in AttemptState])
    forced = models.BooleanField(default=False)
    detail = models.CharField(max_length=300, blank=True)
    percent = models.PositiveSmallIntegerField(null=True, blank=True)  # as the device tells
    faults_before = models.PositiveIntegerField(default=0)  # open faults of the room when it was offered
    offered_at = models.DateTimeField()
    fetched_at = models.DateTimeField(null=True, blank=True)  # the device has read what to install
    last_report_at = models.DateTimeField(null=True, blank=True)
    installed_at = models.DateTimeField(null=True, blank=True)  # the device says it is done
    healthy_since = models.DateTimeField(null=True, blank=True)
    due_at = models.DateTimeField()  # by then something must have happened
    ended_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[AttemptQuerySet] = AttemptQuerySet.as_manager()

    class Meta(TenantModel.Meta):
        constraints = [
            models.UniqueConstraint(fields=["tenant", "number"], name="updates_attempt_number"),
            models.UniqueConstraint(  # two rollouts may want a room: one at a time has it
                fields=["tenant", "room"], condition=Q(ended_at=None), name="updates_attempt_one_per_room"
            ),
        ]
        indexes = [
            models.Index(
                fields=["tenant", "rollout"], condition=Q(ended_at=None), name="updates_attempt_open"
            ),
            models.Index(fields=["tenant", "device", "offered_at"], name="updates_attempt_device"),
        ]
