"""What a device is offered, as the protocol says it. Of an entered tenant; times are aware, UTC."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from updates import artifact_links, attempts
from updates.ddi import Offer, OfferedFile
from updates.models import Artifact, Attempt
from updates.states import AttemptState

LINK_LIVES = timedelta(days=7)  # from the offer on, so that a document stays the same while it is offered
PARTS = {
    "os_feature": "os",
    "os_quality": "os",
    "bios": "os",
}  # kinds that replace the system; others are apps
APPLICATION = "application"
BEFORE_BEGIN = (AttemptState.OFFERED, AttemptState.DOWNLOADING, AttemptState.CONFIRMING)


def in_force(tenant_id: UUID, device_id: UUID, *, at: datetime) -> tuple[Attempt, Artifact] | None:
    """The one try a device is shown, with its file. One whose hours are over before it began is shown no more."""
    attempt = attempts.current(tenant_id, device_id)
    if attempt is None or (
        attempt.state in BEFORE_BEGIN and attempt.due_at <= at and attempt.fetched_at is None
    ):
        return None
    file = Artifact.objects.for_tenant(tenant_id).filter(release_id=attempt.release_id).first()
    return (attempt, file) if file is not None else None


def last_installed(tenant_id: UUID, device_id: UUID) -> int | None:
    """Number of the last try that succeeded and did not only download."""
    rows = Attempt.objects.for_tenant(tenant_id).filter(device_id=device_id, state=AttemptState.SUCCEEDED)
    rows = rows.exclude(rollout__download_only=True, installed_at=None)
    return rows.order_by("-number").values_list("number", flat=True).first()


def is_installed(attempt: Attempt) -> bool:
    only_there = attempt.rollout.download_only and attempt.installed_at is None
    return attempt.state == AttemptState.SUCCEEDED and not only_there


def offer_of(attempt: Attempt, file: Artifact, *, at: datetime) -> Offer:
    release, rollout = attempt.release, attempt.rollout
    late = rollout.forced_at is not None and rollout.forced_at <= at
    return Offer(
        number=attempt.number,
        part=PARTS.get(release.kind, APPLICATION),
        version=release.version,
        name=release.name,
        file=OfferedFile(file.name, file.size_bytes, file.sha256, file.sha1, file.md5),
        forced=not rollout.download_only and (attempt.forced or release.critical or late),
        download_only=rollout.download_only,
        cancelling=attempt.state == AttemptState.CANCELLING,
        confirming=attempt.state == AttemptState.CONFIRMING,
    )


def same_until(attempt: Attempt, *, at: datetime) -> datetime:
    """When what a device is shown of a try may change by time alone: its hours end, or its deadline comes."""
    deadline = attempt.rollout.forced_at
    return min(attempt.due_at, deadline) if deadline is not None and at < deadline else attempt.due_at


def link_query(attempt: Attempt, file: Artifact) -> str:
    """Lets whoever has the link fetch the file without a token, while it is offered."""
    link = artifact_links.make(
        attempt.tenant_id, file.sha256, file.name, at=attempt.offered_at, lives=LINK_LIVES
    )
    return f"?expires={link.expires}&signature={link.signature}"
