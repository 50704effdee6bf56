"""People of an organisation: what each may do in one look, why, and how somebody comes and goes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django import forms
from django.conf import settings
from django.http import HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET

from foundation import clock
from foundation.context import current_tenant
from portal import htmx
from portal.access import TenantRequest, principal_of, requires, step_up
from portal.paging import keyset_page
from portal.web.dialogs import confirm, form_view
from portal.web.forms import choose, posted
from portal.web.scopes import PlaceNames, ScopeForm
from tenancy import invitations, roles
from tenancy.models import Invitation, Membership, Person, Role, RoleAssignment
from tenancy.roles import NEEDS_EVERYWHERE

PAGE = 50
AREAS = (  # columns of the list: title, beginning of the permissions
    ("Rooms", "rooms."),
    ("Tickets", "tickets."),
    ("Groups", "groups."),
    ("Keys", "keys."),
    ("Updates", "updates."),
    ("Reports", "reports."),
    ("Settings", "settings."),
    ("People", "roles."),
    ("Audit", "audit."),
)
STANDING = "Operations: tickets, health and safe actions"


class InviteForm(ScopeForm):
    email = forms.EmailField(
        label="Work email", max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "off"})
    )
    name = forms.CharField(
        label="Name", max_length=120, required=False, widget=forms.TextInput(attrs={"autocomplete": "off"})
    )
    role = forms.ChoiceField(label="Role")
    field_order = ("email", "name", "role", "where", "groups", "rooms")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choose(self, "role", offered_roles())


def offered_roles() -> list[tuple[str, str]]:
    rows = Role.objects.for_tenant(current_tenant()).order_by("-built_in", "name", "id")
    return [(str(key), name) for key, name in rows.values_list("id", "name")]


@require_GET
@requires("roles.view")
def person_list(request: TenantRequest) -> HttpResponse:
    people_here = Person.objects.for_tenant(request.tenant).filter(ended_at=None)
    page = keyset_page(
        people_here,
        order_by=("name", "id"),
        after=request.GET.get("after"),
        before=request.GET.get("before"),
        size=PAGE,
    )
    at = clock.now()
    open_ones = Invitation.objects.for_tenant(request.tenant).filter(
        accepted_at=None, revoked_at=None, expires_at__gt=at
    )
    waiting = list(open_ones.select_related("role", "invited_by").order_by("-created_at", "-id")[:PAGE])
    rows = _rows(request, list(page))
    live = htmx.live(rows_facts(rows), [each.id for each in waiting])
    if htmx.unchanged(request, live):
        return htmx.nothing_new()
    places = PlaceNames(each.scope for each in waiting)
    context = {
        "page": page,
        "rows": rows,
        "areas": [title for title, _ in AREAS],
        "waiting": [(each, places.text(each.everywhere, each.scope)) for each in waiting],
    }
    return htmx.page(request, "people/person_list.html", context, live=live)


def rows_facts(rows: Iterable[Any]) -> list[Any]:
    return [(person.id, held, marks) for person, _, held, marks in rows]


def _rows(request: TenantRequest, shown: list[Person]) -> list[tuple[Person, str, str, list[str]]]:
    """Each person with kind, names of roles, and what each area allows: "", See, or Change, in part or whole."""
    given: dict[UUID, list[RoleAssignment]] = {person.id: [] for person in shown}
    rows = RoleAssignment.objects.for_tenant(request.tenant).filter(person_id__in=list(given))
    for row in rows.select_related("role").order_by("role__name", "id"):
        given[row.person_id].append(row)
    kinds = dict(
        Membership.objects.filter(
            tenant=request.tenant, user_id__in=[person.user_id for person in shown]
        ).values_list("user_id", "kind")
    )
    found = []
    for person in shown:
        kind = kinds.get(person.user_id, "")
        names = ", ".join(dict.fromkeys(row.role.name for row in given[person.id]))
        if kind == Membership.Kind.OPERATOR:
            found.append((person, kind, STANDING, _marks_of(roles.STANDING, frozenset())))
            continue
        whole = {name for row in given[person.id] if row.scope == "all" for name in row.role.permissions}
        part = {
            name
            for row in given[person.id]
            if row.scope != "all"
            for name in row.role.permissions
            if name not in NEEDS_EVERYWHERE
        }
        if kind == Membership.Kind.PARTNER:
            whole, part = whole - roles.CUSTOMERS_OWN, part - roles.CUSTOMERS_OWN
        found.append((person, kind, names, _marks_of(whole, part - whole)))
    return found


def _marks_of(whole: Iterable[str], part: Iterable[str]) -> list[str]:
    return [_mark(start, set(whole), set(part)) for _, start in AREAS]


def _mark(start: str, whole: set[str], part: set[str]) -> str:
    held = {name for name in whole | part if name.startswith(start)}
    if not held:
        return ""
    reading = {name for name in held if name.endswith((".view", ".read"))}
    word = "Change" if held - reading else "See"
    strongest = held - reading or reading
    return f"{word}, in part" if not strongest & whole else word


@form_view
@requires("roles.modify")
@step_up
def invitation_new(request: TenantRequest) -> HttpResponse:
    form = InviteForm(posted(request))
    principal = principal_of(request)
    if request.method == "POST":
        made = form.carry_out(
            lambda data: invitations.invite(
                email=data["email"],
                name=data["name"],
                role_id=UUID(data["role"]),
                everywhere=data["everywhere"],
                scope=data["places"],
                link=invitation_link(),
                by=principal.person,
                rights=principal.rights,
                at=clock.now(),
            )
        )
        if made is not None:
            return htmx.done(request, f"{made.email} invited", to=reverse("portal:person-list"))
    return htmx.dialog(
        request,
        "Invite somebody",
        submit="Send invitation",
        back=reverse("portal:person-list"),
        form=form,
        explain="They get a link that works once, for seven days.",
    )


def invitation_link() -> str:
    """The address whose end is the secret."""
    return f"{settings.GREENROOM_URL}/invitation/"


@form_view
@requires("roles.modify")
def invitation_revoke(request: TenantRequest, invitation_id: UUID) -> HttpResponse:
    held = invitations.invitation(invitation_id)
    back = reverse("portal:person-list")
    return confirm(
        request,
        f"Take the invitation of {held.email} back?",
        submit="Take back",
        explain="The link in the mail ends at once.",
        back=back,
        to=back,
        change=lambda: invitations.revoke(held.id, at=clock.now()),
        said=f"Invitation of {held.email} taken back",
    )


@form_view
@requires("roles.modify")
@step_up
def invitation_resend(request: TenantRequest, invitation_id: UUID) -> HttpResponse:
    held = invitations.invitation(invitation_id)
    back = reverse("portal:person-list")
    principal = principal_of(request)

    def again() -> None:
        at = clock.now()
        invitations.revoke(held.id, at=at)
        invitations.invite(
            email=held.email,
            name=held.name,
            role_id=held.role_id,
            everywhere=held.everywhere,
            scope=[(kind, UUID(key)) for kind, key in held.scope],
            link=invitation_link(),
            by=principal.person,
            rights=principal.rights,
            at=at,
        )

    return confirm(
        request,
        f"Send {held.email} a new link?",
        submit="Send again",
        explain="The earlier link ends. The new one works for seven days.",
        back=back,
        to=back,
        change=again,
        said=f"{held.email} invited again",
        danger=False,
    )
