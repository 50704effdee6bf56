"""The rules of our accounts, as allauth asks for them."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core import context

from portal import landing
from portal.sign_in import events, proofs
from tenancy.models import Tenant, User


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    def is_open_for_signup(self, request: Any) -> bool:
        """People come by invitation."""
        return False

    def get_login_redirect_url(self, request: Any) -> str:
        """The operator's people start where their roles are for, customers at their overview."""
        user: User = request.user
        return landing.of_operator(user) if user.home.kind == Tenant.Kind.OPERATOR else "/"

    def get_logout_redirect_url(self, request: Any) -> str:
        return "/sign-in"

    def get_password_change_redirect_url(self, request: Any) -> str:
        return "/account"

    def add_message(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: the page people arrive at says what happened."""

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:
        """Whoever proved who they are a moment ago is not asked again."""
        return not proofs.is_fresh(context.request)

    def reauthenticate(self, user: User, password: str) -> bool:
        """The address is the user's own: nobody has a second one."""
        found = self.authenticate(context.request, email=user.email, password=password)
        return found is not None and found.pk == user.pk

    def pre_authenticate(self, request: Any, **credentials: Any) -> None:
        """Raises ValidationError for a guess too many, which is on record too and is not compared."""
        super().pre_authenticate(request, **credentials)

    def authentication_failed(self, request: Any, **credentials: Any) -> None:
        events.failed(request, credentials.get("email") or "", "wrong password")
