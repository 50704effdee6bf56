"""Releases: added, described, given their file, superseded and withdrawn.

All functions work in the one tenant entered; times are aware, UTC.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime
from typing import IO, Any
from uuid import UUID

from django.db import IntegrityError, connection, transaction

from fleet import scope, validation
from fleet.errors import AlreadyThere, ChangedMeanwhile, Missing
from foundation.context import current_tenant, tenant
from foundation.errors import NotValid, violated_constraint
from tenancy import audit
from tenancy.models import Person
from updates import artifacts, versions
from updates.applicability import EQUIPMENT, Offered
from updates.errors import NotNow
from updates.models import Artifact, Release, Rollout
from updates.states import ENDED_ROLLOUTS
from updates.versions import NotAVersion, Scheme

Kind = Release.Kind
State = Release.State
COMPONENTS = {  # under which the agent reports what runs (docs/agent.md); others are named by whoever adds them
    Kind.ROOM_APP: "app",
    Kind.OS_FEATURE: "os",
    Kind.OS_QUALITY: "os",
    Kind.BIOS: "bios",
    Kind.AGENT: "agent",
    Kind.CAMERA_FIRMWARE: EQUIPMENT,
    Kind.AUDIO_FIRMWARE: EQUIPMENT,
}
SCHEMES = {Kind.BIOS: Scheme.NATURAL, Kind.AGENT: Scheme.SEMANTIC}  # where none is given; else dotted
COMPONENT = re.compile(r"[a-z][a-z0-9_.-]{0,39}")
LONGEST_TEXT = 10_000
LARGEST_BYTES = 20 * 1024**3
EDITED = ("notes", "known_issues", "critical", "published_on", "runs_from", "runs_to", "make", "model")


def add_release(
    *,
    name: str,
    kind: str,
    version: str,
    scheme: str = "",
    component: str = "",
    make: str = "",
    model: str = "",
    runs_from: str = "",
    runs_to: str = "",
    critical: bool = False,
    notes: str = "",
    known_issues: str = "",
    published_on: date | None = None,
    by: Person | None = None,
    at: datetime,
) -> Release:
    """A release without its file yet. Raises NotValid, AlreadyThere, NotAllowed."""
    scope.refuse_part("Adding a release")
    tenant_id = current_tenant()
    chosen = Scheme(scheme) if scheme else SCHEMES.get(Kind(kind), Scheme.DOTTED)
    row = Release(
        tenant_id=tenant_id,
        name=validation.one_line(name, "name", at_most=80),
        kind=Kind(kind),
        scheme=chosen,
        version=_version(chosen, version, "version"),
        component=_component(Kind(kind), component),
        make=validation.one_line(make, "make", at_most=80, required=False),
        model=validation.one_line(model, "model", at_most=120, required=False),
        runs_from=_version(chosen, runs_from, "runs_from", required=False),
        runs_to=_version(chosen, runs_to, "runs_to", required=False),
        critical=critical,
        notes=_text(notes, "notes"),
        known_issues=_text(known_issues, "known_issues"),
        published_on=published_on,
        created_at=at,
        created_by=by,
    )
    _check(row)
    row.supersedes = _before(row)
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError as error:
        if violated_constraint(error) != "updates_release_once":
            raise
        raise AlreadyThere(f"{row.name} {row.version} is there already.", field="version") from error
    audit.record("release.create", row, tenant_id=tenant_id, at=at, after=_plain(row))
    return row


def release(release_id: UUID, *, field: str = "") -> Release:
    """Raises Missing."""
    found: Release | None = Release.objects.for_tenant(current_tenant()).filter(id=release_id).first()
    if found is None:
        raise Missing("release", field=field or None)
    return found


def edit_release(release_id: UUID, *, revision: int | None = None, at: datetime, **changes: Any) -> Release:
    """Change some of EDITED. Whom it fits stays as it is once a rollout began with it.

    Raises Missing, NotValid, NotNow, ChangedMeanwhile.
    """
    row = _held(release_id)
    if revision is not None and revision != row.revision:
        raise ChangedMeanwhile("Somebody else changed this release. Read it again.")
    before = _plain(row)
    scheme = Scheme(row.scheme)
    for field, value in changes.items():
        if field in ("notes", "known_issues"):
            value = _text(value, field)
        elif field in ("runs_from", "runs_to"):
            value = _version(scheme, value, field, required=False)
        elif field in ("make", "model"):
            value = validation.one_line(value, field, at_most=80 if field == "make" else 120, required=False)
        elif field not in EDITED:
            raise NotValid("This cannot be changed.", field=field)
        setattr(row, field, value)
    _check(row)
    after = _plain(row)
    changed = {name for name in before if before[name] != after[name]}
    if not changed:
        return row
    if changed & {"runs_from", "runs_to", "make", "model"} and _live_rollouts(row):
        raise NotNow("A rollout of this release runs: whom it fits stays as it is.")
    row.revision += 1
    row.save()
    audit.record(
        "release.update",
        row,
        tenant_id=row.tenant_id,
        at=at,
        before={name: before[name] for name in changed},
        after={name: after[name] for name in changed},
    )
    return row


def keep_file(
    release_id: UUID,
    source: IO[bytes],
    name: str,
    *,
    size_bytes: int | None = None,
    sha256: str | None = None,
    progress: Callable[[int], None] = lambda received_bytes: None,
    at: datetime,
) -> Artifact:
    """The file of a release, checked while it streams in; another one replaces it until a rollout began.

    Raises Missing, NotNow, NotValid.
    """
    scope.refuse_part("Adding a file")
    row = release(release_id)
    _check_takes_file(row)
    content = artifacts.receive(
        source,
        name,
        tenant_id=row.tenant_id,
        limit_bytes=LARGEST_BYTES,
        size_bytes=size_bytes,
        sha256=sha256,
        progress=progress,
    )
    row = _held(release_id)
    files = Artifact.objects.for_tenant(row.tenant_id)
    try:
        _check_takes_file(row)  # it may have taken long to come
        _hold_content(row.tenant_id, content.sha256)
        if artifacts.size_of(row.tenant_id, content.sha256) is None:
            raise NotNow("The same content was removed at this moment. Send the file again.")
    except NotNow:
        if not files.filter(sha256=content.sha256, release__withdrawn=False).exists():
            artifacts.remove(row.tenant_id, content.sha256)
        raise
    replaced = files.filter(release=row).first()
    files.filter(release=row).delete()
    made: Artifact = files.create(
        release=row,
        name=content.name,
        media_type=content.media_type,
        size_bytes=content.size_bytes,
        sha256=content.sha256,
        sha1=content.sha1,
        md5=content.md5,
        created_at=at,
    )
    row.revision += 1
    row.save(update_fields=["revision"])
    if replaced is not None and replaced.sha256 != made.sha256:
        _forget(row.tenant_id, replaced.sha256)
    after = {"name": made.name, "size_bytes": made.size_bytes, "sha256": made.sha256}
    audit.record("release.upload", row, tenant_id=row.tenant_id, at=at, after=after)
    return made


def deprecate(release_id: UUID, *, reason: str, withdraw: bool = False, at: datetime) -> Release:
    """It goes to no further room (updates.rollout_actions ends its rollouts). Repeating it changes nothing.

    `withdraw`: nobody may fetch its file any more either. Raises Missing, NotValid, NotAllowed.
    """
    scope.refuse_part("Deprecating a release")
    row = _held(release_id)
    if row.state == State.DEPRECATED and (row.withdrawn or not withdraw):
        if row.withdrawn and (held := artifact_of(row)) is not None:
            _forget(row.tenant_id, held.sha256)  # the storage may have been away
        return row
    row.state, row.deprecated_at = State.DEPRECATED, row.deprecated_at or at
    row.deprecated_reason = validation.one_line(reason, "reason", at_most=200)
    row.withdrawn = row.withdrawn or withdraw
    row.revision += 1
    row.save(update_fields=["state", "deprecated_at", "deprecated_reason", "withdrawn", "revision"])
    after = {"reason": row.deprecated_reason, "withdrawn": row.withdrawn}
    audit.record("release.deprecate", row, tenant_id=row.tenant_id, at=at, after=after)
    held = artifact_of(row)
    if row.withdrawn and held is not None:
        _forget(row.tenant_id, held.sha256)
    return row


def artifact_of(row: Release) -> Artifact | None:
    return Artifact.objects.for_tenant(row.tenant_id).filter(release=row).first()


def offered(row: Release) -> Offered:
    """What decides whom it fits."""
    return Offered(Scheme(row.scheme), row.version, row.make, row.model, row.runs_from, row.runs_to)


def _before(row: Release) -> Release | None:
    """The newest older release of the same product for the same equipment."""
    same = Release.objects.for_tenant(row.tenant_id).filter(
        name=row.name, scheme=row.scheme, make=row.make, model=row.model
    )
    older = [each for each in same if versions.compare(Scheme(row.scheme), each.version, row.version) < 0]
    return max(older, key=lambda each: versions.sort_key(Scheme(row.scheme), each.version), default=None)


def _live_rollouts(row: Release) -> bool:
    rollouts = Rollout.objects.for_tenant(row.tenant_id).filter(release=row)
    return rollouts.exclude(state__in=ENDED_ROLLOUTS).exists()


def _check_takes_file(row: Release) -> None:
    if row.state == State.DEPRECATED:
        raise NotNow("This release is deprecated.")
    if _live_rollouts(row):
        raise NotNow("A rollout of this release runs: its file stays as it is.")


def _forget(tenant_id: UUID, sha256: str) -> None:
    """Content that no release nobody withdrew has goes once this is committed: links to it lead nowhere then."""
    transaction.on_commit(lambda: _remove_unused(tenant_id, sha256), robust=True)


def _remove_unused(tenant_id: UUID, sha256: str) -> None:
    with tenant(tenant_id):
        _hold_content(tenant_id, sha256)
        files = Artifact.objects.for_tenant(tenant_id).filter(sha256=sha256)
        if not files.filter(release__withdrawn=False).exists():
            artifacts.remove(tenant_id, sha256)


def _hold_content(tenant_id: UUID, sha256: str) -> None:
    """To the end of the transaction: content is not removed while a release takes it up."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"{tenant_id}/{sha256}"])


