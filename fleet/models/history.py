"""What became of rooms, and edits of many rooms at once."""

from __future__ import annotations

from django.db import models

from fleet.models.places import Room
from foundation.tenant_tables import TenantForeignKey, TenantModel
from tenancy.models import Person


class RoomHistory(TenantModel):
    """One event in the life of a room, kept as long as the room: it outlives the audit log's keep.

    What concerns two rooms, like a camera that turned up elsewhere, stands in the history of both.
    """

    class Kind(models.TextChoices):
        MOVED = "moved"  # to another place; `what` is where it stood
        MERGED_IN = "merged_in"  # `other_room` became part of this one
        MERGED_AWAY = "merged_away"  # it became part of `other_room`
        RETIRED = "retired"
        DEVICE_CAME = "device_came"  # `what`; from `other_room`, where it stood in one
        DEVICE_LEFT = "device_left"
        PERIPHERAL_CAME = "peripheral_came"
        PERIPHERAL_LEFT = "peripheral_left"

    room = TenantForeignKey(Room, on_delete=models.CASCADE, related_name="history")
    kind = models.CharField(max_length=16, choices=Kind)
    what = models.CharField(max_length=400, blank=True)  # a thing's name, or a place's full name
    other_room = TenantForeignKey(Room, on_delete=models.CASCADE, related_name="+", null=True, blank=True)
    by = TenantForeignKey(Person, on_delete=models.PROTECT, related_name="+", null=True, blank=True)
    at = models.DateTimeField()

    class Meta(TenantModel.Meta):
        indexes = [models.Index(fields=["tenant", "room", "at"], name="fleet_history_of_room")]


class BulkEdit(TenantModel):
    """The same change for many rooms: drafted, looked at, carried out as a job, perhaps undone."""

    class State(models.TextChoices):
        DRAFT = "draft"
        QUEUED = "queued"  # waits for its job, or is under way
        DONE = "done"
        UNDOING = "undoing"
        UNDONE = "undone"

    requested_by = TenantForeignKey(Person, on_delete=models.PROTECT, related_name="+", null=True, blank=True)
    changes = models.JSONField(default=dict, blank=True)  # as fleet.bulk_edit takes them
    selected = models.CharField(max_length=300, blank=True)  # how its rooms were chosen, in words
    rooms = models.PositiveIntegerField(default=0)
    state = models.CharField(max_length=8, choices=State, default=State.DRAFT)
    changed = models.PositiveIntegerField(default=0)
    refused = models.PositiveIntegerField(default=0)  # rooms that could not take it
    restored = models.PositiveIntegerField(default=0)
    kept = models.PositiveIntegerField(default=0)  # rooms not restored: somebody changed them since
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta(TenantModel.Meta):
        indexes = [models.Index(fields=["tenant", "created_at", "id"], name="fleet_bulk_edit_order")]

    def __str__(self) -> str:
        return f"{self.rooms} rooms"


class BulkEditRoom(TenantModel):
    """One room of an edit: what the edit changed there, which is what undoing it restores."""

    class Outcome(models.TextChoices):
        WAITING = "waiting"
        CHANGED = "changed"
        SAME = "same"  # it was so already
        REFUSED = "refused"  # `note` says why
        RESTORED = "restored"
        KEPT = "kept"  # changed since, so not restored

    edit = TenantForeignKey(BulkEdit, on_delete=models.CASCADE, related_name="of_rooms")
    room = TenantForeignKey(Room, on_delete=models.CASCADE, related_name="+")
    outcome = models.CharField(max_length=8, choices=Outcome, default=Outcome.WAITING)
    before = models.JSONField(default=dict, blank=True)
    after = models.JSONField(default=dict, blank=True)
    note = models.CharField(max_length=200, blank=True)

    class Meta(TenantModel.Meta):
        constraints = [
            models.UniqueConstraint(fields=["tenant", "edit", "room"], name="fleet_bulk_edit_once")
        ]
        indexes = [models.Index(fields=["tenant", "edit", "outcome", "id"], name="fleet_bulk_edit_outcome")]
