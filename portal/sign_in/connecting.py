"""A person's account here and the one in the directory of their organisation: connected by the person, who proved both.

Only whoever signed in without a directory may connect one, and a directory opens its own customer alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from allauth.socialaccount.models import SocialAccount, SocialLogin
from django.db import IntegrityError, transaction

from foundation import clock
from foundation.errors import Conflict
from portal.sign_in import directories, events, sessions
from tenancy import audit
from tenancy.models import Membership, Tenant, User


class NotConnected(Exception):
    """The sentence is for the person."""


@dataclass(frozen=True)
class Way:
    """An organisation whose directory the person can come by, or comes by already."""

    organisation: Tenant
    is_connected: bool


def ways(user: User) -> list[Way]:
    """Of the organisations the person is a member of, by name."""
    rows = Membership.objects.filter(user=user, kind=Membership.Kind.MEMBER).select_related("tenant")
    organisations = [row.tenant for row in rows.order_by("tenant__name", "tenant_id")]
    with_directory = directories.among([each.id for each in organisations])
    connected = set(SocialAccount.objects.filter(user=user).values_list("provider", flat=True))
    return [
        Way(each, directories.provider_id_of(each.id) in connected)
        for each in organisations
        if each.id in with_directory
    ]


def is_connected(user: User, tenant_id: UUID) -> bool:
    rows = SocialAccount.objects.filter(user=user, provider=directories.provider_id_of(tenant_id))
    return bool(rows.exists())


def connect(request: Any, user: User, tenant_id: UUID, login: SocialLogin) -> None:
    """Let the directory's account in `login` stand for `user`, who is signed in. Raises NotConnected."""
    if not any(way.organisation.id == tenant_id for way in ways(user)):
        raise NotConnected("You are not in this organisation.")
    if login.is_existing:
        if login.user.pk == user.pk:
            return
        raise NotConnected("This Microsoft account is connected to somebody else here.")
    if is_connected(user, tenant_id):
        raise NotConnected("Another Microsoft account is connected already. Disconnect it first.")
    login.account.user = user
    try:
        with transaction.atomic(), events.on_account_of(request, user, user.home_id):
            login.account.save()
            _record(user, "connected")
    except IntegrityError as error:  # in another window, at the same time
        raise NotConnected("This Microsoft account is connected to somebody else here.") from error


def disconnect(request: Any, user: User, tenant_id: UUID) -> bool:
    """Was there a connection? Raises Conflict where it is the only way in."""
    rows = SocialAccount.objects.filter(user=user, provider=directories.provider_id_of(tenant_id))
    if not user.has_usable_password():
        raise Conflict("Set a password first: you could not sign in any more.")
    with transaction.atomic(), events.on_account_of(request, user, user.home_id):
        number, _ = rows.delete()
        if number:
            _record(user, "disconnected")
            sessions.end_others(request, user)  # whoever came by it is out
    return bool(number)


def _record(user: User, how: str) -> None:
    audit.record("person.directory", user, tenant_id=user.home_id, at=clock.now(), after={"how": how})
