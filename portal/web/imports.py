"""Imports: the runs, a new one, and one run from its columns to its end."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from functools import wraps
from typing import Any
from uuid import UUID

from django import forms
from django.http import HttpResponse, HttpResponseBase, HttpResponseRedirect, StreamingHttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from fleet.imports import runs
from fleet.imports.kinds import KINDS
from fleet.models import ImportProblem, ImportRun
from foundation import clock, files
from foundation.context import tenant
from foundation.errors import DomainError
from foundation.tables.cells import cell
from foundation.tables.reading import LARGEST_BYTES
from portal import htmx
from portal.access import TenantRequest, View, mark_approved, principal_of, requires, step_up
from portal.paging import keyset_page
from portal.web.dialogs import form_view
from portal.web.forms import Form, choose, initial_choice, posted
from portal.web.uploads import accepts_upload, is_too_large
from tenancy.models import Person
from tenancy.on_behalf import By

PAGE = 50
PROBLEMS_A_PAGE = 100
PLACES_SHOWN = 20
STATES = {  # tone and word
    "mapping": ("warn", "Columns to confirm"),
    "checking": ("info", "Checking"),
    "checked": ("ok", "Ready"),
    "applying": ("info", "Importing"),
    "finishing": ("info", "Importing"),
    "done": ("ok", "Imported"),
    "failed": ("bad", "Failed"),
    "cancelled": ("mute", "Cancelled"),
}
ROW_NOUNS = {"rooms": "room", "assets": "asset", "peripherals": "peripheral"}
KIND_CHOICES = [(kind.key, kind.label) for kind in KINDS.values()]


class NewForm(Form):
    kind = forms.ChoiceField(label="What is in it", choices=KIND_CHOICES)
    file = forms.FileField(
        label="File",
        help_text=f"CSV or XLSX, up to {LARGEST_BYTES // 1_000_000} MB. The first row names the columns.",
        widget=forms.FileInput(attrs={"accept": ".csv,.txt,.tsv,.xlsx"}),
    )


class ColumnsForm(Form):
    """One choice for each property: the column that holds it."""

    def __init__(self, run: ImportRun, data: Any = None) -> None:
        super().__init__(data, initial={key: str(place) for key, place in run.columns.items()})
        offered = [(str(place), name) for place, name in enumerate(run.header)]
        for column in KINDS[run.kind].columns:
            self.fields[column.key] = forms.ChoiceField(
                label=column.label, required=column.key in KINDS[run.kind].required, help_text=column.hint
            )
            choose(self, column.key, initial_choice("Not in this file", offered))
            self.fields[column.key].error_messages["required"] = "Say which column this is."

    def columns(self, data: dict[str, str]) -> dict[str, int]:
        return {key: int(place) for key, place in data.items() if place}


def by(request: TenantRequest) -> By:
    principal = principal_of(request)
    return By(principal.actor, principal.rights)


def changes_nothing(view: View) -> View:
    """Nothing is changed in the customer's rooms yet, so there is nothing for the customer to approve."""

    @wraps(view)
    def marked(request: TenantRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        mark_approved(request)
        return view(request, *args, **kwargs)

    return marked


@require_GET
@requires("rooms.modify")
def import_list(request: TenantRequest) -> HttpResponse:
    page = keyset_page(
        runs.visible(by(request)),
        order_by=("-created_at", "-id"),
        after=request.GET.get("after"),
        before=request.GET.get("before"),
        size=PAGE,
    )
    live = htmx.live(
        [(row.id, row.state, row.done, row.problems) for row in page],
        every_s=htmx.FEW_SECONDS,
    )
    if htmx.unchanged(request, live):
        return htmx.nothing_new()
    names = _names(request, page)
    rows = [(row, *shown_state(row), KINDS[row.kind].label, names[row.id]) for row in page]
    return htmx.page(request, "imports/import_list.html", {"page": page, "rows": rows}, live=live)


@accepts_upload(LARGEST_BYTES)
@form_view
@changes_nothing
@requires("rooms.modify")
def import_new(request: TenantRequest) -> HttpResponse:
    form = NewForm(
        posted(request),
        request.FILES if request.method == "POST" else None,
        initial={"kind": request.GET.get("kind", "rooms")},
    )
    if request.method == "POST":
        if is_too_large(request):
            form.full_clean()
            form.errors.pop("file", None)
            form.add_error("file", f"The file is larger than {LARGEST_BYTES // 1_000_000} MB.")
        else:
            made = form.carry_out(
                lambda data: runs.receive(
                    data["kind"], data["file"].file, data["file"].name, by=by(request), at=clock.now()
                )
            )
            if made is not None:
                return HttpResponseRedirect(reverse("portal:import-detail", args=[made.id]))
    context = {"form": form, "kinds": KINDS.values()}
    status = 422 if form.errors else 200
    return htmx.page(request, "imports/import_new.html", context, status=status)


@require_GET
@requires("rooms.modify")
def import_detail(request: TenantRequest, run_id: UUID) -> HttpResponse:
    run = runs.run(run_id, by(request))
    return _shown(request, run, ColumnsForm(run))


def _shown(request: TenantRequest, run: ImportRun, form: ColumnsForm) -> HttpResponse:
    live = htmx.live(
        (run.id, run.state, run.done, run.total, run.problems, run.note), every_s=htmx.FEW_SECONDS
    )
    if not form.errors and htmx.unchanged(request, live):
        return htmx.nothing_new()
    page = keyset_page(
        runs.problems_of(run),
        order_by=("row", "place", "id"),
        after=request.GET.get("after"),
        before=request.GET.get("before"),
        size=PROBLEMS_A_PAGE,
    )
    noun = ROW_NOUNS[run.kind]
    context = {
        "run": run,
        "state": shown_state(run),
        "kind": KINDS[run.kind].label,
        "noun": noun,
        "nouns": f"{noun}s",
        "who": _names(request, [run])[run.id],
        "form": form,
        "page": page,
        "places": [place["full_name"] for place in run.new_places[:PLACES_SHOWN]],
        "more_places": max(len(run.new_places) - PLACES_SHOWN, 0),
        "changes": run.creates + run.updates,
        "ready": run.state == "checked" and not run.problems and run.creates + run.updates > 0,
        "is_open": run.state in ("mapping", "checked"),
        "is_live": run.state in runs.LIVE,
        "all_kept": run.problems < 100_000,
    }
    status = 422 if form.errors else 200
    return htmx.page(request, "imports/import_detail.html", context, live=live, status=status)


@require_POST
@changes_nothing
@requires("rooms.modify")
def import_check(request: TenantRequest, run_id: UUID) -> HttpResponse:
    run = runs.run(run_id, by(request))
    form = ColumnsForm(run, request.POST)
    checked = form.carry_out(
        lambda data: runs.check(run.id, form.columns(data), by=by(request), at=clock.now())
    )
    if checked is None:
        return _shown(request, run, form)
    return HttpResponseRedirect(reverse("portal:import-detail", args=[run.id]))


@require_POST
@requires("rooms.modify")
@step_up
def import_apply(request: TenantRequest, run_id: UUID) -> HttpResponse:
    to = reverse("portal:import-detail", args=[run_id])
    try:
        runs.apply(run_id, by=by(request), at=clock.now())
    except runs.NotNow as error:
        return htmx.refused(request, error, to=to)
    return htmx.done_here(request, "The import is under way", to=to)


@require_POST
@changes_nothing
@requires("rooms.modify")
def import_cancel(request: TenantRequest, run_id: UUID) -> HttpResponse:
    to = reverse("portal:import-detail", args=[run_id])
    try:
        runs.cancel(run_id, by=by(request), at=clock.now())
    except DomainError as error:
        if not isinstance(error, runs.NotNow):
            raise
        return htmx.refused(request, error, to=to)
    return htmx.done_here(request, "The import is cancelled", to=to)


@require_GET
@requires("rooms.modify")
def import_problems(request: TenantRequest, run_id: UUID) -> HttpResponseBase:
    """All problems of a run as CSV, in pieces."""
    run = runs.run(run_id, by(request))
    name = (
        files.clean_name(f"problems-{run.file_name.rsplit('.', 1)[0]}.csv")
        .encode("ascii", "replace")
        .decode()
    )
    quoted = name.replace('"', "'").replace("\\", "_")
    return StreamingHttpResponse(
        _problem_lines(run),
        content_type="text/csv; charset=utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="{quoted}"',
            "X-Content-Type-Options": "nosniff",
        },
    )


