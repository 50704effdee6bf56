"""Roles: built-in ones to read, own ones to make; and assignments, which give a role to several people."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.db.models import Count
from django.http import HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET

from foundation import clock
from foundation.context import current_tenant
from portal import htmx
from portal.access import TenantRequest, principal_of, requires, step_up
from portal.paging import keyset_page
from portal.web import choices
from portal.web.dialogs import confirm, form_view
from portal.web.forms import Form, choose, posted
from portal.web.people import offered_roles
from portal.web.scopes import PlaceNames, ScopeForm, say_unseen
from tenancy import assignments, custom_roles
from tenancy.models import Assignment, Person, Role, RoleAssignment, Tenant
from tenancy.roles import OPERATORS, OPERATORS_OWN, PERMISSIONS

PAGE = 50
OFFERED = [(name, text) for name, text in PERMISSIONS.items() if name not in OPERATORS_OWN]


class RoleForm(Form):
    name = forms.CharField(label="Name", max_length=80, widget=forms.TextInput(attrs={"autocomplete": "off"}))
    description = forms.CharField(label="What it is for", required=False, max_length=300)
    permissions = forms.MultipleChoiceField(
        label="Allows", choices=OFFERED, widget=forms.CheckboxSelectMultiple
    )


@require_GET
@requires("roles.view")
def role_list(request: TenantRequest) -> HttpResponse:
    page = keyset_page(
        Role.objects.for_tenant(request.tenant),
        order_by=("name", "id"),
        after=request.GET.get("after"),
        before=request.GET.get("before"),
        size=PAGE,
    )
    given = RoleAssignment.objects.for_tenant(request.tenant).filter(role_id__in=[each.id for each in page])
    holders = dict(given.order_by().values_list("role_id").annotate(people=Count("person_id", distinct=True)))
    rows = [(each, holders.get(each.id, 0)) for each in page]
    live = htmx.live(
        [(each.id, each.name, each.description, each.permissions, number) for each, number in rows]
    )
    if htmx.unchanged(request, live):
        return htmx.nothing_new()
    return htmx.page(request, "people/role_list.html", {"page": page, "rows": rows}, live=live)


@require_GET
@requires("roles.view")
def role_detail(request: TenantRequest, role_id: UUID) -> HttpResponse:
    role = custom_roles.role(role_id)
    given = RoleAssignment.objects.for_tenant(request.tenant).filter(role=role)
    people = Person.objects.for_tenant(request.tenant).filter(id__in=given.values("person_id"))
    holders = list(people.order_by("name", "id")[:PAGE])
    live = htmx.live(role.name, role.description, role.permissions, [each.id for each in holders])
    if htmx.unchanged(request, live):
        return htmx.nothing_new()
    fits = OPERATORS if request.tenant.kind == Tenant.Kind.OPERATOR else dict(OFFERED)
    allowed = [(text, name in role.permissions) for name, text in PERMISSIONS.items() if name in fits]
    context = {"role": role, "holders": holders, "allowed": allowed}
    return htmx.page(request, "people/role_detail.html", context, live=live)


@form_view
@requires("roles.modify")
@step_up
def role_add(request: TenantRequest) -> HttpResponse:
    form = RoleForm(posted(request))
    if request.method == "POST":
        rights = principal_of(request).rights
        made = form.carry_out(lambda data: custom_roles.add_role(**data, by=rights, at=clock.now()))
        if made is not None:
            to = reverse("portal:role-detail", args=[made.id])
            return htmx.done(request, f"Role {made.name} made", to=to)
    return htmx.dialog(
        request, "Make a role", submit="Make role", back=reverse("portal:role-list"), form=form
    )


@form_view
@requires("roles.modify")
@step_up
def role_edit(request: TenantRequest, role_id: UUID) -> HttpResponse:
    role = custom_roles.role(role_id)
    back = reverse("portal:role-detail", args=[role.id])
    kept = {"name": role.name, "description": role.description, "permissions": role.permissions}
    form = RoleForm(posted(request), initial=kept)
    if request.method == "POST":
        rights = principal_of(request).rights
        changed = form.carry_out(
            lambda data: custom_roles.edit_role(role.id, **data, by=rights, at=clock.now())
        )
        if changed is not None:
            return htmx.done_here(request, f"Role {changed.name} saved", to=back)
    return htmx.dialog(request, f"Edit {role.name}", submit="Save", back=back, form=form)


@form_view
@requires("roles.modify")
@step_up
def role_delete(request: TenantRequest, role_id: UUID) -> HttpResponse:
    role = custom_roles.role(role_id)
    return confirm(
        request,
        f"Delete the role {role.name}?",
        submit="Delete role",
        explain="Only a role that nobody holds can be deleted. Ended tokens and invitations of it leave their lists with it.",
        back=reverse("portal:role-detail", args=[role.id]),
        to=reverse("portal:role-list"),
        change=lambda: custom_roles.delete_role(role.id, at=clock.now()),
        said=f"Role {role.name} deleted",
    )


class AssignmentForm(ScopeForm):
    name = forms.CharField(label="Name", max_length=80, widget=forms.TextInput(attrs={"autocomplete": "off"}))
    description = forms.CharField(label="What it is for", required=False, max_length=300)
    role = forms.ChoiceField(label="Role")
    members = forms.MultipleChoiceField(label="People", required=False, widget=forms.CheckboxSelectMultiple)
    field_order = ("name", "description", "role", "members", "where", "groups", "rooms")

    def __init__(self, *args: Any, new: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if new:
            choose(self, "role", offered_roles())
        else:
            del self.fields["role"]
        rows = Person.objects.for_tenant(current_tenant()).filter(ended_at=None).order_by("name", "id")
        known = [(str(key), name) for key, name in rows.values_list("id", "name")[: choices.OFFERED]]
        choose(self, "members", known)
        offered = {key for key, _ in known}
        self.unseen_members = [key for key in self.initial.get("members", ()) if key not in offered]
        say_unseen(self, "members", len(self.unseen_members))

    def values(self, data: dict[str, Any]) -> dict[str, Any]:
        """As the domain takes them."""
        return {
            "name": data["name"],
            "description": data["description"],
            "members": [UUID(key) for key in [*data["members"], *self.unseen_members]],
            "everywhere": data["everywhere"],
            "scope": data["places"],
        }


@require_GET
@requires("roles.view")
def assignment_list(request: TenantRequest) -> HttpResponse:
    page = keyset_page(
        Assignment.objects.for_tenant(request.tenant).select_related("role"),
        order_by=("name", "id"),
        after=request.GET.get("after"),
        before=request.GET.get("before"),
        size=PAGE,
    )
    rows = RoleAssignment.objects.for_tenant(request.tenant).filter(
        assignment_id__in=[each.id for each in page]
    )
    members: dict[UUID, dict[UUID, str]] = {}
    for key, person, name in rows.order_by("person__name").values_list(
        "assignment_id", "person_id", "person__name"
    ):
        members.setdefault(key, {})[person] = name
    places = PlaceNames(each.scope for each in page)
    shown = [
        (each, places.text(each.everywhere, each.scope), list(members.get(each.id, {}).values()))
        for each in page
    ]
    live = htmx.live([(each.id, each.name, where, names) for each, where, names in shown])
    if htmx.unchanged(request, live):
        return htmx.nothing_new()
    return htmx.page(request, "people/assignment_list.html", {"page": page, "rows": shown}, live=live)


@form_view
@requires("roles.modify")
@step_up
def assignment_add(request: TenantRequest) -> HttpResponse:
    form = AssignmentForm(posted(request), new=True)
    if request.method == "POST":
        rights = principal_of(request).rights
        made = form.carry_out(
            lambda data: assignments.add(
                role_id=UUID(data["role"]), **form.values(data), by=rights, at=clock.now()
            )
        )
        if made is not None:
            return htmx.done(request, f"{made.name} assigned", to=reverse("portal:assignment-list"))
    back = reverse("portal:assignment-list")
    return htmx.dialog(request, "Assign a role", submit="Assign role", back=back, form=form)


@form_view
@requires("roles.modify")
@step_up
def assignment_edit(request: TenantRequest, assignment_id: UUID) -> HttpResponse:
    held = assignments.assignment(assignment_id)
    kept = {
        "name": held.name,
        "description": held.description,
        "members": [str(each.id) for each in assignments.members_of(held)],
        **ScopeForm.initial_of(held.everywhere, held.scope),
    }
    form = AssignmentForm(posted(request), initial=kept, new=False)
    back = reverse("portal:assignment-list")
    if request.method == "POST":
        rights = principal_of(request).rights
        changed = form.carry_out(
            lambda data: assignments.edit(held.id, **form.values(data), by=rights, at=clock.now())
        )
        if changed is not None:
            return htmx.done_here(request, f"{changed.name} saved", to=back)
    return htmx.dialog(
        request, f"Edit {held.name}", submit="Save", back=back, form=form, explain=f"Role: {held.role.name}."
    )


@form_view
@requires("roles.modify")
@step_up
def assignment_remove(request: TenantRequest, assignment_id: UUID) -> HttpResponse:
    held = assignments.assignment(assignment_id)
    back = reverse("portal:assignment-list")
    return confirm(
        request,
        f"Remove {held.name}?",
        submit="Remove",
        explain="Its people lose what it gave them, at once.",
        back=back,
        to=back,
        change=lambda: assignments.remove(held.id, at=clock.now()),
        said=f"{held.name} removed",
    )
