"""The life of an import: a file comes, its columns are named, it is checked whole, then applied whole or not at all.

    mapping > checking > checked > applying > finishing > done        a check with problems ends at `checked`
                                 < something changed since: checked again

States change here alone, by conditional updates. Checking and applying are jobs (fleet.imports.steps). Only whoever
asked sees a run, and who may change every room. All functions work in the one tenant entered.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import IO, Any
from uuid import UUID

from fleet.errors import Missing
from fleet.imports.kinds import KINDS
from fleet.imports.planning import guessed
from fleet.models import ImportProblem, ImportRow, ImportRun
from foundation import files, jobs, timers
from foundation.context import current_tenant
from foundation.errors import Conflict, NotValid
from foundation.models import Job, StoredFile, Timer
from foundation.tables import reading
from foundation.tenant_tables import TenantQuerySet
from tenancy import audit
from tenancy.on_behalf import By

CHECK, APPLY = "import.check", "import.apply"  # kinds of jobs
FORGET = "import.forget"  # kind of timer; its handler is forget
KEPT_FOR = timedelta(days=30)
PERMISSION = "rooms.modify"
MOST_AT_ONCE = 5  # of one organisation that are not over
State = ImportRun.State
LIVE = (State.CHECKING, State.APPLYING, State.FINISHING)
OVER = (State.DONE, State.FAILED, State.CANCELLED)


class NotNow(Conflict):
    """The run is not in a state for this."""

    code = "wrong_state"


def visible(by: By) -> TenantQuerySet[ImportRun]:
    rows = ImportRun.objects.for_tenant(current_tenant())
    return rows if by.rights.everywhere(PERMISSION) else rows.filter(requested_by=by.actor.id)


def run(run_id: UUID, by: By) -> ImportRun:
    """Raises Missing."""
    found: ImportRun | None = visible(by).filter(id=run_id).first()
    if found is None:
        raise Missing("import")
    return found


def receive(kind: str, source: IO[bytes], name: str, *, by: By, at: datetime) -> ImportRun:
    """Keep a file and guess what its columns are. Raises NotValid, naming `kind` or `file`, and NotNow."""
    if kind not in KINDS:
        raise NotValid(f"This is none of {', '.join(KINDS)}.", field="kind")
    tenant_id = current_tenant()
    _end_broken(at=at)
    if ImportRun.objects.for_tenant(tenant_id).filter(state__in=LIVE).count() >= MOST_AT_ONCE:
        raise NotNow("Five imports are under way already. Wait for one to end.")
    stored = files.store(
        source, name, tenant_id=tenant_id, kinds=reading.ACCEPTED, limit_bytes=reading.LARGEST_BYTES, at=at
    )
    try:
        with files.open_stored(stored) as again:
            head = reading.head_of(again)
    except NotValid:
        files.discard(stored)
        raise
    made: ImportRun = ImportRun.objects.for_tenant(tenant_id).create(
        kind=kind,
        file_id=stored.id,
        file_name=stored.name,
        size_bytes=stored.size_bytes,
        header=head.header,
        sample=[[str(cell)[:80] for cell in row] for row in head.sample],
        columns=guessed(KINDS[kind].columns, head.header),
        requested_by=by.actor.id,
        requested_name="" if by.actor.kind == "person" else by.actor.name[:120],
        created_at=at,
    )
    timers.set_timer(FORGET, str(made.id), due_at=at + KEPT_FOR, tenant_id=tenant_id)
    audit.record(
        "import.create", made, tenant_id=tenant_id, at=at, after={"kind": kind, "file": made.file_name}
    )
    return made


def check(run_id: UUID, columns: Mapping[str, int] | None, *, by: By, at: datetime) -> ImportRun:
    """Check all rows, with `columns` (property: place in the header), else those guessed or given before.

    Raises Missing, NotValid naming the property, and NotNow.
    """
    held = _held(run_id, by)
    if held.state not in (State.MAPPING, State.CHECKED):
        raise NotNow("This import can no longer be changed.")
    if columns is not None:
        held.columns = dict(columns)
    _check_columns(held)
    _begin_check(held, by.kept(PERMISSION), note="", at=at)
    named = {key: held.header[place] for key, place in held.columns.items()}
    audit.record("import.check", held, tenant_id=held.tenant_id, at=at, after=named)
    return held


def apply(run_id: UUID, *, by: By, at: datetime) -> ImportRun:
    """Carry out what a check without problems has found. Raises Missing, NotNow."""
    held = _held(run_id, by)
    if held.state != State.CHECKED:
        raise NotNow(
            "This import has to be checked first." if held.state not in OVER else "This import is over."
        )
    if held.problems:
        raise NotNow("Correct the problems first: an import is done whole or not at all.")
    if not held.creates + held.updates:
        raise NotNow("Everything is as the file says already.")
    held.state, held.done, held.note = State.APPLYING, 0, ""
    held.job_id = _queue(APPLY, held, by.kept(PERMISSION), at=at)
    held.save(update_fields=["state", "done", "note", "job_id"])
    counted = {"create": held.creates, "update": held.updates}
    audit.record("import.apply", held, tenant_id=held.tenant_id, at=at, after=counted)
    return held


def cancel(run_id: UUID, *, by: By, at: datetime) -> ImportRun:
    """Nothing of it has happened yet. Repeating it changes nothing. Raises Missing, NotNow once it is applied."""
    held = _held(run_id, by)
    if held.state == State.CANCELLED:
        return held
    if held.state not in (State.MAPPING, State.CHECKING, State.CHECKED):
        raise NotNow(
            "It is being applied and can no longer be cancelled."
            if held.state in LIVE
            else "This import is over."
        )
    end(held, State.CANCELLED, at=at)
    audit.record("import.cancel", held, tenant_id=held.tenant_id, at=at)
    return held


def problems_of(held: ImportRun) -> TenantQuerySet[ImportProblem]:
    return ImportProblem.objects.for_tenant(held.tenant_id).filter(run=held)


def label(held: ImportRun, key: str) -> str:
    """How the file calls the column of a property, else how we do."""
    place = held.columns.get(key)
    column = KINDS[held.kind].by_key.get(key)
    return str(held.header[place]) if place is not None else column.label if column else ""


def check_again(held: ImportRun, kept: Mapping[str, Any], *, at: datetime) -> None:
    """For the job: what the rows would change has changed since."""
    _begin_check(held, kept, note="Something had changed since the check, so it was checked again.", at=at)


def end(held: ImportRun, state: str, *, note: str = "", at: datetime) -> None:
    """Nothing is kept of an ended run but what it says of itself, and its problems."""
    ImportRow.objects.for_tenant(held.tenant_id).filter(run=held).delete()
    _drop_files(held)
    held.state, held.note, held.ended_at, held.new_places = state, note, at, []
    held.save(update_fields=["state", "note", "ended_at", "new_places", "file_id", "table_id"])


def forget(timer: Timer, at: datetime) -> None:
    """Handler of FORGET: a month is over. May be repeated."""
    rows = ImportRun.objects.for_tenant(timer.tenant_id).filter(id=timer.subject)
    held: ImportRun | None = rows.select_for_update().first()
    if held is not None:
        _drop_files(held)
        held.delete()


def _end_broken(*, at: datetime) -> None:
    """Runs whose job failed without a word: they take nobody's place."""
    failed = Job.objects.for_tenant(current_tenant()).filter(kind__in=[CHECK, APPLY], state=Job.State.FAILED)
    rows = ImportRun.objects.for_tenant(current_tenant()).filter(state__in=LIVE)
    for held in rows.filter(job_id__in=list(failed.values_list("id", flat=True))).select_for_update():
        over = State.DONE if held.state == State.FINISHING else State.FAILED
        end(held, over, note="It broke down.", at=at)


