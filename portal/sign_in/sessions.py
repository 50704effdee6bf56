"""A person's sessions: which there are, and their end."""

from __future__ import annotations

from typing import Any

from allauth.usersessions.models import UserSession

from foundation.errors import NotFound
from tenancy.models import User


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


def end_others(request: Any, user: User) -> int:
    """All of `user` but the one that asks. How many."""
    others = UserSession.objects.filter(user=user).exclude(session_key=request.session.session_key or "")
    for each in others:
        each.end()
    return len(others)


def end_all(user: User) -> int:
    """Of a person who may no longer sign in. How many."""
    held = list(UserSession.objects.filter(user=user))
    for each in held:
        each.end()
    return len(held)
