"""Updates as pages and API: releases with their file, rings, a rollout from plan to rollback, one room's updates."""

from __future__ import annotations

import hashlib
from datetime import UTC, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.test import Client
from django.urls import reverse

from fleet.models import Device
from foundation import clock
from foundation.context import tenant
from foundation.models import Job
from tenancy import assignments
from tenancy.models import Role
from tenancy.tenants import add_person
from tests.factories.api import Api, make_api_token
from tests.factories.tenancy import make_person, make_user
from tests.factories.updates import PACKAGE, make_fleet, make_release, open_attempts, says, succeed
from updates import attempts, clients, compliance, proposals, rings, rollout_actions, rollout_progress, spread
from updates.models import Artifact, Release, Rollout, RolloutTarget
from workers.tasks import rollouts as tasks

MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def _store(settings: Any, tmp_path: Any) -> None:
    settings.STORAGES = settings.STORAGES | {
        "default": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": tmp_path / "files"},
        }
    }


@pytest.fixture
def now(db: None) -> Any:
    return clock.now()


@pytest.fixture
def manager(customer: Any, now: Any) -> Client:
    client = Client()
    client.force_login(make_person(customer, "pro_manager", at=now).user)
    return client


@pytest.fixture
def api(customer: Any, now: Any) -> Api:
    return Api(make_api_token(customer, at=now))


@pytest.fixture
def fleet(customer: Any, now: Any) -> dict[str, list[Device]]:
    with tenant(customer.id):
        return make_fleet(rings_of={"Staging": 2, "General": 3}, at=now)


def started(customer: Any, now: Any, version: str = "5.4.218") -> Rollout:
    """In progress, its Staging devices offered whatever the hour."""
    with tenant(customer.id):
        release = make_release(version, at=now)
        row = proposals.propose(release.id, at=now)
        rollout_actions.approve(row.id, at=now)
        rollout_actions.start(row.id, at=now)
        waiting = RolloutTarget.objects.for_tenant(customer).due().filter(rollout=row, stage__name="Staging")
        for target in waiting:
            rollout_actions.force(row.id, target.id, when="now", reason="Test", at=now)
        rollout_progress.advance(row.id, customer.id, at=now)
        return rollout_actions.rollout(row.id)


# Releases -----------------------------------------------------------------------------------------------------------


def test_a_release_is_added_and_its_file_sent_with_and_without_progress(manager, customer):
    given = {
        "name": "Room app",
        "kind": "room_app",
        "version": "5.4",
        "scheme": "dotted",
        "notes": "Fixes sound",
    }
    answer = manager.post(reverse("portal:release-add"), given)
    page = answer["Location"]
    with tenant(customer.id):
        row = Release.objects.for_tenant(customer).get()
    assert page == reverse("portal:release-detail", args=[row.id])
    assert b"Fixes sound" in manager.get(page).content
    upload = reverse("portal:release-upload", args=[row.id])
    sent = manager.post(
        f"{upload}?name=app.swu",
        PACKAGE,
        content_type="application/octet-stream",
        headers={"HX-Request": "true"},
    )
    assert (sent.status_code, sent["HX-Redirect"]) == (204, page)
    again = manager.post(upload, {"file": SimpleUploadedFile("app2.swu", PACKAGE + b"2")})
    assert again["Location"] == page
    with tenant(customer.id):
        kept = Artifact.objects.for_tenant(customer).get()
        assert (kept.name, kept.sha256) == ("app2.swu", hashlib.sha256(PACKAGE + b"2").hexdigest())
    wrong = manager.post(f"{upload}?name=a.txt", b"hello " * 20, content_type="application/octet-stream")
    assert (wrong.status_code, wrong.json()) == (422, {"message": "This kind of file is not accepted."})
    wrong = manager.post(upload, {"file": SimpleUploadedFile("a.txt", b"hello")})
    assert wrong.status_code == 422


