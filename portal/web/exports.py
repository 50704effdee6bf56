"""Exports: lists as files, while they are written and until they expire."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.http import HttpResponse, HttpResponseBase
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from fleet import exports
from fleet.export_tables import TABLES
from foundation import clock, jobs
from foundation.errors import NotValid
from foundation.models import Job
from portal import htmx
from portal.access import TenantRequest, principal_of, requires
from portal.paging import keyset_page
from portal.web.dialogs import form_view
from portal.web.downloads import download
from portal.web.forms import Form, posted
from tenancy.models import Person
from tenancy.on_behalf import By

PAGE = 50
FORMATS = (("csv", "CSV"), ("xlsx", "XLSX"), ("json", "JSON"))
STATES = {  # tone and word
    "queued": ("info", "Waiting"),
    "running": ("info", "Being written"),
    "done": ("ok", "Ready"),
    "failed": ("bad", "Failed"),
    "cancelled": ("mute", "Cancelled"),
}
NOT_FILTERS = {"what", "view", "after", "before"}  # of an address


class ExportForm(Form):
    what = forms.ChoiceField(label="List", choices=[(table.key, table.label) for table in TABLES.values()])
    format = forms.ChoiceField(label="Format", choices=FORMATS, initial="csv")


def by(request: TenantRequest) -> By:
    principal = principal_of(request)
    return By(principal.actor, principal.rights)


@require_GET
@requires("rooms.view")
def export_list(request: TenantRequest) -> HttpResponse:
    page = keyset_page(
        exports.visible(by(request)),
        order_by=("-created_at", "-id"),
        after=request.GET.get("after"),
        before=request.GET.get("before"),
        size=PAGE,
    )
    live = htmx.live(
        [(job.id, job.state, job.done) for job in page],
        every_s=htmx.FEW_SECONDS,
    )
    if htmx.unchanged(request, live):
        return htmx.nothing_new()
    names = _names(request, page.rows)
    rows = [
        {
            "job": job,
            "label": exports.label(job),
            "format": str(job.parameters["format"]).upper(),
            "filtered": bool(job.parameters["filters"]),
            "tone": STATES[job.state][0],
            "state": STATES[job.state][1],
            "who": names.get(job.requested_by) if job.requested_by else None,
            "expires_at": job.ended_at + jobs.KEPT_FOR if job.ended_at else None,
            "live": job.state in exports.LIVE,
        }
        for job in page
    ]
    return htmx.page(request, "exports/export_list.html", {"page": page, "rows": rows}, live=live)


@form_view
@requires("rooms.view")
def export_new(request: TenantRequest) -> HttpResponse:
    """Filters stand in the address, as the list it was opened from has them."""
    to = reverse("portal:export-list")
    what = request.GET.get("what", "rooms")
    query = {name: values for name, values in request.GET.lists() if name not in NOT_FILTERS}
    filters = _cleaned(what, query)
    form = ExportForm(posted(request), initial={"what": what if what in TABLES else "rooms"})
    if request.method == "POST":
        made = form.carry_out(
            lambda data: exports.start(
                data["what"],
                data["format"],
                filters if data["what"] == what else {},
                by=by(request),
                at=clock.now(),
            )
        )
        if made is not None:
            return htmx.done(request, "The export is being written", to=to)
    explain = "It is written in the background and kept for a week."
    if filters:
        explain = f"Only what the list is filtered to. {explain}"
    return htmx.dialog(request, "Export a list", submit="Export", back=to, form=form, explain=explain)


def _cleaned(what: str, query: dict[str, Any]) -> dict[str, list[str]]:
    """The filters that the list has; anything else in the address narrows nothing."""
    kept: dict[str, list[str]] = {}
    for name, values in query.items():
        try:
            kept |= TABLES[what].cleaned({name: values}) if what in TABLES else {}
        except NotValid:
            continue
    return kept


@require_POST
@requires("rooms.view")
def export_cancel(request: TenantRequest, job_id: UUID) -> HttpResponse:
    exports.cancel(job_id, by=by(request), at=clock.now())
    return htmx.done_here(request, "The export is cancelled", to=reverse("portal:export-list"))


@require_GET
@requires("rooms.view")
def export_download(request: TenantRequest, job_id: UUID) -> HttpResponseBase:
    return download(exports.file_of(exports.export(job_id, by(request)), at=clock.now()))


def _names(request: TenantRequest, rows: list[Job]) -> dict[UUID, str]:
    """People by user, programs by what their token is called."""
    users = {job.requested_by for job in rows if job.requested_by}
    people = Person.objects.for_tenant(request.tenant).filter(user_id__in=users)
    names = {job.requested_by: str(job.parameters["by"]["name"]) for job in rows if job.requested_by}
    return {**names, **dict(people.values_list("user_id", "name"))}
