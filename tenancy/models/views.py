"""What people keep of a list: its filters under a name."""

from __future__ import annotations

from django.db import models

from foundation.tenant_tables import TenantForeignKey, TenantModel
from tenancy.models.people import Person


class SavedView(TenantModel):
    """The filters of a list under a name: one person's own, or everybody's of the organisation.

    It holds what was asked for and never what was found: whoever opens it sees what their own role shows.
    """

    listing = models.CharField(max_length=20)  # which list, as its address names it
    name = models.CharField(max_length=60)
    query = models.JSONField(default=dict)  # {filter: [values]}
    owner = TenantForeignKey(
        Person, on_delete=models.PROTECT, related_name="+", null=True, blank=True
    )  # none: a program
    shared = models.BooleanField(default=False)
    version = models.PositiveIntegerField(default=1)  # the ETag
    created_at = models.DateTimeField()

    class Meta(TenantModel.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "listing", "owner", "name"],
                nulls_distinct=False,
                name="tenancy_view_one_per_name",
            )
        ]

    def __str__(self) -> str:
        return self.name
