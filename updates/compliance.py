"""Who runs what, as CSV: every device with the newest release offered for it. A job in parts, in constant memory.

A device complies with the newest release (N) or the one before it (N-1). Of an entered tenant.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, Any
from uuid import UUID

from fleet import scope
from fleet.errors import Missing
from fleet.models import Device
from foundation import files, jobs
from foundation.context import current_tenant
from foundation.models import Job, StoredFile
from foundation.tables.cells import cell
from tenancy import audit
from updates import applicability, releases, rings, targets, versions
from updates.applicability import EQUIPMENT
from updates.models import Release, Ring, RolloutTarget
from updates.versions import NotAVersion, Scheme

KIND = "updates.export"
ROWS_A_STEP = 1_000
LARGEST_BYTES = 2_000_000_000
CSV = files.FileKind("text/csv", b"")  # we wrote it ourselves
COLUMNS = (
    "room",
    "place",
    "ring",
    "device",
    "make",
    "model",
    "product",
    "runs",
    "newest",
    "standing",
    "rollout_state",
    "reason",
    "last_change_utc",
)
CURRENT, PREVIOUS, BEHIND, UNKNOWN = "current", "previous", "behind", "unknown"


@dataclass(frozen=True)
class Product:
    """What is offered of one product: the newest release and the one before."""

    newest: Release
    before: str  # version of the one before; "" where there is none


def start(*, requested_by: UUID | None, at: datetime) -> Job:
    """Queue an export of the tenant entered; that it was asked for is on record. Raises NotAllowed, and Conflict
    while too many are being written."""
    scope.refuse_part("An export of all rooms")
    tenant_id = current_tenant()
    jobs.check_few(KIND, tenant_id=tenant_id)
    job = jobs.add(KIND, {}, tenant_id=tenant_id, requested_by=requested_by, at=at)
    audit.record("updates.export", job, tenant_id=tenant_id, at=at, name="Compliance of updates")
    return job


def file_of(job_id: UUID) -> StoredFile:
    """What a finished export wrote. Raises Missing, NotAllowed."""
    scope.refuse_part("An export of all rooms")
    done: Job | None = Job.objects.for_tenant(current_tenant()).filter(id=job_id, kind=KIND).first()
    if done is None or done.state != Job.State.DONE:
        raise Missing("export")
    row: StoredFile | None = (
        StoredFile.objects.for_tenant(current_tenant()).filter(id=done.result.get("file")).first()
    )
    if row is None:
        raise Missing("file")
    return row


def products(tenant_id: UUID) -> list[Product]:
    """Of releases that are offered, by name."""
    newest: dict[tuple[str, ...], list[Release]] = {}
    for row in Release.objects.for_tenant(tenant_id).offered().order_by("name", "id"):
        newest.setdefault((row.name, row.scheme, row.make, row.model), []).append(row)
    found = []
    for (_, scheme, *_), rows in newest.items():
        ordered = sorted(rows, key=lambda row: versions.sort_key(Scheme(scheme), row.version))
        before = ordered[-1].supersedes
        found.append(Product(ordered[-1], before.version if before else ""))
    return found


def standing(product: Product, runs: str) -> str:
    """`current`, `previous`, `behind` or `unknown`. Whoever runs a newer version is current too."""
    scheme = Scheme(product.newest.scheme)
    try:
        if versions.compare(scheme, runs, product.newest.version) >= 0:
            return CURRENT
        if product.before and versions.compare(scheme, runs, product.before) >= 0:
            return PREVIOUS
    except NotAVersion:
        return UNKNOWN
    return BEHIND


def step(held: Job, at: datetime) -> jobs.Progress:
    """One part, by device; the last step joins them."""
    cursor = held.cursor or {"after": None, "parts": []}
    rows = Device.objects.for_tenant(held.tenant_id).filter(
        status=Device.Status.ENROLLED, retired_at=None, created_at__lte=held.created_at
    )
    if cursor["after"]:
        rows = rows.filter(id__gt=UUID(cursor["after"]))
    shown = rows.select_related("room__place").defer("document", "inventory").order_by("id")
    some = list(shown[:ROWS_A_STEP])
    parts: list[str] = cursor["parts"]
    if some or not parts:
        text = _text(_lines(held.tenant_id, some, at=at), heading=not parts)
        part = _store(text, f"part-{len(parts)}.csv", held, at)
        parts = [*parts, str(part.id)]
    done = held.done + len(some)
    if len(some) == ROWS_A_STEP:
        return jobs.Progress({"after": str(some[-1].id), "parts": parts}, done)
    whole = _join(parts, held, at)
    return jobs.Progress(None, done, done, {"file": str(whole.id), "rows": done})


def _lines(tenant_id: UUID, devices: Sequence[Device], *, at: datetime) -> Iterable[tuple[Any, ...]]:
    known = products(tenant_id)
    ids = [device.id for device in devices]
    ring_of: dict[UUID, Ring] = rings.rings_of(
        [device.room_id for device in devices if device.room_id], at=at
    )
    latest: dict[tuple[UUID, UUID], RolloutTarget] = {}
    rows = RolloutTarget.objects.for_tenant(tenant_id).filter(
        device_id__in=ids, rollout__release__in=[product.newest for product in known]
    )
    for row in rows.select_related("rollout").order_by("changed_at", "id"):
        latest[(row.device_id, row.rollout.release_id)] = row
    told = {
        product.newest.id: targets.equipment_versions(tenant_id, product.newest, ids)
        for product in known
        if product.newest.component == EQUIPMENT
    }
    for device in devices:
        for product in known:
            release = product.newest
            if release.component == EQUIPMENT:
                runs = told[release.id].get(device.id)
            elif applicability.same_model(releases.offered(release), device.make, device.model):
                runs = targets.version_in(release.component, device.versions, device.agent_version)
            else:
                runs = None
            if runs is not None:
                yield _line(device, product, runs, ring_of, latest.get((device.id, release.id)))


def _line(
    device: Device, product: Product, runs: str, ring_of: dict[UUID, Ring], target: RolloutTarget | None
) -> tuple[Any, ...]:
    room = device.room
    return (
        room.name if room else "",
        room.place.full_name if room else "",
        ring_of[room.id].name if room and room.id in ring_of else "",
        device.name,
        device.make,
        device.model,
        product.newest.name,
        runs,
        product.newest.version,
        standing(product, runs),
        target.state if target else "",
        target.reason if target else "",
        target.changed_at.astimezone(UTC).isoformat() if target else "",
    )


def _text(lines: Iterable[tuple[Any, ...]], *, heading: bool) -> IO[bytes]:
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    if heading:
        writer.writerow(COLUMNS)
    writer.writerows([cell(value) for value in line] for line in lines)
    return io.BytesIO(text.getvalue().encode())


def _store(source: IO[bytes], name: str, held: Job, at: datetime) -> StoredFile:
    return files.store(source, name, tenant_id=held.tenant_id, kinds=(CSV,), limit_bytes=LARGEST_BYTES, at=at)


def _join(parts: list[str], held: Job, at: datetime) -> StoredFile:
    rows = {str(row.id): row for row in StoredFile.objects.for_tenant(held.tenant_id).filter(id__in=parts)}
    joined = files.joined([rows[key] for key in parts])
    whole = _store(joined, f"updates-{held.created_at:%Y-%m-%d}.csv", held, at)
    for row in rows.values():
        files.remove(row)
    return whole
