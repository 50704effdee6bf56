"""Tries to update one device: offered, followed by what the device says, proved or failed, withdrawn.

A room has one open try at a time; a constraint decides between rollouts that want it at once. The tenant is entered
and times are aware, UTC. What devices see of it is kept in Redis and forgotten whenever it changes (updates.polls).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection

from fleet import faults, telemetry
from fleet.errors import Missing
from fleet.models import Device, Room
from foundation.ids import new_id
from updates import clients, polls, reasons, targets, versions
from updates.applicability import EQUIPMENT
from updates.ddi import Feedback, Report
from updates.errors import AttemptEnded, QuotaReached
from updates.gates import FailureGate
from updates.models import (
    Attempt,
    AttemptReport,
    Release,
    Rollout,
    RolloutGate,
    RolloutTarget,
    UpdateClient,
)
from updates.states import AttemptState, RolloutState, TargetState
from updates.versions import NotAVersion, Scheme

State = AttemptState
UPDATE_FAILED = "update_failed"  # type of the ticket a failure becomes
FORCED_LIVES = timedelta(hours=12)  # a forced offer has no window to end it
INSTALL_TAKES = timedelta(hours=2)  # since the last word; then the device will not come back by itself
PROOF_TAKES = timedelta(hours=1)  # beyond the minutes it has to be healthy
CANCEL_TAKES = timedelta(minutes=30)  # a device that never answers holds its room no longer
MOST_TRIES = 3  # nights on which a device did not even begin
MOST_REPORTS = 1_000  # of one try that are kept; its last word is kept beyond that
REPEAT_AFTER = timedelta(days=7)  # so long the same last word may be repeated
LONGEST_DETAIL = 300
DOWNLOADED, INSTALLED = "downloaded", "installed"  # what a device was to do, as tickets say it


@dataclass(frozen=True)
class Offer:
    """A target about to be offered to its device, until `ends_at`."""

    target: RolloutTarget
    room_id: UUID
    ends_at: datetime


@dataclass(frozen=True)
class Withdrawn:
    """What a pause found: taken back at once, asked to stop, past the point of no return."""

    taken_back: int = 0
    asked: int = 0
    past: int = 0


def offer(rollout: Rollout, wanted: Sequence[Offer], *, at: datetime) -> int:
    """Open a try for each target whose room has none. Returns how many were opened."""
    if not wanted:
        return 0
    tenant_id = rollout.tenant_id
    rooms = [each.room_id for each in wanted]
    open_faults = dict(
        Room.objects.for_tenant(tenant_id).filter(id__in=rooms).values_list("id", "open_faults")
    )
    asking = _asking(rollout, wanted)
    last = _numbers(tenant_id, len(wanted))
    rows = [
        Attempt(
            id=new_id(),
            tenant_id=tenant_id,
            target=each.target,
            rollout=rollout,
            device_id=each.target.device_id,
            room_id=each.room_id,
            release_id=rollout.release_id,
            number=last - len(wanted) + 1 + place,
            state=State.CONFIRMING if each.target.device_id in asking else State.OFFERED,
            forced=bool(each.target.forced) or rollout.kind == Rollout.Kind.ROLLBACK,
            faults_before=open_faults.get(each.room_id, 0),
            offered_at=at,
            due_at=each.ends_at,
        )
        for place, each in enumerate(wanted)
    ]
    Attempt.objects.for_tenant(tenant_id).bulk_create(rows, ignore_conflicts=True)
    made = dict(
        Attempt.objects.for_tenant(tenant_id)
        .filter(id__in=[row.id for row in rows])
        .values_list("target_id", "id")
    )
    moved = set(
        targets.move(
            tenant_id,
            made,
            came_from=[TargetState.SCHEDULED],
            to=TargetState.IN_PROGRESS,
            at=at,
        )
    )
    lost = [attempt_id for target_id, attempt_id in made.items() if target_id not in moved]
    Attempt.objects.for_tenant(tenant_id).filter(id__in=lost).delete()
    polls.forget((row.device_id for row in rows if row.target_id in moved), tenant_id=tenant_id)
    return len(moved)


def current(tenant_id: UUID, device_id: UUID) -> Attempt | None:
    """The try in force for a device. At most one is open for its room."""
    rows = Attempt.objects.for_tenant(tenant_id).open().filter(device_id=device_id)
    found: Attempt | None = rows.select_related("release", "device", "rollout").order_by("number").first()
    return found


def of_number(tenant_id: UUID, device_id: UUID, number: int) -> Attempt:
    """Raises Missing: unknown, or another device's."""
    rows = Attempt.objects.for_tenant(tenant_id).filter(device_id=device_id, number=number)
    found: Attempt | None = rows.select_related("release", "device", "rollout").first()
    if found is None:
        raise Missing("action")
    return found


