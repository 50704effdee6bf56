"""Saved views: kept from a list as it is filtered, opened by their address, renamed, shared, deleted."""

from __future__ import annotations

from uuid import UUID

from django import forms
from django.http import HttpResponse, HttpResponseRedirect
from django.views.decorators.http import require_GET

from foundation import clock
from foundation.errors import NotFound
from portal import htmx
from portal.access import TenantRequest, principal_of, requires
from portal.web.dialogs import confirm, form_view
from portal.web.forms import Form, posted
from portal.web.listing import NOUNS, PAGES, Asked, address
from tenancy import saved_views


class ViewForm(Form):
    name = forms.CharField(
        label="Name",
        max_length=saved_views.LONGEST_NAME,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    shared = forms.BooleanField(
        label="For everybody in the organisation",
        required=False,
        help_text="Everybody sees what their own role shows.",
    )


@require_GET
@requires("rooms.view")
def view_open(request: TenantRequest, view_id: UUID) -> HttpResponse:
    """The address to share: on to the list with the view's filters."""
    row = saved_views.view(view_id, person=principal_of(request).person)
    return HttpResponseRedirect(address(row.listing, row.query, row))


@form_view
@requires("rooms.view")
def view_add(request: TenantRequest) -> HttpResponse:
    """Of the list and filters the address names."""
    listing = request.GET.get("list", "")
    person = principal_of(request).person
    if listing not in PAGES or person is None:
        raise NotFound("This does not exist.")
    asked = Asked(listing, request.GET)
    form = ViewForm(posted(request))
    if request.method == "POST":
        made = form.carry_out(
            lambda data: saved_views.save(
                listing=listing, query=asked.query, owner=person, at=clock.now(), **data
            )
        )
        if made is not None:
            return htmx.done(request, f"{made.name} saved", to=address(listing, made.query, made))
    return htmx.dialog(
        request,
        "Save this view",
        submit="Save view",
        back=address(listing, asked.query),
        form=form,
        explain=f"{NOUNS[listing]} as they are filtered now, under a name.",
    )


@form_view
@requires("rooms.view")
def view_edit(request: TenantRequest, view_id: UUID) -> HttpResponse:
    principal = principal_of(request)
    row = saved_views.view(view_id, person=principal.person)
    form = ViewForm(posted(request), initial={"name": row.name, "shared": row.shared})
    back = address(row.listing, row.query, row)
    if request.method == "POST":
        changed = form.carry_out(
            lambda data: saved_views.change(
                row.id,
                person=principal.person,
                manages=principal.may_everywhere("settings.modify"),
                at=clock.now(),
                **data,
            )
        )
        if changed is not None:
            return htmx.done(request, f"{changed.name} changed", to=back)
    return htmx.dialog(request, f"Change {row.name}", submit="Save", back=back, form=form)


@form_view
@requires("rooms.view")
def view_delete(request: TenantRequest, view_id: UUID) -> HttpResponse:
    principal = principal_of(request)
    row = saved_views.view(view_id, person=principal.person)
    return confirm(
        request,
        f"Delete {row.name}?",
        submit="Delete view",
        explain="For everybody. What it shows stays." if row.shared else "What it shows stays.",
        back=address(row.listing, row.query, row),
        to=address(row.listing, {}),
        change=lambda: saved_views.delete(
            row.id,
            person=principal.person,
            manages=principal.may_everywhere("settings.modify"),
            at=clock.now(),
        ),
        said=f"{row.name} deleted",
    )
