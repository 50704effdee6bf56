"""What people and programs may do: roles, assignments, tokens, invitations."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Self

from django.db import models
from django.db.models import Q

from foundation.tenant_tables import TenantForeignKey, TenantModel, TenantQuerySet
from tenancy.models.people import Person


class Role(TenantModel):
    """A named set of permissions. Built-in ones are written at the tenant's creation and are read-only."""

    key = models.SlugField(max_length=40, db_index=False)
    name = models.CharField(max_length=80)
    description = models.CharField(max_length=300, blank=True, default="")
    permissions = models.JSONField(default=list)  # names of tenancy.roles.PERMISSIONS
    built_in = models.BooleanField(default=False)

    class Meta(TenantModel.Meta):
        constraints = [
            models.UniqueConstraint(fields=["tenant", "key"], name="tenancy_role_one_per_key"),
            models.UniqueConstraint(fields=["tenant", "name"], name="tenancy_role_one_per_name"),
        ]

    def __str__(self) -> str:
        return self.name


class Assignment(TenantModel):
    """A role given to people within a scope, under a name. Its RoleAssignment rows are what rights are read from."""

    role = TenantForeignKey(Role, on_delete=models.PROTECT, related_name="named_assignments")
    name = models.CharField(max_length=80)
    description = models.CharField(max_length=300, blank=True, default="")
    everywhere = models.BooleanField(default=True)
    scope = models.JSONField(default=list, blank=True)  # [["room" or "group", id], …]; empty where everywhere
    email_notifications = models.BooleanField(
        default=True
    )  # offered to nobody before there are notifications
    created_at = models.DateTimeField()

    class Meta(TenantModel.Meta):
        constraints = [
            models.UniqueConstraint(fields=["tenant", "name"], name="tenancy_assignment_one_per_name"),
            models.CheckConstraint(
                condition=Q(everywhere=True, scope=[]) | (Q(everywhere=False) & ~Q(scope=[])),
                name="tenancy_assignment_has_scope",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class RoleAssignment(TenantModel):
    """A role of one person within one scope: a member of an assignment, or given directly."""

    class Scope(models.TextChoices):
        ALL = "all"
        ROOM = "room"
        GROUP = "group"

    person = TenantForeignKey(Person, on_delete=models.CASCADE, related_name="assignments")
    role = TenantForeignKey(Role, on_delete=models.PROTECT, related_name="assignments")
    assignment = TenantForeignKey(
        Assignment, on_delete=models.CASCADE, related_name="rows", null=True, blank=True
    )
    scope = models.CharField(max_length=8, choices=Scope, default=Scope.ALL)
    scope_id = models.UUIDField(
        null=True, blank=True
    )  # of a room or group; fleet.scope makes querysets of it

    class Meta(TenantModel.Meta):
        indexes = [
            models.Index(fields=["tenant", "person"], name="tenancy_assignment_person"),
            models.Index(fields=["tenant", "assignment"], name="tenancy_assignment_rows"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(scope="all", scope_id=None) | (~Q(scope="all") & Q(scope_id__isnull=False)),
                name="tenancy_assignment_scope_whole",
            )
        ]


class ApiTokenQuerySet(TenantQuerySet["ApiToken"]):
    def usable(self, *, at: datetime) -> Self:
        return self.filter(revoked_at=None, expires_at__gt=at)


class ApiToken(TenantModel):
    """A secret with which a program acts under a role. Only its digest is kept.

    With a `person` it is his own and never does more than he may; without, it is a service account's.
    """

    public_id = models.CharField(max_length=12)  # the first five characters are the tenant's number
    digest = models.BinaryField(max_length=32)  # SHA-256 of the secret
    label = models.CharField(max_length=80)
    role = TenantForeignKey(Role, on_delete=models.PROTECT, related_name="api_tokens")
    person = TenantForeignKey(
        Person, on_delete=models.PROTECT, related_name="api_tokens", null=True, blank=True
    )
    everywhere = models.BooleanField(default=True)
    scope = models.JSONField(default=list, blank=True)  # as Assignment.scope
    created_by = TenantForeignKey(Person, on_delete=models.PROTECT, related_name="+", null=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True, blank=True)  # to the hour: a write per call costs more
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[ApiTokenQuerySet] = ApiTokenQuerySet.as_manager()

    class Meta(TenantModel.Meta):
        indexes = [models.Index(fields=["tenant", "created_at", "id"], name="tenancy_api_token_created")]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "public_id"], name="tenancy_api_token_one_per_id")
        ]

    def __str__(self) -> str:
        return self.label


class Invitation(TenantModel):
    """A one-use link with which a person joins: bound to an e-mail address, this tenant, and a role within a scope."""

    public_id = models.CharField(max_length=12)
    digest = models.BinaryField(max_length=32)  # SHA-256 of the link's secret
    email = models.EmailField(max_length=254)  # in lower case
    name = models.CharField(max_length=120, blank=True, default="")
    role = TenantForeignKey(Role, on_delete=models.PROTECT, related_name="+")
    everywhere = models.BooleanField(default=True)
    scope = models.JSONField(default=list, blank=True)  # as Assignment.scope
    invited_by = TenantForeignKey(Person, on_delete=models.PROTECT, related_name="+", null=True, blank=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta(TenantModel.Meta):
        indexes = [models.Index(fields=["tenant", "created_at", "id"], name="tenancy_invitation_created")]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "public_id"], name="tenancy_invitation_one_per_id"),
            models.UniqueConstraint(
                fields=["tenant", "email"],
                condition=Q(accepted_at=None, revoked_at=None),
                name="tenancy_invitation_one_open",
            ),
        ]

    def __str__(self) -> str:
        """Never the address: what is written of an invitation elsewhere outlives its erasure."""
        return f"Invitation {self.id.hex[-6:].upper()}"
