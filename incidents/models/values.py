"""A customer's values: of each signal, for all rooms and for those of a group, and what it is promised."""

from __future__ import annotations

from django.db import models

from fleet.models import RoomGroup
from foundation.tenant_tables import TenantForeignKey, TenantModel
from incidents.severity import Severity


class SignalSetting(TenantModel):
    """A customer's own values for a signal; absent or null means the default of its rule."""

    signal = models.CharField(max_length=40)
    enabled = models.BooleanField(null=True, blank=True)
    watch_s = models.PositiveIntegerField(null=True, blank=True)
    severity = models.PositiveSmallIntegerField(choices=Severity, null=True, blank=True)
    recover_s = models.PositiveIntegerField(null=True, blank=True)

    class Meta(TenantModel.Meta):
        constraints = [
            models.UniqueConstraint(fields=["tenant", "signal"], name="incidents_signal_setting_once")
        ]


class GroupSignalSetting(TenantModel):
    """The same for the rooms of a group; absent or null means what the customer has."""

    group = TenantForeignKey(RoomGroup, on_delete=models.CASCADE, related_name="+")
    signal = models.CharField(max_length=40)
    enabled = models.BooleanField(null=True, blank=True)
    watch_s = models.PositiveIntegerField(null=True, blank=True)
    severity = models.PositiveSmallIntegerField(choices=Severity, null=True, blank=True)
    recover_s = models.PositiveIntegerField(null=True, blank=True)

    class Meta(TenantModel.Meta):
        constraints = [
            models.UniqueConstraint(fields=["tenant", "group", "signal"], name="incidents_group_setting_once")
        ]


class IncidentTerms(TenantModel):
    """What a customer is promised. One row a tenant; absent means the defaults."""

    first_response_s = models.PositiveIntegerField(default=4 * 3600)
    close_after_s = models.PositiveIntegerField(
        default=7 * 86400
    )  # healthy that long, a resolved ticket closes

    class Meta(TenantModel.Meta):
        constraints = [models.UniqueConstraint(fields=["tenant"], name="incidents_terms_once")]
