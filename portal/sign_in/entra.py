"""Sign-in with a customer's Microsoft Entra ID: OpenID Connect by allauth, with our own checks of the token.

A person is known by `oid` within the directory whose id is `tid`, never by e-mail. The token's signature, issuer,
audience, times, nonce and directory are all checked, though it comes straight from the directory.
"""

from __future__ import annotations

import hmac
import secrets
from functools import partial
from typing import Any
from uuid import UUID

import jwt
import requests
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialApp, SocialLogin, SocialToken
from allauth.socialaccount.providers.base import AuthProcess
from allauth.socialaccount.providers.base.constants import AuthError
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET

from portal.sign_in import admission, connecting, directories, events, proofs

CLOCK_SKEW_S = 60
CONNECT_S, READ_S = 5, 10
SIGNED_BY = ["RS256"]
SAY_WHEN = '{"id_token":{"auth_time":{"essential":true}}}'  # when the person last proved who they are
NOT_AGAIN = (
    "Microsoft did not say that you signed in just now. Your application there must send the claim auth_time."
)
WELL_KNOWN = "/.well-known/openid-configuration"


class NotOurs(OAuth2Error):  # type: ignore[misc]
    """A token that is not for us, not of this directory, or not of this sign-in. The text names the check."""


def session() -> requests.Session:
    """For calls to the directory: no proxies of the environment, no redirects, bounded in time."""

    class Bounded(requests.Session):
        def request(self, *args: Any, **kwargs: Any) -> requests.Response:
            return super().request(*args, **{"timeout": (CONNECT_S, READ_S), **kwargs})

    made = Bounded()
    made.trust_env = False
    made.max_redirects = 0
    made.verify = settings.GUARDED_CLIENT_CA or True
    return made


class DirectoryAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]
    def get_requests_session(self) -> requests.Session:
        return session()

    def is_open_for_signup(self, request: Any, sociallogin: SocialLogin) -> bool:
        """Whoever may come in is made a person before; nobody fills in a form."""
        return False

    def pre_social_login(self, request: Any, sociallogin: SocialLogin) -> None:
        """Known here, invited, or in a group that gives a role; others are refused."""
        tenant_id = directories.tenant_of(sociallogin.account.provider)
        claims = getattr(sociallogin, "claims", {})
        if sociallogin.state.get("process") == AuthProcess.CONNECT:
            raise ImmediateHttpResponse(_connected(request, tenant_id, sociallogin))
        proofs.by_directory(request, claims)
        asked_at = sociallogin.state.get("again")
        if asked_at is not None and not _proved_since(claims, asked_at):
            raise ImmediateHttpResponse(refused(request, tenant_id, "not proved again", NOT_AGAIN))
        try:
            admission.admit(request, tenant_id, sociallogin)
        except admission.Refused as refusal:
            raise ImmediateHttpResponse(refused(request, tenant_id, refusal.why, refusal.sentence)) from None

    def on_authentication_error(
        self, request: Any, provider: Any, error: Any = None, exception: Any = None, extra_context: Any = None
    ) -> None:
        tenant_id = directories.tenant_of(provider.app.provider_id)
        if error == AuthError.CANCELLED:
            raise ImmediateHttpResponse(
                refused(request, tenant_id, "cancelled", "You cancelled the sign-in.")
            )
        if isinstance(exception, requests.RequestException):
            raise ImmediateHttpResponse(away(request, tenant_id))
        why = str(exception)[:80] if isinstance(exception, NotOurs) else "no answer we can use"
        raise ImmediateHttpResponse(
            refused(request, tenant_id, why, "Microsoft's answer could not be trusted.")
        )


