"""Tables people send: each a run, with what its rows would change and what is wrong with them."""

from __future__ import annotations

from django.db import models

from foundation.tenant_tables import TenantForeignKey, TenantModel


class ImportRun(TenantModel):
    """One file on its way into the inventory (fleet.imports.runs)."""

    class Kind(models.TextChoices):
        ROOMS = "rooms"
        ASSETS = "assets"
        PERIPHERALS = "peripherals"

    class State(models.TextChoices):
        MAPPING = "mapping"  # a person says which column is what
        CHECKING = "checking"
        CHECKED = "checked"  # with or without problems; without, it may be applied
        APPLYING = "applying"
        FINISHING = "finishing"  # everything is there; search catches up
        DONE = "done"
        FAILED = "failed"
        CANCELLED = "cancelled"

    kind = models.CharField(max_length=12, choices=Kind)
    state = models.CharField(max_length=10, choices=State, default=State.MAPPING)
    file_id = models.UUIDField(null=True)  # the stored file; gone once the run has ended
    table_id = models.UUIDField(null=True)  # the same as lines of JSON, while it is worked on
    file_name = models.CharField(max_length=200)
    size_bytes = models.PositiveBigIntegerField()
    header = models.JSONField(default=list)  # names of the columns
    sample = models.JSONField(default=list)  # the first rows
    columns = models.JSONField(default=dict)  # property: place of its column
    total = models.PositiveIntegerField(null=True)  # rows, once they are counted
    done = models.PositiveIntegerField(default=0)  # of the step under way
    creates = models.PositiveIntegerField(default=0)
    updates = models.PositiveIntegerField(default=0)
    unchanged = models.PositiveIntegerField(default=0)
    problems = models.PositiveIntegerField(default=0)
    new_places = models.JSONField(default=list)  # places to be made, parents first
    note = models.CharField(max_length=300, blank=True)  # why it failed, or was checked again
    requested_by = models.UUIDField(null=True)  # a user, or a token of no person
    requested_name = models.CharField(
        max_length=120, blank=True
    )  # of a token; people are named by their Person
    job_id = models.UUIDField(null=True)
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.file_name


class ImportRow(TenantModel):
    """What one row will do, kept between the check and the end of the run."""

    class Action(models.TextChoices):
        CREATE = "create"
        UPDATE = "update"
        SAME = "same"

    run = TenantForeignKey(ImportRun, on_delete=models.CASCADE, related_name="staged")
    number = models.PositiveIntegerField()  # as a spreadsheet shows it
    # digests of what must be unique, to find a thing named twice in one file; "" for none
    first_key = models.CharField(max_length=32, blank=True)
    second_key = models.CharField(max_length=32, blank=True)
    action = models.CharField(max_length=6, choices=Action)
    target_id = models.UUIDField()  # of what it changes or makes
    room_id = models.UUIDField(null=True)  # whose words follow
    version = models.PositiveIntegerField(null=True)  # of what it changes, when it was checked
    name = models.CharField(max_length=200)
    values = models.JSONField(default=dict)  # columns of the target
    before = models.JSONField(null=True)  # for the record
    after = models.JSONField(null=True)

    class Meta(TenantModel.Meta):
        indexes = [
            models.Index(fields=["tenant", "run", "first_key"], name="fleet_importrow_first"),
            models.Index(fields=["tenant", "run", "second_key"], name="fleet_importrow_second"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "run", "number"], name="fleet_importrow_once")
        ]


class ImportProblem(TenantModel):
    """What is wrong in one cell, or with a row."""

    run = TenantForeignKey(ImportRun, on_delete=models.CASCADE, related_name="found")
    row = models.PositiveIntegerField()
    place = models.PositiveSmallIntegerField(default=0)  # of its column, from 1; 0 for the row as a whole
    column = models.CharField(max_length=200, blank=True)  # its name in the file; "" for the row as a whole
    value = models.CharField(max_length=200, blank=True)  # what stands there
    message = models.CharField(max_length=300)

    class Meta(TenantModel.Meta):
        indexes = [
            models.Index(fields=["tenant", "run", "row", "place", "id"], name="fleet_importproblem_list")
        ]
