"""Roles given to people within a scope. Rights are the union of all of them, at the next request.

All functions work in the one tenant entered. `by`: the rights of whoever asks; None for the installation itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from foundation.context import current_tenant
from foundation.errors import Conflict, violated_constraint
from tenancy import administrators, audit, scopes
from tenancy.custom_roles import check_may_grant, one_line, role
from tenancy.errors import AlreadyThere, Missing
from tenancy.models import Assignment, Membership, Person, RoleAssignment
from tenancy.rights import Place, Rights, reach_of


def assignment(assignment_id: UUID) -> Assignment:
    """With its role. Raises Missing."""
    rows = Assignment.objects.for_tenant(current_tenant()).filter(id=assignment_id)
    found: Assignment | None = rows.select_related("role").first()
    if found is None:
        raise Missing("assignment")
    return found


def members_of(assigned: Assignment) -> list[Person]:
    """By name."""
    people = Person.objects.for_tenant(assigned.tenant_id).filter(assignments__assignment=assigned)
    return list(people.distinct().order_by("name", "id"))


def add(
    *,
    role_id: UUID,
    name: str,
    members: Iterable[UUID],
    everywhere: bool = True,
    scope: Iterable[Place] = (),
    description: str = "",
    by: Rights | None,
    at: datetime,
) -> Assignment:
    """`members`: ids of people; `scope`: rooms and groups. Raises Missing, NotValid, AlreadyThere, MoreThanOwn."""
    tenant_id = current_tenant()
    administrators.lock()
    given = role(role_id, field="role")
    places = scopes.checked(everywhere, scope)
    check_may_grant(by, given.permissions, reach_of(everywhere, places))
    made = Assignment(
        tenant_id=tenant_id,
        role=given,
        name=one_line(name, "name", at_most=80),
        description=one_line(description, "description", at_most=300, required=False),
        everywhere=everywhere,
        scope=places,
        created_at=at,
    )
    _save(made, new=True)
    people = _people(members)
    _write_rows(made, people)
    audit.record("assignment.create", made, tenant_id=tenant_id, at=at, after=_facts(made, people))
    return made


def edit(
    assignment_id: UUID,
    *,
    name: str | None = None,
    description: str | None = None,
    members: Iterable[UUID] | None = None,
    everywhere: bool | None = None,
    scope: Iterable[Place] | None = None,
    by: Rights | None,
    at: datetime,
) -> Assignment:
    """Change what is given. `everywhere` False wants a `scope`. Raises what `add` raises, and LastAdministrator."""
    administrators.lock()
    changed = assignment(assignment_id)
    people = members_of(changed)
    before = _facts(changed, people)
    if name is not None:
        changed.name = one_line(name, "name", at_most=80)
    if description is not None:
        changed.description = one_line(description, "description", at_most=300, required=False)
    if everywhere is not None or scope is not None:
        changed.everywhere = bool(everywhere) if everywhere is not None else not scope
        changed.scope = scopes.checked(changed.everywhere, scope or ())
    if members is not None:
        people = _people(members)
    after = _facts(changed, people)
    if before == after:
        return changed
    check_may_grant(by, changed.role.permissions, reach_of(changed.everywhere, changed.scope))
    _save(changed)
    _write_rows(changed, people)
    administrators.keep_one()
    audit.record("assignment.update", changed, tenant_id=changed.tenant_id, at=at, before=before, after=after)
    return changed


def remove(assignment_id: UUID, *, at: datetime) -> None:
    """Its members lose what it gave. Raises Missing, LastAdministrator."""
    administrators.lock()
    gone = assignment(assignment_id)
    before = _facts(gone, members_of(gone))
    RoleAssignment.objects.for_tenant(gone.tenant_id).filter(assignment=gone).delete()
    Assignment.objects.for_tenant(gone.tenant_id).filter(id=gone.id).delete()
    administrators.keep_one()
    audit.record("assignment.delete", gone, tenant_id=gone.tenant_id, at=at, before=before)


def give(
    person: Person,
    *,
    role_id: UUID,
    everywhere: bool = True,
    scope: Iterable[Place] = (),
    by: Rights | None,
    at: datetime,
) -> None:
    """A role for one person directly. Giving the same again changes nothing.

    Raises Missing, NotValid, MoreThanOwn, and Conflict for one who has left or belongs to another organisation.
    """
    administrators.lock()
    if person.ended_at is not None:
        raise Conflict(f"{person.name} has left. Invite them again.")
    if not _members([person]):
        raise Conflict(
            f"{person.name} belongs to another organisation: what they may do here comes from there."
        )
    given = role(role_id, field="role")
    places = scopes.checked(everywhere, scope)
    check_may_grant(by, given.permissions, reach_of(everywhere, places))
    rows = RoleAssignment.objects.for_tenant(person.tenant_id)
    new = False
    for kind, key in scopes.rows(everywhere, places):
        _, made = rows.get_or_create(person=person, role=given, assignment=None, scope=kind, scope_id=key)
        new = new or made
    if new:
        after = {"role": given.name, "everywhere": everywhere, "scope": places}
        audit.record("role.assign", person, tenant_id=person.tenant_id, at=at, after=after)


def given_directly(row_id: UUID, person: Person) -> RoleAssignment:
    """One role of `person` in one place, given by no assignment, with it. Raises Missing."""
    rows = RoleAssignment.objects.for_tenant(current_tenant()).filter(
        id=row_id, person=person, assignment=None
    )
    found: RoleAssignment | None = rows.select_related("person", "role").first()
    if found is None:
        raise Missing("assignment")
    return found


def withdraw(row_id: UUID, *, person: Person, at: datetime) -> None:
    """Take back one role given to `person` directly, in one place. Raises Missing, LastAdministrator."""
    administrators.lock()
    gone = given_directly(row_id, person)
    RoleAssignment.objects.for_tenant(gone.tenant_id).filter(id=gone.id).delete()
    administrators.keep_one()
    before = {"role": gone.role.name, "scope": gone.scope, "scope_id": gone.scope_id}
    audit.record("role.withdraw", gone.person, tenant_id=gone.tenant_id, at=at, before=before)


def _write_rows(assigned: Assignment, people: list[Person]) -> None:
    rows = RoleAssignment.objects.for_tenant(assigned.tenant_id)
    rows.filter(assignment=assigned).delete()
    rows.bulk_create(
        RoleAssignment(
            tenant_id=assigned.tenant_id,
            person=person,
            role_id=assigned.role_id,
            assignment=assigned,
            scope=kind,
            scope_id=key,
        )
        for person in people
        for kind, key in scopes.rows(assigned.everywhere, assigned.scope)
    )


def _people(ids: Iterable[UUID]) -> list[Person]:
    wanted = list(dict.fromkeys(ids))
    people = Person.objects.for_tenant(current_tenant()).filter(id__in=wanted, ended_at=None)
    found = _members(list(people.order_by("name", "id")))
    if len(found) != len(wanted):
        raise Missing("person", field="members")
    return found


def _members(people: list[Person]) -> list[Person]:
    """Those who belong to the organisation itself: rights of operators and partners come from elsewhere."""
    rows = Membership.objects.filter(
        tenant_id=current_tenant(), kind=Membership.Kind.MEMBER, user_id__in=[each.user_id for each in people]
    )
    members = set(rows.values_list("user_id", flat=True))
    return [each for each in people if each.user_id in members]


def _facts(assigned: Assignment, people: list[Person]) -> dict[str, Any]:
    return {
        "name": assigned.name,
        "description": assigned.description,
        "role": assigned.role.name,
        "members": list(people),
        "everywhere": assigned.everywhere,
        "scope": [list(place) for place in assigned.scope],
    }


def _save(changed: Assignment, *, new: bool = False) -> None:
    try:
        with transaction.atomic():
            changed.save(force_insert=new)
    except IntegrityError as error:
        if violated_constraint(error) != "tenancy_assignment_one_per_name":
            raise
        raise AlreadyThere(f"There is already an assignment {changed.name}.", field="name") from error
