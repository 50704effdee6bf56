"""Partner organisations: whom a customer lets in, what waits for approval; and the partner's side of it."""

from __future__ import annotations

from datetime import timedelta
from itertools import chain
from typing import Any
from uuid import UUID

from django import forms
from django.http import HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from foundation import clock
from foundation.errors import DomainError
from portal import approving, htmx, rehearsal
from portal.access import TenantRequest, principal_of, requires, step_up
from portal.paging import keyset_page
from portal.web import choices
from portal.web.audit_log import changes, verb
from portal.web.dialogs import confirm, form_view
from portal.web.forms import Form, choose, posted
from portal.web.people import offered_roles
from portal.web.scopes import PlaceNames, ScopeForm
from tenancy import approvals, break_glass, partners, people
from tenancy.audit_log import Names
from tenancy.errors import Missing
from tenancy.models import BreakGlass, PartnerGrant, Partnership, PendingAction, Person, Role, Tenant
from tenancy.roles import PERMISSIONS

SHOWN = 50
STATES = {  # tone and word
    PartnerGrant.State.PENDING: ("info", "Invited"),
    PartnerGrant.State.ACCEPTED: ("ok", "Partner"),
    PartnerGrant.State.DENIED: ("none", "Declined"),
    PartnerGrant.State.EXPIRED: ("none", "Expired"),
    PartnerGrant.State.REVOKED: ("off", "Taken back"),
    PartnerGrant.State.ENDED: ("off", "Ended"),
}
ACTION_STATES = {
    PendingAction.State.WAITING: ("info", "Waits for you"),
    PendingAction.State.DONE: ("ok", "Approved and done"),
    PendingAction.State.FAILED: ("bad", "Approved, not possible"),
    PendingAction.State.DENIED: ("off", "Declined"),
    PendingAction.State.EXPIRED: ("none", "Nobody decided"),
}
WRITING = [
    (name, text)
    for name, text in PERMISSIONS.items()
    if not name.endswith((".view", ".read")) and not name.startswith("queue.")
]


class TermsForm(ScopeForm):
    approvals = forms.MultipleChoiceField(
        label="Ask me before they",
        required=False,
        choices=WRITING,
        widget=forms.CheckboxSelectMultiple,
        help_text="What is not marked they do at once, as far as the role allows it.",
    )
    field_order: tuple[str, ...] = ("where", "groups", "rooms", "approvals")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["where"].initial = "some"


class PartnerForm(TermsForm):
    domain = forms.CharField(
        label="Domain of the partner",
        max_length=253,
        widget=forms.TextInput(attrs={"autocomplete": "off", "placeholder": "partner.example"}),
    )
    role = forms.ChoiceField(label="Role")
    days = forms.IntegerField(label="Days to accept", min_value=1, max_value=30, initial=14)
    terms = forms.CharField(
        label="Terms", required=False, max_length=5_000, widget=forms.Textarea(attrs={"rows": 3})
    )
    field_order = ("domain", "role", "where", "groups", "rooms", "approvals", "days", "terms")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choose(self, "role", offered_roles())


@require_GET
@requires("roles.view")
def partner_list(request: TenantRequest) -> HttpResponse:
    at = clock.now()
    approvals.expire(at=at)
    grants = partners.of_customer(request.tenant, at=at)[:SHOWN]
    actions = list(
        PendingAction.objects.for_tenant(request.tenant)
        .select_related("partnership", "person")
        .order_by("-created_at", "-id")[:SHOWN]
    )
    accesses = list(
        BreakGlass.objects.for_tenant(request.tenant)
        .select_related("person")
        .order_by("-started_at", "-id")[:SHOWN]
    )
    page = keyset_page(
        partners.offers_to(request.tenant, at=at),
        order_by=("-created_at", "-id"),
        after=request.GET.get("after"),
        before=request.GET.get("before"),
        size=SHOWN,
    )
    offers = partners.read(page)
    kept_out = people.blocked(grant.id for grant, _ in grants if grant.state == PartnerGrant.State.ACCEPTED)
    live = htmx.live(
        [each.id for each in kept_out],
        [(grant.id, grant.state, terms.scope, terms.approvals) for grant, terms in grants],
        [(each.id, each.state) for each in actions],
        [(each.id, each.ended_at, each.expires_at > at) for each in accesses],
        [(each.grant.id, each.grant.state, [user.id for user in each.people]) for each in offers],
    )
    if htmx.unchanged(request, live):
        return htmx.nothing_new()
    places = PlaceNames(terms.scope for _, terms in grants)
    effects = _effects(actions)
    context = {
        "rows": [
            (
                grant,
                terms,
                *STATES[PartnerGrant.State(grant.state)],
                places.text(terms.everywhere, terms.scope),
                [PERMISSIONS[name] for name in terms.approvals],
                [each for each in kept_out if each.blocked_grant_id == grant.id],
            )
            for grant, terms in grants
        ],
        "actions": [
            (each, *ACTION_STATES[PendingAction.State(each.state)], effects[each.id]) for each in actions
        ],
        "waiting": sum(each.state == PendingAction.State.WAITING for each in actions),
        "accesses": [(each, each.ended_at is None and each.expires_at > at) for each in accesses],
        "offers": [(offer, [PERMISSIONS[name] for name in offer.terms.approvals]) for offer in offers],
        "page": page,
        "is_partner": request.tenant.kind == Tenant.Kind.PARTNER,
    }
    return htmx.page(request, "people/partner_list.html", context, live=live)


