"""Unique runs of the schedule: any number of schedulers ring, one run happens."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import connection

from foundation.models import Slot

KEPT = timedelta(days=2)


def slot_of(at: datetime, every: timedelta) -> datetime:
    """The start of the slot that `at` falls in."""
    seconds = int(every.total_seconds())
    return datetime.fromtimestamp(int(at.timestamp()) // seconds * seconds, tz=at.tzinfo)


def claim(job: str, slot: datetime, *, at: datetime) -> bool:
    """Whether this call is the one to run `job` for `slot`. In autocommit: a run that dies is not repeated,
    the next slot does its work."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO foundation_slot (job, slot, claimed_at) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
            [job, slot, at],
        )
        return bool(cursor.rowcount)


def forget_old(*, at: datetime) -> int:
    deleted, _ = Slot.objects.filter(slot__lt=at - KEPT).delete()
    return deleted