def _held(release_id: UUID) -> Release:
    rows = Release.objects.for_tenant(current_tenant()).filter(id=release_id)
    row: Release | None = rows.select_for_update(no_key=True).first()
    if row is None:
        raise Missing("release")
    return row


def _check(row: Release) -> None:
    scheme = Scheme(row.scheme)
    if row.component == EQUIPMENT and not (row.make and row.model):
        raise NotValid(
            "Firmware is for equipment of one make and model.", field="model" if row.make else "make"
        )
    if row.runs_from and row.runs_to and versions.compare(scheme, row.runs_from, row.runs_to) > 0:
        raise NotValid("This is older than the version it starts from.", field="runs_to")
    if row.runs_from and versions.compare(scheme, row.runs_from, row.version) >= 0:
        raise NotValid("It can only be installed over an older version.", field="runs_from")


def _version(scheme: Scheme, value: str, field: str, *, required: bool = True) -> str:
    text = validation.one_line(value, field, at_most=versions.LONGEST, required=required)
    if text:
        try:
            versions.sort_key(scheme, text)
        except NotAVersion as error:
            raise NotValid(str(error), field=field) from error
    return text


def _component(kind: Release.Kind, given: str) -> str:
    known = COMPONENTS.get(kind)
    name = given.strip().lower() or known or ""
    if known == EQUIPMENT or not name:
        if known is None:
            raise NotValid(
                "Name what devices report its version under, such as driver.audio.", field="component"
            )
        return known
    if not COMPONENT.fullmatch(name):
        raise NotValid("Small letters, digits, dots and dashes, beginning with a letter.", field="component")
    return name


def _text(value: str, field: str) -> str:
    text = value.replace("\r\n", "\n").strip()
    if len(text) > LONGEST_TEXT:
        raise NotValid(f"This is longer than {LONGEST_TEXT} characters.", field=field)
    if "\x00" in text:
        raise NotValid("This holds characters that cannot be shown.", field=field)
    return text


def _plain(row: Release) -> dict[str, Any]:
    names = ("name", "kind", "version", "component", *EDITED)
    return {name: value for name in names if (value := getattr(row, name)) not in ("", None)} | {
        name: getattr(row, name) for name in EDITED
    }
