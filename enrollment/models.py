"""Keys that let devices in, and the credentials they get."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from fleet.models import Device, RoomGroup
from foundation.tenant_tables import TenantForeignKey, TenantModel, TenantQuerySet
from tenancy.models import Person


class EnrollmentKeyQuerySet(TenantQuerySet["EnrollmentKey"]):
    def usable(self, *, at: datetime) -> Self:
        return self.filter(revoked_at=None, expires_at__gt=at, uses__lt=F("max_uses"))


class EnrollmentKey(TenantModel):
    """A secret with which devices register themselves. Shown once; only its digest is kept."""

    class Approval(models.TextChoices):
        MANUAL = "manual"  # the device waits as onboarding until a person accepts it to a room
        AUTO = "auto"  # its room is found or made from the name it gives, and watched at once

    public_id = models.CharField(max_length=12)  # the first five characters are the tenant's number
    digest = models.BinaryField(max_length=32)  # SHA-256 of the secret
    label = models.CharField(max_length=80)
    group = TenantForeignKey(RoomGroup, on_delete=models.PROTECT, related_name="enrollment_keys")
    kinds = ArrayField(
        models.CharField(max_length=16, choices=Device.Kind), default=list, blank=True
    )  # empty: all
    approval = models.CharField(max_length=8, choices=Approval, default=Approval.MANUAL)
    simple_clients = models.BooleanField(default=False)  # a device may come without a key pair
    allowed_cidrs = ArrayField(
        models.CharField(max_length=43), default=list, blank=True
    )  # empty: any address
    max_uses = models.PositiveIntegerField(default=100)
    uses = models.PositiveIntegerField(default=0)
    created_by = TenantForeignKey(Person, on_delete=models.PROTECT, related_name="+", null=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[EnrollmentKeyQuerySet] = EnrollmentKeyQuerySet.as_manager()

    class Meta(TenantModel.Meta):
        indexes = [models.Index(fields=["tenant", "created_at", "id"], name="enrollment_key_created")]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "public_id"], name="enrollment_key_one_per_id"),
            models.CheckConstraint(condition=Q(uses__lte=F("max_uses")), name="enrollment_key_uses_in_limit"),
        ]

    def __str__(self) -> str:
        return self.label


class DeviceCredential(TenantModel):
    """One token of a device and the public key that may renew it. Rotation adds a row, never changes a digest.

    All rows of a device are its family: of those handed out since the last use, the first one used is confirmed
    and supersedes the rest. `changed_at` moves with every change, so that accepting processes can poll for it.
    """

    device = TenantForeignKey(Device, on_delete=models.CASCADE, related_name="credentials")
    public_id = models.CharField(max_length=12)
    digest = models.BinaryField(max_length=32)  # SHA-256 of the token's secret
    public_key = models.BinaryField(max_length=32, null=True)  # Ed25519, raw; null for simple clients
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    confirmed_at = models.DateTimeField(null=True, blank=True)  # first used; then its predecessor ends
    replaced_at = models.DateTimeField(
        null=True, blank=True
    )  # a successor was issued: ends 24 h later at most
    superseded_at = models.DateTimeField(null=True, blank=True)  # another of the family was first used: ended
    revoked_at = models.DateTimeField(null=True, blank=True)
    changed_at = models.DateTimeField()  # of anything above: accepting processes poll for it

    class Meta(TenantModel.Meta):
        indexes = [
            models.Index(fields=["tenant", "device"], name="enrollment_credential_device"),
            models.Index(fields=["device"], name="enrollment_credential_whose"),  # recovery names no tenant
            models.Index(fields=["tenant", "public_key"], name="enrollment_credential_key"),
            models.Index(fields=["changed_at"], name="enrollment_credential_changed"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "public_id"], name="enrollment_credential_one_per_id")
        ]


class TrustedIssuer(TenantModel):
    """Who issues client certificates by which devices get in, where a proxy in front checks them."""

    label = models.CharField(max_length=80)
    fingerprint = models.CharField(max_length=64)  # SHA-1 or SHA-256 in lower-case hex
    created_by = TenantForeignKey(Person, on_delete=models.PROTECT, related_name="+", null=True)
    created_at = models.DateTimeField()

    class Meta(TenantModel.Meta):
        constraints = [
            models.UniqueConstraint(fields=["tenant", "fingerprint"], name="enrollment_issuer_once")
        ]

    def __str__(self) -> str:
        return self.label


class HardwareFact(TenantModel):
    """Something that tells one machine from another: "serial:…", "firmware:…", "mac:…". Two that agree are a match."""

    device = TenantForeignKey(Device, on_delete=models.CASCADE, related_name="hardware_facts")
    fact = models.CharField(max_length=80)

    class Meta(TenantModel.Meta):
        indexes = [models.Index(fields=["tenant", "device"], name="enrollment_hardware_device")]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "fact", "device"], name="enrollment_hardware_fact_once")
        ]