def test_mistakes_of_a_release_stand_beside_their_fields(manager):
    given = {"name": "Driver", "kind": "driver", "version": "one", "scheme": "dotted"}
    answer = manager.post(reverse("portal:release-add"), given, headers={"HX-Request": "true"})
    assert answer.status_code == 422
    assert "numbers joined by dots" in str(answer.context["form"].errors["version"])


def test_a_release_by_api_from_its_description_to_its_file(api):
    made = api.post("/releases", {"name": "Room app", "kind": "room_app", "version": "5.4"})
    assert made.status_code == 201
    assert (made.json()["component"], made.json()["file"]) == ("app", None)
    path = f"/releases/{made.json()['id']}"
    digest = hashlib.sha256(PACKAGE).hexdigest()
    assert api.put(f"{path}/file?name=app.swu&sha256={'0' * 64}", PACKAGE).status_code == 400
    kept = api.put(f"{path}/file?name=app.swu&sha256={digest}", PACKAGE)
    assert kept.json()["file"]["sha256"] == digest
    read = api.get(path)
    stale = made["ETag"]
    assert api.patch(path, {"notes": "New"}, If_Match=stale).status_code == 412
    assert api.patch(path, {"notes": "New"}, If_Match=read["ETag"]).json()["notes"] == "New"
    assert (
        api.post("/releases", {"name": "Room app", "kind": "room_app", "version": "5.4"}).status_code == 409
    )
    assert api.post("/releases", {"name": "X", "kind": "room_app", "version": "x"}).status_code == 400
    gone = api.post(f"{path}/deprecate", {"reason": "Echo", "withdraw": True}).json()
    assert (gone["state"], gone["withdrawn"]) == ("deprecated", True)
    assert [row["version"] for row in api.get("/releases?state=deprecated").json()["results"]] == ["5.4"]


# Rings --------------------------------------------------------------------------------------------------------------


def test_rings_show_their_days_and_refuse_more_than_sixty(manager, customer):
    page = manager.get(reverse("portal:ring-list"))
    assert b"23 of 60 days" in page.content
    given = {
        "name": "Early",
        "position": "3",
        "rollout_days": "30",
        "test_days": "8",
        "at_once": "5",
        "failure_limit_pct": "5",
    }
    answer = manager.post(reverse("portal:ring-add"), given)
    assert answer.status_code == 422
    assert "37 are left" in str(answer.context["form"].errors["rollout_days"])
    answer = manager.post(reverse("portal:ring-add"), {**given, "test_days": "7"})
    assert answer.status_code == 302
    with tenant(customer.id):
        early = next(row for row in rings.all_rings(at=clock.now()) if row.name == "Early")
    manager.post(reverse("portal:ring-delete", args=[early.id]))
    assert b"23 of 60 days" in manager.get(reverse("portal:ring-list")).content


def test_rooms_move_between_rings_on_their_page_and_by_api(manager, api, customer, fleet):
    room = fleet["General"][0].room_id
    staging = next(row for row in api.get("/rings").json()["results"] if row["kind"] == "staging")
    assert api.post(f"/rings/{staging['id']}/rooms", {"rooms": [str(room)]}).json() == {"moved": 1}
    page = manager.get(reverse("portal:room-updates", args=[room]))
    assert page.context["ring"].name == "Staging"
    manager.post(reverse("portal:room-ring", args=[room]), {"ring": ""})
    assert manager.get(reverse("portal:room-updates", args=[room])).context["ring"].name == "General"
    assert api.delete(f"/rings/{staging['id']}/rooms/{room}").status_code == 204
    hours = api.put("/install-hours", {"starts": "22:00", "ends": "04:00"})
    assert hours.json()["group"] is None
    assert api.put("/install-hours", {"starts": "22:00", "ends": "22:00"}).status_code == 400
    assert b"22:00 to 04:00" in manager.get(reverse("portal:ring-list")).content


# Rollouts -----------------------------------------------------------------------------------------------------------


