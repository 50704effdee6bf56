"""One change for many rooms: chosen in the list, filled in, previewed, carried out while the page tells how far it is,
and undone."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from fleet import bulk_edit
from fleet.models import BulkEdit, BulkEditRoom, Place, Room, RoomGroup
from foundation import clock
from foundation.errors import DomainError, NotAllowed
from foundation.models import Job
from portal import htmx
from portal.access import Principal, TenantRequest, principal_of, requires, step_up
from portal.paging import keyset_page
from portal.web import choices
from portal.web.dialogs import form_view
from portal.web.forms import Form, choose, initial_choice
from portal.web.listing import Asked
from portal.web.words import BULK_STATES

PAGE = 50
SHOWN = 50  # rooms of a preview, and of each outcome
KEEP = "keep"  # a choice that changes nothing
NONE = ""


def _labels(label: str) -> forms.CharField:
    return forms.CharField(
        label=label,
        required=False,
        max_length=400,
        help_text="Commas between several.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )


class ChangesForm(Form):
    """What is left as it is changes nothing."""

    room_type = forms.ChoiceField(label="Type", required=False)
    capacity = forms.IntegerField(
        label="Seats", required=False, min_value=0, help_text="Empty leaves each room's own."
    )
    place_id = forms.ChoiceField(label="Place", required=False)
    time_zone = forms.ChoiceField(label="Time zone", required=False)
    licence = forms.ChoiceField(label="Licence", required=False)
    add_labels = _labels("Add labels")
    remove_labels = _labels("Remove labels")
    add_groups = forms.MultipleChoiceField(
        label="Add to groups", required=False, widget=forms.SelectMultiple(attrs={"size": 4})
    )
    remove_groups = forms.MultipleChoiceField(
        label="Remove from groups", required=False, widget=forms.SelectMultiple(attrs={"size": 4})
    )

    def __init__(self, *args: Any, groups: bool, changes: dict[str, Any], **kwargs: Any) -> None:
        shown = {"room_type": KEEP, "licence": KEEP, **changes}
        shown |= {name: ", ".join(changes[name]) for name in bulk_edit.LABELLING if name in changes}
        super().__init__(*args, initial=shown, **kwargs)
        types = [(KEEP, "As it is"), *initial_choice("Not set", Room.Type.choices)]
        choose(self, "room_type", types)
        choose(self, "licence", [(KEEP, "As it is"), *initial_choice("Not known", Room.Licence.choices)])
        choose(self, "place_id", initial_choice("As it is", choices.places()))
        choose(self, "time_zone", initial_choice("As it is", choices.time_zones()))
        for name in bulk_edit.GROUPS:
            if groups:
                choose(self, name, choices.groups())
            else:
                del self.fields[name]

    def changes(self, data: dict[str, Any]) -> dict[str, Any]:
        """As fleet.bulk_edit takes them."""
        wanted: dict[str, Any] = {}
        for name in ("room_type", "licence"):
            if name in self.data and data[name] != KEEP:
                wanted[name] = data[name]
        if data["capacity"] is not None:
            wanted["capacity"] = data["capacity"]
        if data["place_id"]:
            wanted["place_id"] = UUID(data["place_id"])
        if data["time_zone"]:
            wanted["time_zone"] = data["time_zone"]
        for name in bulk_edit.LABELLING:
            if data[name]:
                wanted[name] = [each.strip() for each in data[name].split(",") if each.strip()]
        for name in bulk_edit.GROUPS:
            if data.get(name):
                wanted[name] = [UUID(each) for each in data[name]]
        return wanted


def may_group(principal: Principal) -> bool:
    """Whether the groups of the rooms chosen may change: with the same reach as the rooms themselves."""
    groups = principal.rights.reach("groups.modify")
    return groups.everywhere or (not groups.nowhere and groups == principal.rights.reach("rooms.modify"))


def check_groups(principal: Principal, changes: dict[str, Any]) -> None:
    """Raises NotAllowed."""
    if any(changes.get(name) for name in bulk_edit.GROUPS) and not may_group(principal):
        raise NotAllowed("Your role does not change groups of all these rooms.")


@require_POST
@requires("rooms.modify")
def bulk_new(request: TenantRequest) -> HttpResponse:
    """Of the rooms ticked (`room`), or with `all` of what the address filters for."""
    asked = Asked("rooms", request.GET)
    rooms = [each for each in map(choices.as_id, request.POST.getlist("room")) if each is not None]
    everything = bool(request.POST.get("all"))
    try:
        edit = bulk_edit.draft(
            room_ids=None if everything else rooms,
            query=asked.query,
            selected=_in_words(asked) if everything else "Ticked in the list",
            by=principal_of(request).person,
            at=clock.now(),
        )
    except DomainError as error:
        back = f"{reverse('portal:room-list')}?{asked.encoded}"
        return htmx.refused(request, error, to=back)
    return htmx.done(request, "", to=reverse("portal:bulk-detail", args=[edit.id]))


def _in_words(asked: Asked) -> str:
    if not asked.query:
        return "All rooms"
    names = {"site": dict(choices.sites()), "group": dict(choices.groups())}
    said = []
    for name, values in asked.query.items():
        shown = [names.get(name, {}).get(each, each.replace("_", " ")) for each in values]
        said.append(f"{'search' if name == 'q' else name.replace('_', ' ')} {', '.join(shown)}")
    return f"All with {', '.join(said)}"


@form_view
@requires("rooms.modify")
def bulk_detail(request: TenantRequest, edit_id: UUID) -> HttpResponse:
    """A draft with its form and preview; later how far it is, what came of it, and what undoing could not restore."""
    principal = principal_of(request)
    edit = bulk_edit.edit_of(edit_id, person=principal.person)
    here = reverse("portal:bulk-detail", args=[edit.id])
    form = None
    status = 200
    if edit.state == BulkEdit.State.DRAFT:
        sent = request.POST if request.method == "POST" else None
        form = ChangesForm(sent, groups=may_group(principal), changes=edit.changes)
        if sent is not None:
            if form.carry_out(lambda data: _set(principal, edit, form.changes(data))) is not None:
                return HttpResponseRedirect(f"{here}#preview")
            status = 422
    job = _job(edit)
    live = htmx.live(
        (edit.state, edit.changed, edit.kept, edit.changes),
        job and (job.state, job.done),
        every_s=htmx.FEW_SECONDS,
    )
    working = edit.state in (BulkEdit.State.QUEUED, BulkEdit.State.UNDOING)
    if working and htmx.unchanged(request, live):
        return htmx.nothing_new()
    names = _Names(edit)
    context = {
        "edit": edit,
        "form": form,
        "job": job,
        "failed": job is not None and job.state == Job.State.FAILED,
        "working": working,
        "tone": BULK_STATES[edit.state],
        "told": names.told(edit.changes),
        "preview": _preview(edit, names) if edit.state == BulkEdit.State.DRAFT and edit.changes else None,
        "outcomes": [] if edit.state == BulkEdit.State.DRAFT else _outcomes(edit),
    }
    return htmx.page(request, "bulk/bulk_detail.html", context, live=live if working else None, status=status)


def _set(principal: Principal, edit: BulkEdit, changes: dict[str, Any]) -> BulkEdit:
    check_groups(principal, changes)
    return bulk_edit.set_changes(edit.id, changes, at=clock.now())


@require_POST
@requires("rooms.modify")
@step_up
def bulk_start(request: TenantRequest, edit_id: UUID) -> HttpResponse:
    principal = principal_of(request)
    edit = bulk_edit.edit_of(edit_id, person=principal.person)
    here = reverse("portal:bulk-detail", args=[edit.id])
    try:
        check_groups(principal, edit.changes)
        bulk_edit.start(edit.id, at=clock.now())
    except DomainError as error:
        return htmx.refused(request, error, to=here)
    return htmx.done(request, f"{edit.rooms:,} rooms are being changed", to=here)


@require_POST
@requires("rooms.modify")
@step_up
def bulk_undo(request: TenantRequest, edit_id: UUID) -> HttpResponse:
    edit = bulk_edit.edit_of(edit_id, person=principal_of(request).person)
    here = reverse("portal:bulk-detail", args=[edit.id])
    try:
        bulk_edit.undo(edit.id, at=clock.now())
    except DomainError as error:
        return htmx.refused(request, error, to=here)
    return htmx.done(request, "What was changed is being restored", to=here)


@require_GET
@requires("rooms.modify")
def bulk_list(request: TenantRequest) -> HttpResponse:
    """Edits of many rooms, newest first."""
    page = keyset_page(
        bulk_edit.edits_for(principal_of(request).person).select_related("requested_by"),
        order_by=("-created_at", "-id"),
        after=request.GET.get("after"),
        before=request.GET.get("before"),
        size=PAGE,
    )
    rows = [(row, *BULK_STATES[row.state], _Names(row).told(row.changes)) for row in page]
    live = htmx.live([(row.id, row.state, row.changed) for row in page])
    if htmx.unchanged(request, live):
        return htmx.nothing_new()
    return htmx.page(request, "bulk/bulk_list.html", {"page": page, "rows": rows}, live=live)


def _job(edit: BulkEdit) -> Job | None:
    rows = Job.objects.for_tenant(edit.tenant_id).filter(kind=bulk_edit.KIND, parameters__edit=str(edit.id))
    found: Job | None = rows.order_by("-created_at", "-id").first()
    return found


def _preview(edit: BulkEdit, names: _Names) -> dict[str, Any]:
    found = bulk_edit.preview(edit, shown=SHOWN)
    return {
        "numbers": found,
        "rows": [(plan.room, plan.note, names.differences(plan.before, plan.after)) for plan in found.shown],
        "more": found.changing + found.refused - len(found.shown),
    }


def _outcomes(edit: BulkEdit) -> list[BulkEditRoom]:
    """The rooms with something to say: what could not be changed or restored."""
    rows = BulkEditRoom.objects.for_tenant(edit.tenant_id).filter(
        edit=edit, outcome__in=[BulkEditRoom.Outcome.REFUSED, BulkEditRoom.Outcome.KEPT]
    )
    return list(rows.select_related("room").order_by("outcome", "id")[:SHOWN])


class _Names:
    """Places and groups by name, for the words of an edit; two queries at most."""

    def __init__(self, edit: BulkEdit) -> None:
        self._tenant_id = edit.tenant_id
        groups = [key for name in bulk_edit.GROUPS for key in edit.changes.get(name, ())]
        self._names: dict[str, str] = {}
        if groups:
            rows = RoomGroup.objects.for_tenant(edit.tenant_id).filter(id__in=groups)
            self._names |= {str(key): name for key, name in rows.values_list("id", "name")}
        if "place_id" in edit.changes:
            self._know_places([edit.changes["place_id"]])

    def _know_places(self, keys: list[str]) -> None:
        wanted = {key for key in keys if key not in self._names}
        if wanted:
            rows = Place.objects.for_tenant(self._tenant_id).filter(id__in=wanted)
            self._names |= {str(key): name for key, name in rows.values_list("id", "full_name")}

    def told(self, changes: dict[str, Any]) -> list[tuple[str, str]]:
        """What an edit sets: label, value."""
        return [
            (bulk_edit.LABELS[name].capitalize(), self._text(name, value)) for name, value in changes.items()
        ]

    def differences(self, before: dict[str, Any], after: dict[str, Any]) -> list[tuple[str, str, str]]:
        """Label, before, after."""
        self._know_places([values["place_id"] for values in (before, after) if "place_id" in values])
        return [
            (
                bulk_edit.LABELS[name].capitalize(),
                "" if name in bulk_edit.GROUPS else self._text(name, before[name]),
                self._text(name, after[name]),
            )
            for name in after
        ]

    def _text(self, name: str, value: Any) -> str:
        if name in bulk_edit.GROUPS:
            return ", ".join(self._names.get(key, "a group that is gone") for key in value)
        if name == "place_id":
            return self._names.get(value, "a place that is gone")
        if value in (None, "", []):
            return "not set"
        if isinstance(value, list):
            return ", ".join(value)
        return str(value).capitalize() if name in ("room_type", "licence") else str(value)
