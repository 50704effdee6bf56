"""Which of the operator's people serve which customers: names alone, nothing of a customer's data."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.http import Http404, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET

from foundation import clock
from portal import htmx
from portal.access import TenantRequest, requires, step_up
from portal.paging import keyset_page
from portal.web import choices
from portal.web.dialogs import confirm, form_view
from portal.web.forms import Form, choose, posted
from tenancy import serving
from tenancy.models import Membership, Person, Tenant, User

PAGE = 50


class ServeForm(Form):
    person = forms.ChoiceField(label="Person")

    def __init__(self, *args: Any, house: Tenant, customer: Tenant, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        there = Membership.objects.filter(tenant=customer).values_list("user_id", flat=True)
        people = Person.objects.for_tenant(house).filter(ended_at=None).exclude(user_id__in=list(there))
        rows = people.order_by("name", "id").values_list("user_id", "name", "email")[: choices.OFFERED]
        choose(self, "person", [(str(key), f"{name}, {email}") for key, name, email in rows])


@require_GET
@requires("tenants.delegate")
def serving_list(request: TenantRequest) -> HttpResponse:
    page = keyset_page(
        Tenant.objects.filter(id__in=serving.customers_of(request.tenant)),
        order_by=("name", "id"),
        after=request.GET.get("after"),
        before=request.GET.get("before"),
        size=PAGE,
    )
    people = serving.serving(request.tenant, [each.id for each in page])
    live = htmx.live([(each.id, each.name, [user.id for user in people[each.id]]) for each in page])
    if htmx.unchanged(request, live):
        return htmx.nothing_new()
    context = {
        "page": page,
        "rows": [(each, people[each.id]) for each in page],
    }
    return htmx.page(request, "operations/serving.html", context, live=live, frame=htmx.CONSOLE_PAGE)


@form_view
@requires("tenants.delegate")
@step_up
def serving_begin(request: TenantRequest, tenant_id: UUID) -> HttpResponse:
    customer = _customer(request, tenant_id)
    back = reverse("portal:console-serving")
    form = ServeForm(posted(request), house=request.tenant, customer=customer)
    if request.method == "POST":

        def begin(data: dict[str, Any]) -> User:
            user = User.objects.select_related("home").get(id=data["person"], home=request.tenant)
            serving.begin(user, customer, at=clock.now())
            return user

        user = form.carry_out(begin)
        if user is not None:
            return htmx.done(request, f"{user.name} serves {customer.name}", to=back)
    return htmx.dialog(
        request,
        f"Who shall serve {customer.name}?",
        submit="Let them serve",
        back=back,
        form=form,
        explain="What they may do there follows from their roles with you. It is on record at both.",
        frame=htmx.CONSOLE_PAGE,
    )


@form_view
@requires("tenants.delegate")
@step_up
def serving_end(request: TenantRequest, tenant_id: UUID, user_id: UUID) -> HttpResponse:
    customer = _customer(request, tenant_id)
    there = serving.serving(request.tenant, [customer.id])[customer.id]
    user = next((each for each in there if each.id == user_id), None)
    if user is None:
        raise Http404
    back = reverse("portal:console-serving")
    last = f" Nobody else does: {customer.name} leaves this list." if len(there) == 1 else ""
    return confirm(
        request,
        f"End the service of {user.name} for {customer.name}?",
        submit="End service",
        explain=f"{user.name} is out of {customer.name} at once, emergency access included.{last}",
        back=back,
        to=back,
        change=lambda: serving.end(user, customer, at=clock.now()),
        said=f"{user.name} no longer serves {customer.name}",
        frame=htmx.CONSOLE_PAGE,
    )


def _customer(request: TenantRequest, tenant_id: UUID) -> Tenant:
    """Raises Http404 for one that nobody of the operator serves, or that does not exist."""
    found = Tenant.objects.filter(id=tenant_id).first()
    if found is None or found.id not in serving.customers_of(request.tenant):
        raise Http404
    return found