class EntraProvider(OpenIDConnectProvider):  # type: ignore[misc]
    def serialize(self) -> dict[str, Any]:
        return {"id": self.app.provider_id, "app.client_id": self.app.client_id}

    def get_oauth2_adapter(self, request: HttpRequest) -> EntraAdapter:
        return EntraAdapter(request, self.app)

    def get_default_scope(self) -> list[str]:
        return ["openid", "profile", "email"]

    def extract_extra_data(self, data: dict[str, Any]) -> dict[str, Any]:
        """Kept with the account: nothing that tells about the person."""
        return {"mfa": self.app.settings["proves_factor"] or "mfa" in (data["id_token"].get("amr") or [])}

    def extract_common_fields(self, data: dict[str, Any]) -> dict[str, Any]:
        return {}

    def extract_email_addresses(self, data: dict[str, Any]) -> list[Any]:
        return []


class EntraAdapter(OpenIDConnectOAuth2Adapter):  # type: ignore[misc]
    def __init__(self, request: HttpRequest, app: SocialApp) -> None:
        super().__init__(request, app.provider_id)
        self.app = app
        self.nonce = ""  # what this sign-in sent along; set by the callback

    def get_provider(self) -> EntraProvider:
        return EntraProvider(self.request, app=self.app)

    def get_callback_url(self, request: HttpRequest, app: SocialApp) -> str:
        return callback_url(directories.tenant_of(app.provider_id))

    @property
    def openid_config(self) -> dict[str, Any]:
        if not hasattr(self, "_openid_config"):
            with session() as calls:
                self._openid_config = discovered(calls, self.app.settings["server_url"])
        return self._openid_config

    @property
    def basic_auth(self) -> bool:
        return False

    def complete_login(
        self, request: HttpRequest, app: SocialApp, token: SocialToken, **kwargs: Any
    ) -> SocialLogin:
        claims = self._checked(str(kwargs["response"].get("id_token", "")))
        login = self.get_provider().sociallogin_from_response(request, {"id_token": claims})
        login.claims = claims
        return login

    def _checked(self, token: str) -> dict[str, Any]:
        """The claims of a token for this sign-in. Raises NotOurs, or a requests exception."""
        try:
            with session() as calls:
                key = _key_of(token, calls.get(self.openid_config["jwks_uri"]).json())
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=SIGNED_BY,
                audience=self.app.client_id,
                issuer=self.app.settings["server_url"],
                leeway=CLOCK_SKEW_S,
                options={"require": ["exp", "iat", "nbf", "iss", "aud", "sub"]},
            )
        except jwt.PyJWTError as error:
            raise NotOurs(f"token refused: {type(error).__name__}") from error
        if not self.nonce or not hmac.compare_digest(str(claims.get("nonce", "")), self.nonce):
            raise NotOurs("token of another sign-in")
        if claims.get("tid") != self.app.settings["directory_id"]:
            raise NotOurs("token of another directory")
        if not isinstance(claims.get("oid"), str) or not claims["oid"]:
            raise NotOurs("token without a person")
        return claims


def _proved_since(claims: dict[str, Any], asked_at: float) -> bool:
    said = claims.get("auth_time")
    return isinstance(said, int) and not isinstance(said, bool) and said >= asked_at - CLOCK_SKEW_S


def _key_of(token: str, keys: Any) -> Any:
    """The directory's key that a token names. Raises NotOurs, PyJWTError."""
    header = jwt.get_unverified_header(token)
    if header.get("alg") not in SIGNED_BY:
        raise NotOurs("token signed in another way")
    for each in keys.get("keys", []) if isinstance(keys, dict) else []:
        if each.get("kid") == header.get("kid") and each.get("kty") == "RSA":
            return jwt.PyJWK(each, algorithm="RS256").key
    raise NotOurs("token signed by another key")


def discovered(calls: requests.Session, server_url: str) -> dict[str, Any]:
    """The directory's own description, every address of it where we look for it. Raises a requests exception."""
    response = calls.get(server_url + WELL_KNOWN)
    response.raise_for_status()
    found = response.json()
    names = ("authorization_endpoint", "token_endpoint", "jwks_uri")
    ours = isinstance(found, dict) and all(
        str(found.get(name, "")).startswith(f"{settings.ENTRA_URL}/") for name in names
    )
    if not ours or found.get("issuer") != server_url:
        raise requests.exceptions.InvalidJSONError("The directory describes itself as another one.")
    described: dict[str, Any] = found
    return described


