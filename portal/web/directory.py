"""Sign-in with Microsoft as a customer's administrator sets it up: tried against the directory before it is kept."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import requests
from django import forms
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse
from django.urls import reverse

from foundation import clock
from foundation.errors import NotValid
from portal import htmx
from portal.access import TenantRequest, principal_of, requires, step_up
from portal.sign_in import directories, entra
from portal.sign_in.directories import Directory
from portal.web.dialogs import confirm, form_view
from portal.web.forms import Form, posted
from tenancy.custom_roles import check_may_grant
from tenancy.models import Role, Tenant

MOST_GROUPS, MOST_DOMAINS = 50, 20


class DirectoryForm(Form):
    directory_id = forms.UUIDField(label="Directory (tenant) ID")
    client_id = forms.UUIDField(label="Application (client) ID")
    secret = forms.CharField(
        label="Client secret",
        required=False,
        max_length=200,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text="Kept encrypted and never shown. Leave it empty to keep the one there is.",
    )
    domains = forms.CharField(
        label="Domains of e-mail addresses",
        required=False,
        max_length=2_000,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="One a line. They lead people from the sign-in page to your directory.",
    )
    groups = forms.CharField(
        label="Groups and their roles",
        required=False,
        max_length=8_000,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="One a line: the group's object ID, then the role. Their members come in without an invitation.",
    )
    proves_factor = forms.BooleanField(
        label="The directory always asks for a second factor",
        required=False,
        help_text="Then Greenroom asks for none of its own.",
    )

    def __init__(self, *args: Any, roles: list[Role], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.roles = {role.name.casefold(): role for role in roles}

    def clean_domains(self) -> list[str]:
        domains = [line.strip().lower() for line in self.cleaned_data["domains"].splitlines()]
        wanted = list(dict.fromkeys(filter(None, domains)))
        if len(wanted) > MOST_DOMAINS:
            raise ValidationError(f"At most {MOST_DOMAINS} domains.")
        return wanted

    def clean_groups(self) -> dict[str, Role]:
        """By object id, in the order written: the first group a person is in decides."""
        found: dict[str, Role] = {}
        for line in filter(None, map(str.strip, self.cleaned_data["groups"].splitlines())):
            key, _, name = line.partition(" ")
            try:
                group = str(UUID(key))
            except ValueError:
                raise ValidationError(f"{key[:60]} is no object ID.") from None
            role = self.roles.get(name.strip().casefold())
            if role is None:
                raise ValidationError(f"There is no role {name.strip()[:60] or 'without a name'}.")
            found[group] = role
        if len(found) > MOST_GROUPS:
            raise ValidationError(f"At most {MOST_GROUPS} groups.")
        return found


@form_view
@requires("roles.modify")
@step_up
def directory(request: TenantRequest) -> HttpResponse:
    _check_kind(request)
    roles = list(Role.objects.for_tenant(request.tenant).order_by("name", "id"))
    held = directories.of(request.tenant.id)
    form = DirectoryForm(posted(request), roles=roles, initial=_written(held, roles) if held else {})
    here = reverse("portal:directory")
    if request.method == "POST" and form.carry_out(lambda data: _keep(request, data)):
        return htmx.done(request, "Sign-in with Microsoft is on", to=here)
    context = {"form": form, "held": held, "callback": entra.callback_url(request.tenant.id)}
    return htmx.page(request, "settings/directory.html", context, status=422 if form.errors else 200)


def _check_kind(request: TenantRequest) -> None:
    """A directory lets people into its own organisation alone: a partner's people are needed at its customers."""
    if request.tenant.kind != Tenant.Kind.CUSTOMER:
        raise Http404


def _written(held: Directory, roles: list[Role]) -> dict[str, Any]:
    names = {role.key: role.name for role in roles}
    lines = [f"{group} {names.get(key, key)}" for group, key in held.groups.items()]
    return {
        "directory_id": held.directory_id,
        "client_id": held.client_id,
        "domains": "\n".join(held.domains),
        "groups": "\n".join(lines),
        "proves_factor": held.proves_factor,
    }


def _keep(request: TenantRequest, data: dict[str, Any]) -> bool:
    """Raises NotValid where the directory does not answer as itself, MoreThanOwn, and what `configure` raises."""
    groups: dict[str, Role] = data["groups"]
    for role in groups.values():
        check_may_grant(principal_of(request).rights, role.permissions)
    wanted = Directory(
        request.tenant.id,
        data["directory_id"],
        data["client_id"],
        data["domains"],
        {group: role.key for group, role in groups.items()},
        data["proves_factor"],
    )
    try:
        with entra.session() as calls:
            entra.discovered(calls, wanted.server_url)
    except requests.RequestException as error:
        raise NotValid(
            "Microsoft does not know this directory, or cannot be reached.", field="directory_id"
        ) from error
    directories.configure(wanted, secret=data["secret"], at=clock.now())
    return True


@form_view
@requires("roles.modify")
@step_up
def directory_remove(request: TenantRequest) -> HttpResponse:
    _check_kind(request)
    here = reverse("portal:directory")
    return confirm(
        request,
        "Turn off sign-in with Microsoft?",
        submit="Turn off",
        explain="Nobody comes in by your directory any more. People stay; those without a password set one by mail.",
        back=here,
        to=here,
        change=lambda: directories.remove(request.tenant.id, at=clock.now()),
        said="Sign-in with Microsoft is off",
    )