def fetched(attempt: Attempt, *, at: datetime) -> None:
    """The device has read what to install. Noted once."""
    rows = Attempt.objects.for_tenant(attempt.tenant_id).open().filter(id=attempt.id, fetched_at=None)
    if rows.update(fetched_at=at, last_report_at=at):
        _note(attempt, at=at, execution="retrieved", by_device=False)


def download_began(attempt: Attempt, *, at: datetime) -> None:
    """The device fetches the whole file; parts of it are not noted, there may be thousands."""
    rows = Attempt.objects.for_tenant(attempt.tenant_id).filter(id=attempt.id, state=State.OFFERED)
    if rows.update(state=State.DOWNLOADING, last_report_at=at):
        _note(attempt, at=at, execution="download", by_device=False)


def report(attempt: Attempt, said: Feedback, *, at: datetime) -> Attempt:
    """What the device says about installing. The same last word may come again.

    Raises Missing while it waits for consent, AttemptEnded, QuotaReached.
    """
    attempt = _held(attempt)
    if attempt.state == State.CONFIRMING:
        raise Missing("action")
    download_only = attempt.rollout.download_only
    meaning = said.of_deployment(download_only=download_only)
    final = meaning in (Report.SUCCEEDED, Report.FAILED)
    if attempt.ended_at is not None or attempt.installed_at is not None:
        if final and _said_before(attempt, said, at=at):
            return attempt
        if _only_downloaded(attempt) and said.execution == "closed":
            return _installed_after_all(attempt, said, at=at)
        if attempt.ended_at is not None:
            raise AttemptEnded("This action is over.")
    _note_report(attempt, said, at=at, final=final)
    attempt.last_report_at = at
    attempt.detail = _last_line(said) or attempt.detail
    attempt.percent = said.percent if said.percent is not None else attempt.percent
    if meaning is Report.FAILED:
        _end(attempt, State.FAILED, "device_failed", at=at)
    elif meaning is Report.SUCCEEDED and download_only:
        attempt.installed_at = at if said.execution == "closed" else None
        _end(attempt, State.SUCCEEDED, "", at=at)
    elif meaning is Report.SUCCEEDED:
        attempt.state, attempt.installed_at = State.VERIFYING, attempt.installed_at or at
        attempt.due_at = at + timedelta(minutes=attempt.rollout.health_minutes) + PROOF_TAKES
        attempt.save()
        _settle_one(attempt, at=at)
    else:
        if attempt.state in (State.OFFERED, State.DOWNLOADING, State.INSTALLING):
            attempt.state = _state_said(attempt, said)
            if attempt.state == State.INSTALLING:
                attempt.due_at = at + INSTALL_TAKES
        attempt.save()
    polls.forget([attempt.device_id], tenant_id=attempt.tenant_id)
    return attempt


def _only_downloaded(attempt: Attempt) -> bool:
    was_all = attempt.rollout.download_only and attempt.installed_at is None
    return was_all and attempt.state == State.SUCCEEDED


def _installed_after_all(attempt: Attempt, said: Feedback, *, at: datetime) -> Attempt:
    """Somebody at the device had it install what it only downloaded: it may tell once how that went."""
    _note_report(attempt, said, at=at, final=True)
    attempt.last_report_at = at
    attempt.detail = _last_line(said) or attempt.detail
    if said.finished == "failure":
        attempt.state = State.FAILED
        targets.move(
            attempt.tenant_id,
            [attempt.target_id],
            came_from=[TargetState.SUCCEEDED],
            to=TargetState.FAILED,
            at=at,
            reason="device_failed",
            detail=attempt.detail,
        )
        _raise_failure(
            attempt.device,
            attempt.release,
            attempt.rollout,
            "device_failed",
            attempt.detail,
            INSTALLED,
            at=at,
        )
    else:
        attempt.installed_at = at
        _end_faults(attempt, at=at)
        clients.ask_for_attributes(attempt.device_id, attempt.tenant_id)
    attempt.save()
    polls.forget([attempt.device_id], tenant_id=attempt.tenant_id)
    return attempt


