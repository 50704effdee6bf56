"""Incidents (pages say ticket), their rooms, what happened to them, what hangs on them."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from django.db import models
from django.db.models import Exists, OuterRef, Q

from fleet.models import Device, Place, Room
from foundation.models import StoredFile
from foundation.tenant_tables import TenantForeignKey, TenantModel, TenantQuerySet
from incidents import states
from incidents.severity import Severity
from tenancy.models import Person


class IncidentQuerySet(TenantQuerySet["Incident"]):
    def open(self) -> Self:
        """Not resolved and not closed."""
        return self.filter(state__in=Incident.OPEN_STATES)

    def waiting_on_customer(self) -> Self:
        return self.filter(state=Incident.State.NEEDS_ACTION)

    def of_rooms(self, **conditions: Any) -> Self:
        """About a room that meets `conditions`, named by itself or among several."""
        among = IncidentRoom.objects.filter(
            tenant_id=OuterRef("tenant_id"),
            incident_id=OuterRef("id"),
            left_at=None,
            **{f"room__{name}": value for name, value in conditions.items()},
        )
        own = Q(**{f"room__{name}": value for name, value in conditions.items()})
        return self.filter(own | Exists(among))


class Incident(TenantModel):
    """A tracked issue: of one device, signal and instance, or one common cause, or what a person recorded.

    incidents.lifecycle alone changes its state. One without a device has its rooms in IncidentRoom.
    """

    State = states.State
    OPEN_STATES = states.OPEN

    number = models.CharField(max_length=10)  # INC- and six characters without 0 O 1 I
    device = TenantForeignKey(
        Device, on_delete=models.PROTECT, related_name="incidents", null=True, blank=True
    )
    room = TenantForeignKey(Room, on_delete=models.PROTECT, related_name="incidents", null=True, blank=True)
    signal = models.CharField(max_length=40)
    instance = models.CharField(max_length=64, blank=True)
    severity = models.PositiveSmallIntegerField(choices=Severity)
    state = models.CharField(max_length=24, choices=State, default=State.NEW)
    state_before = models.CharField(max_length=24, blank=True)  # once resolved: where reopening returns to
    summary = models.CharField(max_length=300)
    evidence = models.JSONField(default=dict, blank=True)
    suppressed = models.BooleanField(default=False)  # does not count for its room

    opened_at = models.DateTimeField()
    fault_at = models.DateTimeField()  # when the signal turned, before the watching period
    resolved_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    reopened = models.PositiveSmallIntegerField(default=0)
    cause = models.CharField(max_length=40, blank=True)  # why it was resolved or closed

    parent = TenantForeignKey(  # the cause it comes from, or the ticket it was merged into
        "self", on_delete=models.PROTECT, related_name="children", null=True, blank=True
    )
    cause_key = models.CharField(max_length=80, blank=True)  # of a common cause: what it is about
    place = TenantForeignKey(Place, on_delete=models.PROTECT, related_name="+", null=True, blank=True)
    high_impact = models.BooleanField(default=False)
    high_impact_reason = models.CharField(max_length=300, blank=True)
    recorded_by = TenantForeignKey(Person, on_delete=models.PROTECT, related_name="+", null=True, blank=True)
    assignee = TenantForeignKey(Person, on_delete=models.PROTECT, related_name="+", null=True, blank=True)
    assignee_user_id = models.UUIDField(null=True, blank=True)  # the same person over all customers
    respond_by = models.DateTimeField(null=True, blank=True)  # first response of the operator is due
    responded_at = models.DateTimeField(null=True, blank=True)
    due_at = models.DateTimeField(
        null=True, blank=True
    )  # next the operator owes something; null: nothing now
    updated_at = models.DateTimeField()
    version = models.PositiveIntegerField(default=1)

    objects: ClassVar[IncidentQuerySet] = IncidentQuerySet.as_manager()

    class Meta(TenantModel.Meta):
        indexes = [
            models.Index(
                fields=["tenant", "opened_at", "id"],
                condition=~Q(state__in=["resolved", "closed"]),
                name="incidents_open",
            ),
            models.Index(fields=["tenant", "opened_at", "id"], name="incidents_opened"),
            models.Index(fields=["tenant", "room", "opened_at"], name="incidents_room"),
            models.Index(
                fields=["severity", "opened_at", "id"],
                condition=~Q(state__in=["resolved", "closed"]),
                name="incidents_queue",
            ),
            models.Index(
                fields=["due_at", "opened_at", "id"],
                condition=~Q(state__in=["resolved", "closed"]),
                name="incidents_queue_due",
            ),
            models.Index(fields=["tenant", "device", "signal", "opened_at"], name="incidents_signal_history"),
            models.Index(
                fields=["tenant", "parent"], condition=Q(parent__isnull=False), name="incidents_of_parent"
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "number"], name="incidents_one_per_number"),
            models.UniqueConstraint(
                fields=["tenant", "device", "signal", "instance"],
                condition=Q(closed_at=None),
                name="incidents_one_per_fault",
            ),
            models.UniqueConstraint(
                fields=["tenant", "signal", "cause_key"],
                condition=Q(closed_at=None) & ~Q(cause_key=""),
                name="incidents_one_per_cause",
            ),
        ]

    def __str__(self) -> str:
        return self.number

    @property
    def is_open(self) -> bool:
        return self.state in self.OPEN_STATES


class IncidentEntry(TenantModel):
    """One line of a ticket's timeline: a change of state, a comment, an observation."""

    class Kind(models.TextChoices):
        OPENED = "opened"
        STATE = "state"
        COMMENT = "comment"  # shown to the customer
        NOTE = "note"  # the operator's own
        ASSIGNED = "assigned"
        RESOLVED = "resolved"
        REOPENED = "reopened"
        CLOSED = "closed"
        SUPPRESSED = "suppressed"  # no longer counts for its room
        COUNTED = "counted"  # counts again
        MOVED = "moved"  # with its device, to another room
        LINKED = "linked"  # to another ticket, merged or of the same cause
        ATTACHED = "attached"
        DETACHED = "detached"
        ROOMS = "rooms"  # which rooms it is about changed
        IMPACT = "impact"  # of high impact, or no longer

    incident = TenantForeignKey(Incident, on_delete=models.CASCADE, related_name="entries")
    kind = models.CharField(max_length=10, choices=Kind)
    at = models.DateTimeField()
    author = TenantForeignKey(Person, on_delete=models.PROTECT, related_name="+", null=True, blank=True)
    by_operator = models.BooleanField(default=False)
    text = models.TextField(blank=True, max_length=10_000)
    before = models.CharField(max_length=24, blank=True)
    after = models.CharField(max_length=24, blank=True)

    class Meta(TenantModel.Meta):
        indexes = [models.Index(fields=["tenant", "incident", "at", "id"], name="incidents_entry_order")]


