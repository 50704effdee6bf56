"""Invitations: a person comes by a one-use link, bound to an e-mail address, an organisation, and a role in a scope.

Only a digest of the link's secret is kept; the link itself goes out by mail, and is shown to nobody.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction

from foundation import mail, tokens
from foundation.context import current_tenant, tenant
from foundation.errors import NotValid, violated_constraint
from tenancy import assignments, audit, scopes
from tenancy.custom_roles import check_may_grant, one_line, role
from tenancy.errors import AlreadyThere, Missing, Over
from tenancy.models import Invitation, Membership, Person, Tenant, User
from tenancy.rights import Place, Rights, reach_of
from tenancy.tenants import add_person, by_number

PREFIX = "grin"
LASTS = timedelta(days=7)


def invite(
    *,
    email: str,
    role_id: UUID,
    name: str = "",
    everywhere: bool = True,
    scope: Iterable[Place] = (),
    link: str,
    by: Person | None,
    rights: Rights | None,
    at: datetime,
) -> Invitation:
    """Invite somebody to the tenant entered. `link`: the address the mail names, to whose end the secret is put.

    Raises NotValid, Missing for the role, MoreThanOwn, AlreadyThere for somebody invited or a member already.
    """
    tenant_id = current_tenant()
    address = _email(email)
    given = role(role_id, field="role")
    places = scopes.checked(everywhere, scope)
    check_may_grant(rights, given.permissions, reach_of(everywhere, places))
    if Person.objects.for_tenant(tenant_id).filter(email=address, ended_at=None).exists():
        raise AlreadyThere("This person is here already.", field="email")
    earlier = Invitation.objects.for_tenant(tenant_id).filter(
        email=address, accepted_at=None, revoked_at=None
    )
    earlier.filter(expires_at__lte=at).update(revoked_at=at)
    host = Tenant.objects.get(id=tenant_id)
    issued = tokens.issue(PREFIX, host.number)
    made = Invitation(
        tenant_id=tenant_id,
        public_id=issued.public_id,
        digest=issued.digest,
        email=address,
        name=one_line(name, "name", at_most=120, required=False),
        role=given,
        everywhere=everywhere,
        scope=places,
        invited_by=by,
        created_at=at,
        expires_at=at + LASTS,
    )
    try:
        with transaction.atomic():
            made.save(force_insert=True)
    except IntegrityError as error:
        if violated_constraint(error) != "tenancy_invitation_one_open":
            raise
        raise AlreadyThere(
            "This address is invited already. Take that invitation back first.", field="email"
        ) from error
    after = {"role": given.name, "everywhere": everywhere, "scope": places}
    audit.record("invitation.create", made, tenant_id=tenant_id, at=at, after=after)
    _send(made, host, link, issued.text, at=at)
    return made


def invitation(invitation_id: UUID) -> Invitation:
    """Of the tenant entered. Raises Missing."""
    rows = Invitation.objects.for_tenant(current_tenant()).select_related("role", "invited_by")
    found: Invitation | None = rows.filter(id=invitation_id).first()
    if found is None:
        raise Missing("invitation")
    return found


def revoke(invitation_id: UUID, *, at: datetime) -> Invitation:
    """The link ends. Raises Missing, Over for one that was accepted or taken back."""
    held = invitation(invitation_id)
    rows = Invitation.objects.for_tenant(held.tenant_id).filter(id=held.id, accepted_at=None, revoked_at=None)
    if not rows.update(revoked_at=at):
        raise Over("This invitation was accepted or taken back already.")
    held.revoked_at = at
    audit.record("invitation.revoke", held, tenant_id=held.tenant_id, at=at)
    return held


def find(text: str, *, at: datetime) -> Invitation | None:
    """The invitation of a link's secret, with tenant and role; None for one that is malformed, unknown, used, taken
    back or expired: the answer is the same for all. Enters the tenant itself."""
    presented = tokens.parse(PREFIX, text)
    host = by_number(presented.tenant_number) if presented else None
    if presented is None or host is None:
        return None
    with tenant(host.id):
        rows = Invitation.objects.for_tenant(host).select_related("tenant", "role", "invited_by")
        row: Invitation | None = rows.filter(public_id=presented.public_id).first()
    if row is None or not presented.matches(row.digest):
        return None
    open_still = row.accepted_at is None and row.revoked_at is None and at < row.expires_at
    return row if open_still else None


def account_of(held: Invitation) -> User | None:
    """The account of the invited address, if there is one: it must be signed in to accept."""
    return User.objects.filter(email=held.email).first()


def accept(
    text: str, *, name: str = "", password: str | None = None, user: User | None = None, at: datetime
) -> User:
    """Join with a link: as `user`, signed in under the invited address, or with a new account.

    `password` was checked by the face; None for somebody who signs in by a directory. Used once: of two at a time
    one gets Over, as for a link that does not hold. Raises NotValid for another's account or no name. Enters the
    tenant itself.
    """
    held = find(text, at=at)
    if held is None:
        raise Over("This link does not hold any more. Ask for a new invitation.")
    account = account_of(held)
    if account is not None and account != user:
        raise NotValid("Sign in with the invited address first.", field="email")
    with tenant(held.tenant_id):
        rows = Invitation.objects.for_tenant(held.tenant_id)
        if not rows.filter(id=held.id, accepted_at=None, revoked_at=None).update(accepted_at=at):
            raise Over("This link does not hold any more. Ask for a new invitation.")
        if account is None:
            called = one_line(name or held.name, "name", at_most=120)
            account = User.objects.create_user(
                email=held.email, name=called, home=held.tenant, password=password, at=at
            )
        if Membership.objects.filter(user=account, tenant=held.tenant).exists():
            raise AlreadyThere("You are in this organisation already.")
        person = add_person(account, to=held.tenant, role="", at=at)
        places = [(kind, UUID(key)) for kind, key in held.scope]
        assignments.give(
            person, role_id=held.role_id, everywhere=held.everywhere, scope=places, by=None, at=at
        )
        audit.record("invitation.accept", held, tenant_id=held.tenant_id, at=at, after={"person": person})
    return account


def _send(made: Invitation, host: Tenant, link: str, secret: str, *, at: datetime) -> None:
    who = made.invited_by.name if made.invited_by else host.name
    text = (
        f"{who} invites you to look after the meeting rooms of {host.name} in Greenroom.\n\n"
        f"Open this link to join; it works once, until {made.expires_at:%d %b %Y}:\n\n{link}{mail.HERE}\n\n"
        "If you did not expect this, leave it: nothing happens without you.\n"
    )
    mail.queue(
        tenant_id=made.tenant_id,
        to=made.email,
        subject=f"{host.name} invites you to Greenroom",
        text=text,
        secret=secret,
        at=at,
    )


def _email(text: str) -> str:
    address = text.strip().lower()
    try:
        validate_email(address)
    except ValidationError:
        raise NotValid("Write an address like name@example.com.", field="email") from None
    return address