@form_view
@requires("roles.modify")
@step_up
def partner_invite(request: TenantRequest) -> HttpResponse:
    usual = Role.objects.for_tenant(request.tenant).filter(key="partner_admin").first()
    form = PartnerForm(posted(request), initial={"role": str(usual.id) if usual else ""})
    principal = principal_of(request)
    back = reverse("portal:partner-list")
    if request.method == "POST":
        made = form.carry_out(
            lambda data: partners.invite(
                request.tenant,
                domain=data["domain"],
                role_id=UUID(data["role"]),
                everywhere=data["everywhere"],
                scope=data["places"],
                approvals=data["approvals"],
                terms=data["terms"],
                lasts=timedelta(days=data["days"]),
                by=principal.person,
                rights=principal.rights,
                at=clock.now(),
            )
        )
        if made is not None:
            return htmx.done(request, f"{made.domain} invited", to=back)
    return htmx.dialog(request, "Invite a partner", submit="Invite partner", back=back, form=form)


@form_view
@requires("roles.modify")
@step_up
def partner_edit(request: TenantRequest, grant_id: UUID) -> HttpResponse:
    terms = _terms(request, grant_id)
    kept = {"approvals": terms.approvals, **ScopeForm.initial_of(terms.everywhere, terms.scope)}
    form = TermsForm(posted(request), initial=kept)
    back = reverse("portal:partner-list")
    if request.method == "POST":
        changed = form.carry_out(
            lambda data: partners.change(
                terms.id,
                customer=request.tenant,
                everywhere=data["everywhere"],
                scope=data["places"],
                approvals=data["approvals"],
                rights=principal_of(request).rights,
                at=clock.now(),
            )
        )
        if changed is not None:
            return htmx.done_here(request, f"Terms of {changed} saved", to=back)
    return htmx.dialog(request, f"Terms of {terms}", submit="Save", back=back, form=form)


def _terms(request: TenantRequest, grant_id: UUID) -> Partnership:
    rows = Partnership.objects.for_tenant(request.tenant).filter(id=grant_id)
    held: Partnership | None = rows.first()
    if held is None:
        raise Missing("partnership")
    return held


@form_view
@requires("roles.modify")
def partner_end(request: TenantRequest, grant_id: UUID) -> HttpResponse:
    """Take an invitation back, or end what was accepted."""
    terms = _terms(request, grant_id)
    grant = PartnerGrant.objects.get(id=terms.id)
    back = reverse("portal:partner-list")
    pending = grant.state == PartnerGrant.State.PENDING

    def change() -> None:
        if pending:
            partners.revoke(grant.id, customer=request.tenant, at=clock.now())
        else:
            partners.end(grant.id, side=request.tenant, at=clock.now())

    return confirm(
        request,
        f"Take the invitation of {terms} back?" if pending else f"End the partnership with {terms}?",
        submit="Take back" if pending else "End partnership",
        explain="Nobody can accept it any more."
        if pending
        else "Its people are out at once. Your data stays with you.",
        back=back,
        to=back,
        change=change,
        said="Invitation taken back" if pending else f"The partnership with {terms} has ended",
    )


# Approvals -----------------------------------------------------------------------------------------------------


@form_view
@requires("roles.modify")
@step_up
def action_approve(request: TenantRequest, action_id: UUID) -> HttpResponse:
    held = approvals.action(action_id)
    back = reverse("portal:partner-list")
    return confirm(
        request,
        f"Approve what {held.person.name} asks for?",
        submit="Approve",
        explain=f"{held.label}. It is done at once, as it stands here or not at all.",
        back=back,
        to=back,
        change=lambda: approving.carry_out(held, by=principal_of(request).person),
        said="Approved",
        danger=False,
        template="people/approve_dialog.html",
        changed=_effects([held])[held.id],
        more=held.effect.get("more", 0),
    )


