"""What a customer lets others do: partner organisations, and operators in an emergency."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from foundation.ids import new_id
from foundation.tenant_tables import TenantForeignKey, TenantModel
from tenancy.models.access import ApiToken, Role
from tenancy.models.people import Person, Tenant


class PartnerGrant(models.Model):
    """A link between two organisations and its state. Global: read before either is entered. Ids, domain, state only."""

    table_class: ClassVar[str] = "global"

    class State(models.TextChoices):
        PENDING = "pending"
        ACCEPTED = "accepted"
        DENIED = "denied"
        EXPIRED = "expired"
        REVOKED = "revoked"  # the invitation was taken back
        ENDED = "ended"  # by either side, after it was accepted

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)  # also the Partnership's
    customer = models.ForeignKey(Tenant, models.PROTECT, related_name="+")
    partner = models.ForeignKey(Tenant, models.PROTECT, related_name="+", null=True, blank=True)
    domain = models.CharField(max_length=253)  # who is invited, before there is a partner
    state = models.CharField(max_length=8, choices=State, default=State.PENDING)
    expires_at = models.DateTimeField()  # of the invitation
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()

    objects: ClassVar[models.Manager[PartnerGrant]] = models.Manager()

    class Meta:
        indexes = [models.Index(fields=["domain", "state"], name="tenancy_grant_domain")]
        constraints = [
            models.UniqueConstraint(
                fields=["customer", "domain"],
                condition=Q(state__in=["pending", "accepted"]),
                name="tenancy_grant_one_live",
            )
        ]


class Partnership(TenantModel):
    """What a customer grants a partner: role, scope, terms, and which kinds of action wait for approval."""

    domain = models.CharField(max_length=253)
    partner_name = models.CharField(max_length=120, blank=True, default="")  # known once accepted
    role = TenantForeignKey(Role, on_delete=models.PROTECT, related_name="+")
    everywhere = models.BooleanField(default=False)
    scope = models.JSONField(default=list, blank=True)  # as Assignment.scope
    approvals = models.JSONField(default=list, blank=True)  # permissions whose use waits for the customer
    terms = models.TextField(max_length=5_000, blank=True, default="")
    invited_by = TenantForeignKey(Person, on_delete=models.PROTECT, related_name="+", null=True, blank=True)
    created_at = models.DateTimeField()
    ended_reason = models.CharField(max_length=200, blank=True, default="")

    def __str__(self) -> str:
        return self.partner_name or self.domain


class PendingAction(TenantModel):
    """Something a partner's person wants to do that waits until the customer approves."""

    class State(models.TextChoices):
        WAITING = "waiting"
        DONE = "done"
        FAILED = "failed"  # approved, then refused by the state of things
        DENIED = "denied"
        EXPIRED = "expired"

    partnership = TenantForeignKey(Partnership, on_delete=models.CASCADE, related_name="actions")
    person = TenantForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    permission = models.CharField(max_length=40)  # the kind of action
    label = models.CharField(max_length=200)  # what it would do, for people
    method = models.CharField(max_length=6)
    path = models.CharField(max_length=300)
    body = models.JSONField(default=dict, blank=True)
    token = TenantForeignKey(  # of the program that asked
        ApiToken, on_delete=models.PROTECT, related_name="+", null=True, blank=True
    )
    effect = models.JSONField(default=dict, blank=True)  # events it would leave, as a rehearsal found them
    state = models.CharField(max_length=8, choices=State, default=State.WAITING)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = TenantForeignKey(Person, on_delete=models.PROTECT, related_name="+", null=True, blank=True)
    outcome = models.CharField(max_length=200, blank=True, default="")

    class Meta(TenantModel.Meta):
        indexes = [
            models.Index(fields=["tenant", "state", "created_at", "id"], name="tenancy_pending_action_state")
        ]

    def __str__(self) -> str:
        return self.label


class BreakGlass(TenantModel):
    """An operator's wider access to one customer for an hour, with its reason. The customer is told, reads are logged."""

    person = TenantForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    user_id = models.UUIDField()
    reason = models.CharField(max_length=500)
    ticket = models.CharField(max_length=40)  # the incident's number
    started_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta(TenantModel.Meta):
        indexes = [models.Index(fields=["tenant", "user_id", "expires_at"], name="tenancy_break_glass_user")]

    def __str__(self) -> str:
        return self.ticket
