"""The audit log: who did what, when, to which thing; and its export."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.conf import settings
from django.http import HttpResponse, HttpResponseBase
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from foundation import clock
from foundation.errors import DomainError, NotValid
from foundation.models import Job
from portal import htmx
from portal.access import TenantRequest, principal_of, requires
from portal.paging import keyset_page
from portal.web.downloads import download
from portal.web.forms import Form, LocalMoment, initial_choice
from tenancy import audit_export
from tenancy.audit_log import ACTORS, CATEGORIES, RESULTS, Asked, Names, events

PAGE = 50
EXPORTS_SHOWN = 5


BY = {
    "person": "People",
    "token": "Programs",
    "device": "Devices",
    "enrollment_key": "Enrollment keys",
    "stranger": "Strangers",
    "system": "Greenroom",
}


class Filter(Form):
    category = forms.ChoiceField(
        label="What",
        required=False,
        choices=initial_choice(
            "Anything", [(each, each.replace("_", " ").capitalize()) for each in CATEGORIES]
        ),
    )
    result = forms.ChoiceField(
        label="Result",
        required=False,
        choices=initial_choice("Any", [(each, each.capitalize()) for each in RESULTS]),
    )
    by = forms.ChoiceField(
        label="By",
        required=False,
        choices=initial_choice("Anybody", [(each, BY[each]) for each in ACTORS]),
    )
    actor = forms.UUIDField(label="Who", required=False)
    about = forms.UUIDField(label="About", required=False)

    def __init__(self, *args: Any, zone: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["since"] = LocalMoment(label="From", zone=zone, required=False)
        self.fields["until"] = LocalMoment(label="To", zone=zone, required=False)

    def asked(self) -> Asked:
        """What can be read of the query; the rest narrows nothing and is marked."""
        self.is_valid()
        data: dict[str, Any] = self.cleaned_data
        return Asked(
            category=data.get("category") or "",
            result=data.get("result") or "",
            actor_kind=data.get("by") or "",
            actor_id=data.get("actor"),
            object_id=data.get("about"),
            after=data.get("since"),
            before=data.get("until"),
        )


@require_GET
@requires("audit.export")
def audit_log(request: TenantRequest) -> HttpResponse:
    form = Filter(request.GET, zone=request.tenant.time_zone)
    asked = form.asked()
    page = keyset_page(
        events(asked),
        order_by=("-id",),
        after=request.GET.get("after"),
        before=request.GET.get("before"),
        size=PAGE,
    )
    jobs = list(
        Job.objects.for_tenant(request.tenant)
        .filter(kind=audit_export.KIND)
        .order_by("-created_at", "-id")[:EXPORTS_SHOWN]
    )
    live = htmx.live([row.id for row in page], [(job.id, job.state, job.done) for job in jobs])
    if htmx.unchanged(request, live):
        return htmx.nothing_new()
    names = Names(page.rows)
    rows = [
        (row, names.actor(row), verb(row.action), names.about(row), changes(names, row.before, row.after))
        for row in page
    ]
    context = {
        "page": page,
        "rows": rows,
        "form": form,
        "asked": asked,
        "jobs": jobs,
        "keep_days": settings.AUDIT_KEEP_DAYS,
    }
    return htmx.page(request, "people/audit_log.html", context, live=live)


def verb(action: str) -> str:
    """ "Enrollment key, revoke": how an action reads."""
    about, _, did = action.replace("_", " ").partition(".")
    return f"{about.capitalize()}, {did}" if did else about.capitalize()


def changes(names: Names, before: Any, after: Any) -> list[tuple[str, str, str]]:
    """What an event changed: name, before, after."""
    old, new = names.plain(before or {}), names.plain(after or {})
    return [
        (name.replace("_", " "), _text(old.get(name)), _text(new.get(name)))
        for name in dict.fromkeys([*old, *new])
    ]


def _text(value: Any) -> str:
    if value is None or value == "":
        return "–"
    if isinstance(value, list):
        return ", ".join(map(_text, value)) or "–"
    if isinstance(value, dict):
        return ", ".join(f"{name.replace('_', ' ')} {_text(each)}" for name, each in value.items()) or "–"
    return {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)


@require_POST
@requires("audit.export")
def audit_start_export(request: TenantRequest) -> HttpResponse:
    """Of what the page is filtered to."""
    to = reverse("portal:audit-log")
    form = Filter(request.GET, zone=request.tenant.time_zone)
    if not form.is_valid():  # what cannot be read narrows nothing, and would export everything
        wrong = " and ".join(str(form.fields[name].label) for name in form.errors if name in form.fields)
        return htmx.refused(
            request, NotValid(f"The filter {wrong} cannot be read. Set it right first."), to=to
        )
    user = principal_of(request).user
    try:
        audit_export.start(form.asked(), requested_by=user.id if user else None, at=clock.now())
    except DomainError as error:
        return htmx.refused(request, error, to=to)
    return htmx.done_here(request, "The export is being written", to=to)


@require_GET
@requires("audit.export")
def audit_download(request: TenantRequest, job_id: UUID) -> HttpResponseBase:
    row = audit_export.file_of(audit_export.job(job_id), at=clock.now())
    return download(row)
