"""A person's sessions: which there are, and their end."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from allauth.usersessions.models import UserSession

from foundation import clock
from foundation.context import tenant
from foundation.errors import NotFound
from tenancy import audit
from tenancy.models import Person, User


class UnknownSession(NotFound):
    def __init__(self) -> None:
        super().__init__("This session has ended.")


def of(user: User) -> list[UserSession]:
    """Those that still hold, newest first; ended ones are forgotten on the way."""
    held: list[UserSession] = UserSession.objects.purge_and_list(user)
    return sorted(held, key=lambda each: each.last_seen_at, reverse=True)


def end(user: User, session_id: int) -> None:
    """Raises UnknownSession for one that is not the user's."""
    found = UserSession.objects.filter(user=user, id=session_id).first()
    if found is None:
        raise UnknownSession
    found.end()
    _note(user, 1)


def end_others(request: Any, user: User) -> int:
    """All of `user` but the one that asks. How many."""
    others = UserSession.objects.filter(user=user).exclude(session_key=request.session.session_key or "")
    for each in others:
        each.end()
    _note(user, len(others))
    return len(others)


def forget(user: User) -> None:
    """Of a person who was erased: sessions, second factors and what a directory knew them by."""
    end_all(user)
    Authenticator.objects.filter(user=user).delete()
    SocialAccount.objects.filter(user=user).delete()
    EmailAddress.objects.filter(user=user).delete()


def end_all(user: User) -> int:
    """Of a person who may no longer sign in. How many."""
    held = list(UserSession.objects.filter(user=user))
    for each in held:
        each.end()
    return len(held)


def _note(user: User, number: int) -> None:
    """In the log of the person's own organisation, whatever they look at now."""
    if number:
        with tenant(user.home_id):
            person = Person.objects.for_tenant(user.home_id).filter(user_id=user.id).first()
            after = {"sessions": number}
            audit.record("session.end", person, tenant_id=user.home_id, at=clock.now(), after=after)


def at_home(person: Person) -> User | None:
    """The user behind somebody of the organisation itself; None for operators and partners, who are at home elsewhere."""
    return User.objects.filter(id=person.user_id, home_id=person.tenant_id).first()


def end_of(person: Person, *, at: datetime) -> int:
    """An administrator signs somebody of the organisation out everywhere. How many sessions. The tenant is entered."""
    user = at_home(person)
    number = end_all(user) if user is not None else 0
    if number:
        audit.record("session.end", person, tenant_id=person.tenant_id, at=at, after={"sessions": number})
    return number
