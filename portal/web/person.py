"""One person: what they may do and why, where they are signed in, and how that changes or ends."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.http import HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET

from foundation import clock
from insights import privacy as exports
from portal import htmx
from portal.access import TenantRequest, principal_of, requires, step_up
from portal.sign_in import sessions
from portal.web.account import browser_of
from portal.web.dialogs import confirm, form_view
from portal.web.forms import choose, posted
from portal.web.people import offered_roles
from portal.web.scopes import PlaceNames, ScopeForm
from tenancy import assignments, people, roles
from tenancy.models import Membership, Person, RoleAssignment
from tenancy.roles import PERMISSIONS


class GiveForm(ScopeForm):
    role = forms.ChoiceField(label="Role")
    field_order = ("role", "where", "groups", "rooms")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choose(self, "role", offered_roles())


@require_GET
@requires("roles.view")
def person_detail(request: TenantRequest, person_id: UUID) -> HttpResponse:
    person = people.person(person_id)
    held = list(
        RoleAssignment.objects.for_tenant(request.tenant)
        .filter(person=person)
        .select_related("role", "assignment")
        .order_by("role__name", "id")
    )
    why = roles.explain(person)
    kind = Membership.objects.filter(tenant=request.tenant, user_id=person.user_id).values_list(
        "kind", flat=True
    )
    may_change = principal_of(request).may("roles.modify")
    export = exports.of_person(person) if may_change else None
    user = sessions.at_home(person) if may_change else None
    signed_in = [(each, browser_of(each.user_agent)) for each in sessions.of(user)] if user else []
    live = htmx.live(
        [each.id for each, _ in signed_in],
        export and export.state,
        person.name,
        person.ended_at,
        person.blocked_grant_id,
        [(row.id, row.scope_id) for row in held],
        why,
    )
    if htmx.unchanged(request, live):
        return htmx.nothing_new()
    places = PlaceNames([[[row.scope, str(row.scope_id)]] for row in held if row.scope_id])
    context = {
        "person": person,
        "export": export,
        "sessions": signed_in,
        "kind": next(iter(kind), ""),
        "standing": [PERMISSIONS[name] for name in sorted(roles.STANDING)],
        "held": [(row, places.one(row.scope, row.scope_id)) for row in held],
        "why": [
            (PERMISSIONS[name], [(source, places.one(source.kind, source.place_id)) for source in sources])
            for name, sources in why.items()
        ],
    }
    return htmx.page(request, "people/person_detail.html", context, live=live)


@form_view
@requires("roles.modify")
@step_up
def person_give(request: TenantRequest, person_id: UUID) -> HttpResponse:
    person = people.person(person_id)
    back = reverse("portal:person-detail", args=[person.id])
    form = GiveForm(posted(request))
    if request.method == "POST":

        def give(data: dict[str, Any]) -> bool:
            assignments.give(
                person,
                role_id=UUID(data["role"]),
                everywhere=data["everywhere"],
                scope=data["places"],
                by=principal_of(request).rights,
                at=clock.now(),
            )
            return True

        if form.carry_out(give):
            return htmx.done_here(request, f"{person.name} has a new role", to=back)
    return htmx.dialog(request, f"Give {person.name} a role", submit="Give role", back=back, form=form)


@form_view
@requires("roles.modify")
@step_up
def person_withdraw(request: TenantRequest, person_id: UUID, row_id: UUID) -> HttpResponse:
    person = people.person(person_id)
    row = assignments.given_directly(row_id, person)
    back = reverse("portal:person-detail", args=[person.id])
    return confirm(
        request,
        f"Take the role {row.role.name} from {person.name}?",
        submit="Take role",
        explain="What it allowed ends with the next click.",
        back=back,
        to=back,
        change=lambda: assignments.withdraw(row.id, person=person, at=clock.now()),
        said=f"{person.name} no longer has it",
    )


@form_view
@requires("roles.modify")
@step_up
def person_sign_out(request: TenantRequest, person_id: UUID) -> HttpResponse:
    person = people.person(person_id)
    back = reverse("portal:person-detail", args=[person.id])
    return confirm(
        request,
        f"Sign {person.name} out everywhere?",
        submit="Sign out",
        explain="Every browser has to sign in again. Roles and tokens stay.",
        back=back,
        to=back,
        change=lambda: sessions.end_of(person, at=clock.now()),
        said=f"{person.name} is signed out everywhere",
    )


@form_view
@requires("roles.modify")
@step_up
def person_end(request: TenantRequest, person_id: UUID) -> HttpResponse:
    person = people.person(person_id)
    back = reverse("portal:person-detail", args=[person.id])
    return confirm(
        request,
        f"End the access of {person.name}?",
        submit="End access",
        explain=f"{person.name} is out at once, with all roles, tokens and open invitations. What they did stays on record."
        + (
            " Their organisation cannot send them again until you let them in."
            if _is_partners(person)
            else ""
        ),
        back=back,
        to=reverse("portal:person-list"),
        change=lambda: people.end(person.id, at=clock.now()),
        said=f"{person.name} can no longer enter",
    )


def _is_partners(person: Person) -> bool:
    here = Membership.objects.filter(tenant_id=person.tenant_id, user_id=person.user_id)
    return here.filter(kind=Membership.Kind.PARTNER).exists()


@form_view
@requires("roles.modify")
@step_up
def person_let_in(request: TenantRequest, person_id: UUID) -> HttpResponse:
    """After the access of a partner's person was ended."""
    person = people.person(person_id)
    back = reverse("portal:partner-list")
    return confirm(
        request,
        f"Let {person.name} in again?",
        submit="Let in again",
        explain="Their organisation may send them again. Until it does, they stay out.",
        back=back,
        to=back,
        change=lambda: people.let_in(person.id, at=clock.now()),
        said=f"{person.name} may be sent again",
        danger=False,
    )