def test_a_rollout_is_planned_looked_at_and_approved(manager, customer, fleet, now):
    with tenant(customer.id):
        release = make_release(at=now)
        chosen = [str(row.id) for row in rings.all_rings(at=now)]
    sent = {"release": str(release.id), "rings": chosen, "health_minutes": "10", "starts_on": ""}
    page = manager.post(reverse("portal:rollout-new"), sent)["Location"]
    plan = manager.get(page)
    assert b"5 devices from" in plan.content
    assert b"Nothing happens before somebody approves it" in plan.content
    assert [row["target"].stage.name for row in plan.context["rows"]] == ["Staging"] * 2 + ["General"] * 3
    manager.post(f"{page}/approve")
    assert b"Start today" in manager.get(page).content
    manager.post(f"{page}/start")
    assert manager.get(page).context["rollout"].state == "in_progress"
    board = manager.get(reverse("portal:update-board"))
    assert b"1 rollout is on track" in board.content


def test_a_rollout_may_have_a_deadline(manager, api, customer, fleet, now):
    with tenant(customer.id):
        release = make_release(at=now)
        chosen = [str(row.id) for row in rings.all_rings(at=now)]
    sent = {"release": str(release.id), "rings": chosen, "health_minutes": "10"}
    zone = ZoneInfo(customer.time_zone)
    deadline = (now + timedelta(days=9)).astimezone(zone).replace(second=0, microsecond=0)
    late = {**sent, "forced_at": f"{now.year - 1}-01-01T00:00"}
    refused = manager.post(reverse("portal:rollout-new"), late)
    assert refused.context["form"].errors["forced_at"]
    page = manager.post(reverse("portal:rollout-new"), {**sent, "forced_at": f"{deadline:%Y-%m-%dT%H:%M}"})[
        "Location"
    ]
    plan = manager.get(page)
    assert plan.context["rollout"].forced_at == deadline
    assert f'datetime="{deadline.astimezone(UTC).isoformat()}"' in plan.content.decode()
    body = {"release": str(release.id), "forced_at": (now + timedelta(days=9)).isoformat()}
    made = api.post("/rollouts", body).json()
    assert api.get(f"/rollouts/{made['id']}").json()["forced_at"] == made["forced_at"] is not None
    assert api.post("/rollouts", {**body, "forced_at": now.isoformat()}).status_code == 400
    assert api.post("/rollouts", {**body, "forced_at": "2030-01-01T00:00"}).status_code == 400


def test_a_rollout_that_only_downloads_says_so(manager, api, customer, fleet, now):
    with tenant(customer.id):
        release = make_release(at=now)
        chosen = [str(row.id) for row in rings.all_rings(at=now)]
        for place, device in enumerate(fleet["Staging"]):
            program = "rauc-hawkbit-c-agent/1.0" if place else "libcurl-agent/1.0"
            clients.client_of(device, str(device.id), program, at=now)
    sent = {"release": str(release.id), "rings": chosen, "health_minutes": "10", "download_only": "on"}
    page = manager.post(reverse("portal:rollout-new"), sent)["Location"]
    plan = manager.get(page).content.decode()
    assert "Download only" in plan
    assert "1 device from" in plan
    assert "Its update client cannot only download" in plan
    row_id = page.rstrip("/").rsplit("/", 1)[1]
    assert api.get(f"/rollouts/{row_id}").json()["download_only"] is True
    assert api.get(f"/rollouts/{row_id}").json()["left_out"] == {"installs_too": 4}
    manager.post(f"{page}/approve")
    manager.post(f"{page}/start")
    with tenant(customer.id):
        target = RolloutTarget.objects.for_tenant(customer).get(device=fleet["Staging"][1])
        if target.state == "scheduled":  # it may be day there
            rollout_actions.force(target.rollout_id, target.id, when="now", reason="Test", at=now)
            rollout_progress.advance(target.rollout_id, customer.id, at=now)
        [attempt] = open_attempts(target.rollout)
        attempts.report(attempt, says("downloaded", "success"), at=now)
    done = manager.get(f"{page}?show=succeeded")
    assert b"1 of 1 device downloaded" in done.content
    assert b"Roll back" not in done.content
    assert [row["label"] for row in done.context["rows"]] == ["Downloaded"]
    room = manager.get(reverse("portal:room-updates", args=[target.room_id]))
    assert b"Downloaded" in room.content
    available = manager.get(reverse("portal:update-board")).context["available"]
    assert [each for each, _ in available] == [release], "nothing installs it yet"
    body = {"release": str(release.id), "download_only": True}
    assert api.post("/rollouts", body).json()["download_only"] is True


