"""Later and outside work: the outbox and long jobs."""

from __future__ import annotations

from celery import shared_task

from foundation import clock, jobs, outbox
from workers.effects import JOB_STEPS, SENDERS


@shared_task(name="later.send_outbox", ignore_result=True)
def send_outbox() -> int:
    """Safe to repeat and to run many times at once: entries are leased."""
    return outbox.send_due(SENDERS, at=clock.now())


@shared_task(name="later.step_jobs", ignore_result=True)
def step_jobs() -> int:
    return jobs.step_due(JOB_STEPS, at=clock.now())
