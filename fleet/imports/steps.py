"""The jobs of an import. Both are safe at any crash: a step commits whole with its cursor, or never happened.

The check first writes the table as lines of JSON, so that each of its steps begins where the last one ended. The run
is applied by one step in one transaction, which is why it has no progress; search follows in steps after it.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import datetime
from functools import partial
from itertools import islice
from typing import IO, Any, cast
from uuid import UUID

from django.db import IntegrityError, transaction

from fleet import scope
from fleet.imports import runs
from fleet.imports.kinds import KINDS, Kind
from fleet.imports.places import Tree
from fleet.imports.planning import Line, Planned, read_line
from fleet.imports.staging import AT_ONCE
from fleet.models import ImportProblem, ImportRow, ImportRun
from foundation import files
from foundation.errors import DomainError, NotValid
from foundation.jobs import Progress
from foundation.models import Job, StoredFile
from foundation.tables.reading import read_table
from foundation.tables.rows import Odd, TableRow
from tenancy import audit, on_behalf

LINES = files.FileKind("application/x-ndjson", b"")  # we wrote it ourselves
LARGEST_TABLE_BYTES = 1_000_000_000
MOST_PROBLEMS = 100_000  # kept of one run; the check ends there
GONE = Progress(None, 0)


def check(held: Job, at: datetime) -> Progress:
    """First the table is read, then AT_ONCE rows a step are checked."""
    run = _run_of(held, runs.State.CHECKING)
    if run is None:
        return GONE
    by = held.parameters["by"]
    rights = on_behalf.rights_of(by, held.tenant_id, at=at)
    with audit.acting(on_behalf.actor_of(by)), scope.within(rights, runs.PERMISSION):
        cursor: dict[str, Any] | None = held.cursor
        if cursor is None:
            try:
                _read(run, at=at)
            except NotValid as error:
                with scope.whole():
                    runs.end(run, runs.State.FAILED, note=error.message, at=at)
                return GONE
            return Progress({"at": 0}, 0, run.total)
        following = _check_some(run, int(cursor["at"]), at=at)
        if following is None or run.problems >= MOST_PROBLEMS:
            run.state = runs.State.CHECKED
        run.save()
        over = run.state == runs.State.CHECKED
        return Progress(None if over else {"at": following}, run.done, run.total)


def apply(held: Job, at: datetime) -> Progress:
    """Everything in the first step; then what search knows of the rooms, AT_ONCE a step."""
    run = _run_of(held, runs.State.APPLYING, runs.State.FINISHING)
    if run is None:
        return GONE
    by, kind = held.parameters["by"], KINDS[run.kind]
    if run.state == runs.State.APPLYING:
        rights = on_behalf.rights_of(by, held.tenant_id, at=at)
    else:  # what was done is followed up whatever became of whoever asked
        rights = on_behalf.rights_then(by)
    with audit.acting(on_behalf.actor_of(by)), scope.within(rights, runs.PERMISSION):
        if run.state == runs.State.APPLYING:
            try:
                with transaction.atomic():
                    kind.apply(run, at=at)
            except (DomainError, IntegrityError):
                runs.check_again(run, by, at=at)
                return GONE
            run.state, run.done, run.total = runs.State.FINISHING, 0, run.creates + run.updates
            run.save(update_fields=["state", "done", "total"])
            return Progress({"after": 0}, 0, run.total)
        last = _follow(kind, run, int((held.cursor or {"after": 0})["after"]), at=at)
        if last is not None:
            run.save(update_fields=["done"])
            return Progress({"after": last}, run.done, run.total)
        counted = {"create": run.creates, "update": run.updates, "unchanged": run.unchanged}
        runs.end(run, runs.State.DONE, at=at)
        audit.record("import.done", run, tenant_id=run.tenant_id, at=at, after=counted)
        return Progress(None, run.done, run.total, counted)


def broke_down(held: Job, error: Exception, at: datetime) -> None:
    """Handler of either job's failure: the run is over, and says what became of it."""
    run = _run_of(held, *runs.LIVE)
    if run is None:
        return
    if run.state == runs.State.FINISHING:
        runs.end(
            run, runs.State.DONE, note="All of it was changed, but search may find some of it late.", at=at
        )
        return
    why = error.message if isinstance(error, DomainError) else "It broke down."
    runs.end(run, runs.State.FAILED, note=f"{why} Nothing was changed.", at=at)


def _run_of(held: Job, *states: str) -> ImportRun | None:
    """None where it was cancelled or forgotten, or goes on under another job."""
    rows = ImportRun.objects.for_tenant(held.tenant_id).filter(
        id=UUID(held.parameters["run"]), job_id=held.id
    )
    run: ImportRun | None = rows.filter(state__in=states).select_for_update().first()
    return run


def _read(run: ImportRun, *, at: datetime) -> None:
    """The table as lines of JSON. Raises NotValid."""
    counted = _Counted()
    stored = StoredFile.objects.for_tenant(run.tenant_id)
    if run.table_id is None:
        with (
            files.open_stored(stored.get(id=_known(run.file_id))) as source,
            closing(read_table(source)) as rows,
        ):
            next(rows)  # the header
            lines = cast("IO[bytes]", _Lines(counted(rows)))
            kept = files.store(
                lines, f"{run.file_name}.lines", tenant_id=run.tenant_id, kinds=(LINES,),
                limit_bytes=LARGEST_TABLE_BYTES, at=at,
            )  # fmt: skip
        run.table_id, run.total = kept.id, counted.number
    run.save(update_fields=["table_id", "total"])


