"""Incidents (pages say ticket), what happened to them, and a customer's settings of each signal."""

from __future__ import annotations

from typing import ClassVar, Self

from django.db import models
from django.db.models import Q

from fleet.models import Device, Room
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


class Incident(TenantModel):
    """A tracked issue of one device, signal and instance. incidents.lifecycle alone changes its state."""

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
        ]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "number"], name="incidents_one_per_number"),
            models.UniqueConstraint(
                fields=["tenant", "device", "signal", "instance"],
                condition=Q(closed_at=None),
                name="incidents_one_per_fault",
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


class SignalSetting(TenantModel):
    """A customer's own values for a signal; absent or null means the default of its rule."""

    signal = models.CharField(max_length=40)
    enabled = models.BooleanField(null=True, blank=True)
    watch_s = models.PositiveIntegerField(null=True, blank=True)
    severity = models.PositiveSmallIntegerField(choices=Severity, null=True, blank=True)

    class Meta(TenantModel.Meta):
        constraints = [
            models.UniqueConstraint(fields=["tenant", "signal"], name="incidents_signal_setting_once")
        ]


class IncidentTerms(TenantModel):
    """What a customer is promised. One row a tenant; absent means the defaults."""

    first_response_s = models.PositiveIntegerField(default=4 * 3600)
    close_after_s = models.PositiveIntegerField(
        default=7 * 86400
    )  # healthy that long, a resolved ticket closes

    class Meta(TenantModel.Meta):
        constraints = [models.UniqueConstraint(fields=["tenant"], name="incidents_terms_once")]
