"""API tokens: a person's own, and those of service accounts. Each is shown once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET

from foundation import clock
from foundation.tenant_tables import TenantQuerySet
from portal import htmx
from portal.access import Principal, TenantRequest, principal_of, requires, step_up
from portal.paging import keyset_page
from portal.web.dialogs import confirm, form_view
from portal.web.enrollment import LIVES
from portal.web.forms import choose, posted
from portal.web.people import offered_roles
from portal.web.scopes import PlaceNames, ScopeForm
from tenancy import api_tokens, custom_roles
from tenancy.models import ApiToken, Person, Role, RoleAssignment

PAGE = 50
OWN, SERVICE = "own", "service"


class TokenForm(ScopeForm):
    label = forms.CharField(
        label="Name",
        max_length=80,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        help_text="Which program uses it.",
    )
    whose = forms.ChoiceField(label="Acts as", widget=forms.RadioSelect, initial=OWN)
    role = forms.ChoiceField(label="Role")
    days = forms.ChoiceField(label="Expires", choices=LIVES, initial="90")
    field_order = ("label", "whose", "role", "where", "groups", "rooms", "days")

    def __init__(self, *args: Any, principal: Principal, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for_services = principal.may("roles.modify")
        choose(self, "role", offered_roles() if principal.may("roles.view") else _own_roles(principal))
        whose = [(OWN, "Me: never more than I may myself")]
        choose(self, "whose", [*whose, (SERVICE, "A service account of its own")] if for_services else whose)


def _own_roles(principal: Principal) -> list[tuple[str, str]]:
    """Who may not see all roles sees those he has."""
    held = RoleAssignment.objects.for_tenant(principal.tenant).filter(person=principal.person)
    rows = Role.objects.for_tenant(principal.tenant).filter(id__in=held.values("role_id"))
    return [(str(key), name) for key, name in rows.order_by("name", "id").values_list("id", "name")]


@require_GET
@requires("rooms.view")
def token_list(request: TenantRequest) -> HttpResponse:
    principal = principal_of(request)
    page = keyset_page(
        _visible(principal).select_related("role", "person", "created_by"),
        order_by=("-created_at", "-id"),
        after=request.GET.get("after"),
        before=request.GET.get("before"),
        size=PAGE,
    )
    at = clock.now()
    places = PlaceNames(each.scope for each in page)
    rows = [(each, *_state(each, at), places.text(each.everywhere, each.scope)) for each in page]
    live = htmx.live([(each.id, tone, each.last_used_at) for each, tone, *_ in rows])
    if htmx.unchanged(request, live):
        return htmx.nothing_new()
    context = {
        "page": page,
        "rows": rows,
        "me": principal.person.id if principal.person else None,
        "all": principal.may("roles.view"),
    }
    return htmx.page(request, "people/token_list.html", context, live=live)


def _visible(principal: Principal) -> TenantQuerySet[ApiToken]:
    """One's own; with the right to see people also everybody's."""
    rows = ApiToken.objects.for_tenant(principal.tenant)
    return rows if principal.may("roles.view") else rows.filter(person=principal.person)


def _state(token: ApiToken, at: Any) -> tuple[str, str]:
    if token.revoked_at is not None:
        return "off", "Revoked"
    return ("ok", "Active") if token.expires_at > at else ("none", "Expired")


@form_view
@requires("rooms.view")
@step_up
def token_new(request: TenantRequest) -> HttpResponse:
    principal = principal_of(request)
    form = TokenForm(posted(request), principal=principal)
    if request.method == "POST":
        made = form.carry_out(lambda data: _issue(principal, data))
        if made is not None:
            return _shown_once(request, *made)
    return htmx.dialog(
        request, "New API token", submit="Create token", back=reverse("portal:token-list"), form=form
    )


def _issue(principal: Principal, data: dict[str, Any]) -> tuple[ApiToken, str]:
    at = clock.now()
    owner: Person | None = principal.person if data["whose"] == OWN else None
    return api_tokens.issue(
        principal.tenant,
        role=custom_roles.role(UUID(data["role"]), field="role"),
        label=data["label"],
        expires_at=at + timedelta(days=int(data["days"])),
        by=principal.person,
        at=at,
        person=owner,
        everywhere=data["everywhere"],
        scope=data["places"],
        rights=principal.rights,
    )


def _shown_once(request: TenantRequest, token: ApiToken, text: str) -> HttpResponse:
    """The answer to the post itself, at no address of its own: the text exists only here."""
    response = htmx.page(request, "people/token_shown.html", {"token": token, "text": text})
    if htmx.wants_fragment(request):
        response["HX-Retarget"], response["HX-Reswap"] = "#live", "morph"
    return response


@form_view
@requires("rooms.view")
def token_revoke(request: TenantRequest, token_id: UUID) -> HttpResponse:
    principal = principal_of(request)
    if not principal.may("roles.modify") and not _own(principal).filter(id=token_id).exists():
        raise PermissionDenied  # the same for another's, a foreign and a missing one
    token = api_tokens.token(token_id)
    back = reverse("portal:token-list")
    return confirm(
        request,
        f"Revoke {token.label}?",
        submit="Revoke token",
        explain="Programs that use it are refused at once.",
        back=back,
        to=back,
        change=lambda: api_tokens.revoke(token, at=clock.now()),
        said=f"{token.label} revoked",
    )


def _own(principal: Principal) -> TenantQuerySet[ApiToken]:
    return ApiToken.objects.for_tenant(principal.tenant).filter(person=principal.person, person__isnull=False)
