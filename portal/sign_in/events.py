"""Sign-ins on record: at the person's home organisation, or the operator's where nobody is known."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from allauth.account.adapter import get_adapter
from allauth.account.signals import password_changed, password_reset, password_set, user_logged_in
from allauth.mfa.models import Authenticator
from allauth.mfa.signals import (
    authentication_failed,
    authenticator_added,
    authenticator_removed,
    authenticator_reset,
)
from django.contrib.auth.signals import user_logged_out

from foundation import clock
from foundation.context import tenant
from portal.sign_in import proofs, sessions
from tenancy import audit
from tenancy.audit import Actor
from tenancy.models import Tenant, User

MOST_OF_AN_ADDRESS = 254


def connect() -> None:
    """Listen to Django and allauth; called once, when the apps are ready."""
    uid = "portal.sign_in.events."
    user_logged_in.connect(_signed_in, dispatch_uid=uid + "in")
    user_logged_out.connect(_signed_out, dispatch_uid=uid + "out")
    authentication_failed.connect(_wrong_code, dispatch_uid=uid + "code")
    for signal in (password_changed, password_reset, password_set):
        signal.connect(_password, dispatch_uid=uid + "password")
    for signal, word in (
        (authenticator_added, "added"),
        (authenticator_removed, "removed"),
        (authenticator_reset, "replaced"),
    ):
        signal.connect(_FACTOR[word], dispatch_uid=uid + word)


@contextmanager
def on_account_of(request: Any, user: User | None, tenant_id: UUID) -> Iterator[None]:
    """Inside `tenant_id`, on the user's account or, before anybody is known, on a stranger's."""
    actor = Actor(
        "person" if user else "stranger",
        user.id if user else None,
        user.name if user else "",
        address=get_adapter().get_client_ip(request),
        request_id=getattr(request, "id", ""),
    )
    with audit.acting(actor), tenant(tenant_id):
        yield


def failed(request: Any, email: str, why: str, *, tenant_id: UUID | None = None) -> None:
    """A sign-in that was refused. `tenant_id`: where the address is not what names the organisation."""
    known = User.objects.filter(email=email.strip().lower()).first() if email else None
    where = tenant_id or (known.home_id if known else _operator())
    if where is None:
        return  # an installation without an operator has nobody to tell
    with on_account_of(request, None, where):
        audit.record(
            "sign_in.failed",
            known,
            tenant_id=where,
            at=clock.now(),
            result="failed",
            name="" if known else email[:MOST_OF_AN_ADDRESS],
            after={"why": why},
        )


def _operator() -> UUID | None:
    return (
        Tenant.objects.filter(kind=Tenant.Kind.OPERATOR).order_by("id").values_list("id", flat=True).first()
    )


def _written(request: Any, user: User, action: str, after: dict[str, Any]) -> None:
    with on_account_of(request, user, user.home_id):
        audit.record(action, user, tenant_id=user.home_id, at=clock.now(), after=after)


def _signed_in(request: Any, user: User, **details: Any) -> None:
    by = "directory" if details.get("sociallogin") else "password"
    after = {"by": by, "second_factor": proofs.used_second_factor(request)}
    _written(request, user, "sign_in", after)


def _signed_out(request: Any, user: User | None, **_: Any) -> None:
    if user is not None:
        _written(request, user, "sign_out", {})


def _wrong_code(request: Any, user: User, **_: Any) -> None:
    failed(request, user.email, "wrong code")


def _password(request: Any, user: User, **_: Any) -> None:
    """Sessions elsewhere end by themselves: they are bound to the password's hash."""
    _written(request, user, "person.password", {})


def _factor_changed(request: Any, user: User, authenticator: Authenticator, how: str) -> None:
    _written(request, user, "person.factor", {"factor": authenticator.type, "how": how})
    sessions.end_others(request, user)


def _added(request: Any, user: User, authenticator: Authenticator, **_: Any) -> None:
    _factor_changed(request, user, authenticator, "added")
    if authenticator.type != Authenticator.Type.RECOVERY_CODES:
        proofs.note_factor(request, user, authenticator)


def _removed(request: Any, user: User, authenticator: Authenticator, **_: Any) -> None:
    _factor_changed(request, user, authenticator, "removed")


def _replaced(request: Any, user: User, authenticator: Authenticator, **_: Any) -> None:
    _factor_changed(request, user, authenticator, "replaced")


_FACTOR = {"added": _added, "removed": _removed, "replaced": _replaced}
