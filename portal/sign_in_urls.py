"""What we use of allauth, by the names it expects, and our own beside it: no sign-up, no page for addresses."""

from allauth.account import views as accounts
from allauth.mfa.base import views as factors
from allauth.mfa.recovery_codes import views as recovery_codes
from allauth.mfa.totp import views as totp
from allauth.mfa.webauthn import views as passkeys
from django.urls import URLPattern, path, re_path

from portal.sign_in import entra, joining
from portal.web import account

urlpatterns: list[URLPattern] = [
    path("sign-in", accounts.login, name="account_login"),
    path("sign-in/organisation", account.organisation, name="sign-in-organisation"),
    path("sign-in/organisation/<uuid:tenant_id>", entra.start, name="sign-in-directory"),
    path("sign-in/organisation/<uuid:tenant_id>/back", entra.callback, name="sign-in-directory-back"),
    path("invitation/<str:text>", joining.join, name="sign-in-invitation"),
    path("invitation/<str:text>/microsoft", joining.join_with_microsoft, name="sign-in-invitation-microsoft"),
    path("sign-in/code", factors.authenticate, name="mfa_authenticate"),
    path("sign-in/passkey", passkeys.login_webauthn, name="mfa_login_webauthn"),
    path("sign-out", accounts.logout, name="account_logout"),
    path("sign-in/inactive", accounts.account_inactive, name="account_inactive"),
    path("sign-in/forgotten", accounts.password_reset, name="account_reset_password"),
    path("sign-in/forgotten/sent", accounts.password_reset_done, name="account_reset_password_done"),
    re_path(
        r"^sign-in/new-password/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)$",
        accounts.password_reset_from_key,
        name="account_reset_password_from_key",
    ),
    path(
        "sign-in/new-password/done",
        accounts.password_reset_from_key_done,
        name="account_reset_password_from_key_done",
    ),
    path("account", account.account, name="mfa_index"),
    path("account/password", account.own(accounts.password_change), name="account_change_password"),
    path("account/app", account.own(totp.activate_totp), name="mfa_activate_totp"),
    path("account/app/remove", account.own(totp.deactivate_totp), name="mfa_deactivate_totp"),
    path("account/passkeys", account.passkey_list, name="mfa_list_webauthn"),
    path("account/passkeys/add", account.own(passkeys.add_webauthn), name="mfa_add_webauthn"),
    path("account/passkeys/<int:pk>/rename", account.own(passkeys.edit_webauthn), name="mfa_edit_webauthn"),
    path(
        "account/passkeys/<int:pk>/remove", account.own(passkeys.remove_webauthn), name="mfa_remove_webauthn"
    ),
    path(
        "account/recovery-codes",
        account.own(recovery_codes.view_recovery_codes),
        name="mfa_view_recovery_codes",
    ),
    path(
        "account/recovery-codes/new",
        account.own(recovery_codes.generate_recovery_codes),
        name="mfa_generate_recovery_codes",
    ),
    path("account/confirm", accounts.reauthenticate, name="account_reauthenticate"),
    path("account/confirm/code", factors.reauthenticate, name="mfa_reauthenticate"),
    path("account/confirm/passkey", passkeys.reauthenticate_webauthn, name="mfa_reauthenticate_webauthn"),
    path("account/microsoft/<uuid:tenant_id>", account.microsoft, name="account-microsoft"),
    path(
        "account/microsoft/<uuid:tenant_id>/connect",
        account.proved(entra.connect),
        name="account-microsoft-connect",
    ),
    path(
        "account/microsoft/<uuid:tenant_id>/disconnect",
        account.microsoft_disconnect,
        name="account-microsoft-disconnect",
    ),
    path("account/sessions/end-others", account.sessions_end, name="sessions-end"),
    path("account/sessions/<int:session_id>/end", account.session_end, name="session-end"),
]
