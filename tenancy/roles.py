"""Permissions, the built-in roles that bundle them, and what a person may do (domain: roles and permissions)."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from tenancy.models import Person, Role, RoleAssignment

PERMISSIONS = {
    "rooms.view": "See rooms and devices",
    "rooms.modify": "Change rooms, accept devices",
    "rooms.unenroll": "Unenroll devices",
    "keys.download": "Make enrollment keys",
    "keys.reset": "Revoke and reset enrollment keys",
    "actions.read": "See remote actions",
    "actions.write": "Start remote actions",
    "groups.view": "See room groups",
    "groups.create": "Make room groups",
    "groups.modify": "Change room groups",
    "updates.view": "See updates",
    "updates.modify": "Pause, resume and force updates",
    "updates.create": "Make updates and rings",
    "reports.view": "See reports",
    "tickets.view": "See tickets",
    "tickets.modify": "Record, answer and close tickets",
    "roles.view": "See roles and people",
    "roles.modify": "Change roles and people",
    "inventory.view": "See inventory",
    "inventory.modify": "Change standards and plans",
    "settings.view": "See settings",
    "settings.modify": "Change settings",
    "settings.servicenow": "Connect ServiceNow",
    "settings.signals": "Change signals",
    "audit.export": "Export the audit log",
    "remote.view": "Watch a remote session",
    "remote.modify": "Control a remote session",
    "queue.work": "Work the queue over all customers served",
    "queue.assign": "Assign tickets to others",
}

_CUSTOMER = frozenset(PERMISSIONS) - {"remote.view", "remote.modify", "queue.work", "queue.assign"}
_NOT_D = {"roles.view", "roles.modify", "settings.servicenow", "settings.signals", "audit.export"}


@dataclass(frozen=True)
class BuiltIn:
    key: str
    name: str
    permissions: frozenset[str]


CUSTOMER_ROLES = (
    BuiltIn("pro_manager", "Pro Manager", _CUSTOMER),
    BuiltIn(
        "site_lead",
        "Site Lead",
        frozenset(
            "rooms.view rooms.modify rooms.unenroll keys.download actions.read actions.write groups.view "
            "reports.view tickets.view tickets.modify".split()
        ),
    ),
    BuiltIn(
        "site_technician",
        "Site Technician",
        frozenset(
            "rooms.view rooms.modify rooms.unenroll keys.download actions.read tickets.view tickets.modify".split()
        ),
    ),
    BuiltIn("global_administrator", "Global/Teams administrator", _CUSTOMER),
    BuiltIn("devices_administrator", "Teams devices administrator", _CUSTOMER - _NOT_D),
    BuiltIn(
        "global_reader",
        "Global reader",
        frozenset(
            "rooms.view actions.read groups.view updates.view reports.view tickets.view roles.view "
            "inventory.view".split()
        ),
    ),
    BuiltIn(
        "partner_admin",
        "Partner primary admin",
        frozenset(
            "rooms.view rooms.modify actions.read actions.write groups.view updates.view updates.modify "
            "reports.view tickets.view tickets.modify roles.view roles.modify".split()
        ),
    ),
)
_AGENT = frozenset("tickets.view tickets.modify actions.read rooms.view queue.work".split())
OPERATOR_ROLES = (
    BuiltIn("platform_admin", "Platform admin", frozenset({"settings.view", "settings.modify"})),
    BuiltIn("soc_agent", "SOC Agent", _AGENT),
    BuiltIn("soc_lead", "SOC Lead", _AGENT | {"actions.write", "queue.assign"}),
    BuiltIn("tenant_manager", "Tenant Manager", frozenset()),
)


def create_built_in_roles(tenant_id: UUID, *, operator: bool) -> list[Role]:
    """The read-only roles of a new tenant, entered. Repeating it changes nothing."""
    rows = [
        Role(
            tenant_id=tenant_id,
            key=role.key,
            name=role.name,
            permissions=sorted(role.permissions),
            built_in=True,
        )
        for role in (OPERATOR_ROLES if operator else CUSTOMER_ROLES)
    ]
    Role.objects.for_tenant(tenant_id).bulk_create(rows, ignore_conflicts=True)
    return list(Role.objects.for_tenant(tenant_id).filter(built_in=True).order_by("key"))


def permissions_of(person: Person) -> frozenset[str]:
    """Union over the person's assignments. The person's tenant is entered."""
    assignments = RoleAssignment.objects.for_tenant(person.tenant_id).filter(person=person, scope="all")
    bundles = assignments.values_list("role__permissions", flat=True)
    return frozenset(name for bundle in bundles for name in bundle)