def test_a_page_that_shows_the_latest_is_told_so(manager, customer, fleet, now):
    row = started(customer, now)
    page = reverse("portal:rollout-detail", args=[row.id])
    seen = manager.get(page).context["live"].version
    headers = {"HX-Request": "true", "X-Seen": seen}
    assert manager.get(page, headers=headers).status_code == 204
    with tenant(customer.id):
        attempt = open_attempts(row)[0]
        succeed(attempt, at=now)
    changed = manager.get(page, headers=headers)
    assert changed.status_code == 200
    assert b"being watched" in changed.content


def test_pause_says_what_finishes_and_roll_back_wants_the_version_typed(manager, customer, fleet, now):
    with tenant(customer.id):
        before = make_release("5.4.211", at=now)
    row = started(customer, now)
    with tenant(customer.id):
        done, going = open_attempts(row)
        succeed(done, at=now - 20 * MINUTE)
        rollout_progress.advance(row.id, customer.id, at=now - 19 * MINUTE)
        rollout_progress.advance(row.id, customer.id, at=now)
        succeed(going, at=now)
    page = reverse("portal:rollout-detail", args=[row.id])
    answer = manager.post(f"{page}/pause", {"reason": "Echo"}, headers={"HX-Request": "true"})
    assert "1 room finishes" in answer["HX-Trigger"]
    assert b"Echo" in manager.get(page).content
    sent = {"release": str(before.id), "ring": "", "reason": "Echo", "typed": "5.4"}
    refused = manager.post(f"{page}/roll-back", sent)
    assert "Type 5.4.211" in str(refused.context["form"].errors["typed"])
    back = manager.post(f"{page}/roll-back", {**sent, "typed": "5.4.211"})
    assert b"Back to Room app 5.4.211" in manager.get(back["Location"]).content


def test_a_rollout_by_api(api, customer, fleet, now):
    with tenant(customer.id):
        release = make_release(at=now)
    made = api.post("/rollouts", {"release": str(release.id)}, Idempotency_Key="one")
    again = api.post("/rollouts", {"release": str(release.id)}, Idempotency_Key="one")
    assert made.json() == again.json()
    path = f"/rollouts/{made.json()['id']}"
    assert [(ring["name"], ring["scheduled"]) for ring in made.json()["rings"]] == [
        ("Staging", 2),
        ("General", 3),
        ("Executive", 0),
    ]
    devices = api.get(f"{path}/devices?state=scheduled").json()["results"]
    assert {device["ring"] for device in devices} == {"Staging", "General"}
    assert api.post(f"{path}/start").status_code == 409
    assert api.post(f"{path}/approve", If_Match='"v9"').status_code == 412
    assert api.post(f"{path}/approve").json()["state"] == "scheduled"
    assert api.post(f"{path}/start").json()["state"] == "in_progress"
    forced = api.post(f"{path}/devices/{devices[-1]['id']}/force", {"when": "now", "reason": "Board"})
    assert forced.json()["forced"] == "now"
    stopped = api.post(f"{path}/pause", {"reason": "Echo"}).json()
    assert (stopped["rollout"]["state"], stopped["past_return"]) == ("paused", 0)
    assert api.post(f"{path}/resume").json()["state"] == "in_progress"
    assert api.post(f"{path}/retry").status_code == 409
    assert api.post(f"{path}/cancel", {"reason": "Wrong"}).json()["rollout"]["state"] == "cancelled"


