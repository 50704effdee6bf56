"""Later and outside work as rows: a fact is true when it is committed here, queues carry only hints."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from foundation.tenant_tables import TenantModel


class OutboxEntry(TenantModel):
    """An effect outside PostgreSQL, written in the transaction of its cause (foundation.outbox)."""

    class State(models.TextChoices):
        DUE = "due"
        DONE = "done"
        DEAD = "dead"  # tried too often; a person may replay it

    lane = models.CharField(max_length=80)  # entries of one lane go out one after the other, in order
    kind = models.CharField(max_length=40)
    payload = models.JSONField()
    state = models.CharField(max_length=4, choices=State, default=State.DUE)
    due_at = models.DateTimeField()
    tries = models.PositiveSmallIntegerField(default=0)
    lease_token = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField()
    done_at = models.DateTimeField(null=True)

    class Meta(TenantModel.Meta):
        indexes = [
            models.Index(fields=["due_at"], condition=Q(state="due"), name="foundation_outbox_due"),
            models.Index(
                fields=["tenant", "lane", "id"], condition=Q(state="due"), name="foundation_outbox_lane"
            ),
        ]


class Timer(TenantModel):
    """Something to do at a moment (foundation.timers). Setting it again moves it; it fires at least once."""

    kind = models.CharField(max_length=40)
    subject = models.CharField(max_length=200)  # what it is about, unique within its kind
    payload = models.JSONField(default=dict)
    due_at = models.DateTimeField()

    class Meta(TenantModel.Meta):
        indexes = [models.Index(fields=["due_at"], name="foundation_timer_due")]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "kind", "subject"], name="foundation_timer_once")
        ]


class Slot(models.Model):
    """One run of a periodic job: inserting it claims it, however many schedulers there are. Local."""

    table_class: ClassVar[str] = "local"

    job = models.CharField(max_length=60)
    slot = models.DateTimeField()
    claimed_at = models.DateTimeField()

    objects: ClassVar[models.Manager[Slot]] = models.Manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["job", "slot"], name="foundation_slot_once")]


class Job(TenantModel):
    """Long work in short steps (foundation.jobs): a cursor, progress, an end."""

    class State(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"
        CANCELLED = "cancelled"

    kind = models.CharField(max_length=40)
    parameters = models.JSONField(default=dict)
    cursor = models.JSONField(null=True)
    state = models.CharField(max_length=9, choices=State, default=State.QUEUED)
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(null=True)
    result = models.JSONField(default=dict)
    error = models.CharField(max_length=500, blank=True)
    requested_by = models.UUIDField(null=True)
    lease_token = models.UUIDField(null=True)
    due_at = models.DateTimeField()
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta(TenantModel.Meta):
        indexes = [
            models.Index(
                fields=["due_at"], condition=Q(state__in=["queued", "running"]), name="foundation_job_due"
            )
        ]


class StoredFile(TenantModel):
    """A file kept outside the database under a random name (foundation.files), checked by content."""

    path = models.CharField(max_length=120)
    name = models.CharField(max_length=200)
    media_type = models.CharField(max_length=100)
    size_bytes = models.PositiveBigIntegerField()
    sha256 = models.CharField(max_length=64)
    created_at = models.DateTimeField()

    class Meta(TenantModel.Meta):
        constraints = [
            models.UniqueConstraint(fields=["tenant", "path"], name="foundation_file_one_per_path")
        ]


class IdempotencyRecord(TenantModel):
    """The answer once given to an Idempotency-Key, kept 24 h in the transaction of its effect."""

    route = models.CharField(max_length=120)
    key = models.CharField(max_length=128)
    request_hash = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(null=True)  # null: still running
    body = models.JSONField(null=True)
    created_at = models.DateTimeField()

    class Meta(TenantModel.Meta):
        indexes = [models.Index(fields=["created_at"], name="foundation_idempotency_age")]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "route", "key"], name="foundation_idempotency_once")
        ]
