"""A person is forgotten: the rows that name them get a pseudonym. What they did stays on record, under an id.

Events of the audit log name people by id only, so nothing in it has to change (and nothing may).
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from foundation import mail
from tenancy import audit, people
from tenancy.models import Invitation, Membership, Person, User

NOWHERE = "erased.invalid"  # a name that never resolves (RFC 2606)


def erase(person_id: UUID, *, at: datetime) -> Person:
    """End the access of a person of the tenant entered and forget name and address. Repeating it changes nothing.

    The account itself is emptied too where no other organisation knows it. Raises Missing, LastAdministrator.
    """
    person = people.end(person_id, at=at)
    pseudonym = f"Former person {person.id.hex[-6:].upper()}"
    if person.name == pseudonym:
        return person
    address = f"{person.id.hex}@{NOWHERE}"
    former = person.email
    Person.objects.for_tenant(person.tenant_id).filter(id=person.id).update(name=pseudonym, email=address)
    invited = Invitation.objects.for_tenant(person.tenant_id).filter(email=former)
    invited.filter(accepted_at=None, revoked_at=None).update(revoked_at=at)
    invited.update(email=address, name="")
    mail.forget(tenant_id=person.tenant_id, to=former)
    if not Membership.objects.filter(user_id=person.user_id).exists():
        _empty_account(person.user_id, pseudonym)
    person.name, person.email = pseudonym, address
    audit.record("person.erase", person, tenant_id=person.tenant_id, at=at)
    return person


def _empty_account(user_id: UUID, pseudonym: str) -> None:
    user = User.objects.get(id=user_id)
    user.name, user.email, user.is_active = pseudonym, f"{user_id.hex}@{NOWHERE}", False
    user.set_unusable_password()
    user.save(update_fields=["name", "email", "is_active", "password"])