def _held(run_id: UUID, by: By) -> ImportRun:
    held: ImportRun | None = visible(by).filter(id=run_id).select_for_update().first()
    if held is None:
        raise Missing("import")
    return held


def _begin_check(held: ImportRun, kept: Mapping[str, Any], *, note: str, at: datetime) -> None:
    ImportRow.objects.for_tenant(held.tenant_id).filter(run=held).delete()
    problems_of(held).delete()
    held.state, held.note, held.new_places = State.CHECKING, note, []
    held.done = held.creates = held.updates = held.unchanged = held.problems = 0
    held.job_id = _queue(CHECK, held, kept, at=at)
    held.save()


def _queue(kind: str, held: ImportRun, kept: Mapping[str, Any], *, at: datetime) -> UUID:
    parameters = {"run": str(held.id), "by": dict(kept)}
    return jobs.add(kind, parameters, tenant_id=held.tenant_id, requested_by=held.requested_by, at=at).id


def _check_columns(held: ImportRun) -> None:
    kind, places = KINDS[held.kind], held.columns
    for key, place in places.items():
        if key not in kind.by_key:
            raise NotValid(f"There is no property {key[:60]!r} of {kind.label.lower()}.", field=key)
        if not isinstance(place, int) or not 0 <= place < len(held.header):
            raise NotValid("The file has no such column.", field=key)
    taken: dict[int, str] = {}
    for key, place in places.items():
        other = taken.setdefault(place, key)
        if other != key:
            raise NotValid(f"This column is taken for {kind.by_key[other].label} already.", field=key)
    for group in kind.needs:
        if not any(key in places for key in group):
            labels = " or ".join(kind.by_key[key].label for key in group)
            raise NotValid(f"Say which column holds {labels}.", field=group[0])


def _drop_files(held: ImportRun) -> None:
    keys = [key for key in (held.file_id, held.table_id) if key]
    for row in StoredFile.objects.for_tenant(held.tenant_id).filter(id__in=keys):
        files.remove(row)
    held.file_id = held.table_id = None
