"""Makes and models that are known to work: shared rows that the operator keeps, and a customer's own."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models

from foundation.ids import new_id
from foundation.tenant_tables import TenantModel


class CatalogFacts(models.Model):
    """What is known of one make and model on one platform. Unknown is empty."""

    class Kind(models.TextChoices):
        ROOM_SYSTEM = "room_system"
        VIDEO_BAR = "video_bar"
        BOARD = "board"
        CONSOLE = "console"
        PANEL = "panel"
        CAMERA = "camera"
        CONTENT_CAMERA = "content_camera"
        SPEAKERPHONE = "speakerphone"
        MICROPHONE = "microphone"
        SPEAKER = "speaker"
        AUDIO_SYSTEM = "audio_system"
        DISPLAY = "display"
        OTHER = "other"

    class Platform(models.TextChoices):
        WINDOWS = "windows"  # Teams Rooms on Windows, and what is plugged into it
        ANDROID = "android"
        ANY = "any"

    class Certification(models.TextChoices):
        CERTIFIED = "certified"
        NOT_CERTIFIED = "not_certified"
        UNKNOWN = "unknown"

    make = models.CharField(max_length=80)
    model = models.CharField(max_length=120)
    also_known_as = ArrayField(
        models.CharField(max_length=120), default=list, blank=True
    )  # other model names
    kind = models.CharField(max_length=16, choices=Kind)
    platform = models.CharField(max_length=8, choices=Platform)
    certification = models.CharField(max_length=13, choices=Certification, default=Certification.UNKNOWN)
    certified_until = models.DateField(null=True, blank=True)
    support_ends = models.DateField(null=True, blank=True)
    good_firmware = models.CharField(max_length=120, blank=True)  # as its source writes it
    usb_ids = ArrayField(models.CharField(max_length=9), default=list, blank=True)  # "046d:089b", lower case
    note = models.CharField(max_length=300, blank=True)
    sources = ArrayField(models.CharField(max_length=300), default=list, blank=True)  # pages that say so
    source_date = models.DateField(null=True, blank=True)  # of the first page, as it was read

    # Kept from the above by fleet.catalog: what a device is looked up by, and what lists are ordered and searched by.
    keys = ArrayField(models.CharField(max_length=220), default=list, blank=True)
    sort_key = models.CharField(max_length=240, db_collation="C")
    words = models.TextField(blank=True)  # folded, each after a space

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.make} {self.model}"


class CatalogEntry(CatalogFacts):
    """A shared row, from a data file (fleet.catalog_files). Global, small."""

    table_class: ClassVar[str] = "global"
    is_own: ClassVar[bool] = False

    id = models.UUIDField(
        primary_key=True, default=new_id, editable=False
    )  # follows from make, model, platform
    origin = models.CharField(max_length=80)  # the file it came from

    objects: ClassVar[models.Manager[CatalogEntry]] = models.Manager()

    class Meta:
        indexes = [
            models.Index(fields=["sort_key", "id"], name="fleet_catalog_list"),
            GinIndex(fields=["keys"], name="fleet_catalog_keys"),
        ]


class OwnCatalogEntry(CatalogFacts, TenantModel):
    """A row of a customer. It goes before a shared one for the same thing."""

    is_own: ClassVar[bool] = True

    version = models.PositiveIntegerField(default=1)  # the ETag
    created_at: models.DateTimeField[datetime, datetime] = models.DateTimeField()

    class Meta(TenantModel.Meta):
        indexes = [models.Index(fields=["tenant", "sort_key", "id"], name="fleet_own_catalog_list")]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "sort_key", "platform"], name="fleet_own_catalog_one_per_model"
            )
        ]
