"""Enrollment keys: who may let devices in, with what, and how often it was used."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import segno
from django import forms
from django.conf import settings
from django.http import HttpResponse
from django.urls import reverse
from django.utils.safestring import mark_safe
from django.views.decorators.http import require_GET

from enrollment import issuers, keys
from enrollment.models import EnrollmentKey, TrustedIssuer
from fleet import room_groups
from fleet.models import RoomGroup
from foundation import clock
from foundation.context import current_tenant
from portal import htmx
from portal.access import TenantRequest, principal_of, requires, step_up
from portal.paging import keyset_page
from portal.web import choices
from portal.web.dialogs import confirm, form_view
from portal.web.forms import Form, choose, posted

PAGE = 50
SOON = timedelta(days=3)
LIVES = (
    ("1", "In 1 day"),
    ("7", "In 7 days"),
    ("30", "In 30 days"),
    ("90", "In 90 days"),
    ("365", "In a year"),
)


class KeyForm(Form):
    label = forms.CharField(
        label="Name",
        max_length=80,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        help_text="For a site or a day of work.",
    )
    group = forms.ChoiceField(label="Room group")
    max_uses = forms.IntegerField(label="Devices", min_value=1, max_value=keys.MOST_USES, initial=20)
    days = forms.ChoiceField(label="Expires", choices=LIVES, initial="30")
    by_hand = forms.BooleanField(label="Accept each device by hand", required=False, initial=True)
    simple_clients = forms.BooleanField(
        label="Also programs without the agent",
        required=False,
        help_text="They need no key pair: a script with curl can report a room.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choose(self, "group", choices.groups())


@require_GET
@requires("keys.download")
def key_list(request: TenantRequest) -> HttpResponse:
    at = clock.now()
    page = keyset_page(
        EnrollmentKey.objects.for_tenant(request.tenant).select_related("group", "created_by"),
        order_by=("-created_at", "-id"),
        after=request.GET.get("after"),
        before=request.GET.get("before"),
        size=PAGE,
    )
    rows = [(key, *_state(key, at)) for key in page]
    trusted = list(TrustedIssuer.objects.for_tenant(request.tenant).order_by("label", "id"))
    live = htmx.live(
        [(key.id, key.uses, tone, word) for key, tone, word in rows], [each.id for each in trusted]
    )
    if htmx.unchanged(request, live):
        return htmx.nothing_new()
    usable = EnrollmentKey.objects.for_tenant(request.tenant).usable(at=at).count()
    context = {
        "page": page,
        "rows": rows,
        "usable": usable,
        "soon": at + SOON,
        "issuers": trusted,
        "with_certificates": bool(settings.GREENROOM_DDI_PROXIES or trusted),
    }
    return htmx.page(request, "enrollment/key_list.html", context, live=live)


def _state(key: EnrollmentKey, at: Any) -> tuple[str, str]:
    if key.revoked_at is not None:
        return "off", "Revoked"
    if key.expires_at <= at:
        return "none", "Expired"
    if key.uses >= key.max_uses:
        return "none", "Used up"
    return "ok", "Active"


@form_view
@requires("keys.download")
@step_up
def key_new(request: TenantRequest) -> HttpResponse:
    form = KeyForm(posted(request), initial={"group": _usual_group()})
    if request.method == "POST":
        made = form.carry_out(lambda data: _issue(request, data))
        if made is not None:
            return _shown_once(request, *made)
    return htmx.dialog(
        request,
        "New enrollment key",
        submit="Create key",
        back=reverse("portal:key-list"),
        form=form,
        template="enrollment/key_form.html",
    )


def _usual_group() -> str:
    """The default group, else the first one in reach."""
    offered = [key for key, _ in choices.groups()]
    usual = RoomGroup.objects.for_tenant(current_tenant()).filter(is_default=True).first()
    return str(usual.id) if usual else next(iter(offered), "")


def _issue(request: TenantRequest, data: dict[str, Any]) -> tuple[EnrollmentKey, str]:
    at = clock.now()
    return keys.issue(
        label=data["label"],
        group=room_groups.group(UUID(data["group"])),
        approval=EnrollmentKey.Approval.MANUAL if data["by_hand"] else EnrollmentKey.Approval.AUTO,
        simple_clients=data["simple_clients"],
        max_uses=data["max_uses"],
        expires_at=at + timedelta(days=int(data["days"])),
        by=principal_of(request).person,
        at=at,
    )


def _shown_once(request: TenantRequest, key: EnrollmentKey, text: str) -> HttpResponse:
    """The answer to the post itself, at no address of its own: the text exists only here."""
    image = segno.make(f"{settings.GREENROOM_URL}/enroll#{text}", error="m").svg_inline(
        omitsize=True, border=1
    )
    context = {
        "key": key,
        "text": text,
        "server": settings.GREENROOM_URL,
        "qr": mark_safe(image),  # noqa: S308 - drawn by segno from digits
    }
    response = htmx.page(request, "enrollment/key_shown.html", context)
    if htmx.wants_fragment(request):
        response["HX-Retarget"], response["HX-Reswap"] = "#live", "morph"
    return response


@form_view
@requires("keys.reset")
@step_up
def key_revoke(request: TenantRequest, key_id: UUID) -> HttpResponse:
    key = keys.key(key_id)
    back = reverse("portal:key-list")
    return confirm(
        request,
        f"Revoke {key.label}?",
        submit="Revoke key",
        explain="No device can enroll with it any more. Devices it let in stay.",
        back=back,
        to=back,
        change=lambda: keys.revoke(key, at=clock.now()),
        said=f"{key.label} revoked",
    )


class IssuerForm(Form):
    label = forms.CharField(
        label="Name", max_length=80, widget=forms.TextInput(attrs={"autocomplete": "off"})
    )
    fingerprint = forms.CharField(
        label="Fingerprint",
        max_length=120,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        help_text="SHA-256 or SHA-1, as your proxy tells it.",
    )


@form_view
@requires("keys.reset")
@step_up
def issuer_add(request: TenantRequest) -> HttpResponse:
    form = IssuerForm(posted(request))
    back = reverse("portal:key-list")
    if request.method == "POST":
        made = form.carry_out(
            lambda data: issuers.add(**data, by=principal_of(request).person, at=clock.now())
        )
        if made is not None:
            return htmx.done(request, f"{made} trusted", to=back)
    return htmx.dialog(
        request,
        "Trust an issuer",
        submit="Trust",
        back=back,
        form=form,
        explain="Devices get in with its client certificates, without a token: as whoever the certificate names.",
    )


@form_view
@requires("keys.reset")
@step_up
def issuer_remove(request: TenantRequest, issuer_id: UUID) -> HttpResponse:
    row = issuers.issuer(issuer_id)
    back = reverse("portal:key-list")
    return confirm(
        request,
        f"Trust {row.label} no longer?",
        submit="Remove",
        explain="Devices with its certificates need a token then.",
        back=back,
        to=back,
        change=lambda: issuers.remove(row, at=clock.now()),
        said=f"{row.label} removed",
    )
