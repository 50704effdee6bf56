"""Every periodic task and why. A ring is a hint: a lost one costs a period, a doubled one nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any


@dataclass(frozen=True)
class Periodic:
    task: str
    every: timedelta
    why: str


SCHEDULE = (
    Periodic("heartbeats.ring_drains", timedelta(seconds=5), "starts drains whose successor was lost"),
    Periodic("heartbeats.sweep_silence", timedelta(seconds=10), "marks devices whose deadline has passed"),
    Periodic("detection.fire_timers", timedelta(seconds=2), "ends watching periods, closes healthy tickets"),
    Periodic(
        "later.send_outbox", timedelta(seconds=5), "sends effects whose hint was lost or whose retry is due"
    ),
    Periodic("later.step_jobs", timedelta(seconds=5), "goes on with exports, imports and other long work"),
    Periodic("rollouts.advance", timedelta(seconds=5), "goes on with rollouts: proofs, gates, rings, offers"),
    Periodic("rollouts.note_polls", timedelta(seconds=10), "writes down when update clients last asked"),
    Periodic("rollouts.catch_up", timedelta(minutes=10), "takes devices in that came after their ring"),
    Periodic("rollups.roll_up", timedelta(minutes=5), "turns points into five-minute and daily figures"),
    Periodic(
        "rollups.daily_health", timedelta(minutes=10), "computes the day of rooms whose midnight has passed"
    ),
    Periodic(
        "rollups.recount", timedelta(hours=1), "recounts the numbers pages show, once a day for each customer"
    ),
    Periodic("audit.seal", timedelta(seconds=60), "seals what was recorded in each customer's chain"),
    Periodic("audit.keep_heads", timedelta(minutes=10), "keeps the ends of the chains outside, once an hour"),
    Periodic(
        "audit.drop_old", timedelta(hours=1), "drops sealed days of the audit log past their keep, once a day"
    ),
    Periodic("housekeeping.keep_partitions", timedelta(hours=1), "makes partitions ahead and drops old ones"),
    Periodic(
        "housekeeping.forget_telemetry",
        timedelta(hours=1),
        "drops daily figures past their keep and watermarks nobody uses, once a day",
    ),
    Periodic(
        "housekeeping.forget_old",
        timedelta(hours=1),
        "drops used slots, answers kept for retries, old sessions, exports of a week ago, what was sent a month ago",
    ),
    Periodic(
        "housekeeping.reseal_secrets",
        timedelta(minutes=10),
        "seals stored secrets under the newest key while an older one is still held, once an hour",
    ),
)


def beat_schedule() -> dict[str, Any]:
    """In Celery's form. A ring older than its period is dropped: the next one does its work."""
    return {
        entry.task: {
            "task": entry.task,
            "schedule": entry.every,
            "options": {"expires": max(entry.every.total_seconds(), 10)},
        }
        for entry in SCHEDULE
    }
