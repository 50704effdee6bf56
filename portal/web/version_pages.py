"""Which versions run, over time; who complies, as a file; and the updates of one room."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.http import HttpResponse, HttpResponseBase
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from fleet import inventory
from fleet.models import Device
from foundation import clock
from foundation.models import Job
from portal import htmx
from portal.access import TenantRequest, principal_of, requires
from portal.web import choices
from portal.web.dialogs import form_view
from portal.web.downloads import download
from portal.web.forms import posted
from portal.web.rings import MoveForm
from portal.web.room_detail import KINDS
from portal.web.update_charts import TONES, shown_versions, spread_chart
from portal.web.update_words import ROLLOUTS, done, target_chip
from updates import compliance, overview, reasons, rings, rollout_progress, spread
from updates.models import Attempt, RingMembership, RolloutTarget
from updates.states import ENDED_ROLLOUTS, TargetState

DAYS = timedelta(days=60)
EXPORTS_SHOWN = 5
MOST_RUNNING = 5
TRIES_SHOWN = 20
COMPONENTS = {"app": "Room app", "os": "System", "agent": "Agent", "bios": "BIOS"}
OUTCOMES = {
    "succeeded": ("ok", "Updated"),
    "failed": ("bad", "Failed"),
    "cancelled": ("mute", "Stopped before it began"),
    "expired": ("off", "Did not begin that night"),
}


@require_GET
@requires("updates.view")
def version_spread(request: TenantRequest) -> HttpResponse:
    known = spread.components(request.tenant.id)
    asked = request.GET.get("component", "")
    component = asked if asked in known else ("app" if "app" in known else next(iter(known), ""))
    since = clock.now().date() - DAYS
    days = spread.over_time(request.tenant.id, component, since=since) if component else {}
    shown = shown_versions(days)
    last = days[max(days)] if days else {}
    total = sum(last.values())
    jobs = list(
        Job.objects.for_tenant(request.tenant)
        .filter(kind=compliance.KIND)
        .order_by("-created_at", "-id")[:EXPORTS_SHOWN]
    )
    live = htmx.live(component, sorted(last.items()), [(job.id, job.state, job.done) for job in jobs])
    if htmx.unchanged(request, live):
        return htmx.nothing_new()
    title = ", ".join(f"{last.get(version, 0)} of {total} run {version}" for version in shown[:3])
    ranked = sorted(last.items(), key=lambda each: (-each[1], each[0]))
    context = {
        "component": component,
        "components": [(name, COMPONENTS.get(name, name)) for name in known],
        "name": COMPONENTS.get(component, component),
        "chart": spread_chart(days, shown, title=title) if days else None,
        "legend": list(zip(TONES, shown, strict=False)),
        "rest": len(last) > len(shown),
        "rows": [(version, number, round(100 * number / total)) for version, number in ranked],
        "total": total,
        "jobs": jobs,
    }
    return htmx.page(request, "updates/version_spread.html", context, live=live)


@require_POST
@requires("updates.view")
def compliance_export(request: TenantRequest) -> HttpResponse:
    to = reverse("portal:version-spread")
    running = Job.objects.for_tenant(request.tenant).filter(
        kind=compliance.KIND, state__in=[Job.State.QUEUED, Job.State.RUNNING]
    )
    if running.count() >= MOST_RUNNING:
        return htmx.done_here(request, "Five exports are being written already. Wait for one to end.", to=to)
    user = principal_of(request).user
    compliance.start(requested_by=user.id if user else None, at=clock.now())
    return htmx.done_here(request, "The export is being written", to=to)


@require_GET
@requires("updates.view")
def compliance_download(request: TenantRequest, job_id: UUID) -> HttpResponseBase:
    return download(compliance.file_of(job_id))


@require_GET
@requires("updates.view")
def room_updates(request: TenantRequest, room_id: UUID) -> HttpResponse:
    """What the room runs, what is due, when, and why not."""
    room = inventory.room(room_id)
    at = clock.now()
    devices = list(
        Device.objects.for_tenant(request.tenant)
        .filter(room=room, retired_at=None)
        .exclude(status=Device.Status.UNENROLLED)
        .order_by("kind", "name", "id")
    )
    open_targets = list(
        RolloutTarget.objects.for_tenant(request.tenant)
        .filter(device__in=devices)
        .exclude(rollout__state__in=ENDED_ROLLOUTS)
        .select_related("rollout__release", "stage", "device")
        .order_by("-rollout__created_at", "id")
    )
    tries = list(
        Attempt.objects.for_tenant(request.tenant)
        .filter(device__in=devices)
        .exclude(ended_at=None)
        .select_related("release", "device", "target", "rollout")
        .order_by("-offered_at", "-id")[:TRIES_SHOWN]
    )
    ring = rings.rings_of([room.id], at=at)[room.id]
    own = RingMembership.objects.for_tenant(request.tenant).filter(room=room).exists()
    under_way = overview.attempts_of(open_targets)
    live = htmx.live(
        (room.version, room.state, ring.id, own),
        [(device.id, device.versions, device.agent_version) for device in devices],
        [(each.id, each.state, each.reason, each.night, each.rollout.state) for each in open_targets],
        [(each.id, each.state, each.percent) for each in under_way.values()],
        [each.id for each in tries],
    )
    if htmx.unchanged(request, live):
        return htmx.nothing_new()
    waits: dict[UUID, str] = {}
    for target in open_targets:
        waits |= rollout_progress.why_waiting(target.rollout, [target], at=at)
    context = {
        "room": room,
        "zone": room.time_zone,
        "ring": ring,
        "own_ring": own,
        "window": rings.Windows([room.id]).of(room.id),
        "devices": [(device, KINDS[device.kind], _versions(device)) for device in devices],
        "due": [_due(each, waits.get(each.id, "")) for each in open_targets],
        "tries": [
            (each, *_outcome(each), each.detail or reasons.sentence(each.target.reason))
            for each in tries
            if each.state in OUTCOMES
        ],
    }
    return htmx.page(request, "updates/room_updates.html", context, live=live)


def _versions(device: Device) -> list[tuple[str, str]]:
    told = {name: str(value) for name, value in (device.versions or {}).items()}
    if device.agent_version:
        told.setdefault("agent", device.agent_version)
    return [(COMPONENTS.get(name, name), value) for name, value in sorted(told.items())]


def _outcome(attempt: Attempt) -> tuple[str, str]:
    tone, label = OUTCOMES[attempt.state]
    return tone, done(attempt.rollout).capitalize() if attempt.state == "succeeded" else label


def _due(target: RolloutTarget, waits: str) -> tuple[RolloutTarget, str, str, str]:
    tone, label = target_chip(target.state, target.rollout)
    why = reasons.sentence(waits or target.reason) if waits or target.reason else ""
    if target.rollout.state in ("proposed", "paused") and target.state == TargetState.SCHEDULED:
        tone, label = ROLLOUTS[target.rollout.state]
    return target, tone, label, why


@form_view
@requires("updates.modify")
def room_ring(request: TenantRequest, room_id: UUID) -> HttpResponse:
    room = inventory.room(room_id)
    back = reverse("portal:room-updates", args=[room.id])
    held = RingMembership.objects.for_tenant(request.tenant).filter(room=room).first()
    form = MoveForm(posted(request), initial={"ring": str(held.ring_id) if held else ""})
    if request.method == "POST":
        done = form.carry_out(
            lambda data: (rings.move_rooms(choices.as_id(data["ring"]), [room.id], at=clock.now()),)
        )
        if done is not None:
            return htmx.done_here(request, f"Ring of {room.name} changed", to=back)
    return htmx.dialog(
        request,
        f"Change the ring of {room.name}",
        submit="Save",
        back=back,
        form=form,
        explain="It counts for rollouts planned from now on.",
    )
