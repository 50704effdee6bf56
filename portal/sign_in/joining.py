"""The page behind the link of an invitation: who invites, a name and a password, or Microsoft."""

from __future__ import annotations

from typing import Any

from allauth.account.internal.flows.login import perform_login, record_authentication
from allauth.account.models import Login
from django import forms
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.http import HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from foundation import clock
from portal.sign_in import admission, connecting, directories, events
from portal.web.forms import Form, posted
from tenancy import invitations
from tenancy.models import Invitation, User


class JoinForm(Form):
    name = forms.CharField(label="Your name", max_length=120)
    password = forms.CharField(
        label="Password",
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="At least 12 characters.",
    )
    again = forms.CharField(
        label="Password again",
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def __init__(self, *args: Any, email: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.email = email

    def clean_password(self) -> str:
        password: str = self.cleaned_data["password"]
        validate_password(password, User(email=self.email, name=self.cleaned_data.get("name", "")))
        return password

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("password") and data.get("again") and data["password"] != data["again"]:
            raise ValidationError({"again": "The two passwords differ."})
        return data


@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def join(request: Any, text: str) -> HttpResponseBase:
    held = invitations.find(text, at=clock.now())
    if held is None:
        return render(request, "account/invitation_over.html", status=404)
    account = invitations.account_of(held)
    if account is not None:
        return _known(request, held, account, text)
    form = JoinForm(posted(request), email=held.email, initial={"name": held.name})
    if request.method == "POST":
        user = form.carry_out(lambda data: _accept(request, held, text, data))
        if user is not None:
            record_authentication(request, user, "password", email=user.email)
            answer: HttpResponseBase = perform_login(request, Login(user=user, redirect_url="/"))
            return answer
    status = 422 if form.errors else 200
    return render(request, "account/invitation.html", _context(held, form=form, text=text), status=status)


def _accept(request: Any, held: Invitation, text: str, data: dict[str, Any]) -> User:
    with events.on_account_of(request, None, held.tenant_id):
        return invitations.accept(text, name=data["name"], password=data["password"], at=clock.now())


def _known(request: Any, held: Invitation, account: User, text: str) -> HttpResponseBase:
    """The address has an account: its owner signs in and says yes."""
    if not request.user.is_authenticated or request.user.pk != account.pk:
        here = reverse("sign-in-invitation", args=[text])
        connected = connecting.is_connected(account, held.tenant_id)
        address = f"{reverse('account_login')}?{urlencode({'next': here})}"
        return render(
            request,
            "account/invitation.html",
            _context(held, sign_in=address, by_directory=connected, text=text),
        )
    if request.method == "POST":
        with events.on_account_of(request, account, held.tenant_id):
            invitations.accept(text, user=account, at=clock.now())
        return HttpResponseRedirect("/")
    return render(request, "account/invitation.html", _context(held, known=True, text=text))


def _context(held: Invitation, **more: Any) -> dict[str, Any]:
    return {"invitation": held, "directory": directories.of(held.tenant_id), **more}


@require_POST
def join_with_microsoft(request: Any, text: str) -> HttpResponse:
    """Keep the link at hand while the customer's directory says who it is (portal.sign_in.admission)."""
    held = invitations.find(text, at=clock.now())
    if held is None:
        return render(request, "account/invitation_over.html", status=404)
    request.session[admission.INVITATION] = text
    return render(
        request,
        "account/invitation_microsoft.html",
        {"invitation": held, "directory": directories.of(held.tenant_id)},
    )
