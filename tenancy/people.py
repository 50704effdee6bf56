"""The people of an organisation: found, and ended. They come by invitation or by the installation's commands."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.db.models import Q

from foundation.context import current_tenant
from tenancy import administrators, assignments, audit, invitations, partners, serving
from tenancy.errors import Missing, Over
from tenancy.models import (
    ApiToken,
    Invitation,
    Membership,
    Person,
    Role,
    RoleAssignment,
    Tenant,
    User,
)


def person(person_id: UUID) -> Person:
    """Of the tenant entered, also one who has left. Raises Missing."""
    found: Person | None = Person.objects.for_tenant(current_tenant()).filter(id=person_id).first()
    if found is None:
        raise Missing("person")
    return found


def end(person_id: UUID, *, at: datetime) -> Person:
    """He may no longer enter; his roles, tokens and open invitations are gone with it. His name stays in what he did.
    Somebody of an operator no longer serves any customer either, somebody of a partner no longer works for any.

    Repeating it changes nothing. Raises Missing, LastAdministrator.
    """
    administrators.lock()
    gone = person(person_id)
    if gone.ended_at is not None:
        return gone
    user = User.objects.select_related("home").get(id=gone.user_id)
    if user.home_id == gone.tenant_id and user.home.kind == Tenant.Kind.OPERATOR:
        serving.end_all(user, at=at)
    if user.home_id == gone.tenant_id:
        partners.end_all(user, at=at)
    here = Membership.objects.filter(user_id=gone.user_id, tenant_id=gone.tenant_id)
    grant_id = here.values_list("grant_id", flat=True).first()  # the partner may not send them again
    here.delete()
    Person.objects.for_tenant(gone.tenant_id).filter(id=gone.id).update(
        ended_at=at, blocked_grant_id=grant_id
    )
    RoleAssignment.objects.for_tenant(gone.tenant_id).filter(person=gone).delete()
    ApiToken.objects.for_tenant(gone.tenant_id).filter(person=gone, revoked_at=None).update(revoked_at=at)
    _close_doors(gone, at=at)
    administrators.keep_one()
    gone.ended_at, gone.blocked_grant_id = at, grant_id
    audit.record("person.end", gone, tenant_id=gone.tenant_id, at=at)
    return gone


def let_in(person_id: UUID, *, at: datetime) -> Person:
    """A partner's person whose access was ended may be sent again by the partner. Raises Missing, Over."""
    held = person(person_id)
    rows = Person.objects.for_tenant(held.tenant_id).filter(id=held.id, blocked_grant_id__isnull=False)
    if not rows.update(blocked_grant_id=None):
        raise Over("Nothing keeps this person out.")
    held.blocked_grant_id = None
    audit.record("person.let_in", held, tenant_id=held.tenant_id, at=at)
    return held


def blocked(grant_ids: Iterable[UUID]) -> list[Person]:
    """Whose access the tenant entered ended under one of these partnerships, by name."""
    rows = Person.objects.for_tenant(current_tenant()).filter(blocked_grant_id__in=list(grant_ids))
    return list(rows.order_by("name", "id"))


def follow_group(person: Person, role_key: str, *, at: datetime) -> None:
    """Somebody who came by a group of the directory has the role it gives now, "" for none. What was given here stays.

    Raises Missing for no such role, LastAdministrator.
    """
    administrators.lock()
    had = person.group_role
    if had == role_key and person.by_group:
        return
    people = Person.objects.for_tenant(person.tenant_id).filter(id=person.id)
    people.update(by_group=True, group_role=role_key)
    person.by_group, person.group_role = True, role_key
    by_key = {role.key: role for role in Role.objects.for_tenant(person.tenant_id) if role.key}
    if role_key:
        if role_key not in by_key:
            raise Missing("role")
        assignments.give(person, role_id=by_key[role_key].id, by=None, at=at)
    if had in by_key:
        rows = RoleAssignment.objects.for_tenant(person.tenant_id).filter(
            person=person, role=by_key[had], assignment=None, scope=RoleAssignment.Scope.ALL
        )
        for row in rows:
            assignments.withdraw(row.id, person=person, at=at)


def _close_doors(gone: Person, *, at: datetime) -> None:
    """Links they sent let nobody in any more, and one sent to them does not bring them back."""
    still_open = Invitation.objects.for_tenant(gone.tenant_id).filter(
        Q(invited_by=gone) | Q(email=gone.email.lower()), accepted_at=None, revoked_at=None
    )
    for each in still_open.order_by("id"):
        invitations.revoke(each.id, at=at)
