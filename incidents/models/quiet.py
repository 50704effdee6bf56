"""When faults raise nothing: suppressions and maintenance windows."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from fleet.models import Place, Room, RoomGroup
from foundation.tenant_tables import TenantForeignKey, TenantModel
from tenancy.models import Person


class Suppression(TenantModel):
    """A signal, or all of them, kept quiet in a room, a group or everywhere, until a moment and for a reason."""

    room = TenantForeignKey(Room, on_delete=models.CASCADE, related_name="+", null=True, blank=True)
    group = TenantForeignKey(RoomGroup, on_delete=models.CASCADE, related_name="+", null=True, blank=True)
    signal = models.CharField(max_length=40, blank=True)  # "": every signal
    until = models.DateTimeField()
    reason = models.CharField(max_length=200)
    created_at = models.DateTimeField()
    created_by = TenantForeignKey(Person, on_delete=models.PROTECT, related_name="+", null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)  # by a person, or when its time was over

    class Meta(TenantModel.Meta):
        indexes = [
            models.Index(fields=["tenant"], condition=Q(ended_at=None), name="incidents_suppression_running"),
            models.Index(fields=["tenant", "created_at", "id"], name="incidents_suppression_order"),
        ]


class MaintenanceWindow(TenantModel):
    """A planned span in which a room, a group or a site raises nothing. At its end what is still bad is raised."""

    room = TenantForeignKey(Room, on_delete=models.CASCADE, related_name="+", null=True, blank=True)
    group = TenantForeignKey(RoomGroup, on_delete=models.CASCADE, related_name="+", null=True, blank=True)
    place = TenantForeignKey(Place, on_delete=models.CASCADE, related_name="+", null=True, blank=True)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    reason = models.CharField(max_length=200)
    created_at = models.DateTimeField()
    created_by = TenantForeignKey(Person, on_delete=models.PROTECT, related_name="+", null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)  # by a person, or when its time was over

    class Meta(TenantModel.Meta):
        indexes = [
            models.Index(fields=["tenant"], condition=Q(ended_at=None), name="incidents_window_running"),
            models.Index(fields=["tenant", "starts_at", "id"], name="incidents_window_order"),
        ]
