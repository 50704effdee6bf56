"""How many devices ran which version, day by day."""

from __future__ import annotations

from django.db import models

from foundation.tenant_tables import TenantModel


class VersionDay(TenantModel):
    """Devices of a customer that ran a version of a component on a day (UTC)."""

    day = models.DateField()
    component = models.CharField(max_length=40)
    version = models.CharField(max_length=80)
    devices = models.PositiveIntegerField()

    class Meta(TenantModel.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "component", "day", "version"], name="updates_version_day_once"
            )
        ]