def _known(key: UUID | None) -> UUID:
    assert key is not None
    return key


class _Counted:
    def __init__(self) -> None:
        self.number = 0

    def __call__(self, rows: Iterator[TableRow]) -> Iterator[TableRow]:
        for row in rows:
            self.number += 1
            yield row


class _Lines(io.RawIOBase):
    """Rows as a stream of lines, made as they are read."""

    def __init__(self, rows: Iterator[TableRow]) -> None:
        self._rows, self._left = rows, b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while len(self._left) < size:
            lines = b"".join(map(_line, islice(self._rows, 200)))
            if not lines:
                break
            self._left += lines
        given, self._left = self._left[:size], self._left[size:]
        return given


def _line(row: TableRow) -> bytes:
    cells = [[str(cell)] if isinstance(cell, Odd) else cell for cell in row.cells]
    return json.dumps([row.number, cells], ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _row(line: bytes) -> TableRow:
    number, cells = json.loads(line)
    return TableRow(number, [Odd(cell[0]) if isinstance(cell, list) else cell for cell in cells])


def _check_some(run: ImportRun, start: int, *, at: datetime) -> int | None:
    """Check rows from a byte of the table on; returns where the next ones begin, None at its end."""
    stored = StoredFile.objects.for_tenant(run.tenant_id).get(id=_known(run.table_id))
    with files.open_stored(stored) as source:
        rows, following = _some(source, start)
    kind, tree = KINDS[run.kind], Tree(run.new_places)
    lines = [
        read_line(kind.by_key, run.columns, row.number, row.cells, required=kind.required) for row in rows
    ]
    planned = kind.plan(run, lines, tree, at=at)
    planned = _without_doubles(run, planned, {line.number: line for line in lines})
    _keep(run, planned, lines)
    run.new_places = [spot.as_json() for spot in tree.planned]
    run.done += len(rows)
    return following


def _some(source: IO[bytes], start: int) -> tuple[list[TableRow], int | None]:
    source.seek(start)
    lines = list(islice(iter(partial(source.readline), b""), AT_ONCE))
    following = start + sum(map(len, lines))
    return [_row(line) for line in lines], following if len(lines) == AT_ONCE else None


def _without_doubles(run: ImportRun, planned: Sequence[Planned], lines: dict[int, Line]) -> list[Planned]:
    """Blames lines that name a thing an earlier line of the file has named."""
    digests = {each.number: each.digests() for each in planned}
    staged = ImportRow.objects.for_tenant(run.tenant_id).filter(run=run)
    seen: tuple[dict[str, int], dict[str, int]] = ({}, {})
    for place, column in enumerate(("first_key", "second_key")):
        wanted = [keys[place] for keys in digests.values() if keys[place]]
        seen[place].update(staged.filter(**{f"{column}__in": wanted}).values_list(column, "number"))
    kept = []
    for each in planned:
        line = lines[each.number]
        for place, key in enumerate(digests[each.number]):
            other = seen[place].setdefault(key, each.number) if key else each.number
            if other != each.number:
                line.blame(each.keys[place][0], f"Row {other} names the same one.")
        if not line.problems:
            kept.append(each)
    return kept


def _keep(run: ImportRun, planned: Sequence[Planned], lines: Sequence[Line]) -> None:
    found = [problem for line in lines for problem in line.problems]
    ImportProblem.objects.for_tenant(run.tenant_id).bulk_create(
        ImportProblem(
            tenant_id=run.tenant_id, run=run, row=each.row, place=run.columns.get(each.column, -1) + 1, column=runs.label(run, each.column)[:200],
            value=each.value, message=each.message[:300],
        )
        for each in found
    )  # fmt: skip
    run.problems += len(found)
    rows = []
    for each in planned:
        first, second = each.digests()
        rows.append(
            ImportRow(
                tenant_id=run.tenant_id, run=run, number=each.number, first_key=first, second_key=second,
                action=each.action, target_id=each.target_id, room_id=each.room_id, version=each.version,
                name=each.name[:200], values=each.values, before=each.before, after=each.after,
            )
        )  # fmt: skip
    ImportRow.objects.for_tenant(run.tenant_id).bulk_create(rows)
    for action, name in (("create", "creates"), ("update", "updates"), ("same", "unchanged")):
        setattr(run, name, getattr(run, name) + sum(each.action == action for each in planned))


def _follow(kind: Kind, run: ImportRun, after: int, *, at: datetime) -> int | None:
    """Rows after a number; returns the last one's, None where none was left."""
    rows = ImportRow.objects.for_tenant(run.tenant_id).filter(run=run, number__gt=after)
    changed = rows.exclude(action=ImportRow.Action.SAME).order_by("number")
    some = list(changed.values_list("number", "room_id", "target_id")[:AT_ONCE])
    if not some:
        return None
    kind.follow(list(dict.fromkeys(room_id for _, room_id, _ in some if room_id)), at=at)
    run.done += len(some)
    last: int = some[-1][0]
    return last