class Callback(OAuth2CallbackView):  # type: ignore[misc]
    def _get_state(self, request: HttpRequest, provider: Any) -> tuple[Any, Any]:
        state, response = super()._get_state(request, provider)
        self.adapter.nonce = (state or {}).get("nonce", "")
        return state, response


def callback_url(tenant_id: UUID) -> str:
    """To be registered in the directory as the redirect address."""
    return settings.GREENROOM_URL + reverse("sign-in-directory-back", args=[tenant_id])


@require_GET
def start(request: Any, tenant_id: UUID) -> HttpResponse:
    """Onward to Microsoft. `again`: the person is to prove who they are anew, and Microsoft to say when they did."""
    app = _app(tenant_id)
    nonce = secrets.token_urlsafe(24)
    params = {"nonce": nonce, "prompt": "select_account", "response_mode": "query", "claims": SAY_WHEN}
    more: dict[str, Any] = {"nonce": nonce}
    if request.GET.get("again"):
        params |= {"prompt": "login", "max_age": "0"}
        more["again"] = proofs.now_s()
    try:
        response: HttpResponse = EntraProvider(request, app=app).redirect(
            request,
            process=AuthProcess.LOGIN,
            next_url=proofs.own_address(request.GET.get("next", "")) if request.GET.get("next") else None,
            auth_params=params,
            **more,
        )
    except requests.RequestException:
        return away(request, tenant_id)
    return response


@require_GET
def callback(request: Any, tenant_id: UUID) -> HttpResponse:
    response: HttpResponse = Callback.adapter_view(EntraAdapter(request, _app(tenant_id)))(request)
    return response


@require_GET
@login_required
def connect(request: Any, tenant_id: UUID) -> HttpResponse:
    """Onward to Microsoft, to come back as one and the same person (portal.sign_in.connecting)."""
    app, nonce = _app(tenant_id), secrets.token_urlsafe(24)
    try:
        response: HttpResponse = EntraProvider(request, app=app).redirect(
            request,
            process=AuthProcess.CONNECT,
            auth_params={"nonce": nonce, "prompt": "select_account", "response_mode": "query"},
            nonce=nonce,
        )
    except requests.RequestException:
        return away(request, tenant_id)
    return response


def _connected(request: Any, tenant_id: UUID, login: SocialLogin) -> HttpResponse:
    """Back at the account of the person who left from there, and who did not come by a directory.

    A session never passes from one person to another, and what was sent along lies in it.
    """
    user = request.user
    if not user.is_authenticated or proofs.vouched_for(request):
        return refused(
            request, tenant_id, "not signed in to connect", "Sign in first, then connect Microsoft."
        )
    try:
        connecting.connect(request, user, tenant_id, login)
    except connecting.NotConnected as refusal:
        return refused(request, tenant_id, "not connected", str(refusal))
    return HttpResponseRedirect(reverse("mfa_index"))


def _app(tenant_id: UUID) -> SocialApp:
    app = directories.app_of(tenant_id)
    if app is None:
        raise Http404
    return app


def refused(request: Any, tenant_id: UUID, why: str, sentence: str) -> HttpResponse:
    """On record at the customer, and said in one sentence."""
    note = partial(events.failed, request, "", why, tenant_id=tenant_id)
    if getattr(request, "principal", None) is None:
        note()
    else:  # somebody signed in: what their request wrote is taken back with the refusal
        request.after_refusal = note
    return render(request, "account/directory_refused.html", {"sentence": sentence}, status=403)


def away(request: Any, tenant_id: UUID) -> HttpResponse:
    events.failed(request, "", "directory away", tenant_id=tenant_id)
    sentence = "Microsoft cannot be reached now. Try again in a few minutes."
    return render(request, "account/directory_refused.html", {"sentence": sentence}, status=503)
