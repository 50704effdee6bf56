"""Who is there: organisations, users, and which organisation a user may enter."""

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
from foundation.tenant_tables import TenantModel

PLACEMENTS = 32  # streams and transactions are grouped by crc32(id) mod this


def placement_of(tenant_id: UUID) -> int:
    return zlib.crc32(tenant_id.bytes) % PLACEMENTS


class Tenant(models.Model):
    """An organisation: a customer that owns rooms, or an operator or partner that looks after them. Global."""

    table_class: ClassVar[str] = "global"

    class Kind(models.TextChoices):
        CUSTOMER = "customer"
        OPERATOR = "operator"
        PARTNER = "partner"

    class Region(models.TextChoices):
        EU = "eu"
        APAC = "apac"
        US = "us"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    number = models.PositiveIntegerField(
        unique=True
    )  # 1 to 2^25 - 1: the first five characters of every key id
    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=16, choices=Kind, default=Kind.CUSTOMER)
    placement = models.PositiveSmallIntegerField()
    time_zone = models.CharField(max_length=64, default="UTC")  # IANA; what pages show where no room decides
    home_region = models.CharField(  # where its data lives (tenancy.regions); given when it comes to be
        max_length=4, choices=Region, default=Region.EU
    )
    domain = models.CharField(
        max_length=253, blank=True, default=""
    )  # of its mail; partners are invited by it
    is_demo = models.BooleanField(default=False)  # sample data, marked as such on every page
    created_at = models.DateTimeField()

    objects: ClassVar[models.Manager[Tenant]] = models.Manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["domain"], condition=~Q(domain=""), name="tenancy_tenant_domain")
        ]

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
        PARTNER = "partner"  # by a grant of the customer to the organisation he belongs to

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey(User, models.CASCADE, related_name="memberships")
    tenant = models.ForeignKey(Tenant, models.PROTECT, related_name="+")
    kind = models.CharField(max_length=16, choices=Kind, default=Kind.MEMBER)
    grant = models.ForeignKey("tenancy.PartnerGrant", models.CASCADE, related_name="+", null=True, blank=True)

    objects: ClassVar[models.Manager[Membership]] = models.Manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "tenant"], name="tenancy_membership_once"),
            models.CheckConstraint(
                condition=Q(kind="partner", grant__isnull=False) | (~Q(kind="partner") & Q(grant=None)),
                name="tenancy_membership_by_grant",
            ),
        ]


class Person(TenantModel):
    """A user as a customer sees him: also the operator's people who work for that customer."""

    user = models.ForeignKey(
        User, models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )  # TenantTable writes the key
    name = models.CharField(max_length=120)
    email = models.EmailField(max_length=254)
    ended_at = models.DateTimeField(null=True, blank=True)
    by_group = models.BooleanField(
        default=False
    )  # came by a group of the directory: looked at with each sign-in
    group_role = models.CharField(
        max_length=40, blank=True, default=""
    )  # key of the role the group gives now
    blocked_grant_id = models.UUIDField(
        null=True, blank=True
    )  # a partnership under which this one may not return

    class Meta(TenantModel.Meta):
        constraints = [models.UniqueConstraint(fields=["tenant", "user"], name="tenancy_person_one_per_user")]

    def __str__(self) -> str:
        return self.name


class TenantCounter(models.Model):
    """The last number given to a tenant. Global, one row; numbers are taken by upsert."""

    table_class: ClassVar[str] = "global"

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    last = models.PositiveIntegerField(default=0)

    objects: ClassVar[models.Manager[Any]] = models.Manager()