def confirm(attempt: Attempt, *, agreed: bool, details: list[str], at: datetime) -> Attempt:
    """Somebody at the device said yes or no. A no leaves it waiting; its night ends without it.

    Raises Missing where nobody asked, AttemptEnded.
    """
    attempt = _held(attempt)
    if attempt.ended_at is not None:
        raise AttemptEnded("This action is over.")
    if (
        attempt.state == State.OFFERED
        and not agreed
        and attempt.fetched_at is None
        and attempt.rollout.needs_consent
    ):
        attempt.state = State.CONFIRMING  # taken back before it began
    elif attempt.state != State.CONFIRMING:
        raise Missing("question about this action")
    elif agreed:
        attempt.state = State.OFFERED
    attempt.last_report_at = at
    attempt.save()
    _note(attempt, at=at, execution="confirmed" if agreed else "denied", details=details)
    polls.forget([attempt.device_id], tenant_id=attempt.tenant_id)
    return attempt


def confirm_all(tenant_id: UUID, device_id: UUID, *, at: datetime) -> None:
    """A standing consent covers what waits already."""
    rows = Attempt.objects.for_tenant(tenant_id).open().filter(device_id=device_id, state=State.CONFIRMING)
    for attempt in rows:
        confirm(attempt, agreed=True, details=[], at=at)


def cancel_report(attempt: Attempt, said: Feedback, *, at: datetime) -> Attempt:
    """The device's answer to being asked to stop. Raises AttemptEnded, QuotaReached."""
    attempt = _held(attempt)
    if attempt.ended_at is not None:
        raise AttemptEnded("This action is over.")
    meaning = said.of_cancellation()
    _note_report(attempt, said, at=at, final=meaning is Report.STOPPED)
    attempt.last_report_at = at
    if meaning is Report.STOPPED:
        _end(attempt, State.CANCELLED, "", at=at)
    elif meaning is Report.GOES_ON:  # it is past the point of no return
        if not attempt.rollout.download_only:  # where nothing installs nothing goes on: it ends in its time
            attempt.state, attempt.due_at = State.INSTALLING, at + INSTALL_TAKES
        attempt.save()
    else:
        attempt.save()
    polls.forget([attempt.device_id], tenant_id=attempt.tenant_id)
    return attempt


def withdraw(rollout: Rollout, *, at: datetime) -> Withdrawn:
    """Take back what can be: what no device has read at once, the rest by asking. What installs goes on."""
    taken = asked = past = 0
    for attempt in _open(rollout):
        if attempt.state in (State.INSTALLING, State.VERIFYING):
            past += 1
        elif attempt.state in (State.OFFERED, State.CONFIRMING) and attempt.fetched_at is None:
            _end(attempt, State.CANCELLED, "", at=at)
            taken += 1
        else:
            asked += 1
            if attempt.state != State.CANCELLING:
                attempt.state, attempt.due_at = State.CANCELLING, at + CANCEL_TAKES
                attempt.save(update_fields=["state", "due_at"])
        polls.forget([attempt.device_id], tenant_id=attempt.tenant_id)
    return Withdrawn(taken, asked, past)


