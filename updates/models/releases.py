"""What can be installed: a version of something, whom it fits, and the file devices fetch."""

from __future__ import annotations

from typing import ClassVar, Self

from django.db import models
from django.db.models import Q

from foundation.tenant_tables import TenantForeignKey, TenantModel, TenantQuerySet
from tenancy.models import Person
from updates.versions import Scheme


class ReleaseQuerySet(TenantQuerySet["Release"]):
    def offered(self) -> Self:
        """Not withdrawn and not replaced by a newer one."""
        return self.filter(state=Release.State.AVAILABLE)


class Release(TenantModel):
    """A version of one product. It fits devices (or their equipment) of a make and model that run an earlier one."""

    class Kind(models.TextChoices):
        ROOM_APP = "room_app", "Room app"
        OS_FEATURE = "os_feature", "System, feature update"
        OS_QUALITY = "os_quality", "System, quality update"
        DRIVER = "driver", "Driver"
        BIOS = "bios", "BIOS"
        CAMERA_FIRMWARE = "camera_firmware", "Camera firmware"
        AUDIO_FIRMWARE = "audio_firmware", "Audio firmware"
        THIRD_PARTY = "third_party", "Third-party app"
        AGENT = "agent", "Agent"

    class State(models.TextChoices):
        AVAILABLE = "available"
        DEPRECATED = "deprecated"  # superseded by a newer one, or withdrawn by a person

    name = models.CharField(max_length=80)  # of the product: "Room app"
    kind = models.CharField(max_length=16, choices=Kind)
    version = models.CharField(max_length=80)
    scheme = models.CharField(max_length=8, choices=[(each.value, each.value) for each in Scheme])
    component = models.CharField(max_length=40)  # under which devices report the version they run
    make = models.CharField(max_length=80, blank=True)  # "": any
    model = models.CharField(max_length=120, blank=True)  # "": any
    runs_from = models.CharField(max_length=80, blank=True)  # fits what runs at least this; "": anything
    runs_to = models.CharField(max_length=80, blank=True)  # and at most this
    critical = models.BooleanField(default=False)  # does not wait for the weekday rollouts start on
    notes = models.TextField(max_length=10_000, blank=True)
    known_issues = models.TextField(max_length=10_000, blank=True)
    published_on = models.DateField(null=True, blank=True)  # by its maker

    state = models.CharField(max_length=10, choices=State, default=State.AVAILABLE)
    supersedes = TenantForeignKey(
        "self", on_delete=models.PROTECT, related_name="+", null=True, blank=True
    )  # the one before it
    deprecated_at = models.DateTimeField(null=True, blank=True)
    deprecated_reason = models.CharField(max_length=200, blank=True)
    withdrawn = models.BooleanField(default=False)  # by a person: nobody gets its file any more
    revision = models.PositiveIntegerField(default=1)  # of what people edit; the ETag
    created_at = models.DateTimeField()
    created_by = TenantForeignKey(Person, on_delete=models.PROTECT, related_name="+", null=True, blank=True)

    objects: ClassVar[ReleaseQuerySet] = ReleaseQuerySet.as_manager()

    class Meta(TenantModel.Meta):
        constraints = [
            models.UniqueConstraint(fields=["tenant", "name", "version"], name="updates_release_once"),
        ]
        indexes = [
            models.Index(fields=["tenant", "created_at", "id"], name="updates_release_order"),
            models.Index(
                fields=["tenant", "component"],
                condition=Q(state="available"),
                name="updates_release_offered",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


class Artifact(TenantModel):
    """The file of a release. Its content is kept by digest outside the database (updates.artifacts)."""

    release = TenantForeignKey(Release, on_delete=models.CASCADE, related_name="artifacts")
    name = models.CharField(max_length=200)
    media_type = models.CharField(max_length=80)
    size_bytes = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)  # digests in lower-case hex
    sha1 = models.CharField(max_length=40)
    md5 = models.CharField(max_length=32)
    created_at = models.DateTimeField()

    class Meta(TenantModel.Meta):
        constraints = [  # one: some clients take the first file of a deployment and refuse more
            models.UniqueConstraint(fields=["tenant", "release"], name="updates_artifact_one")
        ]

    def __str__(self) -> str:
        return self.name
