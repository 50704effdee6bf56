"""Later and outside work: the outbox and long jobs."""

from __future__ import annotations

import time

from celery import shared_task

from foundation import clock, jobs, outbox
from workers.effects import JOB_BREAKDOWNS, JOB_STEPS, SENDERS

LONGEST_RUN_S = 20.0
LONGEST_STEP_S = 1_200


@shared_task(name="later.send_outbox", ignore_result=True)
def send_outbox() -> int:
    """Safe to repeat and to run many times at once: entries are leased."""
    return outbox.send_due(SENDERS, at=clock.now())


# An import is applied by one step in one transaction: of 100,000 rows it takes a minute or two (docs/benchmarks.md).
@shared_task(
    name="later.step_jobs", ignore_result=True, soft_time_limit=LONGEST_STEP_S, time_limit=LONGEST_STEP_S + 15
)
def step_jobs() -> int:
    """Steps of jobs, tenant by tenant, as long as there are any and this run is not late. Safe to run many times at
    once."""
    stepped, began = 0, time.monotonic()
    while some := jobs.step_due(JOB_STEPS, at=clock.now(), breakdowns=JOB_BREAKDOWNS):
        stepped += some
        if time.monotonic() - began > LONGEST_RUN_S:
            break  # the next ring goes on
    return stepped
