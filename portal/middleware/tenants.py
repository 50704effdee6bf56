"""Finds out who asks and enters their organisation for the time of the request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from allauth.account.adapter import get_adapter
from django.db import transaction
from django.http import HttpRequest, HttpResponse

from foundation import clock, tokens
from foundation.context import tenant
from portal import limits
from portal.access import HOUSE, Principal
from portal.errors import is_update_client, problem
from portal.middleware import provider_access
from portal.sign_in.proofs import vouched_for
from tenancy import api_tokens, audit, break_glass, partners, roles, standing, tenants
from tenancy.audit import Actor
from tenancy.models import Membership, Tenant, User
from tenancy.rights import Rights

REFUSALS_NOTED = 5  # a minute, of one address
CHOSEN = "organisation"  # session key: id of the organisation a person looks at
CONSOLE = "/operations"
PEOPLES_API = "/api/"
DEVICES = "/device/"
WITH_PAGES = (Tenant.Kind.CUSTOMER, Tenant.Kind.PARTNER)
WITHOUT_PRINCIPAL = (DEVICES, "/static/", "/healthz", "/readyz", "/metrics")


class TenantMiddleware:
    """Sets `request.principal` and `request.tenant`, and runs the view inside `tenant(...)`.

    The transaction rolls back when the answer is 400 or above; the event of a refusal is written after it, in
    a transaction of its own. The device side authenticates itself (portal.api.devices).
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> HttpResponse:
        request.principal = None
        if request.path.startswith(WITHOUT_PRINCIPAL) or is_update_client(request):
            return self.get_response(request)
        if request.path.startswith(PEOPLES_API):
            request.principal = _token_holder(request)
            if request.principal is None and request.headers.get("Authorization"):
                _note_refused_token(request)
                return problem(
                    401, "Not signed in", "This token is not valid.", headers={"WWW-Authenticate": "Bearer"}
                )
        elif request.user.is_authenticated:
            request.principal = _operator(request) if _on_console(request.path) else _member(request)
        if request.principal is None:
            response = self.get_response(request)
            if response.status_code == 403 and request.user.is_authenticated:
                _note_refused_person(request)
            return response
        return self._inside(request, request.principal)

    def _inside(self, request: Any, principal: Principal) -> HttpResponse:
        request.tenant = principal.tenant
        with audit.acting(principal.actor):
            with tenant(principal.tenant.id):
                response = self.get_response(request)
                if response.status_code >= 400:
                    transaction.set_rollback(True)
                else:
                    provider_access.note(request, principal)
            if response.status_code >= 400 and (note := getattr(request, "after_refusal", None)) is not None:
                note()
            if response.status_code == 403:
                with tenant(principal.tenant.id):
                    audit.record(
                        "access.denied",
                        tenant_id=principal.tenant.id,
                        at=clock.now(),
                        result="failed",
                        name=f"{request.method} {request.path}",
                    )
        return response


def _note_refused_person(request: Any) -> None:
    """Somebody known who may not come here as anybody, such as a customer's person on the console: in his home's log."""
    user: User = request.user
    with audit.acting(_actor(request, "person", user.id, user.name)), tenant(user.home_id):
        audit.record(
            "access.denied",
            tenant_id=user.home_id,
            at=clock.now(),
            result="failed",
            name=f"{request.method} {request.path}"[:200],
        )


def _on_console(path: str) -> bool:
    return path == CONSOLE or path.startswith(f"{CONSOLE}/")


def _actor(request: Any, kind: str, id: Any, name: str) -> Actor:
    return Actor(kind, id, name, address=client_address(request), request_id=request.id)


def client_address(request: Any) -> str | None:
    """The address of the caller; X-Forwarded-For counts only behind the configured number of proxies."""
    address: str | None = get_adapter().get_client_ip(request)  # knows how many proxies are ours
    return address


