"""Organisations, people, what they may do, and what was done."""

from tenancy.models.access import ApiToken, Assignment, Invitation, Role, RoleAssignment
from tenancy.models.audit import AuditEvent, AuditPending, AuditSeal
from tenancy.models.grants import BreakGlass, PartnerGrant, Partnership, PendingAction
from tenancy.models.people import (
    PLACEMENTS,
    Membership,
    Person,
    Tenant,
    TenantCounter,
    User,
    UserManager,
    placement_of,
)
from tenancy.models.views import SavedView

__all__ = [
    "PLACEMENTS",
    "ApiToken",
    "Assignment",
    "AuditEvent",
    "AuditPending",
    "AuditSeal",
    "BreakGlass",
    "Invitation",
    "Membership",
    "PartnerGrant",
    "Partnership",
    "PendingAction",
    "Person",
    "Role",
    "RoleAssignment",
    "SavedView",
    "Tenant",
    "TenantCounter",
    "User",
    "UserManager",
    "placement_of",
]