def settle(rollout: Rollout, *, at: datetime) -> None:
    """Whatever time decides: proofs, deadlines, nights that ended. Safe to repeat."""
    attempts = _open(rollout)
    verifying = [each for each in attempts if each.state == State.VERIFYING]
    proofs = _proofs(rollout.tenant_id, rollout.release, verifying) if verifying else {}
    for attempt in attempts:
        if attempt.state == State.VERIFYING:
            _prove(attempt, proofs[attempt.id], at=at)
        elif attempt.due_at > at:
            continue
        elif attempt.state == State.INSTALLING:
            _end(attempt, State.FAILED, "never_returned", at=at)
        elif attempt.state == State.CANCELLING:
            _end(attempt, State.CANCELLED, "", at=at, detail="The device did not answer in time.")
        elif attempt.fetched_at is None:
            _end(attempt, State.EXPIRED, "", at=at)
        else:  # it has read what to do, and the night ends
            attempt.state, attempt.due_at = State.CANCELLING, at + CANCEL_TAKES
            attempt.save(update_fields=["state", "due_at"])
            attempt.target.tries += 1  # a night that brought nothing; a pause is none
            attempt.target.save(update_fields=["tries"])
            polls.forget([attempt.device_id], tenant_id=attempt.tenant_id)


def _settle_one(attempt: Attempt, *, at: datetime) -> None:
    if attempt.rollout.health_minutes == 0:
        proof = _proofs(attempt.tenant_id, attempt.release, [attempt])[attempt.id]
        _prove(attempt, proof, at=at)


def _asking(rollout: Rollout, wanted: Sequence[Offer]) -> set[UUID]:
    """Devices to be asked for consent: whose client is known and gave no standing one."""
    if not rollout.needs_consent:
        return set()
    rows = UpdateClient.objects.for_tenant(rollout.tenant_id).filter(
        device_id__in=[each.target.device_id for each in wanted], auto_confirm__isnull=True
    )
    return set(rows.values_list("device_id", flat=True))


# Proof -----------------------------------------------------------------------------------------------------------


def _proofs(tenant_id: UUID, release: Release, attempts: Sequence[Attempt]) -> dict[UUID, str]:
    """Why a device has not proved itself, by attempt; "" where it has so far.

    It must have been heard since it said it was done, tell the new version (where it tells one), and its room
    must have no fault more than before.
    """
    devices = {
        row.id: row
        for row in Device.objects.for_tenant(tenant_id)
        .filter(id__in=[each.device_id for each in attempts])
        .defer("document", "inventory")
    }
    rooms = dict(
        Room.objects.for_tenant(tenant_id)
        .filter(id__in=[each.room_id for each in attempts])
        .values_list("id", "open_faults")
    )
    heard = telemetry.last_seen(tenant_id, [row.key for row in devices.values()])
    clients = {
        row.device_id: row
        for row in UpdateClient.objects.for_tenant(tenant_id).filter(device_id__in=list(devices))
    }
    told = targets.versions_now(tenant_id, release, list(devices))
    found: dict[UUID, str] = {}
    for attempt in attempts:
        device, client = devices[attempt.device_id], clients.get(attempt.device_id)
        seen = heard.get(device.key)
        version = told[device.id]
        if seen is None and client is not None:  # it sends no heartbeats: its polls are its signs of life
            seen = client.last_poll_at
            if release.component != EQUIPMENT:
                version = str(client.attributes.get(release.component, ""))
        installed_at = attempt.installed_at or attempt.offered_at
        if seen is None or seen <= installed_at or device.silent_since is not None:
            found[attempt.id] = "never_returned"
        elif not _is_version(release, version):
            found[attempt.id] = "wrong_version"
        elif rooms[attempt.room_id] > attempt.faults_before:
            found[attempt.id] = "unhealthy"
        else:
            found[attempt.id] = ""
    return found


def _is_version(release: Release, told: str) -> bool:
    """What cannot be read tells nothing, and is not held against the device."""
    try:
        return versions.compare(Scheme(release.scheme), told, release.version) == 0
    except NotAVersion:
        return True


def _prove(attempt: Attempt, missing: str, *, at: datetime) -> None:
    if missing:
        if at >= attempt.due_at:
            _end(attempt, State.FAILED, missing, at=at)
        elif attempt.healthy_since is not None:
            attempt.healthy_since = None
            attempt.save(update_fields=["healthy_since"])
        return
    if attempt.healthy_since is None:
        attempt.healthy_since = at
        attempt.save(update_fields=["healthy_since"])
    if at >= attempt.healthy_since + timedelta(minutes=attempt.rollout.health_minutes):
        _end(attempt, State.SUCCEEDED, "", at=at)


# Ends ------------------------------------------------------------------------------------------------------------


