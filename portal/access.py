"""Who asks, in which organisation, and whether they may: one principal per request, for pages and the API."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, wraps
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect

from fleet import scope
from foundation import clock
from foundation.errors import Conflict
from portal import htmx, rehearsal
from portal.sign_in import proofs
from tenancy import approvals
from tenancy.audit import Actor
from tenancy.models import BreakGlass, Partnership, Person, Tenant, User
from tenancy.rights import Rights
from tenancy.roles import PERMISSIONS

View = Callable[..., HttpResponseBase]
READING = ("GET", "HEAD")
NO_FILES = "{} approves this first, and files cannot wait for that. Send it without them."
NO_SECRETS = "{} approves this first, and its answer is shown only once: ask them to do it."
# What an operator's own house is looked after by, and with which pages: beginnings of URL names.
HOUSE = frozenset({"roles.view", "roles.modify", "audit.export"})
HOUSE_PAGES = ("person-", "invitation-", "role-list", "role-detail", "audit-")
APPROVED = "approved_by_customer"  # attribute of a request that waited for approval and got it


@dataclass(frozen=True)
class Principal:
    """Somebody signed in, or a program with a token.

    `tenant`: the organisation looked at; on the operations console the operator's own.
    `tenants`: all that may be entered: on the console the customers served, elsewhere just `tenant`.
    """

    actor: Actor
    tenant: Tenant
    tenants: tuple[Tenant, ...]
    rights: Rights
    user: User | None = None
    person: Person | None = None
    by_operator: bool = False
    house: bool = (
        False  # an operator's person in his own organisation, outside the console: HOUSE_PAGES alone
    )
    partnership: Partnership | None = None  # under which a partner's person is here
    break_glass: BreakGlass | None = None  # an operator's wider access, for an hour

    def may(self, permission: str) -> bool:
        """Anywhere at all; `within` shows only what it reaches."""
        return self.rights.may(permission)

    def may_everywhere(self, permission: str) -> bool:
        return self.rights.everywhere(permission)

    @property
    def permissions(self) -> frozenset[str]:
        return self.rights.permissions

    @property
    def tenant_ids(self) -> tuple[UUID, ...]:
        return tuple(tenant.id for tenant in self.tenants)


class TenantRequest(HttpRequest):
    """A request after the tenant middleware: `principal` and `tenant` are there for whoever is signed in."""

    principal: Principal | None
    tenant: Tenant


def principal_of(request: Any) -> Principal:
    """The principal of a page that requires one. Raises PermissionDenied where there is none."""
    principal: Principal | None = getattr(request, "principal", None)
    if principal is None:
        raise PermissionDenied
    return principal


def requires(permission: str) -> Callable[[View], View]:
    """A page for people with `permission`: others see one sentence (403), strangers the sign-in page."""

    def decorate(view: View) -> View:
        @wraps(view)
        def checked(request: TenantRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if getattr(request, "principal", None) is None:
                return _sign_in_first(request)
            principal = principal_of(request)
            if not principal.may(permission) or (principal.house and not _of_house(request)):
                raise PermissionDenied
            if request.method not in READING and waits_for_customer(request, permission):
                return _queued(request, permission, partial(view, request, *args, **kwargs))
            with scope.within(principal.rights, permission, reading=request.method in READING):
                return view(request, *args, **kwargs)

        checked.permission = permission  # type: ignore[attr-defined]  # the isolation matrix reads it
        return checked

    return decorate


def _of_house(request: HttpRequest) -> bool:
    match = request.resolver_match
    return match is not None and (match.url_name or "").startswith(HOUSE_PAGES)


def waits_for_customer(request: Any, permission: str) -> bool:
    """Does the customer want to approve what this partner's person does with `permission`?"""
    return not getattr(request, APPROVED, False) and approvals.must_wait(
        principal_of(request).partnership, permission
    )


def mark_approved(request: Any) -> None:
    """The customer has approved what this request asks for."""
    setattr(request, APPROVED, True)


def ask_customer(
    request: Any, permission: str, body: dict[str, Any], do: Callable[[], Any], *, by_program: bool = False
) -> Any:
    """Rehearse what was asked for, and keep it until the customer approves; None where it waits now.

    What is refused, or changes nothing, is answered at once: the answer. Raises Conflict for what shows a secret, and
    NotValid where too much waits.
    """
    principal = principal_of(request)
    if principal.partnership is None or principal.person is None:
        raise PermissionDenied
    with scope.within(principal.rights, permission):
        effect = rehearsal.run(request, do)
    if not effect.worked or not effect.events:
        return effect.answer
    if not by_program and effect.answer.status_code == 200:  # a page of its own instead of a word and onward
        raise Conflict(NO_SECRETS.format(principal.tenant.name))
    approvals.queue(
        principal.partnership,
        principal.person,
        token_id=principal.actor.id if principal.actor.kind == "token" else None,
        permission=permission,
        label=PERMISSIONS[permission],
        method=str(request.method),
        path=request.get_full_path(),
        body=body,
        effect=rehearsal.kept(effect),
        at=clock.now(),
    )
    return None


def _queued(request: Any, permission: str, do: Callable[[], Any]) -> HttpResponseBase:
    customer = principal_of(request).tenant.name
    try:
        if request.FILES:
            raise Conflict(NO_FILES.format(customer))
        sent = {name: values for name, values in request.POST.lists() if name != "csrfmiddlewaretoken"}
        refused: HttpResponseBase | None = ask_customer(request, permission, sent, do)
    except Conflict as error:
        if not htmx.wants_fragment(request):
            raise
        return htmx.standing(error.message)
    if refused is not None:
        return refused
    said = f"{customer} approves this first. It waits there now."
    shown = urlsplit(request.headers.get("HX-Current-URL", "/"))
    return htmx.done(request, said, to=proofs.own_address(urlunsplit(("", "", shown.path, shown.query, ""))))


def signed_in(view: View) -> View:
    """For whoever is somewhere, whatever he may there."""

    @wraps(view)
    def checked(request: TenantRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if getattr(request, "principal", None) is None:
            return _sign_in_first(request)
        return view(request, *args, **kwargs)

    return checked


def _sign_in_first(request: Any) -> HttpResponse:
    if request.user.is_authenticated:  # known, and of no organisation with pages here
        raise PermissionDenied
    if request.headers.get("HX-Request") == "true":
        return HttpResponse(status=401, headers={"HX-Refresh": "true"})
    return redirect_to_login(request.get_full_path())


def step_up(view: View) -> View:
    """What matters most (keys, people, tokens, integrations, many rooms at once): who asks proved it lately.

    Stands below `requires`. A dialog leads to the question and back to the page it was opened from.
    """

    @wraps(view)
    def checked(request: TenantRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if principal_of(request).user is None or proofs.is_fresh(request):
            return view(request, *args, **kwargs)
        if request.headers.get("HX-Request") == "true":
            shown = urlsplit(request.headers.get("HX-Current-URL", "/"))
            back = urlunsplit(("", "", shown.path, shown.query, ""))
            address = proofs.confirm_address(request, proofs.own_address(back))
            return HttpResponse(status=204, headers={"HX-Redirect": address})
        return HttpResponseRedirect(proofs.confirm_address(request, request.get_full_path()))

    checked.steps_up = True  # type: ignore[attr-defined]  # a test reads it
    return checked
