"""Who is there: customers and operators, their people, roles, tokens, and what was done."""

from __future__ import annotations

import zlib
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower

from foundation.ids import new_id
from foundation.tenant_tables import TenantForeignKey, TenantManager, TenantModel, TenantQuerySet

PLACEMENTS = 32  # streams and transactions are grouped by crc32(id) mod this


def placement_of(tenant_id: UUID) -> int:
    return zlib.crc32(tenant_id.bytes) % PLACEMENTS


class Tenant(models.Model):
    """An organisation: a customer that owns rooms, or the operator that looks after them. Global."""

    table_class: ClassVar[str] = "global"

    class Kind(models.TextChoices):
        CUSTOMER = "customer"
        OPERATOR = "operator"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    number = models.PositiveIntegerField(
        unique=True
    )  # 1 to 2^25 - 1: the first five characters of every key id
    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=16, choices=Kind, default=Kind.CUSTOMER)
    placement = models.PositiveSmallIntegerField()
    time_zone = models.CharField(max_length=64, default="UTC")  # IANA; what pages show where no room decides
    is_demo = models.BooleanField(default=False)  # sample data, marked as such on every page
    created_at = models.DateTimeField()

    objects: ClassVar[models.Manager[Tenant]] = models.Manager()

    def __str__(self) -> str:
        return self.name


class UserManager(BaseUserManager["User"]):
    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email__iexact=username)

    def create_user(self, *, email: str, name: str, home: Tenant, password: str | None, at: datetime) -> User:
        """The only way a user comes to be; there is no sign-up."""
        user = self.model(email=email.strip().lower(), name=name, home=home, created_at=at)
        user.set_password(password)
        user.save(using=self._db)
        return user


class User(AbstractBaseUser):
    """Someone who signs in. Global: read only by sign-in and by the user; customers see Person rows."""

    table_class: ClassVar[str] = "global"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    email = models.EmailField(max_length=254, unique=True)  # kept in lower case
    name = models.CharField(max_length=120)
    home = models.ForeignKey(Tenant, models.PROTECT, related_name="+")  # sign-in events go there
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = ["name"]

    objects: ClassVar[UserManager] = UserManager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(email=Lower("email")), name="tenancy_user_email_lower")
        ]

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """A tenant a user may enter. Global, ids only; what he may do there is a RoleAssignment."""

    table_class: ClassVar[str] = "global"

    class Kind(models.TextChoices):
        MEMBER = "member"  # of the organisation itself
        OPERATOR = "operator"  # the operator's standing grant over a customer served

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey(User, models.CASCADE, related_name="memberships")
    tenant = models.ForeignKey(Tenant, models.PROTECT, related_name="+")
    kind = models.CharField(max_length=16, choices=Kind, default=Kind.MEMBER)

    objects: ClassVar[models.Manager[Membership]] = models.Manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "tenant"], name="tenancy_membership_once"),
        ]


class Person(TenantModel):
    """A user as a customer sees him: also the operator's people who work for that customer."""

    user = models.ForeignKey(
        User, models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )  # TenantTable writes the key
    name = models.CharField(max_length=120)
    email = models.EmailField(max_length=254)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta(TenantModel.Meta):
        constraints = [models.UniqueConstraint(fields=["tenant", "user"], name="tenancy_person_one_per_user")]

    def __str__(self) -> str:
        return self.name


class Role(TenantModel):
    """A named set of permissions. Built-in ones are written at the tenant's creation and are read-only."""

    key = models.SlugField(max_length=40, db_index=False)
    name = models.CharField(max_length=80)
    permissions = models.JSONField(default=list)  # names of tenancy.roles.PERMISSIONS
    built_in = models.BooleanField(default=False)

    class Meta(TenantModel.Meta):
        constraints = [models.UniqueConstraint(fields=["tenant", "key"], name="tenancy_role_one_per_key")]

    def __str__(self) -> str:
        return self.name


class RoleAssignment(TenantModel):
    """A role given to a person, within a scope."""

    class Scope(models.TextChoices):
        ALL = "all"
        ROOM = "room"
        GROUP = "group"

    person = TenantForeignKey(Person, on_delete=models.CASCADE, related_name="assignments")
    role = TenantForeignKey(Role, on_delete=models.PROTECT, related_name="assignments")
    scope = models.CharField(max_length=8, choices=Scope, default=Scope.ALL)
    scope_id = models.UUIDField(
        null=True, blank=True
    )  # of a room or group; fleet.scope makes querysets of it

    class Meta(TenantModel.Meta):
        indexes = [models.Index(fields=["tenant", "person"], name="tenancy_assignment_person")]
        constraints = [
            models.CheckConstraint(
                condition=Q(scope="all", scope_id=None) | (~Q(scope="all") & Q(scope_id__isnull=False)),
                name="tenancy_assignment_scope_whole",
            )
        ]


class ApiTokenQuerySet(TenantQuerySet["ApiToken"]):
    def usable(self, *, at: datetime) -> ApiTokenQuerySet:
        return self.filter(revoked_at=None, expires_at__gt=at)


class ApiToken(TenantModel):
    """A secret with which a program acts under a role. Only its digest is kept."""

    public_id = models.CharField(max_length=12)  # the first five characters are the tenant's number
    digest = models.BinaryField(max_length=32)  # SHA-256 of the secret
    label = models.CharField(max_length=80)
    role = TenantForeignKey(Role, on_delete=models.PROTECT, related_name="api_tokens")
    created_by = TenantForeignKey(Person, on_delete=models.PROTECT, related_name="+", null=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True, blank=True)  # to the hour: a write per call costs more
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[ApiTokenQuerySet] = ApiTokenQuerySet.as_manager()

    class Meta(TenantModel.Meta):
        constraints = [
            models.UniqueConstraint(fields=["tenant", "public_id"], name="tenancy_api_token_one_per_id")
        ]


class AuditEvent(TenantModel):
    """Who did what, when, to which thing. Append-only by grant and by trigger; partitioned by day."""

    at = models.DateTimeField()
    actor_kind = models.CharField(max_length=16)  # person, token, device, system, enrollment_key
    actor_id = models.UUIDField(null=True, blank=True)
    actor_name = models.CharField(max_length=120, blank=True)
    action = models.CharField(max_length=60)  # of tenancy.audit.ACTIONS
    object_kind = models.CharField(max_length=40, blank=True)
    object_id = models.UUIDField(null=True, blank=True)
    object_name = models.CharField(max_length=200, blank=True)
    result = models.CharField(max_length=12, default="successful")  # or "failed"
    before = models.JSONField(null=True, blank=True)  # only what changed, secrets masked
    after = models.JSONField(null=True, blank=True)
    address = models.GenericIPAddressField(null=True, blank=True)
    request_id = models.CharField(max_length=40, blank=True)

    class Meta(TenantModel.Meta):
        indexes = [
            models.Index(fields=["tenant", "object_kind", "object_id", "id"], name="tenancy_audit_object")
        ]


class TenantCounter(models.Model):
    """The last number given to a tenant. Global, one row; numbers are taken by upsert."""

    table_class: ClassVar[str] = "global"

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    last = models.PositiveIntegerField(default=0)

    objects: ClassVar[models.Manager[Any]] = models.Manager()


__all__ = [
    "ApiToken",
    "AuditEvent",
    "Membership",
    "Person",
    "Role",
    "RoleAssignment",
    "Tenant",
    "TenantCounter",
    "TenantManager",
    "User",
]
