"""What devices' update clients told: attributes, reports; and the numbers their actions are known by."""

from __future__ import annotations

from django.db import models

from fleet.models import Device
from foundation.tenant_tables import TenantForeignKey, TenantModel
from updates.models.rollouts import Attempt


class UpdateClient(TenantModel):
    """A device as its update client knows itself."""

    controller_id = models.CharField(max_length=256)  # what stands in the addresses it calls
    device = TenantForeignKey(Device, on_delete=models.CASCADE, related_name="update_clients")
    program = models.CharField(max_length=120, blank=True)  # its User-Agent
    attributes = models.JSONField(default=dict, blank=True)  # text to text, as it told them
    wants_attributes = models.BooleanField(default=True)  # we ask for them
    auto_confirm = models.JSONField(null=True, blank=True)  # standing consent: who, why, since when
    last_poll_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()

    class Meta(TenantModel.Meta):
        constraints = [
            models.UniqueConstraint(fields=["tenant", "controller_id"], name="updates_client_once"),
            models.UniqueConstraint(fields=["tenant", "device"], name="updates_client_of_device"),
        ]


class AttemptReport(TenantModel):
    """One thing a device said about an attempt, or that happened to it."""

    attempt = TenantForeignKey(Attempt, on_delete=models.CASCADE, related_name="reports")
    at = models.DateTimeField()
    by_device = models.BooleanField(default=True)
    execution = models.CharField(max_length=12)  # the protocol's word, or ours
    finished = models.CharField(max_length=8, blank=True)
    details = models.JSONField(default=list, blank=True)  # lines, oldest first

    class Meta(TenantModel.Meta):
        indexes = [models.Index(fields=["tenant", "attempt", "at", "id"], name="updates_report_order")]


class ActionNumber(TenantModel):
    """The last number given to an attempt of this customer."""

    last = models.PositiveIntegerField(default=0)

    class Meta(TenantModel.Meta):
        constraints = [models.UniqueConstraint(fields=["tenant"], name="updates_action_number_once")]
