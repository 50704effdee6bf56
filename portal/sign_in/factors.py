"""Second factors: who needs one, and how their secrets are kept."""

from __future__ import annotations

from uuid import UUID

import segno
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser

from foundation import secrets
from portal.access import Principal

OF_NO_TENANT = UUID(int=0)  # a factor belongs to a user, who may belong to several tenants
FIELD = "mfa_authenticator"
ADMINISTERS = frozenset({"roles.modify", "settings.modify"})  # who may change people or settings administers


class MfaAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    def encrypt(self, text: str) -> str:
        return secrets.seal(text, tenant_id=OF_NO_TENANT, field=FIELD).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """Raises SecretUnreadable."""
        return secrets.unseal(encrypted_text.encode(), tenant_id=OF_NO_TENANT, field=FIELD)

    def build_totp_svg(self, url: str) -> str:
        return segno.make(url, error="m").svg_inline(omitsize=True, border=1)

    def generate_authenticator_name(self, user: AbstractBaseUser, type: Authenticator.Type) -> str:
        number = Authenticator.objects.filter(user_id=user.pk, type=type).count()
        return "Passkey" if number == 0 else f"Passkey {number + 1}"


def needs_second_factor(principal: Principal) -> bool:
    """The operator's and partners' people, and whoever administers a customer. Programs with a token are outside."""
    if principal.user is None:
        return False
    foreign = principal.by_operator or principal.partnership is not None
    return foreign or bool(ADMINISTERS & principal.permissions)


def must_have_second_factor(principal: Principal) -> bool:
    """Before any page is shown. A demo may go without."""
    return not settings.DEMO_WITHOUT_MFA and needs_second_factor(principal)


def has_second_factor(user: AbstractBaseUser) -> bool:
    """Recovery codes alone are none."""
    kinds = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)
    return bool(Authenticator.objects.filter(user_id=user.pk, type__in=kinds).exists())
