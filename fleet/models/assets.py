"""What people list by hand: things of a room that no device reports."""

from __future__ import annotations

from typing import ClassVar, Self

from django.db import models
from django.db.models import Q

from fleet.models.places import Room
from foundation.tenant_tables import TenantForeignKey, TenantModel, TenantQuerySet


class AssetQuerySet(TenantQuerySet["Asset"]):
    def current(self) -> Self:
        return self.filter(removed_at=None)


class Asset(TenantModel):
    """A projector, dock, router, motion sensor, table … of a room. A removed one stays, for the room's history."""

    class Kind(models.TextChoices):
        PROJECTOR = "projector"
        SCREEN = "screen"
        DOCK = "dock"
        ROUTER = "router"
        SWITCH = "switch"
        MOTION_SENSOR = "motion_sensor"
        WHITEBOARD = "whiteboard"
        TABLE = "table"
        OTHER = "other"

    room = TenantForeignKey(Room, on_delete=models.PROTECT, related_name="assets")
    kind = models.CharField(max_length=16, choices=Kind)
    name = models.CharField(max_length=120)
    make = models.CharField(max_length=80, blank=True)
    model = models.CharField(max_length=120, blank=True)
    serial_number = models.CharField(max_length=64, blank=True)
    tag = models.CharField(max_length=64, blank=True)  # the customer's own inventory number
    note = models.CharField(max_length=300, blank=True)
    version = models.PositiveIntegerField(default=1)  # of what people edit; the ETag
    created_at = models.DateTimeField()
    removed_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[AssetQuerySet] = AssetQuerySet.as_manager()

    class Meta(TenantModel.Meta):
        indexes = [
            models.Index(
                fields=["tenant", "name", "id"], condition=Q(removed_at=None), name="fleet_asset_list"
            )
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "room", "name"],
                condition=Q(removed_at=None),
                name="fleet_asset_one_per_name",
            ),
            models.UniqueConstraint(
                fields=["tenant", "serial_number"],
                condition=~Q(serial_number="") & Q(removed_at=None),
                name="fleet_asset_one_per_serial",
            ),
        ]

    def __str__(self) -> str:
        return self.name