def _token_holder(request: Any) -> Principal | None:
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    holder = api_tokens.holder_of(text.strip(), at=clock.now()) if scheme == "Bearer" else None
    if holder is None:
        return None
    person = holder.token.person
    membership = standing.membership_of(person) if person is not None else None
    partnership = None
    if membership is not None:  # a partner's program: the same approvals hold for it
        with tenant(holder.tenant.id):
            partnership = partners.partnership_of(membership)
    home = membership.user.home_id if membership is not None else holder.tenant.id
    actor = replace(
        _actor(request, "token", holder.token.id, holder.token.label),
        tenant_id=home if home != holder.tenant.id else None,
        grant_id=partnership.id if partnership else None,
    )
    rights = standing.of_holder(holder.token, holder.rights, membership)
    if person is not None and not rights.permissions:
        return None
    if holder.is_news and actor.tenant_id is not None:
        with audit.acting(actor), tenant(holder.tenant.id):
            provider_access.visit_of_program(holder.tenant.id)
    return Principal(actor, holder.tenant, (holder.tenant,), rights, person=person, partnership=partnership)


def _note_refused_token(request: Any) -> None:
    """In the log of the organisation that the token's number names, a few times a minute from one address."""
    text = request.headers["Authorization"].partition(" ")[2].strip()
    presented = tokens.parse(api_tokens.PREFIX, text)
    owner = tenants.by_number(presented.tenant_number) if presented else None
    if presented is None or owner is None:
        return  # nobody's: there is no log it belongs to
    address = client_address(request)
    if limits.take(
        limits.per_minute(f"refused-token:{owner.id}:{limits.source_of(address)}", REFUSALS_NOTED)
    ):
        return
    with audit.acting(_actor(request, "stranger", None, "")), tenant(owner.id):
        audit.record(
            "access.denied",
            tenant_id=owner.id,
            at=clock.now(),
            result="failed",
            name=f"{request.method} {request.path}"[:200],
            after={"api_token": presented.public_id},
        )


def _member(request: Any) -> Principal | None:
    """A person in the portal: the organisation chosen, else the first they may enter."""
    user: User = request.user
    memberships = tenants.memberships_of(user)
    through = vouched_for(request)  # a directory speaks for its own customer alone
    enterable = [
        each for each in memberships if each.tenant.kind in WITH_PAGES and through in (None, each.tenant_id)
    ]
    usual = next((each for each in enterable if each.tenant_id == user.home_id), None)
    operator = standing.own_operator(memberships) if through is None else None
    held = standing.in_house(operator.tenant, user) if operator else Rights()
    served = standing.at_customers(held)
    if operator is not None and HOUSE & held.permissions:
        enterable.append(operator)
        if not served.permissions:  # at a customer there is nothing for him
            usual = operator
    if not enterable:
        return None
    wanted = request.session.get(CHOSEN)
    chosen = next((each for each in enterable if str(each.tenant_id) == wanted), usual or enterable[0])
    by_operator, house = chosen.kind == Membership.Kind.OPERATOR, chosen is operator
    rights = held if house else served if by_operator else None
    with tenant(chosen.tenant_id):
        person = tenants.person_in(chosen.tenant_id, user.id)
        if person is None:
            return None
        broken = break_glass.current(person, at=clock.now()) if by_operator else None
        partnership = partners.partnership_of(chosen)
        if rights is None:
            rights = roles.rights_of(person)
        if partnership is not None:
            rights = partners.worth(rights)
    if broken is not None:
        rights |= break_glass.RIGHTS
    request.organisations = [each.tenant for each in enterable]
    grant = broken or partnership
    home = user.home_id if chosen.kind != Membership.Kind.MEMBER else None
    actor = replace(
        _actor(request, "person", user.id, user.name), tenant_id=home, grant_id=grant.id if grant else None
    )
    return Principal(
        actor,
        chosen.tenant,
        (chosen.tenant,),
        rights,
        user,
        person,
        by_operator=by_operator or house,
        house=house,
        partnership=partnership,
        break_glass=broken,
    )


def _operator(request: Any) -> Principal | None:
    """One of the operator's people on the console, over the customers they serve."""
    user: User = request.user
    memberships = tenants.memberships_of(user)
    own = standing.own_operator(memberships)
    if own is None or vouched_for(request) is not None:
        return None
    served = tuple(each.tenant for each in memberships if each.kind == Membership.Kind.OPERATOR)
    home = own.tenant
    with tenant(home.id):
        person = tenants.person_in(home.id, user.id)
        if person is None:
            return None
        rights = roles.rights_of(person)
    actor = replace(_actor(request, "person", user.id, user.name), tenant_id=home.id)
    return Principal(actor, home, served, rights, user, person, by_operator=True)
