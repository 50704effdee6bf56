from __future__ import annotations

import io
from datetime import timedelta

import pytest

from foundation import clock, files, jobs
from foundation.context import tenant
from foundation.errors import NotValid
from foundation.jobs import Progress
from foundation.models import Job, StoredFile
from tests.factories.tenancy import make_customer

CSV = files.FileKind("text/csv", b"")
pytestmark = pytest.mark.usefixtures("committed_db")


@pytest.fixture
def owner(committed_db):
    return make_customer(at=clock.now())


def add(owner):
    with tenant(owner.id):
        return jobs.add("count", {"to": 3}, tenant_id=owner.id, requested_by=None, at=clock.now())


def stored(job):
    with tenant(job.tenant_id):
        return Job.objects.for_tenant(job.tenant_id).get(id=job.id)


def count(job, at):
    done = job.done + 1
    return Progress(
        cursor=done if done < job.parameters["to"] else None, done=done, total=3, result={"sum": done}
    )


def test_a_job_goes_step_by_step_to_its_end_and_shows_how_far_it_is(owner):
    job = add(owner)
    seen = []
    while (now := stored(job)).state != "done":
        seen.append((now.state, now.done))
        jobs.step_due({"count": count}, at=clock.now())
    assert seen == [("queued", 0), ("running", 1), ("running", 2)]
    assert (now.done, now.total, now.result) == (3, 3, {"sum": 3})


def test_a_step_that_fails_ends_the_job_with_its_reason(owner):
    job = add(owner)

    def broken(job, at):
        raise ValueError("row 7 has no name")

    jobs.step_due({"count": broken}, at=clock.now())
    assert (stored(job).state, stored(job).error) == ("failed", "ValueError: row 7 has no name")


def test_what_a_failed_job_was_for_hears_of_it_once(owner):
    job = add(owner)

    def refused(job, at):
        raise NotValid("Nothing is left to do.")

    def broken_too(job, error, at):
        Job.objects.for_tenant(job.tenant_id).create(
            kind="half", parameters={}, due_at=at, created_at=at
        )  # taken back with what follows
        raise ValueError

    heard = []
    follow = {"count": lambda job, error, at: heard.append((job.id, str(error)))}
    jobs.step_due({"count": refused}, at=clock.now(), breakdowns=follow)
    jobs.step_due({"count": refused}, at=clock.now(), breakdowns=follow)
    assert heard == [(job.id, "Nothing is left to do.")]
    assert (stored(job).state, stored(job).error) == ("failed", "Nothing is left to do.")
    second = add(owner)
    jobs.step_due({"count": refused}, at=clock.now(), breakdowns={"count": broken_too})
    assert stored(second).state == "failed"
    with tenant(owner.id):
        assert not Job.objects.for_tenant(owner).filter(kind="half").exists()


def test_a_cancelled_job_takes_no_further_step(owner):
    job = add(owner)
    jobs.step_due({"count": count}, at=clock.now())
    with tenant(owner.id):
        assert jobs.cancel(job, at=clock.now())
        assert not jobs.cancel(job, at=clock.now())
    jobs.step_due({"count": count}, at=clock.now())
    assert (stored(job).state, stored(job).done) == ("cancelled", 1)


def test_a_worker_that_dies_leaves_the_step_to_the_next(owner):
    job = add(owner)
    at = clock.now()
    assert jobs._claim(owner.id, ["count"], at=at)  # and then its worker is killed
    jobs.step_due({"count": count}, at=at)
    assert stored(job).done == 0
    jobs.step_due({"count": count}, at=at + jobs.LEASE)
    assert stored(job).done == 1


def test_a_week_after_its_end_a_job_is_forgotten_with_the_file_it_wrote(owner):
    kept, gone = add(owner), add(owner)
    with tenant(owner.id):
        row = files.store(
            io.BytesIO(b"a,b"), "x.csv", tenant_id=owner.id, kinds=(CSV,), limit_bytes=9, at=clock.now()
        )
        ended = {"state": Job.State.DONE, "result": {"file": str(row.id)}}
        for job, days in ((kept, 6), (gone, 8)):
            Job.objects.for_tenant(owner.id).filter(id=job.id).update(
                due_at=clock.now() - timedelta(days=days),
                **(ended if job is gone else {"state": Job.State.DONE}),
            )
    assert jobs.forget_old(at=clock.now()) >= 1
    with tenant(owner.id):
        assert list(Job.objects.for_tenant(owner.id)) == [kept]
        assert not StoredFile.objects.for_tenant(owner.id).exists()
    with pytest.raises(FileNotFoundError):
        files.open_stored(row)
