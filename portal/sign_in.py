"""How people sign in: allauth, closed to sign-up."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter

from tenancy.models import Tenant


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    def is_open_for_signup(self, request: Any) -> bool:
        """People come by invitation."""
        return False

    def get_login_redirect_url(self, request: Any) -> str:
        """The operator's people start at the queue, customers at their overview."""
        return "/operations" if request.user.home.kind == Tenant.Kind.OPERATOR else "/"

    def get_logout_redirect_url(self, request: Any) -> str:
        return "/sign-in"

    def add_message(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: the page people arrive at says what happened."""
