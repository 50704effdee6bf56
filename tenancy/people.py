"""The people of an organisation: found, and ended. They come by invitation or by the installation's commands."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db.models import Q

from foundation.context import current_tenant
from tenancy import administrators, audit, invitations
from tenancy.errors import Missing
from tenancy.models import ApiToken, Invitation, Membership, Person, RoleAssignment


def person(person_id: UUID) -> Person:
    """Of the tenant entered, also one who has left. Raises Missing."""
    found: Person | None = Person.objects.for_tenant(current_tenant()).filter(id=person_id).first()
    if found is None:
        raise Missing("person")
    return found


def end(person_id: UUID, *, at: datetime) -> Person:
    """He may no longer enter; his roles, tokens and open invitations are gone with it. His name stays in what he did.

    Repeating it changes nothing. Raises Missing, LastAdministrator.
    """
    administrators.lock()
    gone = person(person_id)
    if gone.ended_at is not None:
        return gone
    Membership.objects.filter(user_id=gone.user_id, tenant_id=gone.tenant_id).delete()
    Person.objects.for_tenant(gone.tenant_id).filter(id=gone.id).update(ended_at=at)
    RoleAssignment.objects.for_tenant(gone.tenant_id).filter(person=gone).delete()
    ApiToken.objects.for_tenant(gone.tenant_id).filter(person=gone, revoked_at=None).update(revoked_at=at)
    _close_doors(gone, at=at)
    administrators.keep_one()
    gone.ended_at = at
    audit.record("person.end", gone, tenant_id=gone.tenant_id, at=at)
    return gone


def _close_doors(gone: Person, *, at: datetime) -> None:
    """Links they sent let nobody in any more, and one sent to them does not bring them back."""
    still_open = Invitation.objects.for_tenant(gone.tenant_id).filter(
        Q(invited_by=gone) | Q(email=gone.email.lower()), accepted_at=None, revoked_at=None
    )
    for each in still_open.order_by("id"):
        invitations.revoke(each.id, at=at)