def _problem_lines(run: ImportRun) -> Iterator[str]:
    """The answer is streamed after the request's transaction: each piece enters the customer anew."""
    writer = csv.writer(_Echo(), quoting=csv.QUOTE_ALL)
    yield str(writer.writerow(["row", "column", "value", "problem"]))
    last: tuple[int, int, UUID] | None = None
    while True:
        with tenant(run.tenant_id):
            some = _problems_after(run, last)
        if not some:
            return
        yield "".join(
            str(writer.writerow(map(cell, (each.row, each.column, each.value, each.message))))
            for each in some
        )
        last = (some[-1].row, some[-1].place, some[-1].id)


def _problems_after(run: ImportRun, last: tuple[int, int, UUID] | None) -> list[ImportProblem]:
    rows = runs.problems_of(run).order_by("row", "place", "id")
    if last is not None:
        rows = rows.filter(row__gt=last[0])
    some = list(rows[:5_000])
    if len(some) == 5_000:  # a row is never cut in two
        some = [each for each in some if each.row != some[-1].row] or some
    return some


class _Echo:
    def write(self, text: str) -> str:
        return text


def shown_state(run: ImportRun) -> tuple[str, str]:
    if run.state == "checked" and run.problems:
        return "bad", "Has problems"
    if run.state == "checked" and not run.creates + run.updates:
        return "none", "Nothing to do"
    return STATES[run.state]


def _names(request: TenantRequest, rows: Iterable[ImportRun]) -> dict[UUID, str]:
    """Who asked for each."""
    rows = list(rows)
    users = {row.requested_by for row in rows if row.requested_by}
    people = dict(
        Person.objects.for_tenant(request.tenant).filter(user_id__in=users).values_list("user_id", "name")
    )
    return {
        row.id: row.requested_name
        or (people.get(row.requested_by, "") if row.requested_by else "")
        or "Somebody"
        for row in rows
    }
