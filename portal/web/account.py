"""A person's own account: password, second factors, passkeys, recovery codes, sessions."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any
from uuid import UUID

from allauth.mfa.models import Authenticator
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from foundation.errors import Conflict
from portal import htmx
from portal.access import Principal
from portal.sign_in import connecting, directories, factors, proofs, sessions

PAGE = "mfa_index"


@require_GET
@login_required
def account(request: Any) -> HttpResponse:
    held: dict[str, list[Authenticator]] = {}
    for each in Authenticator.objects.filter(user=request.user).order_by("created_at"):
        held.setdefault(each.type, []).append(each)
    codes = held.get(Authenticator.Type.RECOVERY_CODES)
    principal: Principal | None = request.principal
    context = {
        "app": next(iter(held.get(Authenticator.Type.TOTP, [])), None),
        "passkeys": [(each, each.wrap().name) for each in held.get(Authenticator.Type.WEBAUTHN, [])],
        "codes_left": len(codes[0].wrap().get_unused_codes()) if codes else None,
        "by_directory": proofs.vouched_for(request) is not None,
        "ways": connecting.ways(request.user),
        "needed": principal is not None and factors.must_have_second_factor(principal),
        "protected": factors.has_second_factor(request.user),
        "sessions": [(each, browser_of(each.user_agent)) for each in sessions.of(request.user)],
        "this_session": request.session.session_key,
        "start": htmx.next_address(request, ""),
    }
    return render(request, "account/account.html", context)


@require_GET
@login_required
def passkey_list(request: HttpRequest) -> HttpResponse:
    """Where allauth leads after a change of passkeys."""
    return HttpResponseRedirect(f"{reverse(PAGE)}#passkeys")


def own(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Only for a person who proved to us who they are.

    Whom a customer's directory vouched for is known there and nowhere else: that directory could otherwise set a
    password with which to enter another customer.
    """

    @wraps(view)
    def checked(request: Any, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        if proofs.vouched_for(request) is not None:
            context = {
                "title": "Looked after by your organisation",
                "sentence": "You sign in with Microsoft: password and second factors are changed there.",
            }
            return render(request, "errors/refused.html", context, status=403)
        return view(request, *args, **kwargs)

    return checked


def proved(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """`own`, and proved a moment ago: with a new way to sign in somebody could stay for good."""

    @own
    @wraps(view)
    def checked(request: Any, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not proofs.is_fresh(request):
            back = request.get_full_path() if request.method in ("GET", "HEAD") else reverse(PAGE)
            return HttpResponseRedirect(proofs.confirm_address(request, back))
        return view(request, *args, **kwargs)

    return checked


@require_GET
@proved
def microsoft(request: Any, tenant_id: UUID) -> HttpResponse:
    """The way out is a link of its own: a browser would not follow a form's answer to Microsoft."""
    way = next((each for each in connecting.ways(request.user) if each.organisation.id == tenant_id), None)
    if way is None:
        raise Http404
    return render(request, "account/microsoft.html", {"way": way})


@require_POST
@proved
def microsoft_disconnect(request: Any, tenant_id: UUID) -> HttpResponse:
    try:
        there_was = connecting.disconnect(request, request.user, tenant_id)
    except Conflict as error:
        return htmx.refused(request, error, to=reverse(PAGE))
    return htmx.done(request, "Microsoft disconnected" if there_was else "", to=reverse(PAGE))


@require_POST
@login_required
def session_end(request: Any, session_id: int) -> HttpResponse:
    sessions.end(request.user, session_id)
    return htmx.done(request, "Session ended", to=reverse(PAGE))


@require_POST
@login_required
def sessions_end(request: Any) -> HttpResponse:
    number = sessions.end_others(request, request.user)
    said = (
        f"{number} other session{'s' if number != 1 else ''} ended"
        if number
        else "There was no other session"
    )
    return htmx.done(request, said, to=reverse(PAGE))


@require_GET
def organisation(request: Any) -> HttpResponse:
    """From an e-mail address to the page with the one link to Microsoft.

    Two steps: browsers apply form-action to where a form's answer redirects, so the way out is a link.
    """
    email = request.GET.get("email", "").strip()
    found = directories.for_address(email) if email.isprintable() else None
    context = {
        "email": email,
        "directory": found,
        "customer": directories.customer_of(found.tenant_id) if found else None,
        "next": htmx.next_address(request, ""),
    }
    return render(request, "account/organisation.html", context)


def browser_of(agent: str) -> str:
    """ "Firefox on Windows": what people recognise their devices by."""
    browser = next((name for mark, name in BROWSERS if mark in agent), "Another program")
    system = next((name for mark, name in SYSTEMS if mark in agent), "")
    return f"{browser} on {system}" if system else browser


BROWSERS = (
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)
