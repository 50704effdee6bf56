"""What detection remembers: how steady a signal is, what a common cause holds back, facts from elsewhere."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from fleet.models import Device, Room
from foundation.tenant_tables import TenantForeignKey, TenantModel
from incidents.models.tickets import Incident
from incidents.severity import Severity


class SignalStability(TenantModel):
    """How often a signal turned lately (incidents.flapping). A signal that never turned has no row."""

    device = TenantForeignKey(Device, on_delete=models.CASCADE, related_name="+")
    signal = models.CharField(max_length=40)
    instance = models.CharField(max_length=64, blank=True)
    score = models.FloatField()  # turns, each fading with time
    scored_at = models.DateTimeField()
    flapping = models.BooleanField(default=False)

    class Meta(TenantModel.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "device", "signal", "instance"], name="incidents_stability_once"
            )
        ]


class HeldFinding(TenantModel):
    """A fault a common cause explains: no ticket of its own while the cause lasts."""

    cause = TenantForeignKey(Incident, on_delete=models.CASCADE, related_name="held_findings")
    device = TenantForeignKey(Device, on_delete=models.CASCADE, related_name="+")
    room = TenantForeignKey(Room, on_delete=models.CASCADE, related_name="+", null=True, blank=True)
    signal = models.CharField(max_length=40)
    instance = models.CharField(max_length=64, blank=True)
    severity = models.PositiveSmallIntegerField(choices=Severity)
    summary = models.CharField(max_length=300)
    fault_at = models.DateTimeField()
    held_at = models.DateTimeField()
    released_at = models.DateTimeField(null=True, blank=True)  # it ended, or got a ticket of its own

    class Meta(TenantModel.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "device", "signal", "instance"],
                condition=models.Q(released_at=None),
                name="incidents_held_once",
            )
        ]
        indexes = [models.Index(fields=["tenant", "cause"], name="incidents_held_of_cause")]


class AccountFact(TenantModel):
    """What the directory tells of a room's account. Absent: not known, and nothing is found by it."""

    room = TenantForeignKey(Room, on_delete=models.CASCADE, related_name="+")
    signed_in_at = models.DateTimeField()  # to Teams, last

    class Meta(TenantModel.Meta):
        constraints = [models.UniqueConstraint(fields=["tenant", "room"], name="incidents_account_fact_once")]


class KnownRelease(models.Model):
    """A published version of a program rooms run. Global: the same for every customer."""

    table_class: ClassVar[str] = "global"

    product = models.CharField(max_length=40)  # as devices name it in `versions`
    version = models.CharField(max_length=40)
    released_at = models.DateField()
    source = models.CharField(max_length=300)  # the page that says so

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["product", "version"], name="incidents_known_release_once")
        ]

    def __str__(self) -> str:
        return f"{self.product} {self.version}"
