"""What was done, and the chain that proves nothing of it was changed."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models

from foundation.tenant_tables import TenantModel


class AuditEvent(TenantModel):
    """Who did what, when, to which thing. Append-only by grant and by trigger; partitioned by day."""

    at = models.DateTimeField()
    actor_kind = models.CharField(max_length=16)  # person, token, device, system, enrollment_key
    actor_id = models.UUIDField(null=True, blank=True)
    actor_name = models.CharField(max_length=120, blank=True)
    actor_tenant_id = models.UUIDField(null=True, blank=True)  # the actor's own organisation, where another
    grant_id = models.UUIDField(null=True, blank=True)  # partnership or break glass acted under
    action = models.CharField(max_length=60)  # of tenancy.audit.ACTIONS
    object_kind = models.CharField(max_length=40, blank=True)
    object_id = models.UUIDField(null=True, blank=True)
    object_name = models.CharField(max_length=200, blank=True)
    result = models.CharField(max_length=12, default="successful")  # or "failed"
    before = models.JSONField(null=True, blank=True)  # only what changed, secrets masked
    after = models.JSONField(null=True, blank=True)
    address = models.GenericIPAddressField(null=True, blank=True)
    request_id = models.CharField(max_length=40, blank=True)

    class Meta(TenantModel.Meta):
        indexes = [
            models.Index(fields=["tenant", "object_kind", "object_id", "id"], name="tenancy_audit_object"),
            models.Index(fields=["tenant", "actor_id", "id"], name="tenancy_audit_actor"),
            models.Index(fields=["tenant", "action", "id"], name="tenancy_audit_action"),
        ]


class AuditPending(TenantModel):
    """An event that no seal covers yet; its id is the event's. Written beside it, gone when it is sealed."""

    at = models.DateTimeField()  # of the event

    class Meta(TenantModel.Meta):
        indexes = [models.Index(fields=["at"], name="tenancy_audit_pending_age")]


class AuditSeal(TenantModel):
    """One link of a customer's chain: `hash` = SHA-256 over the link before it and the rows of its events.

    All events of a link are of one day (UTC), so that a link is dropped from the log whole. Append-only.
    """

    seq = models.PositiveIntegerField()  # 1, 2, 3 without a hole
    day = models.DateField()  # of its events
    event_ids = ArrayField(models.UUIDField())  # in the order hashed
    prev = models.BinaryField(max_length=32)
    hash = models.BinaryField(max_length=32)
    sealed_at = models.DateTimeField()

    class Meta(TenantModel.Meta):
        constraints = [models.UniqueConstraint(fields=["tenant", "seq"], name="tenancy_audit_seal_once")]