def _effects(actions: list[PendingAction]) -> dict[UUID, list[tuple[str, str, list[tuple[str, str, str]]]]]:
    """What each would change: the thing, what happens to it, and its fields before and after. One query."""
    events = {each.id: rehearsal.events_of(each.effect) for each in actions}
    names = Names(chain.from_iterable(events.values()))
    return {
        key: [
            (
                (event.before or {}).get("name") or names.about(event),
                verb(event.action),
                changes(names, event.before, event.after),
            )
            for event in would
        ]
        for key, would in events.items()
    }


@require_POST
@requires("roles.modify")
def action_deny(request: TenantRequest, action_id: UUID) -> HttpResponse:
    back = reverse("portal:partner-list")
    held = approvals.action(action_id)
    try:
        approvals.deny(held.id, by=principal_of(request).person, at=clock.now())
    except DomainError as error:
        return htmx.refused(request, error, to=back)
    return htmx.done_here(request, "Declined", to=back)


@form_view
@requires("roles.modify")
def access_end(request: TenantRequest, access_id: UUID) -> HttpResponse:
    """The customer ends an operator's emergency access."""
    rows = BreakGlass.objects.for_tenant(request.tenant).filter(id=access_id).select_related("person")
    held = rows.first()
    if held is None:
        raise Missing("access")
    back = reverse("portal:partner-list")
    return confirm(
        request,
        f"End the emergency access of {held.person.name}?",
        submit="End access",
        explain="They are back to tickets and health with the next click.",
        back=back,
        to=back,
        change=lambda: break_glass.end(held.id, at=clock.now()),
        said="The emergency access has ended",
    )


# The partner's side --------------------------------------------------------------------------------------------


class PeopleForm(Form):
    people = forms.MultipleChoiceField(label="People", required=False, widget=forms.CheckboxSelectMultiple)

    def __init__(self, *args: Any, own: list[Person], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choose(self, "people", [(str(each.id), each.name) for each in own])


@form_view
@requires("roles.modify")
@step_up
def offer_accept(request: TenantRequest, grant_id: UUID) -> HttpResponse:
    back = reverse("portal:partner-list")
    offer = _offer(request, grant_id)
    return confirm(
        request,
        f"Work for {offer.customer.name}?",
        submit="Accept",
        explain=offer.terms.terms or "They set no terms of their own.",
        back=back,
        to=back,
        change=lambda: partners.accept(grant_id, partner=request.tenant, at=clock.now()),
        said=f"You are a partner of {offer.customer.name}",
        danger=False,
    )


@form_view
@requires("roles.modify")
def offer_decline(request: TenantRequest, grant_id: UUID) -> HttpResponse:
    """Decline an invitation, or leave."""
    back = reverse("portal:partner-list")
    offer = _offer(request, grant_id)
    pending = offer.grant.state == PartnerGrant.State.PENDING

    def change() -> None:
        if pending:
            partners.deny(grant_id, partner=request.tenant, at=clock.now())
        else:
            partners.end(grant_id, side=request.tenant, at=clock.now())

    return confirm(
        request,
        f"Decline to work for {offer.customer.name}?"
        if pending
        else f"Stop working for {offer.customer.name}?",
        submit="Decline" if pending else "Leave",
        explain="They can invite you again.",
        back=back,
        to=back,
        change=change,
        said="Declined" if pending else f"You no longer work for {offer.customer.name}",
    )


@form_view
@requires("roles.modify")
@step_up
def offer_people(request: TenantRequest, grant_id: UUID) -> HttpResponse:
    """Which of the partner's own people act at the customer."""
    offer = _offer(request, grant_id)
    back = reverse("portal:partner-list")
    there = {user.id for user in offer.people}
    rows = Person.objects.for_tenant(request.tenant).filter(ended_at=None).select_related("user")
    own = list(rows.filter(user_id__in=there).order_by("name", "id"))
    own += rows.exclude(user_id__in=there).order_by("name", "id")[: choices.OFFERED]
    form = PeopleForm(
        posted(request), own=own, initial={"people": [str(p.id) for p in own if p.user_id in there]}
    )
    if request.method == "POST":

        def delegate(data: dict[str, Any]) -> bool:
            at, wanted = clock.now(), {UUID(key) for key in data["people"]}
            for person in own:
                if person.id in wanted and person.user_id not in there:
                    partners.delegate(grant_id, person.user, partner=request.tenant, at=at)
                if person.id not in wanted and person.user_id in there:
                    partners.undelegate(grant_id, person.user, partner=request.tenant, at=at)
            return True

        if form.carry_out(delegate):
            return htmx.done_here(request, "Saved", to=back)
    return htmx.dialog(request, f"Who works for {offer.customer.name}", submit="Save", back=back, form=form)


def _offer(request: TenantRequest, grant_id: UUID) -> partners.Offer:
    return partners.offer_to(request.tenant, grant_id, at=clock.now())
