"""What reports: devices, their peripherals, and the state of each signal."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Func, Q, Value
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Coalesce

from fleet.models.places import Room
from foundation.tenant_tables import TenantForeignKey, TenantModel, TenantQuerySet


class DeviceQuerySet(TenantQuerySet["Device"]):
    def overdue(self, *, at: datetime) -> Self:
        """Devices whose deadline for a heartbeat has passed at `at` (aware, UTC)."""
        return self.filter(next_due_at__lt=at)

    def onboarding(self) -> Self:
        return self.filter(status=Device.Status.ONBOARDING)


class Device(TenantModel):
    """A room system, video bar, console or panel that reports heartbeats."""

    class Kind(models.TextChoices):
        ROOM_SYSTEM = "room_system"
        VIDEO_BAR = "video_bar"
        CONSOLE = "console"
        PANEL = "panel"

    class Platform(models.TextChoices):
        WINDOWS = "windows"
        ANDROID = "android"
        LINUX = "linux"

    class Status(models.TextChoices):
        ONBOARDING = "onboarding"  # shown and updated; no tickets, no reports
        PENDING = "pending"  # waits for a person: approval or replacement
        ENROLLED = "enrolled"  # watched
        QUARANTINED = "quarantined"  # a copy is suspected: data kept apart
        UNENROLLED = "unenrolled"

    key = models.BigIntegerField(  # names it inside telemetry
        db_default=Func(Value("fleet_device_key"), function="nextval", output_field=models.BigIntegerField()),
        editable=False,
    )
    room = TenantForeignKey(Room, on_delete=models.PROTECT, related_name="devices", null=True, blank=True)
    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=16, choices=Kind)
    platform = models.CharField(max_length=8, choices=Platform)
    status = models.CharField(max_length=12, choices=Status, default=Status.ONBOARDING)
    status_since = models.DateTimeField()

    make = models.CharField(max_length=80)
    model = models.CharField(max_length=120)
    serial_number = models.CharField(max_length=64, blank=True)  # makers' placeholders are dropped
    firmware_uuid = models.CharField(max_length=36, blank=True)
    macs = ArrayField(models.CharField(max_length=17), default=list, blank=True)
    wanted_room = models.CharField(max_length=120, blank=True)  # the name it gave at enrollment
    wanted_account = models.CharField(max_length=254, blank=True)
    # 1 token only, 2 key in a file, 3 key store, 4 TPM
    security_level = models.PositiveSmallIntegerField(default=2)
    enrollment_key_id = models.UUIDField(null=True)  # which key brought it

    agent_name = models.CharField(max_length=40, blank=True)
    agent_version = models.CharField(max_length=40, blank=True)
    versions = models.JSONField(default=dict, blank=True)  # {"app": …, "os": …, "agent": …}
    app_version = models.GeneratedField(  # a list filtered by it is found by index
        expression=Coalesce(KeyTextTransform("app", "versions"), Value(""), output_field=models.TextField()),
        output_field=models.TextField(),
        db_persist=True,
    )
    # by the server's clock; written at most each interval
    last_seen_at = models.DateTimeField(null=True, blank=True)
    # past it the device is overdue; null: not watched
    next_due_at = models.DateTimeField(null=True, blank=True)
    silent_since = models.DateTimeField(null=True, blank=True)  # set by the sweep, cleared by a heartbeat
    clock_bad = models.BooleanField(default=False)  # its times were implausible

    # latest heartbeat, whole; rewritten when it changed
    document = models.JSONField(default=dict, blank=True)
    document_digest = models.BinaryField(max_length=16, null=True)
    inventory = models.JSONField(default=dict, blank=True)  # latest inventory document
    inventory_digest = models.CharField(max_length=80, blank=True)
    created_at = models.DateTimeField()
    retired_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[DeviceQuerySet] = DeviceQuerySet.as_manager()

    class Meta(TenantModel.Meta):
        indexes = [
            models.Index(  # of those in use alone: a search that joins words with all of them reads no row
                fields=["tenant", "name", "id"], condition=Q(retired_at=None), name="fleet_device_name"
            ),
            models.Index(fields=["tenant", "room"], name="fleet_device_room"),
            models.Index(
                fields=["next_due_at"], condition=Q(next_due_at__isnull=False), name="fleet_device_due"
            ),
            models.Index(fields=["tenant", "status", "created_at", "id"], name="fleet_device_status"),
            models.Index(fields=["tenant", "make", "model", "name", "id"], name="fleet_device_model"),
            models.Index(fields=["tenant", "app_version", "name", "id"], name="fleet_device_app"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "key"], name="fleet_device_one_per_key"),
            models.UniqueConstraint(
                fields=["tenant", "serial_number"],
                condition=~Q(serial_number="")
                & Q(retired_at=None)
                & Q(status__in=["onboarding", "enrolled"]),  # a suspected copy waits beside the original
                name="fleet_device_one_per_serial",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Peripheral(TenantModel):
    """A camera, microphone, speaker or display attached to a device, as its inventory tells."""

    device = TenantForeignKey(Device, on_delete=models.CASCADE, related_name="peripherals")
    kind = models.CharField(max_length=24)
    make = models.CharField(max_length=80, blank=True)
    model = models.CharField(max_length=120, blank=True)
    vendor_id = models.CharField(max_length=8, blank=True)  # USB, hex
    product_id = models.CharField(max_length=8, blank=True)
    serial = models.CharField(max_length=64, blank=True)
    firmware = models.CharField(max_length=40, blank=True)
    connected = models.BooleanField(default=True)
    identity = models.CharField(max_length=200)  # kind, ids, serial and position: the same thing next time
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    moved_at = models.DateTimeField(null=True, blank=True)  # when it last turned up at another device
    moves_lately = models.PositiveSmallIntegerField(default=0)  # each within a day of the one before

    class Meta(TenantModel.Meta):
        constraints = [
            models.UniqueConstraint(fields=["tenant", "device", "identity"], name="fleet_peripheral_once")
        ]
        indexes = [
            models.Index(fields=["tenant", "make", "model", "id"], name="fleet_peripheral_model"),
            models.Index(
                fields=["tenant", "firmware", "make", "model", "id"], name="fleet_peripheral_firmware"
            ),
            models.Index(
                fields=["tenant", "serial"], condition=~Q(serial=""), name="fleet_peripheral_serial"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.make} {self.model}".strip() or self.kind.replace("_", " ")


class SignalState(TenantModel):
    """The latest state of one signal of a device, by instance ("" where there is one only)."""

    class State(models.TextChoices):
        UNKNOWN = "unknown"
        HEALTHY = "healthy"
        UNHEALTHY = "unhealthy"

    device = TenantForeignKey(Device, on_delete=models.CASCADE, related_name="signals")
    signal = models.CharField(max_length=40)
    instance = models.CharField(max_length=64, blank=True)
    state = models.CharField(max_length=9, choices=State)  # as reported, or as a rule derived it
    detail = models.CharField(max_length=300, blank=True)
    since = models.DateTimeField()  # of this state
    watch_until = models.DateTimeField(null=True, blank=True)  # unhealthy, not yet an incident

    class Meta(TenantModel.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "device", "signal", "instance"], name="fleet_signal_state_once"
            )
        ]


class SignalTransition(TenantModel):
    """One change of a signal's state, kept as long as incidents."""

    device = TenantForeignKey(Device, on_delete=models.CASCADE, related_name="transitions")
    signal = models.CharField(max_length=40)
    instance = models.CharField(max_length=64, blank=True)
    before = models.CharField(max_length=9)
    after = models.CharField(max_length=9)
    detail = models.CharField(max_length=300, blank=True)
    at = models.DateTimeField()

    class Meta(TenantModel.Meta):
        indexes = [
            models.Index(fields=["tenant", "device", "at"], name="fleet_transition_device"),
            models.Index(fields=["tenant", "signal", "at"], name="fleet_transition_signal"),
        ]


