"""Whether a person whom a customer's directory vouches for may come in, and as whom."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from allauth.socialaccount.models import SocialLogin
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction

from foundation import clock
from foundation.context import tenant
from foundation.errors import DomainError
from portal.sign_in import directories, events
from tenancy import invitations, people, tenants
from tenancy.models import Person, Tenant, User

UNKNOWN = "You are not known here. Ask whoever looks after Greenroom in your organisation to invite you."
INVITATION = "invitation"  # session key: the secret of an invitation's link
TAKEN = "Your address has an account already. Sign in with its password, then connect Microsoft on its page Account."


class Refused(Exception):
    """`why` goes on record, `sentence` to the person."""

    def __init__(self, why: str, sentence: str = UNKNOWN) -> None:
        super().__init__(why)
        self.why, self.sentence = why, sentence


def admit(request: Any, tenant_id: UUID, login: SocialLogin) -> None:
    """Let `login` stand for a user of the customer, made now if a group of the directory gives a role.

    Raises Refused.
    """
    customer = directories.customer_of(tenant_id)
    if customer is None:
        raise Refused("no such organisation")
    claims = getattr(login, "claims", {})
    if login.is_existing:
        with tenant(tenant_id):
            person = tenants.person_in(tenant_id, login.user.pk)
        if (
            person is None
        ):  # whose access somebody ended stays out, whatever the groups: an invitation lets them back
            if _by_invitation(request, customer, claims, account=login.user) is None:
                raise Refused("person ended")
        elif person.by_group:
            _follow(request, customer, person, claims)
        return
    with tenant(tenant_id):
        user = _newcomer(request, customer, claims)
        login.user = login.account.user = user
        login.account.save()


def _follow(request: Any, customer: Tenant, person: Person, claims: dict[str, Any]) -> None:
    """Somebody who came by a group comes in as long as a group lets them, with the role it gives today.

    Raises Refused; what the lost group gave is gone then, also for their tokens.
    """
    role = _role_by_group(customer, claims)
    known = isinstance(claims.get("groups"), list) or "groups" not in claims.get("_claim_names", {})
    if role is not None or known:  # with very many groups the directory names none
        try:
            with events.on_account_of(request, None, customer.id):
                people.follow_group(person, role or "", at=clock.now())
        except DomainError as error:  # the last who may change roles, or a role that is gone
            raise Refused("group gives no role" if role else "not in a group any more") from error
    if role is None:
        raise Refused("not in a group any more")


def _newcomer(request: Any, customer: Tenant, claims: dict[str, Any]) -> User:
    invited = _by_invitation(request, customer, claims)
    if invited is not None:
        return invited
    role = _role_by_group(customer, claims)
    if role is None:
        raise Refused("not invited")
    email = _email(claims)
    if User.objects.filter(email=email).exists():  # never matched by e-mail: that proves nothing
        raise Refused("address of another account", TAKEN)
    at = clock.now()
    with transaction.atomic(), events.on_account_of(request, None, customer.id):
        name = str(claims.get("name") or email)[:120]
        user = User.objects.create_user(email=email, name=name, home=customer, password=None, at=at)
        person = tenants.add_person(user, to=customer, role="", at=at)
        people.follow_group(person, role, at=at)
    return user


def _by_invitation(
    request: Any, customer: Tenant, claims: dict[str, Any], *, account: User | None = None
) -> User | None:
    """Whoever came by the link of an invitation of this customer is the one invited: somebody new, or `account`, for
    which the directory speaks already."""
    text = request.session.pop(INVITATION, "")
    held = invitations.find(text, at=clock.now()) if text else None
    if held is None or held.tenant_id != customer.id:
        return None
    invited = invitations.account_of(held)
    if invited != account:
        raise Refused("address of another account", TAKEN if account is None else UNKNOWN)
    with transaction.atomic(), events.on_account_of(request, None, customer.id):
        name = str(claims.get("name") or held.email)[:120]
        return invitations.accept(text, name=name, user=account, at=clock.now())


def _role_by_group(customer: Tenant, claims: dict[str, Any]) -> str | None:
    """The role of the first mapped group the person is in, in the order the customer wrote them."""
    directory = directories.of(customer.id)
    mine = claims.get("groups")
    if directory is None or not isinstance(mine, list):
        return None
    return next((role for group, role in directory.groups.items() if group in mine), None)


def _email(claims: dict[str, Any]) -> str:
    email = str(claims.get("email") or claims.get("preferred_username") or "").strip().lower()
    try:
        validate_email(email)
    except ValidationError:
        raise Refused("no address", "Your account has no e-mail address.") from None
    return email
