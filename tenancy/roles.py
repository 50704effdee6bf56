"""Permissions, the built-in roles that bundle them, and what a person may do (domain: roles and permissions)."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from foundation.tenant_tables import TenantQuerySet
from tenancy.models import Membership, Person, Role, RoleAssignment
from tenancy.rights import EVERYWHERE, Reach, Rights

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
    "tenants.delegate": "Decide who serves which customer",
}

# What concerns more than rooms: an assignment to some rooms only does not give it.
NEEDS_EVERYWHERE = frozenset(
    "groups.create updates.create roles.view roles.modify inventory.modify settings.view settings.modify "
    "settings.servicenow settings.signals audit.export queue.work queue.assign tenants.delegate".split()
)
# What an operator's role is worth at a customer served: tickets, health, safe actions. The rest is for his own house.
STANDING = frozenset("tickets.view tickets.modify rooms.view actions.read actions.write".split())
# What no role is worth to a partner's people at a customer (tenancy.partners.worth).
CUSTOMERS_OWN = frozenset({"roles.modify"})
BY_CUSTOM_ROLE_ONLY = frozenset({"remote.view", "remote.modify"})  # no built-in role gives them

# Of an operator alone: no customer's role has them.
OPERATORS_OWN = frozenset({"queue.work", "queue.assign", "tenants.delegate"})

_CUSTOMER = frozenset(PERMISSIONS) - BY_CUSTOM_ROLE_ONLY - OPERATORS_OWN
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
    BuiltIn(
        "platform_admin",
        "Platform admin",
        frozenset({"settings.view", "settings.modify", "roles.view", "roles.modify", "audit.export"}),
    ),
    BuiltIn("soc_agent", "SOC Agent", _AGENT),
    BuiltIn("soc_lead", "SOC Lead", _AGENT | {"actions.write", "queue.assign"}),
    BuiltIn("tenant_manager", "Tenant Manager", frozenset({"tenants.delegate"})),
)
OPERATORS = frozenset[str]().union(*(role.permissions for role in OPERATOR_ROLES))


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


OPERATIONS = "Operations"  # what standing access is called where roles are named


@dataclass(frozen=True)
class Source:
    """Why somebody holds something: a role, by an assignment of that name or directly, everywhere or in one place."""

    role: str
    assignment: str  # "" where it was given directly
    assignment_id: UUID | None
    kind: str  # all, room or group
    place_id: UUID | None


def rights_of(person: Person) -> Rights:
    """The union over the person's assignments, each within its own scope; nothing for one who has left.

    The person's tenant is entered. One query.
    """
    if person.ended_at is not None:
        return Rights()
    everywhere: set[str] = set()
    places: dict[str, set[tuple[str, UUID]]] = {}
    rows = _assignments_of(person).values_list("scope", "scope_id", "role__permissions")
    for kind, place_id, permissions in rows:
        for name in permissions:
            if kind == RoleAssignment.Scope.ALL:
                everywhere.add(name)
            elif place_id is not None and name not in NEEDS_EVERYWHERE:
                places.setdefault(name, set()).add((kind, place_id))
    reaches = {name: Reach((frozenset(held),)) for name, held in places.items()}
    return Rights({**reaches, **dict.fromkeys(everywhere, EVERYWHERE)})


def permissions_of(person: Person) -> frozenset[str]:
    """What the person may do anywhere."""
    return rights_of(person).permissions


def explain(person: Person) -> dict[str, list[Source]]:
    """For each permission held, every assignment that grants it. The person's tenant is entered.

    Operators hold what standing access gives, partners' people no more than a role is worth to them.
    """
    kind = Membership.objects.filter(tenant_id=person.tenant_id, user_id=person.user_id).values_list(
        "kind", flat=True
    )
    here = kind.first()
    if here == Membership.Kind.OPERATOR:
        given = STANDING if person.ended_at is None else frozenset()
        source = Source(OPERATIONS, "", None, RoleAssignment.Scope.ALL, None)
        return {name: [source] for name in PERMISSIONS if name in given}
    kept = CUSTOMERS_OWN if here == Membership.Kind.PARTNER else frozenset()
    why: dict[str, list[Source]] = {}
    rows = _assignments_of(person).select_related("role", "assignment").order_by("role__name", "id")
    for row in rows if person.ended_at is None else ():
        named = row.assignment.name if row.assignment else ""
        source = Source(row.role.name, named, row.assignment_id, row.scope, row.scope_id)
        for name in row.role.permissions:
            if row.scope == RoleAssignment.Scope.ALL or name not in NEEDS_EVERYWHERE:
                why.setdefault(name, []).append(source)
    return {name: why[name] for name in PERMISSIONS if name in why and name not in kept}


def _assignments_of(person: Person) -> TenantQuerySet[RoleAssignment]:
    return RoleAssignment.objects.for_tenant(person.tenant_id).filter(person=person)
