"""What a session knows about how its person proved who they are, and when."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from allauth.account.authentication import get_authentication_records
from allauth.account.internal.flows.login import record_authentication
from allauth.account.signals import authentication_step_completed
from allauth.account.signals import user_logged_in as signed_in
from django.contrib.auth.signals import user_logged_in
from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme, urlencode

from foundation import clock

BEGAN, SEEN, PROVED = "began_at", "seen_at", "proved_at"  # seconds since 1970, by the database's clock
DIRECTORY_SAYS = (
    "directory_proved_at"  # of a request: when the person proved it there, None where it does not say
)
DIRECTORY_FACTOR = "directory_factor"  # the directory said that a second factor was used
FRESH_S = 300
UNFINISHED_S = 900  # what was opened while the proof was fresh may be finished a little later


def now_s() -> float:
    return clock.now().timestamp()


def connect() -> None:
    """Listen to Django and allauth; called once, when the apps are ready."""
    signed_in.connect(_note_directory, dispatch_uid="portal.sign_in.directory")
    user_logged_in.connect(_begin, dispatch_uid="portal.sign_in.begin")
    authentication_step_completed.connect(_prove, dispatch_uid="portal.sign_in.prove")


def _begin(request: HttpRequest, **_: Any) -> None:
    request.session[BEGAN] = request.session[SEEN] = now_s()
    _prove(request)


def _prove(request: HttpRequest, **_: Any) -> None:
    """Now, or when the directory says it was: that it knows a browser still proves nothing."""
    at = getattr(request, DIRECTORY_SAYS, now_s())
    if at is not None:
        request.session[PROVED] = at


def by_directory(request: Any, claims: dict[str, Any]) -> None:
    """This sign-in stands on the word of a directory."""
    said = claims.get("auth_time")
    says = isinstance(said, int) and not isinstance(said, bool)
    setattr(request, DIRECTORY_SAYS, min(float(said or 0), now_s()) if says else None)


def _note_directory(request: HttpRequest, sociallogin: Any = None, **_: Any) -> None:
    """Whether the directory asked for a second factor, or is known to ask always."""
    if sociallogin is not None and sociallogin.account.extra_data.get("mfa"):
        request.session[DIRECTORY_FACTOR] = True


def is_fresh(request: Any) -> bool:
    """Did the person prove who they are within the last 5 minutes (15 to finish what they opened then)?"""
    proved = request.session.get(PROVED)
    limit = FRESH_S if request.method in ("GET", "HEAD") else UNFINISHED_S
    return proved is not None and now_s() - proved <= limit


def used_second_factor(request: Any) -> bool:
    """In this session: a code, a passkey, or the word of the directory."""
    if request.session.get(DIRECTORY_FACTOR):
        return True
    return any(each.get("method") == "mfa" for each in get_authentication_records(request, request.user))


def vouched_for(request: Any) -> UUID | None:
    """The one customer this session may enter, where its directory signed the person in."""
    records = get_authentication_records(request, request.user)
    through = next((each["provider"] for each in records if each.get("method") == "socialaccount"), None)
    return UUID(through.removeprefix("entra-")) if through else None


def confirm_address(request: Any, back: str) -> str:
    """The page where a person proves again who they are, and returns from to `back`."""
    through = vouched_for(request)
    if through is not None:
        query = urlencode({"next": back, "again": "1"})
        return f"{reverse('sign-in-directory', args=[through])}?{query}"
    return f"{reverse('account_reauthenticate')}?{urlencode({'next': back})}"


def own_address(wanted: str) -> str:
    """`wanted` where it is an address of ours, else the start page."""
    return wanted if url_has_allowed_host_and_scheme(wanted, allowed_hosts=None) else "/"


def note_factor(request: Any, user: Any, authenticator: Any) -> None:
    """Setting a factor up proved it: the person is not asked for it at once."""
    record_authentication(request, user, "mfa", id=authenticator.pk, type=authenticator.type)