def _end(attempt: Attempt, state: State, reason: str, *, at: datetime, detail: str = "") -> None:
    """The try is over; so is its target's turn, its gate hears of it, and a failure is a fault of the device."""
    attempt.state, attempt.ended_at = state, at
    attempt.detail = (detail or attempt.detail or reasons.SENTENCES.get(reason, ""))[:LONGEST_DETAIL]
    attempt.save()
    tenant_id = attempt.tenant_id
    polls.forget([attempt.device_id], tenant_id=tenant_id)
    if state == State.SUCCEEDED:
        _move(attempt, TargetState.SUCCEEDED, "", at=at)
        _tell_gates(attempt, succeeded=True)
        _end_faults(attempt, at=at)
        if attempt.installed_at is not None or not attempt.rollout.download_only:
            clients.ask_for_attributes(attempt.device_id, tenant_id)
    elif state == State.FAILED:
        _move(attempt, TargetState.FAILED, reason, at=at)
        _tell_gates(attempt, succeeded=False)
        raise_failure(attempt.device, attempt.release, attempt.rollout, reason, attempt.detail, at=at)
    elif state == State.EXPIRED:
        _expire(attempt, at=at)
    else:
        _back(attempt, at=at)


def raise_failure(
    device: Device, release: Release, rollout: Rollout, reason: str, detail: str, *, at: datetime
) -> None:
    """One fault a device and product, however often it is tried."""
    what = DOWNLOADED if rollout.download_only else INSTALLED
    _raise_failure(device, release, rollout, reason, detail, what, at=at)


def _raise_failure(
    device: Device, release: Release, rollout: Rollout, reason: str, detail: str, what: str, *, at: datetime
) -> None:
    said = reasons.sentence(reason)
    summary = f"{release} could not be {what}: {said[0].lower()}{said[1:]}"
    evidence = {"rollout": str(rollout.id), "release": str(release), "reason": reason, "detail": detail}
    subject = _subject(release, what)
    faults.raise_fault(device, UPDATE_FAILED, summary, at=at, subject=subject, evidence=evidence)


def _end_faults(attempt: Attempt, *, at: datetime) -> None:
    """What is installed was downloaded; what was only downloaded says nothing about installing."""
    ended = (DOWNLOADED,) if _only_downloaded(attempt) else (DOWNLOADED, INSTALLED)
    for what in ended:
        subject = _subject(attempt.release, what)
        faults.end_fault(attempt.device, UPDATE_FAILED, at=at, subject=subject)


def _subject(release: Release, what: str) -> str:
    return release.name[:64] if what == INSTALLED else f"{release.name[:52]}, download"


def _expire(attempt: Attempt, *, at: datetime) -> None:
    """Nothing happened that night: another night, unless there were enough of them."""
    target = attempt.target
    if target.tries + 1 >= MOST_TRIES:
        _move(attempt, TargetState.FAILED, "never_began", at=at, tries=target.tries + 1)
        raise_failure(attempt.device, attempt.release, attempt.rollout, "never_began", "", at=at)
    else:
        _move(attempt, TargetState.SCHEDULED, "", at=at, tries=target.tries + 1)


def _back(attempt: Attempt, *, at: datetime) -> None:
    """Stopped before it happened: it waits again, or is skipped where the rollout goes on no more."""
    state = RolloutState(attempt.rollout.state)
    if state == RolloutState.IN_PROGRESS and attempt.target.tries >= MOST_TRIES:
        _move(attempt, TargetState.FAILED, "never_finished", at=at)
        raise_failure(attempt.device, attempt.release, attempt.rollout, "never_finished", "", at=at)
        return
    skipped = {RolloutState.CANCELLED: "cancelled", RolloutState.DEPRECATED: "deprecated"}
    if state in skipped:
        _move(attempt, TargetState.SKIPPED, skipped[state], at=at)
    else:
        _move(attempt, TargetState.SCHEDULED, "", at=at)


def _move(attempt: Attempt, to: TargetState, reason: str, *, at: datetime, **values: int) -> None:
    forced = {} if to == TargetState.SCHEDULED else {"forced": ""}
    targets.move(
        attempt.tenant_id,
        [attempt.target_id],
        came_from=[TargetState.IN_PROGRESS],
        to=to,
        at=at,
        reason=reason,
        detail=attempt.detail,
        **forced,
        **values,
    )


