"""Emergency access of an operator to one customer: asked for with reason and ticket, ended when done."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.http import Http404, HttpResponse
from django.urls import reverse

from foundation import clock
from foundation.context import tenant
from foundation.errors import NotValid
from incidents.models import Incident
from portal import htmx
from portal.access import TenantRequest, principal_of, requires, step_up
from portal.middleware.tenants import CHOSEN
from portal.web.dialogs import confirm, form_view
from portal.web.forms import Form, posted
from tenancy import break_glass
from tenancy.models import BreakGlass, Person, Tenant
from tenancy.tenants import person_in


class AccessForm(Form):
    reason = forms.CharField(
        label="Reason",
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="The customer reads it.",
    )
    ticket = forms.CharField(
        label="Ticket",
        max_length=40,
        widget=forms.TextInput(attrs={"placeholder": "INC-", "autocomplete": "off"}),
    )


@form_view
@requires("queue.work")
@step_up
def console_break_glass(request: TenantRequest, tenant_id: UUID) -> HttpResponse:
    customer = _served(request, tenant_id)
    form = AccessForm(posted(request))
    if request.method == "POST":

        def start(data: dict[str, Any]) -> BreakGlass:
            with tenant(customer.id):
                if not Incident.objects.for_tenant(customer).filter(number=data["ticket"]).exists():
                    raise NotValid(f"{customer.name} has no ticket of this number.", field="ticket")
                return break_glass.start(_as_known_to(request, customer), **data, at=clock.now())

        if form.carry_out(start) is not None:
            request.session[CHOSEN] = str(customer.id)  # they go on in the customer's portal
            return htmx.done(
                request, f"You see all of {customer.name} for 60 minutes", to=reverse("portal:overview")
            )
    return htmx.dialog(
        request,
        f"Emergency access to {customer.name}",
        submit="Open access",
        back=reverse("portal:console-tenants"),
        form=form,
        explain=f"For 60 minutes. {customer.name} is told at once, and every page you read is on record.",
        danger=True,
        frame=htmx.CONSOLE_PAGE,
    )


@form_view
@requires("queue.work")
def console_break_glass_end(request: TenantRequest, tenant_id: UUID) -> HttpResponse:
    customer = _served(request, tenant_id)
    back = reverse("portal:console-tenants")

    def end() -> None:
        at = clock.now()
        with tenant(customer.id):
            running = break_glass.current(_as_known_to(request, customer), at=at)
            if running is not None:
                break_glass.end(running.id, at=at)

    return confirm(
        request,
        f"End your emergency access to {customer.name}?",
        submit="End access",
        explain="You are back to tickets and health.",
        back=back,
        to=back,
        change=end,
        said="Emergency access ended",
        frame=htmx.CONSOLE_PAGE,
    )


def _served(request: TenantRequest, tenant_id: UUID) -> Tenant:
    """Raises Http404 for one that is not served or does not exist."""
    for each in principal_of(request).tenants:
        if each.id == tenant_id:
            return each
    raise Http404


def _as_known_to(request: TenantRequest, customer: Tenant) -> Person:
    user = principal_of(request).user
    person = person_in(customer.id, user.id) if user is not None else None
    if person is None:
        raise Http404
    return person