class FaultSpan(TenantModel):
    """A stretch of time in which an open, unsuppressed ticket counted for its room.

    Resolving, suppressing or moving ends it, the opposite begins another: health of a day is made from these.
    """

    incident = TenantForeignKey(Incident, on_delete=models.CASCADE, related_name="spans")
    room = TenantForeignKey(Room, on_delete=models.PROTECT, related_name="fault_spans")
    severity = models.PositiveSmallIntegerField(choices=Severity)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta(TenantModel.Meta):
        indexes = [models.Index(fields=["tenant", "room", "started_at"], name="incidents_span_room")]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "incident", "room"],
                condition=Q(ended_at=None),
                name="incidents_span_one_running",
            )
        ]


class IncidentRoom(TenantModel):
    """A room a ticket without a device is about: of a recorded issue, or under a common cause."""

    incident = TenantForeignKey(Incident, on_delete=models.CASCADE, related_name="rooms")
    room = TenantForeignKey(Room, on_delete=models.PROTECT, related_name="+")
    left_at = models.DateTimeField(null=True, blank=True)  # no longer concerned since

    class Meta(TenantModel.Meta):
        constraints = [
            models.UniqueConstraint(fields=["tenant", "incident", "room"], name="incidents_room_once")
        ]
        indexes = [models.Index(fields=["tenant", "room"], name="incidents_room_of_many")]


class IncidentLink(TenantModel):
    """Two tickets that belong together, as a person said; `incident` is the one it was said of."""

    incident = TenantForeignKey(Incident, on_delete=models.CASCADE, related_name="links")
    other = TenantForeignKey(Incident, on_delete=models.CASCADE, related_name="linked_from")
    at = models.DateTimeField()
    by = TenantForeignKey(Person, on_delete=models.PROTECT, related_name="+", null=True, blank=True)

    class Meta(TenantModel.Meta):
        constraints = [
            models.UniqueConstraint(fields=["tenant", "incident", "other"], name="incidents_link_once")
        ]
        indexes = [models.Index(fields=["tenant", "other"], name="incidents_link_other")]


class IncidentAttachment(TenantModel):
    """A picture, video or log a person attached."""

    incident = TenantForeignKey(Incident, on_delete=models.CASCADE, related_name="attachments")
    file = TenantForeignKey(StoredFile, on_delete=models.PROTECT, related_name="+")
    by = TenantForeignKey(Person, on_delete=models.PROTECT, related_name="+", null=True, blank=True)
    by_operator = models.BooleanField(default=False)
    at = models.DateTimeField()

    class Meta(TenantModel.Meta):
        indexes = [models.Index(fields=["tenant", "incident", "at"], name="incidents_attachment_order")]


class RoomEvent(TenantModel):
    """Something that happened in a room and needs no triage: a poor call, a report from the room."""

    class Kind(models.TextChoices):
        POOR_CALL = "poor_call", "Poor call"
        ROOM_REPORT = "room_report", "Report from the room"
        APP_RESTART = "app_restart", "Meeting app restarted"
        OTHER = "other"

    room = TenantForeignKey(Room, on_delete=models.PROTECT, related_name="events")
    device = TenantForeignKey(Device, on_delete=models.PROTECT, related_name="+", null=True, blank=True)
    kind = models.CharField(max_length=16, choices=Kind)
    source = models.CharField(max_length=80)  # who says so
    text = models.CharField(max_length=1_000, blank=True)
    at = models.DateTimeField()
    received_at = models.DateTimeField()
    uid = models.CharField(max_length=64, blank=True)  # what the device calls it
    incident = TenantForeignKey(  # made of it
        Incident, on_delete=models.PROTECT, related_name="events", null=True, blank=True
    )

    class Meta(TenantModel.Meta):
        indexes = [
            models.Index(fields=["tenant", "at", "id"], name="incidents_event_order"),
            models.Index(fields=["tenant", "room", "at"], name="incidents_event_room"),
            models.Index(
                fields=["tenant", "device", "received_at"],
                condition=Q(device__isnull=False),
                name="incidents_event_device",
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "device", "uid"], condition=~Q(uid=""), name="incidents_event_once"
            )
        ]
