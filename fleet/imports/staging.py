"""Checked rows between check and end: kept, read back in pieces, put on record."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from uuid import UUID

from fleet.models import ImportRow, ImportRun
from foundation.errors import Conflict
from tenancy import audit

AT_ONCE = 2_000


class Stale(Conflict):
    """What the rows would change has itself been changed since it was checked."""

    code = "changed_since_check"

    def __init__(self) -> None:
        super().__init__("Something has changed since the check.")


def staged(run: ImportRun, action: str) -> Iterator[list[ImportRow]]:
    """Rows of one action in order, in pieces."""
    rows = ImportRow.objects.for_tenant(run.tenant_id).filter(run=run, action=action).order_by("number")
    last = 0
    while some := list(rows.filter(number__gt=last)[:AT_ONCE]):
        yield some
        last = some[-1].number


def applied(
    rows: Sequence[ImportRow],
    written: Callable[[ImportRow], audit.Written],
    *,
    tenant_id: UUID,
    at: datetime,
) -> None:
    """One event a row."""
    audit.record_many([written(row) for row in rows], tenant_id=tenant_id, at=at)