class Fault(TenantModel):
    """Something found at fault below incidents: a copy quarantined, an update failed (fleet.faults)."""

    kind = models.CharField(max_length=40)  # the type of the ticket it becomes
    device = TenantForeignKey(Device, on_delete=models.CASCADE, related_name="faults")
    subject = models.CharField(max_length=64, blank=True)  # tells several of one kind and device apart
    summary = models.CharField(max_length=300)
    evidence = models.JSONField(default=dict, blank=True)
    raised_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta(TenantModel.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "device", "kind", "subject"],
                condition=Q(ended_at=None),
                name="fleet_fault_once",
            )
        ]


class MonitoringSettings(TenantModel):
    """How a customer's devices report. One row a tenant."""

    heartbeat_interval_s = models.PositiveIntegerField(default=60)
    # deadlines missed before a device is silent
    missed_heartbeats = models.PositiveSmallIntegerField(default=2)

    class Meta(TenantModel.Meta):
        constraints = [models.UniqueConstraint(fields=["tenant"], name="fleet_monitoring_settings_once")]


class IngestLiveness(models.Model):
    """Every ingest process writes when it last could receive: our own outage is no device's silence. Local."""

    table_class: ClassVar[str] = "local"

    process = models.CharField(primary_key=True, max_length=80)
    started_at = models.DateTimeField()
    alive_at = models.DateTimeField()


class IngestOutage(models.Model):
    """A span in which no ingest process could receive. Local."""

    table_class: ClassVar[str] = "local"

    id = models.BigAutoField(primary_key=True)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField()