def _tell_gates(attempt: Attempt, *, succeeded: bool) -> None:
    """Over all rooms of the ring, and of the model: a fault of one model is not lost among the others."""
    target = attempt.target
    if target.stage_id is None:
        return
    rows = RolloutGate.objects.for_tenant(attempt.tenant_id)
    for model in sorted({"", target.model}):
        row, _ = rows.get_or_create(stage_id=target.stage_id, model=model)
        row = rows.select_for_update(no_key=True).get(id=row.id)
        gate = FailureGate(row.reported, row.failed, row.score, row.tripped).after([succeeded])
        row.reported, row.failed, row.score, row.tripped = (
            gate.reported,
            gate.failed,
            gate.score,
            gate.tripped,
        )
        row.save(update_fields=["reported", "failed", "score", "tripped"])


# Reports ---------------------------------------------------------------------------------------------------------


def _state_said(attempt: Attempt, said: Feedback) -> State:
    """Where a report under way puts it; never back."""
    if attempt.rollout.download_only:  # it never comes to a point of no return
        moves = said.execution in ("proceeding", "download", "downloaded")
        return State.DOWNLOADING if moves else State(attempt.state)
    if said.execution == "proceeding" and attempt.state != State.INSTALLING:
        return State.INSTALLING if attempt.state == State.DOWNLOADING else State.DOWNLOADING
    if said.execution == "downloaded":
        return State.INSTALLING
    if said.execution == "download" and attempt.state == State.OFFERED:
        return State.DOWNLOADING
    return State(attempt.state)


def _note_report(attempt: Attempt, said: Feedback, *, at: datetime, final: bool) -> None:
    rows = AttemptReport.objects.for_tenant(attempt.tenant_id).filter(attempt=attempt)
    if not final and rows.count() >= MOST_REPORTS:
        raise QuotaReached("Too many reports about one action.")
    _note(attempt, at=at, execution=said.execution, finished=said.finished, details=list(said.details))


def _note(
    attempt: Attempt,
    *,
    at: datetime,
    execution: str,
    finished: str = "",
    details: list[str] | None = None,
    by_device: bool = True,
) -> None:
    AttemptReport.objects.for_tenant(attempt.tenant_id).create(
        attempt=attempt,
        at=at,
        by_device=by_device,
        execution=execution,
        finished=finished,
        details=details or [],
    )


def _said_before(attempt: Attempt, said: Feedback, *, at: datetime) -> bool:
    """A device whose answer got lost says its last word again."""
    rows = AttemptReport.objects.for_tenant(attempt.tenant_id).filter(
        attempt=attempt, execution=said.execution, at__gt=at - REPEAT_AFTER
    )
    failed = said.finished == "failure"
    return any((finished == "failure") == failed for finished in rows.values_list("finished", flat=True))


def _last_line(said: Feedback) -> str:
    return said.details[-1].strip()[:LONGEST_DETAIL] if said.details else ""


def _held(attempt: Attempt) -> Attempt:
    """Read again and locked: a worker may be settling it."""
    rows = Attempt.objects.for_tenant(attempt.tenant_id).filter(id=attempt.id)
    return (
        rows.select_related("release", "device", "rollout", "target")
        .select_for_update(no_key=True, of=("self",))
        .get()
    )


def _open(rollout: Rollout) -> list[Attempt]:
    rows = Attempt.objects.for_tenant(rollout.tenant_id).open().filter(rollout=rollout)
    found = (
        rows.select_related("release", "device", "target")
        .order_by("id")
        .select_for_update(no_key=True, of=("self",))
    )
    attempts = list(found)
    for attempt in attempts:
        attempt.rollout = rollout
    return attempts


def _numbers(tenant_id: UUID, wanted: int) -> int:
    """The last of `wanted` fresh numbers."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO updates_actionnumber (id, tenant_id, last) VALUES (%s, %s, %s) "
            "ON CONFLICT (tenant_id) DO UPDATE SET last = updates_actionnumber.last + EXCLUDED.last RETURNING last",
            [new_id(), tenant_id, wanted],
        )
        return int(cursor.fetchone()[0])
