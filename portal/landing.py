"""Where somebody of an operator begins: at what his roles are for."""

from __future__ import annotations

from django.urls import reverse

from foundation.context import tenant
from tenancy import roles, tenants
from tenancy.models import Membership, Tenant, User

BEGINNINGS = (  # permission, page; the first that fits
    ("queue.work", "portal:queue"),
    ("tenants.delegate", "portal:console-serving"),
    ("roles.view", "portal:person-list"),
    ("audit.export", "portal:audit-log"),
)


def of_operator(user: User) -> str:
    """The queue for whoever has no role yet: it says that the role does not allow it."""
    may = _permissions(user)
    return reverse(next((page for permission, page in BEGINNINGS if permission in may), "portal:queue"))


def _permissions(user: User) -> frozenset[str]:
    for each in tenants.memberships_of(user):
        if each.tenant.kind == Tenant.Kind.OPERATOR and each.kind == Membership.Kind.MEMBER:
            with tenant(each.tenant_id):
                person = tenants.person_in(each.tenant_id, user.id)
                return roles.permissions_of(person) if person else frozenset()
    return frozenset()
