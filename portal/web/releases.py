"""Releases: what can be installed, whom it fits, its file; superseded and withdrawn."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.http import HttpResponse, JsonResponse
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from foundation import clock
from foundation.errors import DomainError
from portal import htmx
from portal.access import TenantRequest, principal_of, requires
from portal.paging import keyset_page
from portal.web.dialogs import form_view
from portal.web.forms import Form, posted
from portal.web.update_words import KINDS, ROLLOUTS, size_text
from updates import artifacts, releases, rollout_actions
from updates.applicability import EQUIPMENT
from updates.models import Artifact, Release, Rollout
from updates.versions import Scheme

PAGE = 50
ROLLOUTS_SHOWN = 20
SCHEMES = {
    Scheme.DOTTED: "Numbers joined by dots (5.4.218.0)",
    Scheme.SEMANTIC: "Semantic (1.4.0-rc.1)",
    Scheme.NATURAL: "Letters and numbers (N3XET45W)",
}


def _line(label: str, *, at_most: int, required: bool = True, help_text: str = "") -> forms.CharField:
    widget = forms.TextInput(attrs={"autocomplete": "off"})
    return forms.CharField(
        label=label, max_length=at_most, required=required, widget=widget, help_text=help_text
    )


class EditForm(Form):
    make = _line(
        "Make", at_most=80, required=False, help_text="Of the device, or of the camera or microphone."
    )
    model = _line("Model", at_most=120, required=False)
    runs_from = _line("Installs over version", at_most=80, required=False, help_text="And any later one.")
    runs_to = _line("Up to version", at_most=80, required=False)
    published_on = forms.DateField(
        label="Published", required=False, widget=forms.DateInput(attrs={"type": "date"})
    )
    critical = forms.BooleanField(
        label="Critical", required=False, help_text="Does not wait for the weekday rollouts start on."
    )
    notes = forms.CharField(
        label="What is new", required=False, max_length=10_000, widget=forms.Textarea(attrs={"rows": 4})
    )
    known_issues = forms.CharField(
        label="Known issues", required=False, max_length=10_000, widget=forms.Textarea(attrs={"rows": 3})
    )


class ReleaseForm(EditForm):
    name = _line(
        "Product", at_most=80, help_text="As it was called before: newer versions follow older ones."
    )
    kind = forms.ChoiceField(label="Kind", choices=Release.Kind.choices)
    version = _line("Version", at_most=80)
    scheme = forms.ChoiceField(
        label="How versions are written", choices=[(each.value, said) for each, said in SCHEMES.items()]
    )
    component = _line(
        "Reported as",
        at_most=40,
        required=False,
        help_text="Under which devices report this version. Needed for drivers and third-party apps.",
    )
    field_order = ("name", "kind", "version", "scheme", "component")


class FileForm(Form):
    file = forms.FileField(label="File")


class DeprecateForm(Form):
    reason = _line("Reason", at_most=200)
    withdraw = forms.BooleanField(
        label="Withdraw the file too",
        required=False,
        help_text="Devices that are fetching it now get no further.",
    )


@require_GET
@requires("updates.view")
def release_list(request: TenantRequest) -> HttpResponse:
    page = keyset_page(
        Release.objects.for_tenant(request.tenant),
        order_by=("-created_at", "-id"),
        after=request.GET.get("after"),
        before=request.GET.get("before"),
        size=PAGE,
    )
    files = Artifact.objects.for_tenant(request.tenant).filter(release_id__in=[row.id for row in page])
    sizes = {row.release_id: size_text(row.size_bytes) for row in files}
    rows = [(row, KINDS[row.kind], sizes.get(row.id, "")) for row in page]
    live = htmx.live([(row.id, row.revision) for row in page])
    if htmx.unchanged(request, live):
        return htmx.nothing_new()
    return htmx.page(request, "updates/release_list.html", {"page": page, "rows": rows}, live=live)


@require_GET
@requires("updates.view")
def release_detail(request: TenantRequest, release_id: UUID) -> HttpResponse:
    row = releases.release(release_id)
    file = releases.artifact_of(row)
    rollouts = list(
        Rollout.objects.for_tenant(request.tenant)
        .filter(release=row)
        .order_by("-created_at", "-id")[:ROLLOUTS_SHOWN]
    )
    later = list(
        Release.objects.for_tenant(request.tenant).filter(supersedes=row).order_by("created_at", "id")
    )
    live = htmx.live(row.revision, [(each.id, each.revision) for each in rollouts])
    if htmx.unchanged(request, live):
        return htmx.nothing_new()
    context = {
        "release": row,
        "kind": KINDS[row.kind],
        "scheme": SCHEMES[Scheme(row.scheme)],
        "of_equipment": row.component == EQUIPMENT,
        "file": file,
        "size": size_text(file.size_bytes) if file else "",
        "later": later,
        "rollouts": [(each, *ROLLOUTS[each.state]) for each in rollouts],
        "form": FileForm(),
        "accepts": ", ".join(sorted({_ending(kind.media_type) for kind in artifacts.KINDS})),
    }
    return htmx.page(request, "updates/release_detail.html", context, live=live)


def _ending(media_type: str) -> str:
    endings = {
        "application/x-swupdate": ".swu",
        "application/vnd.squashfs": ".raucb",
        "application/vnd.microsoft.portable-executable": ".exe",
        "application/x-msi": ".msi",
        "application/vnd.debian.binary-package": ".deb",
        "application/zip": ".zip",
        "application/gzip": ".gz",
        "application/x-xz": ".xz",
        "application/zstd": ".zst",
    }
    return endings[media_type]


@form_view
@requires("updates.create")
def release_add(request: TenantRequest) -> HttpResponse:
    form = ReleaseForm(posted(request))
    if request.method == "POST":
        made = form.carry_out(
            lambda data: releases.add_release(**data, by=principal_of(request).person, at=clock.now())
        )
        if made is not None:
            to = reverse("portal:release-detail", args=[made.id])
            return htmx.done(request, f"{made} added. Now give it its file.", to=to)
    return htmx.dialog(
        request,
        "Add a release",
        submit="Add release",
        back=reverse("portal:release-list"),
        form=form,
        template="updates/release_form.html",
    )


@form_view
@requires("updates.create")
def release_edit(request: TenantRequest, release_id: UUID) -> HttpResponse:
    row = releases.release(release_id)
    back = reverse("portal:release-detail", args=[row.id])
    form = EditForm(posted(request), initial={name: getattr(row, name) for name in EditForm.base_fields})
    if request.method == "POST":
        changed = form.carry_out(lambda data: releases.edit_release(row.id, **data, at=clock.now()))
        if changed is not None:
            return htmx.done_here(request, f"{changed} changed", to=back)
    return htmx.dialog(
        request,
        f"Edit {row}",
        submit="Save",
        back=back,
        form=form,
        template="updates/release_form.html",
    )


@form_view
@requires("updates.create")
def release_deprecate(request: TenantRequest, release_id: UUID) -> HttpResponse:
    row = releases.release(release_id)
    back = reverse("portal:release-detail", args=[row.id])
    form = DeprecateForm(posted(request))
    if request.method == "POST":
        done = form.carry_out(lambda data: rollout_actions.deprecate_release(row.id, **data, at=clock.now()))
        if done is not None:
            return htmx.done(request, f"{row} is deprecated", to=back)
    return htmx.dialog(
        request,
        f"Deprecate {row}?",
        submit="Deprecate",
        back=back,
        form=form,
        explain="It goes to no further room; its rollouts end. Rooms that have it keep it.",
        danger=True,
    )


@require_POST
@requires("updates.create")
def release_upload(request: TenantRequest, release_id: UUID) -> HttpResponse:
    """The file as a form's field, or (from a page that shows progress) as the body itself, named in the address."""
    row = releases.release(release_id)
    to = reverse("portal:release-detail", args=[row.id])
    if request.content_type != "application/octet-stream":
        form = FileForm(request.POST, request.FILES)
        kept = form.carry_out(
            lambda data: releases.keep_file(row.id, data["file"].file, data["file"].name, at=clock.now())
        )
        if kept is not None:
            return htmx.done(request, f"{kept.name} kept", to=to)
        return htmx.dialog(
            request, f"File of {row}", submit="Upload", back=to, form=form, template="updates/file_form.html"
        )
    length = request.headers.get("Content-Length", "")
    try:
        kept = releases.keep_file(
            row.id,
            _Body(request),  # type: ignore[arg-type]  # only `read` is asked for
            request.GET.get("name", "")[:200],
            size_bytes=int(length) if length.isascii() and length.isdigit() else None,
            at=clock.now(),
        )
    except DomainError as error:
        return JsonResponse({"message": error.message}, status=422)
    return htmx.done(request, f"{kept.name} kept", to=to)


class _Body:
    """What is being sent, in pieces as it arrives."""

    def __init__(self, request: Any) -> None:
        self.read = request.read
