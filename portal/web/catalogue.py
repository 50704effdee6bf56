"""The catalogue of makes and models: shared rows and the customer's own, which are added, edited and removed here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django import forms
from django.db.models import Q, QuerySet
from django.http import HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET

from fleet import catalog, own_catalog
from fleet.catalog import Row, Verdict
from fleet.models import CatalogEntry, CatalogFacts, OwnCatalogEntry
from foundation import clock
from foundation.errors import NotFound
from portal import htmx
from portal.access import TenantRequest, requires
from portal.paging import merged_page
from portal.web.dialogs import confirm, form_view
from portal.web.forms import Form, posted
from portal.web.words import CATALOGUE_KINDS, CATALOGUE_PLATFORMS, CATALOGUE_VERDICTS

PAGE = 50
OWN = "own"
SEPARATED = re.compile(r"[;,\n]")
CERTIFICATIONS = {
    CatalogFacts.Certification.CERTIFIED: "Certified",
    CatalogFacts.Certification.NOT_CERTIFIED: "Not certified",
    CatalogFacts.Certification.UNKNOWN: "Not known",
}


@dataclass(frozen=True)
class Line:
    row: Row
    kind: str
    platform: str
    tone: str
    label: str
    reason: str

    @classmethod
    def of(cls, row: Row) -> Line:
        verdict, reason = catalog.judged(row, on=clock.now().date())
        tone, label = CATALOGUE_VERDICTS[verdict]
        if verdict is Verdict.UNKNOWN:
            label = "Not known"
        return cls(row, CATALOGUE_KINDS[row.kind], CATALOGUE_PLATFORMS[row.platform], tone, label, reason)


class _Asked:
    """What the address asks for. Values no row can have are as good as absent."""

    def __init__(self, request: TenantRequest) -> None:
        self.q = request.GET.get("q", "").strip()[:200]
        self.view = OWN if request.GET.get("view") == OWN else ""
        self.kind = _known(request.GET.get("kind"), CATALOGUE_KINDS)
        self.platform = _known(request.GET.get("platform"), CATALOGUE_PLATFORMS)
        self.state = _known(request.GET.get("state"), CATALOGUE_VERDICTS)

    @property
    def narrowed(self) -> bool:
        return bool(self.q or self.kind or self.platform or self.state)

    def tables(self, request: TenantRequest) -> list[QuerySet[Any]]:
        wanted = catalog.matching(self.q)
        if self.q and not wanted:
            wanted = Q(pk__in=[])  # signs alone find nothing
        if self.kind:
            wanted &= Q(kind=self.kind)
        if self.platform:
            wanted &= Q(platform=self.platform)
        if self.state:
            wanted &= catalog.standing_at(Verdict(self.state), on=clock.now().date())
        own = OwnCatalogEntry.objects.for_tenant(request.tenant).filter(wanted)
        return [own] if self.view == OWN else [own, CatalogEntry.objects.filter(wanted)]


@require_GET
@requires("inventory.view")
def catalogue_list(request: TenantRequest) -> HttpResponse:
    asked = _Asked(request)
    page = merged_page(
        asked.tables(request),
        order_by=("sort_key", "id"),
        after=request.GET.get("after"),
        before=request.GET.get("before"),
        size=PAGE,
    )
    lines = [Line.of(row) for row in page]
    live = htmx.live(
        [(line.row.id, line.row.sort_key, line.label, line.row.good_firmware, line.kind) for line in lines]
    )
    if htmx.unchanged(request, live):
        return htmx.nothing_new()
    context = {
        "page": page,
        "lines": lines,
        "asked": asked,
        "kinds": CATALOGUE_KINDS.items(),
        "platforms": CATALOGUE_PLATFORMS.items(),
        "states": [(key, label) for key, (_, label) in CATALOGUE_VERDICTS.items() if key != Verdict.UNKNOWN],
    }
    return htmx.page(request, "catalogue/catalogue_list.html", context, live=live)


@require_GET
@requires("inventory.view")
def catalogue_row(request: TenantRequest, row_id: UUID) -> HttpResponse:
    row = _row(request, row_id)
    return htmx.page(request, "catalogue/catalogue_row.html", {"row": row, "line": Line.of(row)})


class RowForm(Form):
    make = forms.CharField(label="Make", max_length=80, widget=forms.TextInput(attrs={"autocomplete": "off"}))
    model = forms.CharField(
        label="Model", max_length=120, widget=forms.TextInput(attrs={"autocomplete": "off"})
    )
    also_known_as = forms.CharField(
        label="Other names of the model",
        required=False,
        max_length=2_000,
        help_text="As devices report it; several with a semicolon between.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    kind = forms.ChoiceField(label="Kind", choices=list(CATALOGUE_KINDS.items()))
    platform = forms.ChoiceField(label="Rooms on", choices=list(CATALOGUE_PLATFORMS.items()))
    certification = forms.ChoiceField(label="Certification", choices=list(CERTIFICATIONS.items()))
    certified_until = forms.DateField(
        label="Certified until",
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )
    support_ends = forms.DateField(
        label="Support ends",
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )
    good_firmware = forms.CharField(
        label="Good firmware",
        required=False,
        max_length=120,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    usb_ids = forms.CharField(
        label="USB ids",
        required=False,
        max_length=400,
        help_text="Vendor and product, such as 046d:089b.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    sources = forms.CharField(
        label="Where it says so", required=False, max_length=2_000, help_text="Address of a page.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "inputmode": "url"}),
    )  # fmt: skip
    note = forms.CharField(
        label="Note", required=False, max_length=300, widget=forms.TextInput(attrs={"autocomplete": "off"})
    )
    version = forms.IntegerField(widget=forms.HiddenInput, required=False)

    def values(self, data: dict[str, Any]) -> dict[str, Any]:
        """As fleet.own_catalog takes them."""
        given = {name: data[name] for name in own_catalog.FIELDS}
        for name in ("also_known_as", "usb_ids", "sources"):
            pattern = ";" if name == "also_known_as" else SEPARATED
            given[name] = [each.strip() for each in re.split(pattern, data[name]) if each.strip()]
        return given


@form_view
@requires("inventory.modify")
def catalogue_add(request: TenantRequest) -> HttpResponse:
    """`?make=…&model=…`: what is known of a thing found in a room, or of a shared row to be told anew."""
    named = {
        name: request.GET.get(name, "")[:120] for name in ("make", "model", "kind", "platform", "usb_ids")
    }
    form = RowForm(posted(request), initial={name: value for name, value in named.items() if value})
    back = reverse("portal:catalogue-list")
    if request.method == "POST":
        made = form.carry_out(lambda data: own_catalog.add(form.values(data), at=clock.now()))
        if made is not None:
            return htmx.done(request, f"{made} added", to=reverse("portal:catalogue-row", args=[made.id]))
    return htmx.dialog(
        request, "Add to the catalogue", submit="Add row", back=back, form=form,
        template="catalogue/row_form.html", explain="It counts for your rooms alone, before a shared row for the same.",
    )  # fmt: skip


@form_view
@requires("inventory.modify")
def catalogue_edit(request: TenantRequest, row_id: UUID) -> HttpResponse:
    row = own_catalog.entry(row_id)
    initial = {name: getattr(row, name) for name in own_catalog.FIELDS} | {"version": row.version}
    joined = {name: "; ".join(initial[name]) for name in ("also_known_as", "usb_ids", "sources")}
    form = RowForm(posted(request), initial={**initial, **joined})
    back = reverse("portal:catalogue-row", args=[row.id])
    if request.method == "POST":
        changed = form.carry_out(
            lambda data: own_catalog.edit(
                row.id, form.values(data), if_version=data["version"], at=clock.now()
            )
        )
        if changed is not None:
            return htmx.done(request, f"{changed} changed", to=back)
    return htmx.dialog(
        request, f"Edit {row}", submit="Save", back=back, form=form, template="catalogue/row_form.html"
    )


@form_view
@requires("inventory.modify")
def catalogue_remove(request: TenantRequest, row_id: UUID) -> HttpResponse:
    row = own_catalog.entry(row_id)
    return confirm(
        request,
        f"Remove {row}?",
        submit="Remove row",
        explain="A shared row for the same thing counts again.",
        back=reverse("portal:catalogue-row", args=[row.id]),
        to=reverse("portal:catalogue-list"),
        change=lambda: own_catalog.remove(row.id, at=clock.now()),
        said=f"{row} removed",
    )


def _row(request: TenantRequest, row_id: UUID) -> Row:
    """Raises NotFound."""
    own = OwnCatalogEntry.objects.for_tenant(request.tenant).filter(id=row_id).first()
    row = own or CatalogEntry.objects.filter(id=row_id).first()
    if row is None:
        raise NotFound("This does not exist.")
    return row


def _known(value: str | None, allowed: dict[str, Any]) -> str:
    return value if value in allowed else ""
