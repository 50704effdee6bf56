"""Rollouts: the board of what is under way, one rollout live, and what people do to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django import forms
from django.db.models import Q
from django.http import HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET

from fleet.errors import Missing
from foundation import clock
from portal import htmx
from portal.access import TenantRequest, principal_of, requires, step_up
from portal.paging import keyset_page
from portal.web import choices
from portal.web.dialogs import confirm, form_view
from portal.web.forms import Form, LocalMoment, choose, posted
from portal.web.update_charts import progress_chart
from portal.web.update_words import KINDS, ROLLOUTS, STAGES, doing, done, size_text, target_chip
from tenancy.audit_log import Names
from tenancy.models import AuditEvent
from updates import (
    overview,
    proposals,
    reasons,
    releases,
    rings,
    rollout_actions,
    rollout_progress,
)
from updates.models import Release, Rollout, RolloutTarget
from updates.overview import StageView
from updates.states import ENDED_ROLLOUTS, RolloutState, TargetState

BOARD, PAGE, EVENTS = 10, 50, 30
LIVE = (RolloutState.PROPOSED, RolloutState.SCHEDULED, RolloutState.IN_PROGRESS, RolloutState.PAUSED)
VIEWS = {
    "attention": ("Failed and updating", (TargetState.FAILED, TargetState.IN_PROGRESS)),
    "scheduled": ("Scheduled", (TargetState.SCHEDULED,)),
    "succeeded": ("Updated", (TargetState.SUCCEEDED,)),
    "skipped": ("Skipped", (TargetState.SKIPPED,)),
    "not_required": ("Left out", (TargetState.NOT_REQUIRED,)),
}
ATTEMPTS = {
    "offered": "Offered",
    "downloading": "Downloading",
    "installing": "Installing",
    "verifying": "Restarted, being watched",
    "cancelling": "Asked to stop",
}
SAID = {  # how an event reads
    "rollout.propose": ("plus", "", "planned this rollout"),
    "rollout.approve": ("check", "ok", "approved it"),
    "rollout.start": ("play", "info", "started it"),
    "rollout.pause": ("pause", "warn", "paused it"),
    "rollout.resume": ("play", "info", "resumed it"),
    "rollout.cancel": ("x", "off", "cancelled it"),
    "rollout.retry": ("history", "", "let rooms try again"),
    "rollout.force": ("bolt", "warn", "forced a room"),
    "rollout.roll_back": ("rollback", "warn", "rolled rooms back"),
    "rollout.approve_ring": ("check", "ok", "approved a ring"),
    "rollout.ring": ("forward", "info", "went on"),
    "rollout.end": ("check", "", "ended it"),
}


def _text(label: str, **given: Any) -> forms.CharField:
    return forms.CharField(label=label, widget=forms.TextInput(attrs={"autocomplete": "off"}), **given)


class ReasonForm(Form):
    reason = _text("Reason", max_length=200)


class NewForm(Form):
    release = forms.ChoiceField(label="Release")
    starts_on = forms.DateField(
        label="First night",
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text="Left empty: the next Wednesday; today for a critical release.",
    )
    rings = forms.MultipleChoiceField(label="Rings", widget=forms.CheckboxSelectMultiple)
    health_minutes = forms.IntegerField(
        label="Healthy for so many minutes", initial=10, help_text="On the new version; then it succeeded."
    )
    needs_consent = forms.BooleanField(
        label="Ask on the device first", required=False, help_text="Where its update client can ask."
    )
    download_only = forms.BooleanField(
        label="Download only",
        required=False,
        help_text="A later rollout installs it. Devices whose update client cannot leave it at that are left out.",
    )

    def __init__(self, *args: Any, tenant_id: UUID, zone: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["forced_at"] = LocalMoment(
            zone=zone,
            label="Force from",
            required=False,
            help_text="From then on devices may not put it off. Left empty: those that can choose, choose.",
        )
        offered = Release.objects.for_tenant(tenant_id).offered().exclude(artifacts=None)
        rows = offered.order_by("-created_at", "-id")[:100]
        choose(self, "release", [(str(row.id), str(row)) for row in rows])
        every = [(str(row.id), row.name) for row in rings.all_rings(at=clock.now())]
        choose(self, "rings", every)
        self.fields["rings"].initial = [key for key, _ in every]


class ForceForm(ReasonForm):
    when = forms.ChoiceField(
        label="When",
        choices=[("next_free", "When the room is free next"), ("now", "Now, even in a meeting")],
        widget=forms.RadioSelect,
        initial="next_free",
    )
    field_order = ("when", "reason")


class RollBackForm(ReasonForm):
    """`typed`: the version, to be sure."""

    release = forms.ChoiceField(label="Back to")
    ring = forms.ChoiceField(label="Rooms of", required=False)
    typed = _text("Type the version to confirm", max_length=80)
    field_order = ("release", "ring", "reason", "typed")

    def __init__(self, *args: Any, row: Rollout, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.releases = {str(each.id): each for each in rollout_actions.previous(row)}
        choose(self, "release", [(key, str(each)) for key, each in self.releases.items()])
        stages = [(str(each.ring_id), each.name) for each in rollout_progress.stages_of(row)]
        choose(self, "ring", [("", "All rings"), *stages])

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        chosen = self.releases.get(data.get("release", ""))
        if chosen is not None and data.get("typed", "").strip() != chosen.version:
            self.add_error("typed", f"Type {chosen.version} to confirm.")
        return data


# The board ---------------------------------------------------------------------------------------------------------


@require_GET
@requires("updates.view")
def update_board(request: TenantRequest) -> HttpResponse:
    """What is under way with its rings; `?past=1`: what is over."""
    past = request.GET.get("past") == "1"
    rows = Rollout.objects.for_tenant(request.tenant).select_related("release", "created_by")
    page = keyset_page(
        rows.filter(state__in=ENDED_ROLLOUTS if past else LIVE),
        order_by=("-created_at", "-id"),
        after=request.GET.get("after"),
        before=request.GET.get("before"),
        size=PAGE if past else BOARD,
    )
    at = clock.now()
    views = overview.stage_views(page.rows, at=at)
    live = htmx.live(past, [(row.id, row.revision, row.state) for row in page], views)
    if htmx.unchanged(request, live):
        return htmx.nothing_new()
    shown = [_summary(row, views[row.id]) for row in page]
    planned = Rollout.objects.for_tenant(request.tenant).filter(download_only=False).values("release_id")
    available = (
        Release.objects.for_tenant(request.tenant)
        .offered()
        .exclude(artifacts=None)
        .exclude(id__in=planned)
        .order_by("-created_at", "-id")[:BOARD]
    )
    context = {
        "past": past,
        "page": page,
        "rows": shown,
        "lede": _lede(shown),
        "available": [(each, KINDS[each.kind]) for each in ([] if past else available)],
        "windows": rings.Windows().default,
    }
    return htmx.page(request, "updates/board.html", context, live=live)


def _summary(row: Rollout, views: list[StageView]) -> dict[str, Any]:
    tone, label = ROLLOUTS[row.state]
    if row.state == RolloutState.PAUSED and row.stopped_by_gate:
        tone, label = "bad", "Stopped at its gate"
    totals = overview.totals(views)
    return {
        "rollout": row,
        "tone": tone,
        "label": label,
        "totals": totals,
        "parts": [
            ("ok", totals.succeeded),
            ("info", totals.in_progress),
            ("bad", totals.failed),
            ("mute", totals.skipped),
            ("off", totals.scheduled),
        ],
        "done": done(row),
        "doing": doing(row),
        "said": f"{totals.succeeded} {done(row)}, {totals.in_progress} {doing(row)}, {totals.failed} failed, "
        f"{totals.skipped} skipped, {totals.scheduled} to go",
        "stages": [_card(view, row) for view in views],
    }


def _card(view: StageView, row: Rollout) -> dict[str, Any]:
    tone, label = STAGES[view.stage.state]
    if view.waits_for_yes:
        tone, label = "warn", "Waits for a yes"
    kind = {"passed": "done", "stopped": "stop", "in_progress": "now", "testing": "now"}
    return {
        "view": view,
        "stage": view.stage,
        "counts": view.counts,
        "tone": tone,
        "label": label,
        "kind": kind.get(view.stage.state, ""),
        "may_pass": view.waits_for_yes and row.state not in ENDED_ROLLOUTS,
    }


def _lede(shown: list[dict[str, Any]]) -> str:
    """The answer first: does anything need somebody?"""
    stopped = [each for each in shown if each["rollout"].state == RolloutState.PAUSED]
    waiting = [each for each in shown if each["rollout"].state == RolloutState.PROPOSED]
    if stopped:
        first = stopped[0]["rollout"].release
        more = f" and {len(stopped) - 1} more" if len(stopped) > 1 else ""
        return f"{first}{more} stopped and needs a decision."
    if waiting:
        return f"{waiting[0]['rollout'].release} waits for approval."
    running = sum(each["rollout"].state == RolloutState.IN_PROGRESS for each in shown)
    if running:
        return f"{running} {'rollout is' if running == 1 else 'rollouts are'} on track."
    return "Nothing is being rolled out."


# One rollout -------------------------------------------------------------------------------------------------------


@require_GET
@requires("updates.view")
def rollout_detail(request: TenantRequest, rollout_id: UUID) -> HttpResponse:
    row = rollout_actions.rollout(rollout_id)
    at = clock.now()
    views = overview.stage_views([row], at=at)[row.id]
    default = "scheduled" if row.state in (RolloutState.PROPOSED, RolloutState.SCHEDULED) else "attention"
    asked = request.GET.get("show", "")
    shown = asked if asked in VIEWS else default
    page = keyset_page(
        RolloutTarget.objects.for_tenant(request.tenant).filter(rollout=row, state__in=VIEWS[shown][1]),
        order_by=("id",),
        after=request.GET.get("after"),
        before=request.GET.get("before"),
        size=PAGE,
        show=RolloutTarget.objects.for_tenant(request.tenant).select_related(
            "device", "room__place", "stage"
        ),
    )
    tries = overview.attempts_of(page.rows)
    events = _events(row)
    live = htmx.live(
        (row.revision, row.state, row.reason),
        views,
        shown,
        [(each.id, each.state, each.reason, each.changed_at) for each in page],
        [(each.id, each.state, each.percent, each.detail) for each in tries.values()],
        [event.id for event in events],
        every_s=htmx.FEW_SECONDS if row.state == RolloutState.IN_PROGRESS else htmx.QUARTER_MINUTE,
    )
    if htmx.unchanged(request, live):
        return htmx.nothing_new()
    waits = rollout_progress.why_waiting(row, page.rows, at=at)
    totals = overview.totals(views)
    points = overview.progress(row)
    file = releases.artifact_of(row.release)
    names = Names(events)
    context = {
        **_summary(row, views),
        "kind": KINDS[row.release.kind],
        "page": page,
        "shown": shown,
        "views": [
            (name, done(row).capitalize() if name == "succeeded" else label)
            for name, (label, _) in VIEWS.items()
        ],
        "rows": [_row(row, each, tries.get(each.id), waits.get(each.id, "")) for each in page],
        "left_out": [
            (reasons.sentence(reason), number) for reason, number in proposals.left_out(row).items()
        ],
        "is_plan": row.state in (RolloutState.PROPOSED, RolloutState.SCHEDULED),
        "nights": proposals.nights_of(row) if row.state == RolloutState.PROPOSED else {},
        "last_night": overview.last_night(row),
        "chart": _chart(points, totals.total, request.tenant.time_zone),
        "events": [(event, names.actor(event), *SAID[event.action], _event_note(event)) for event in events],
        "file": file,
        "size": size_text(file.size_bytes) if file else "",
        "gates": [
            (view.stage.name, model, have, have_not, verdict.value)
            for view in views
            if view.stage.state in ("in_progress", "testing", "stopped")
            for model, have, have_not, verdict in rollout_progress.health_of(row, view.stage)
        ],
        "current": next((view for view in views if view.stage.state not in ("waiting", "passed")), None),
        "upcoming": next(
            (view for view in views if view.stage.state == "waiting" and view.counts.total), None
        ),
        "can_roll_back": totals.succeeded > 0 and row.kind == Rollout.Kind.INSTALL and not row.download_only,
        "ended": row.state in ENDED_ROLLOUTS,
    }
    return htmx.page(request, "updates/rollout_detail.html", context, live=live)


def _row(rollout: Rollout, target: RolloutTarget, attempt: Any, waits: str) -> dict[str, Any]:
    tone, label = target_chip(target.state, rollout)
    step = target.detail or (reasons.sentence(target.reason) if target.reason else "")
    if target.reason and target.detail:
        step = f"{reasons.sentence(target.reason)}: {target.detail}"
    if target.state == TargetState.IN_PROGRESS and attempt is not None:
        step = ATTEMPTS.get(attempt.state, "")
        if attempt.detail and attempt.state in ("downloading", "installing"):
            step = f"{step}. {attempt.detail}"
    elif waits:
        step = reasons.sentence(waits)
    return {
        "target": target,
        "tone": tone,
        "label": label,
        "step": step,
        "percent": attempt.percent
        if attempt is not None and target.state == TargetState.IN_PROGRESS
        else None,
        "may_retry": target.state in (TargetState.FAILED, TargetState.SKIPPED),
        "may_force": target.state
        in (TargetState.SCHEDULED, TargetState.FAILED, TargetState.SKIPPED, TargetState.NOT_REQUIRED)
        and target.reason not in rollout_actions.NEVER_FORCED
        and not target.forced,
    }


def _events(row: Rollout) -> list[AuditEvent]:
    rows = AuditEvent.objects.for_tenant(row.tenant_id).filter(Q(action__in=list(SAID)), object_id=row.id)
    return list(rows.order_by("-id")[:EVENTS])


def _event_note(event: AuditEvent) -> str:
    after = event.after or {}
    ring, state = after.get("ring", ""), after.get("state", "")
    parts = [f"{ring}: {STAGES[state][1].lower()}" if ring and state in STAGES else str(ring)]
    if not ring and state in ROLLOUTS:
        parts.append(ROLLOUTS[state][1])
    parts += [str(after[name]) for name in ("device", "to", "reason") if after.get(name)]
    if after.get("past_return"):
        parts.append(f"{after['past_return']} past the point of no return")
    return ". ".join(part for part in parts if part)


def _chart(points: Any, total: int, zone: str) -> Any:
    if len(points) < 2 or not total:
        return None
    title = f"Rooms updated over time: {points[-1][1]} of {total} by now."
    return progress_chart(points, total=total, title=title, zone=ZoneInfo(zone))


# Planning ----------------------------------------------------------------------------------------------------------


@form_view
@requires("updates.create")
def rollout_new(request: TenantRequest) -> HttpResponse:
    """The dry run: who, which night, who is left out. Nothing happens before it is approved."""
    named = choices.as_id(request.GET.get("release"))
    initial = {"release": str(named)} if named else {}
    zone = request.tenant.time_zone
    form = NewForm(posted(request), tenant_id=request.tenant.id, zone=zone, initial=initial)
    if request.method == "POST":
        made = form.carry_out(
            lambda data: proposals.propose(
                UUID(data["release"]),
                starts_on=data["starts_on"],
                ring_ids=[UUID(key) for key in data["rings"]],
                health_minutes=data["health_minutes"],
                needs_consent=data["needs_consent"],
                forced_at=data["forced_at"],
                download_only=data["download_only"],
                by=principal_of(request).person,
                at=clock.now(),
            )
        )
        if made is not None:
            return htmx.done(request, "Planned", to=reverse("portal:rollout-detail", args=[made.id]))
    return htmx.dialog(
        request,
        "Plan a rollout",
        submit="Plan",
        back=reverse("portal:update-board"),
        form=form,
        explain="You see who gets it on which night, and who is left out. Nothing happens before you approve it.",
    )


# What people do to it ----------------------------------------------------------------------------------------------


def _asked(
    request: TenantRequest,
    rollout_id: UUID,
    question: str,
    submit: str,
    explain: str,
    change: Callable[[Rollout], Any],
    said: Callable[[Any], str],
    *,
    danger: bool = False,
    form_class: type[Form] = Form,
) -> HttpResponse:
    row = rollout_actions.rollout(rollout_id)
    back = reverse("portal:rollout-detail", args=[row.id])
    form = form_class(posted(request))
    if request.method == "POST":
        done = form.carry_out(lambda data: (change(row) if form_class is Form else change(row)(**data),))
        if done is not None:
            return htmx.done_here(request, said(done[0]), to=back)
    return htmx.dialog(
        request,
        question.format(row=row),
        submit=submit,
        back=back,
        form=form,
        explain=explain,
        danger=danger,
    )


@form_view
@requires("updates.create")
@step_up
def rollout_approve(request: TenantRequest, rollout_id: UUID) -> HttpResponse:
    return _asked(
        request,
        rollout_id,
        "Approve {row}?",
        "Approve",
        "It begins on its first night with the first ring.",
        lambda row: rollout_actions.approve(row.id, by=principal_of(request).person, at=clock.now()),
        lambda row: f"{row} approved",
    )


@form_view
@requires("updates.create")
@step_up
def rollout_start(request: TenantRequest, rollout_id: UUID) -> HttpResponse:
    return _asked(
        request,
        rollout_id,
        "Start {row} today?",
        "Start today",
        "Its nights come earlier by as many days. Rooms are still updated in their hours.",
        lambda row: rollout_actions.start(row.id, at=clock.now()),
        lambda row: f"{row} started",
    )


@form_view
@requires("updates.modify")
def rollout_pause(request: TenantRequest, rollout_id: UUID) -> HttpResponse:
    def said(stopped: rollout_actions.Stopped) -> str:
        past = stopped.withdrawn.past
        going = (
            f"{past} {'room finishes' if past == 1 else 'rooms finish'}" if past else "No room is under way"
        )
        asked = stopped.withdrawn.asked
        return f"Paused. {going}." + (f" {asked} asked to stop." if asked else "")

    return _asked(
        request,
        rollout_id,
        "Pause {row}?",
        "Pause",
        "No further room. Rooms that install already finish. It opens a ticket.",
        lambda row: lambda reason: rollout_actions.pause(row.id, reason=reason, at=clock.now()),
        said,
        form_class=ReasonForm,
    )


@form_view
@requires("updates.modify")
def rollout_resume(request: TenantRequest, rollout_id: UUID) -> HttpResponse:
    return _asked(
        request,
        rollout_id,
        "Resume {row}?",
        "Resume",
        "A ring that stopped counts its failures anew. Rooms that failed stay as they are until they try again.",
        lambda row: rollout_actions.resume(row.id, at=clock.now()),
        lambda row: f"{row} goes on",
    )


@form_view
@requires("updates.modify")
def rollout_cancel(request: TenantRequest, rollout_id: UUID) -> HttpResponse:
    return _asked(
        request,
        rollout_id,
        "Cancel {row} for good?",
        "Cancel rollout",
        "No further room. Rooms that have it keep it; rooms that install already finish.",
        lambda row: lambda reason: rollout_actions.cancel(row.id, reason=reason, at=clock.now()),
        lambda stopped: f"{stopped.rollout} cancelled",
        danger=True,
        form_class=ReasonForm,
    )


@form_view
@requires("updates.modify")
def rollout_retry(request: TenantRequest, rollout_id: UUID) -> HttpResponse:
    return _asked(
        request,
        rollout_id,
        "Let all failed rooms of {row} try again?",
        "Try again",
        "In their next hours.",
        lambda row: rollout_actions.retry_failed(row.id, at=clock.now()),
        lambda number: f"{number} {'room tries' if number == 1 else 'rooms try'} again",
    )


@form_view
@requires("updates.create")
@step_up
def rollout_approve_ring(request: TenantRequest, rollout_id: UUID, ring_id: UUID) -> HttpResponse:
    row = rollout_actions.rollout(rollout_id)
    stage = next((each for each in rollout_progress.stages_of(row) if each.ring_id == ring_id), None)
    if stage is None:
        raise Missing("ring of this rollout")
    back = reverse("portal:rollout-detail", args=[row.id])
    return confirm(
        request,
        f"Let {stage.name} begin?",
        submit=f"Approve {stage.name}",
        explain=f"{row} then reaches its {stage.scheduled} devices.",
        back=back,
        to=back,
        change=lambda: rollout_actions.approve_ring(row.id, stage.ring_id, at=clock.now()),
        said=f"{stage.name} approved",
        danger=False,
    )


@form_view
@requires("updates.modify")
@step_up
def rollout_roll_back(request: TenantRequest, rollout_id: UUID) -> HttpResponse:
    row = rollout_actions.rollout(rollout_id)
    back = reverse("portal:rollout-detail", args=[row.id])
    form = RollBackForm(posted(request), row=row, initial={"ring": request.GET.get("ring", "")})
    if request.method == "POST":
        made = form.carry_out(
            lambda data: rollout_actions.roll_back(
                row.id,
                to_release_id=UUID(data["release"]),
                ring_id=choices.as_id(data["ring"]),
                reason=data["reason"],
                by=principal_of(request).person,
                at=clock.now(),
            )
        )
        if made is not None:
            to = reverse("portal:rollout-detail", args=[made.id])
            return htmx.done(request, f"Rooms go back to {made.release.version}", to=to)
    return htmx.dialog(
        request,
        f"Roll {row} back?",
        submit="Roll back",
        back=back,
        form=form,
        explain="Each room restarts once in its next hours; rooms in a meeting wait. This rollout is paused.",
        danger=True,
    )


@form_view
@requires("updates.modify")
def target_retry(request: TenantRequest, rollout_id: UUID, target_id: UUID) -> HttpResponse:
    row, target = _target(request, rollout_id, target_id)
    back = reverse("portal:rollout-detail", args=[row.id])
    return confirm(
        request,
        f"Let {target.room} try again?",
        submit="Try again",
        explain="In its next hours.",
        back=back,
        to=back,
        change=lambda: rollout_actions.retry(row.id, target.id, at=clock.now()),
        said=f"{target.room} tries again",
        danger=False,
    )


@form_view
@requires("updates.modify")
def target_force(request: TenantRequest, rollout_id: UUID, target_id: UUID) -> HttpResponse:
    row, target = _target(request, rollout_id, target_id)
    back = reverse("portal:rollout-detail", args=[row.id])
    form = ForceForm(posted(request))
    if request.method == "POST":
        done = form.carry_out(lambda data: rollout_actions.force(row.id, target.id, **data, at=clock.now()))
        if done is not None:
            return htmx.done_here(request, f"{target.room} is updated out of turn", to=back)
    return htmx.dialog(
        request,
        f"Force {row} in {target.room}?",
        submit="Force",
        back=back,
        form=form,
        explain="It skips its ring, night and hours. Not advised; it is on record.",
        danger=True,
    )


def _target(request: TenantRequest, rollout_id: UUID, target_id: UUID) -> tuple[Rollout, RolloutTarget]:
    row = rollout_actions.rollout(rollout_id)
    rows = RolloutTarget.objects.for_tenant(request.tenant).filter(rollout=row, id=target_id)
    target = rows.select_related("room", "device").first()
    if target is None:
        raise Missing("room of this rollout")
    return row, target
