"""Who comes first: ordered rings of rooms, and the hours rooms may be updated in."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from fleet.models import Room, RoomGroup
from foundation.tenant_tables import TenantForeignKey, TenantModel


class Ring(TenantModel):
    """Rooms that get an update together, spread over some days, then watched over some more."""

    class Kind(models.TextChoices):
        STAGING = "staging"
        GENERAL = "general"  # of every room without another
        EXECUTIVE = "executive"
        OWN = "own"

    kind = models.CharField(max_length=9, choices=Kind, default=Kind.OWN)
    name = models.CharField(max_length=80)
    description = models.CharField(max_length=300, blank=True)
    position = models.PositiveSmallIntegerField()  # 1 to 9: its order
    rollout_days = models.PositiveSmallIntegerField()
    test_days = models.PositiveSmallIntegerField()
    needs_approval = models.BooleanField(default=False)  # somebody says yes before it begins
    at_once = models.PositiveSmallIntegerField(default=10)  # rooms being updated at a time
    building_limit = models.PositiveSmallIntegerField(null=True, blank=True)  # of those, in one building
    model_limit = models.PositiveSmallIntegerField(null=True, blank=True)  # and of one model
    failure_limit_pct = models.PositiveSmallIntegerField(default=5)  # of the ring's rooms, at its end
    revision = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField()

    class Meta(TenantModel.Meta):
        constraints = [
            models.UniqueConstraint(fields=["tenant", "name"], name="updates_ring_one_per_name"),
            models.UniqueConstraint(fields=["tenant", "position"], name="updates_ring_one_per_position"),
            models.UniqueConstraint(
                fields=["tenant", "kind"], condition=~Q(kind="own"), name="updates_ring_built_in_once"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class RingMembership(TenantModel):
    """A room, or all rooms of a group, in a ring. Exactly one of the two is named."""

    ring = TenantForeignKey(Ring, on_delete=models.CASCADE, related_name="memberships")
    room = TenantForeignKey(Room, on_delete=models.CASCADE, related_name="+", null=True, blank=True)
    group = TenantForeignKey(RoomGroup, on_delete=models.CASCADE, related_name="+", null=True, blank=True)

    class Meta(TenantModel.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "room"], condition=~Q(room=None), name="updates_ring_of_room"
            ),
            models.UniqueConstraint(
                fields=["tenant", "group"], condition=~Q(group=None), name="updates_ring_of_group"
            ),
        ]
        indexes = [models.Index(fields=["tenant", "ring"], name="updates_ring_members")]


class InstallWindowSetting(TenantModel):
    """Hours of the room's own time in which updates are installed: of a group, or (none named) of all rooms."""

    group = TenantForeignKey(RoomGroup, on_delete=models.CASCADE, related_name="+", null=True, blank=True)
    starts = models.TimeField()
    ends = models.TimeField()  # before `starts`: past midnight

    class Meta(TenantModel.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "group"], nulls_distinct=False, name="updates_window_once"
            )
        ]