def test_a_room_shows_what_is_due_when_and_why_not(manager, customer, fleet, now):
    started(customer, now)
    waiting = manager.get(reverse("portal:room-updates", args=[fleet["General"][0].room_id]))
    assert b"Its ring has not begun" in waiting.content
    assert b"5.4.211" in waiting.content
    going = manager.get(reverse("portal:room-updates", args=[fleet["Staging"][0].room_id]))
    assert b"Updating" in going.content


def test_a_role_over_some_rooms_forces_those_and_pauses_nothing(customer, fleet, now):
    row = started(customer, now)
    inside, beyond = fleet["General"][0], fleet["General"][1]
    with transaction.atomic():
        person = add_person(make_user(customer, at=now), to=customer, role="", at=now)
    with tenant(customer.id):
        role = Role.objects.for_tenant(customer).get(key="partner_admin")
        scope = [("room", inside.room_id)]
        assignments.add(
            role_id=role.id, name="One", members=[person.id], everywhere=False, scope=scope, by=None, at=now
        )
        ids = dict(RolloutTarget.objects.for_tenant(customer).values_list("device_id", "id"))
    client = Client()
    client.force_login(person.user)
    page = reverse("portal:rollout-detail", args=[row.id])
    assert client.get(page).context["totals"].total == 1
    sent = {"when": "now", "reason": "Board"}
    assert client.post(f"{page}/devices/{ids[beyond.id]}/force", sent).status_code == 404
    assert client.post(f"{page}/devices/{ids[inside.id]}/force", sent).status_code == 302
    assert client.post(f"{page}/pause", {"reason": "Echo"}).status_code == 422


# Versions, compliance, worker ----------------------------------------------------------------------------------------


def test_versions_over_time_and_who_complies_as_a_file(manager, customer, fleet, now):
    with tenant(customer.id):
        make_release("5.4.211", at=now)
        make_release("5.4.218", at=now)
        Device.objects.for_tenant(customer).filter(id=fleet["General"][0].id).update(versions={"app": "5.3"})
        spread.note_today(customer.id, at=now - timedelta(days=1))
        spread.note_today(customer.id, at=now)
        spread.note_today(customer.id, at=now)
    page = manager.get(reverse("portal:version-spread"))
    assert page.context["rows"] == [("5.4.211", 4, 80), ("5.3", 1, 20)]
    manager.post(reverse("portal:compliance-export"))
    with tenant(customer.id):
        job = Job.objects.for_tenant(customer).get(kind=compliance.KIND)
        progress = compliance.step(job, now)
        Job.objects.for_tenant(customer).update(state=Job.State.DONE, result=progress.result)
    download = manager.get(reverse("portal:compliance-download", args=[job.id]))
    lines = b"".join(download.streaming_content).decode().splitlines()
    download.close()
    assert lines[0].startswith('"room","place","ring"')
    standings = sorted(line.split('","')[9] for line in lines[1:])
    assert standings == ["behind"] + ["previous"] * 4


def test_the_worker_goes_on_with_what_is_due(customer, fleet, now, monkeypatch):
    row = started(customer, now)
    monkeypatch.setattr(tasks, "tenants_due", lambda *_, **__: [customer.id])
    with tenant(customer.id):
        Rollout.objects.for_tenant(customer).update(due_at=now - MINUTE)
        for attempt in open_attempts(row):
            succeed(attempt, at=now - 20 * MINUTE)
    assert tasks.advance() == 1
    with tenant(customer.id):
        Rollout.objects.for_tenant(customer).update(due_at=now - MINUTE, health_minutes=0)
    tasks.advance()
    with tenant(customer.id):
        states = RolloutTarget.objects.for_tenant(customer).filter(rollout=row, stage__name="Staging")
        assert set(states.values_list("state", flat=True)) == {"succeeded"}
    tasks.take_in()
    tasks.note_polls()
