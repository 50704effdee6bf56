"""Update clients over HTTP: the conformance list of Direct Device Integration, each line as a test."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from enrollment import credentials, keys
from fleet import room_groups
from fleet.models import Fault
from foundation import clock
from foundation.context import tenant
from foundation.ids import new_id
from portal.api import ddi
from tests.factories.updates import make_fleet, make_release
from tests.portal.ddi_device import Updater, number_of, offer, opened, set_state, state_of
from updates import (
    artifacts,
    attempts,
    catch_up,
    polls,
    proposals,
    releases,
    rollout_actions,
    rollout_progress,
)
from updates.errors import NotNow
from updates.models import Attempt, AttemptReport, Release, Rollout, RolloutTarget, UpdateClient
from updates.states import AttemptState, TargetState

MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def _store(settings: Any, tmp_path: Any, monkeypatch: Any) -> None:
    """Files of a test lie in its own folder; what is to happen after a commit happens at once."""
    monkeypatch.setattr(polls.transaction, "on_commit", lambda effect, robust=False: effect())
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
def updater(customer: Any, now: Any) -> Updater:
    """An enrolled device with its token; nothing is offered."""
    with tenant(customer.id):
        [device] = make_fleet(rings_of={"Staging": 1}, at=now)["Staging"]
        token = credentials.issue(device, public_key=None, at=now)
    return Updater(customer, device, f"TargetToken {token.text}")


@pytest.fixture
def offered(updater: Updater, now: Any, django_capture_on_commit_callbacks: Any) -> Updater:
    """The same, with a release offered out of turn."""
    with django_capture_on_commit_callbacks(execute=True):
        offer(updater, now=now)
    return updater


@pytest.fixture
def set_clock(monkeypatch: Any) -> Any:
    """Has requests take place at a moment of the test's choice."""

    def set_to(moment: Any) -> None:
        monkeypatch.setattr(clock, "_database_time", lambda: moment)
        monkeypatch.setattr(ddi._without_sql, "now", lambda: moment)

    return set_to


# 1: who is let in ------------------------------------------------------------------------------------------------


def test_a_device_is_let_in_by_its_own_token_under_any_name_of_its_customer(updater):
    for name in ("DEFAULT", "default", str(updater.owner.number), str(updater.owner.id)):
        updater.base = f"/{name}/controller/v1/{updater.device.id}"
        assert updater.get().status_code == 200
    updater.base = f"/{updater.owner.number + 1}/controller/v1/{updater.device.id}"
    assert updater.get().status_code == 401


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "TargetToken wrong",
        "targettoken {token}",
        "TargetToken  {token}",
        "Bearer {token}",
        "GatewayToken grek_x",
    ],
)
def test_others_are_not_and_get_an_empty_401(updater, authorization):
    token = updater.headers["Authorization"].partition(" ")[2]
    updater.headers = {"Authorization": authorization.format(token=token)} if authorization else {}
    answer = updater.get()
    assert (answer.status_code, answer.content) == (401, b"")
    assert "Location" not in answer.headers


def test_a_token_opens_its_own_device_alone(updater, customer, now):
    with tenant(customer.id):
        [other] = make_fleet(rings_of={"General": 1}, at=now)["General"]
    updater.get()
    updater.base = f"/DEFAULT/controller/v1/{other.id}"
    assert updater.get().status_code == 401


def test_a_device_may_call_itself_what_it_likes_the_first_time(updater):
    updater.base = "/DEFAULT/controller/v1/room-12"
    assert updater.get().status_code == 200
    updater.base = "/DEFAULT/controller/v1/room-13"
    assert updater.get().status_code == 401


def test_a_revoked_token_is_refused_at_once_although_its_answer_is_kept(
    updater, customer, now, django_capture_on_commit_callbacks
):
    assert updater.get().status_code == updater.get().status_code == 200
    with django_capture_on_commit_callbacks(execute=True), tenant(customer.id):
        credentials.revoke(updater.device, at=now)
    assert updater.get().status_code == 401


def test_a_gateway_token_registers_a_device_nobody_knows_which_then_waits(customer, now):
    with tenant(customer.id):
        _, key = keys.issue(
            label="Gateway",
            group=room_groups.default_group(),
            simple_clients=True,
            expires_at=now + timedelta(days=9),
            at=now,
        )
    client = Client(headers={"Authorization": f"GatewayToken {key}"})
    for _ in range(2):
        assert client.get("/DEFAULT/controller/v1/new-box").status_code == 200
    with tenant(customer.id):
        [known] = UpdateClient.objects.for_tenant(customer).select_related("device")
        assert (known.controller_id, known.device.status, known.device.model) == (
            "new-box",
            "onboarding",
            "new-box",
        )
    # At an address of its own: failures are counted by address.
    wrong = Client(headers={"Authorization": "GatewayToken grek_nonsense"}, REMOTE_ADDR="198.51.100.90")
    assert wrong.get("/DEFAULT/controller/v1/new-box").status_code == 401


# 2: attributes ------------------------------------------------------------------------------------------------------


def test_the_first_poll_asks_for_attributes_in_three_modes(updater, customer):
    assert updater.links()["configData"].endswith(f"/controller/v1/{updater.device.id}/configData")
    for mode, data, kept in (
        (None, {"os": "1.0", "serial": "A1"}, {"os": "1.0", "serial": "A1"}),
        ("merge", {"serial": None, "hw": "b"}, {"os": "1.0", "hw": "b"}),
        ("remove", {"hw": "x"}, {"os": "1.0"}),
        ("replace", {"only": "this"}, {"only": "this"}),
    ):
        body = {"data": data, "id": "", "time": "20261122T090000"} | ({"mode": mode} if mode else {})
        assert updater.send("put", "/configData", body).status_code == 200
        with tenant(customer.id):
            assert UpdateClient.objects.for_tenant(customer).get().attributes == kept
    assert "configData" not in updater.links()


@pytest.mark.parametrize(
    "body",
    [
        {"data": {"a": 1}},
        {"data": {"a" * 129: "b"}},
        {"data": {"a": "b\n"}},
        {"data": []},
        {},
        {"data": {}, "mode": "x"},
    ],
)
def test_attributes_nobody_can_keep_are_refused(updater, body):
    assert updater.send("put", "/configData", body).status_code == 400


def test_attributes_are_asked_for_again_after_an_update(
    offered, customer, now, django_capture_on_commit_callbacks
):
    offered.send("put", "/configData", {"data": {}})
    number = number_of(offered)
    with django_capture_on_commit_callbacks(execute=True), tenant(customer.id):
        attempt = attempts.of_number(customer.id, offered.device.id, number)
        attempts._end(attempts._held(attempt), AttemptState.SUCCEEDED, "", at=now)
    links = offered.links()
    assert set(links) == {"configData", "installedBase"}
    assert offered.get(links["installedBase"]).json()["id"] == str(number)


# 3, 4, 5: what there is to do -----------------------------------------------------------------------------------------


def test_a_poll_says_when_to_come_back_and_what_to_do(offered):
    answer = offered.get()
    sleep = answer.json()["config"]["polling"]["sleep"]
    assert len(sleep) == 8
    assert "00:04:00" <= sleep <= "00:06:00"
    link = offered.links()["deploymentBase"]
    number = number_of(offered)
    assert link.startswith(f"http://testserver/DEFAULT/controller/v1/{offered.device.id}/")
    assert f"/deploymentBase/{number}?c=" in link
    assert len(link.partition("/deploymentBase")[2]) <= 49


def test_a_deployment_names_the_file_with_both_kinds_of_links(offered):
    document = offered.get(offered.links()["deploymentBase"]).json()
    [chunk] = document["deployment"]["chunks"]
    [file] = chunk["artifacts"]
    assert document["id"] == str(number_of(offered))
    assert (chunk["part"], chunk["name"], chunk["version"]) == ("bApp", "Room app", "5.4.218")
    assert (document["deployment"]["download"], document["deployment"]["update"]) == ("forced", "forced")
    assert isinstance(file["size"], int)
    assert set(file["_links"]) == {"download", "md5sum", "download-http", "md5sum-http"}
    content = offered.get(file["_links"]["download"]["href"]).body
    assert hashlib.md5(content).hexdigest() == file["hashes"]["md5"]
    assert hashlib.sha1(content).hexdigest() == file["hashes"]["sha1"]
    assert hashlib.sha256(content).hexdigest() == file["hashes"]["sha256"]


def test_only_what_is_forced_or_critical_is_forced(offered, customer):
    with tenant(customer.id):
        Attempt.objects.for_tenant(customer).update(forced=False)
    link = offered.links()["deploymentBase"]
    assert offered.get(link).json()["deployment"]["update"] == "attempt"
    with tenant(customer.id):
        Release.objects.for_tenant(customer).update(critical=True)
        polls._forget([str(offered.device.id)])
    other = offered.links()["deploymentBase"]
    assert offered.get(other).json()["deployment"]["update"] == "forced"
    assert other.split("?")[0] == link.split("?")[0]
    assert other.split("c=")[1] != link.split("c=")[1]


def test_a_deadline_forces_from_its_moment_on_and_what_is_kept_does_not_outlive_it(
    updater, customer, now, set_clock
):
    deadline = now + 10 * MINUTE
    number = offer(updater, plan={"forced_at": deadline}, now=now)
    with tenant(customer.id):  # in its turn: what is forced out of turn is forced from the start
        Attempt.objects.for_tenant(customer).update(forced=False, due_at=now + timedelta(hours=3))
    path = f"/deploymentBase/{number}"
    before_poll, before = updater.get(), updater.get(path)
    assert (before.json()["deployment"]["download"], before.json()["deployment"]["update"]) == (
        "attempt",
        "attempt",
    )
    for moment in (now + MINUTE, deadline - timedelta(seconds=1)):
        set_clock(moment)
        assert updater.get(If_None_Match=before_poll["ETag"]).status_code == 304
        assert updater.get(path, If_None_Match=before["ETag"]).status_code == 304
    set_clock(deadline)
    poll, after = updater.get(If_None_Match=before_poll["ETag"]), updater.get(path)
    link = poll.json()["_links"]["deploymentBase"]["href"]
    assert (after.json()["deployment"]["download"], after.json()["deployment"]["update"]) == (
        "forced",
        "forced",
    )
    assert after["ETag"] != before["ETag"]
    assert link.split("?")[0] == before_poll.json()["_links"]["deploymentBase"]["href"].split("?")[0]
    assert link != before_poll.json()["_links"]["deploymentBase"]["href"]
    set_clock(deadline + 5 * MINUTE)
    assert updater.get(If_None_Match=poll["ETag"]).status_code == 304, "and never again"
    assert updater.get(path, If_None_Match=after["ETag"]).status_code == 304


def test_an_unchanged_poll_of_a_rollout_with_a_deadline_costs_no_sql_either(updater, customer, now):
    offer(updater, plan={"forced_at": now + timedelta(days=1)}, now=now)
    updater.get()
    with CaptureQueriesContext(connection) as queries:
        assert "deploymentBase" in updater.get().json()["_links"]
    assert len(queries) == 0, [query["sql"] for query in queries]


def test_a_deadline_changes_nothing_about_what_is_forced_already(updater, now, set_clock):
    deadline = now + 10 * MINUTE
    offer(updater, critical=True, plan={"forced_at": deadline}, now=now)
    tag = updater.get()["ETag"]
    set_clock(deadline + MINUTE)
    assert updater.get(If_None_Match=tag).status_code == 304


# Download only -----------------------------------------------------------------------------------------------------

LEAVES_IT_AT_THAT = "rauc-hawkbit-c-agent/1.0"


@pytest.fixture
def preloading(updater: Updater, now: Any) -> tuple[Updater, int]:
    """A device that is to download and no more."""
    updater.headers["User-Agent"] = LEAVES_IT_AT_THAT
    updater.send("put", "/configData", {"data": {}})
    return updater, offer(updater, plan={"download_only": True}, now=now)


def test_what_is_only_downloaded_is_not_to_be_installed(preloading):
    updater, _ = preloading
    deployment = updater.get(updater.links()["deploymentBase"]).json()["deployment"]
    assert (deployment["download"], deployment["update"]) == ("forced", "skip")
    assert "maintenanceWindow" not in deployment


def test_downloaded_ends_what_is_only_downloaded_without_a_proof(preloading, customer):
    updater, number = preloading
    updater.says(number, "proceeding", "none", "Download complete. 3.20 MB/s")
    updater.says(number, "proceeding", "none")
    assert state_of(updater, number) == "downloading", "there is no point of no return"
    for _ in range(2):  # its answer may have got lost
        assert updater.says(number, "downloaded", "success", "File checksum OK.").status_code == 200
    assert state_of(updater, number) == "succeeded"
    with tenant(customer.id):
        target = RolloutTarget.objects.for_tenant(customer).get()
        assert (target.state, target.stage.succeeded) == ("succeeded", 1)
    assert updater.links() == {}, "it is not installed, and attributes are the same"
    assert updater.get(f"/installedBase/{number}").status_code == 404
    assert updater.get(f"/deploymentBase/{number}").json()["deployment"]["update"] == "skip"
    assert updater.says(number, "proceeding").status_code == 410
    history = updater.get(f"/deploymentBase/{number}?actionHistory=1").json()["actionHistory"]
    assert history == {"status": "DOWNLOADED", "messages": ["File checksum OK."]}


def test_a_download_that_failed_is_a_ticket_and_no_download(preloading, customer):
    updater, number = preloading
    updater.says(number, "downloaded", "failure")
    assert state_of(updater, number) == "downloading", "it contradicts itself"
    updater.says(number, "closed", "failure", "Invalid checksum")
    assert state_of(updater, number) == "failed"
    with tenant(customer.id):
        [fault] = Fault.objects.for_tenant(customer).filter(kind="update_failed")
        assert fault.summary.startswith("Room app 5.4.218 could not be downloaded")
        rollout = Rollout.objects.for_tenant(customer).get()
        rollout_actions.retry_failed(rollout.id, at=clock.now())
        target = RolloutTarget.objects.for_tenant(customer).get()
        rollout_actions.force(rollout.id, target.id, when="now", reason="Test", at=clock.now())
        rollout_progress.advance(rollout.id, customer.id, at=clock.now())
    again = number_of(updater)
    assert again > number
    updater.says(again, "downloaded", "success")
    with tenant(customer.id):
        assert Fault.objects.for_tenant(customer).get(kind="update_failed").ended_at is not None


@pytest.mark.parametrize(("finished", "state"), [("success", "succeeded"), ("failure", "failed")])
def test_what_was_downloaded_may_tell_once_how_installing_went(preloading, customer, finished, state):
    updater, number = preloading
    updater.says(number, "downloaded", "success")
    for _ in range(2):
        assert updater.says(number, "closed", finished, "By hand").status_code == 200
    assert state_of(updater, number) == state
    other = "failure" if finished == "success" else "success"
    assert updater.says(number, "closed", other).status_code == 410
    with tenant(customer.id):
        target = RolloutTarget.objects.for_tenant(customer).get()
        assert (target.state, target.stage.succeeded) == (state, int(state == "succeeded"))
        assert Fault.objects.for_tenant(customer).filter(kind="update_failed").count() == (state == "failed")
    assert ("installedBase" in updater.links()) == (state == "succeeded")
    assert ("configData" in updater.links()) == (state == "succeeded")


def test_who_cannot_leave_it_at_a_download_is_left_out_with_the_reason(updater, customer, now):
    """SWUpdate would take the skip for installed; who never called may be anything."""
    for program, attributes in (
        (None, {}),
        ("libcurl-agent/1.0", {}),
        ("libcurl-agent/1.0", {"handles_skip": "no"}),
    ):
        if program:
            updater.headers["User-Agent"] = program
            updater.send("put", "/configData", {"data": attributes})
        with tenant(customer.id):
            release = make_release(f"6.{len(attributes)}.{bool(program):d}", at=now)
            row = proposals.propose(release.id, download_only=True, at=now)
            target = RolloutTarget.objects.for_tenant(customer).get(rollout=row)
            assert (target.state, target.reason) == ("not_required", "installs_too")
            assert proposals.left_out(row) == {"installs_too": 1}
    updater.send("put", "/configData", {"data": {"handles_skip": "true"}})
    with tenant(customer.id):
        row = proposals.propose(release.id, download_only=True, at=now)
        assert RolloutTarget.objects.for_tenant(customer).get(rollout=row).state == "scheduled"


def test_another_program_is_asked_anew_and_files_may_be_fetched_by_any(preloading, customer):
    updater, number = preloading
    with tenant(customer.id):
        rows = UpdateClient.objects.for_tenant(customer)
        rows.update(attributes={"os": "1", "handles_skip": "true"}, wants_attributes=False)
        updater.headers["User-Agent"] = "rauc/1.13"
        updater.get(f"/softwaremodules/{number}/artifacts/app-5.4.218.swu", Range="bytes=0-3")
        known = rows.get()
        assert (known.program, known.wants_attributes) == (LEAVES_IT_AT_THAT, False)
        updater.headers["User-Agent"] = "other/1.0"
        updater.get(f"/deploymentBase/{number}")
        known = rows.get()
        assert (known.program, known.wants_attributes) == ("other/1.0", True)
        assert known.attributes == {"os": "1"}


def test_who_changed_to_a_client_that_would_install_is_skipped_and_never_asked(updater, customer, now):
    updater.headers["User-Agent"] = LEAVES_IT_AT_THAT
    updater.get()
    with tenant(customer.id):
        row = proposals.propose(make_release(at=now).id, download_only=True, at=now)
        UpdateClient.objects.for_tenant(customer).update(program="libcurl-agent/1.0")
        rollout_actions.approve(row.id, at=now)
        rollout_actions.start(row.id, at=now)
        target = RolloutTarget.objects.for_tenant(customer).get()
        if target.state == TargetState.SCHEDULED:  # it may be day there
            rollout_actions.force(row.id, target.id, when="now", reason="Test", at=now)
            rollout_progress.advance(row.id, customer.id, at=now)
            target = RolloutTarget.objects.for_tenant(customer).get()
        assert (target.state, target.reason) == ("skipped", "installs_too")
        assert not Attempt.objects.for_tenant(customer)
        with pytest.raises(NotNow):
            rollout_actions.force(row.id, target.id, when="now", reason="Test", at=now)


def test_a_device_that_will_not_stop_downloading_holds_its_room_no_longer_for_that(preloading, customer, now):
    updater, number = preloading
    set_state(updater, number, AttemptState.CANCELLING)
    updater.says(number, "rejected", "success", on="cancelAction")
    assert state_of(updater, number) == "cancelling", "and ends in its time"


def test_a_later_rollout_installs_it_and_what_was_only_downloaded_rolls_nothing_back(
    preloading, customer, now
):
    updater, number = preloading
    updater.says(number, "downloaded", "success")
    with tenant(customer.id):
        make_release("5.4.200", at=now)
        before = Release.objects.for_tenant(customer).get(version="5.4.200")
        preload = Rollout.objects.for_tenant(customer).get()
        with pytest.raises(NotNow):
            rollout_actions.roll_back(preload.id, to_release_id=before.id, reason="Echo", at=now)
        row = proposals.propose(preload.release_id, at=now)
        rollout_actions.approve(row.id, at=now)
        rollout_actions.start(row.id, at=now)
        target = RolloutTarget.objects.for_tenant(customer).get(rollout=row)
        if target.state == TargetState.SCHEDULED:
            rollout_actions.force(row.id, target.id, when="now", reason="Test", at=now)
            rollout_progress.advance(row.id, customer.id, at=now)
    assert number_of(updater) > number
    deployment = updater.get(updater.links()["deploymentBase"]).json()["deployment"]
    assert deployment["update"] in ("attempt", "forced")


def test_a_download_ends_no_rollout_of_an_older_release_and_takes_nobody_in_later(customer, now):
    with tenant(customer.id):
        make_fleet(rings_of={"Staging": 1}, at=now)
        older = proposals.propose(make_release("5.4.215", at=now).id, at=now)
        rollout_actions.approve(older.id, at=now)
        newer = proposals.propose(make_release("5.4.230", at=now).id, download_only=True, at=now)
        rollout_actions.approve(newer.id, at=now)
        rollout_actions.start(newer.id, at=now)
        assert rollout_actions.rollout(older.id).state == "scheduled"
        make_fleet(rings_of={"Staging": 1}, at=now)
        assert catch_up.catch_up(customer.id, at=now) == 0


def test_the_tags_change_when_the_documents_do(offered):
    for path in ("", f"/deploymentBase/{number_of(offered)}"):
        first = offered.get(path)
        again = offered.get(path, If_None_Match=first["ETag"])
        assert (again.status_code, again.content) == (304, b"")
        assert offered.get(path, If_None_Match="").status_code == 200
    tag = offered.get()["ETag"]
    offered.says(number_of(offered), "closed", "failure")
    assert offered.get(If_None_Match=tag).status_code == 200


def test_documents_are_json_or_hal_and_never_cbor(offered):
    assert offered.get()["Content-Type"] == "application/json"
    assert offered.get(Accept="application/hal+json")["Content-Type"] == "application/hal+json"
    assert offered.get(Accept="application/json;charset=UTF-8").status_code == 200
    assert offered.get(Accept="application/cbor").status_code == 406
    assert offered.get()["Content-Length"]


def test_an_unchanged_poll_costs_no_sql_and_two_round_trips(offered, monkeypatch):
    offered.get()
    trips: list[str] = []
    client = polls._client()
    send = type(client).execute_command
    monkeypatch.setattr(
        type(client), "execute_command", lambda self, *a, **k: trips.append(a[0]) or send(self, *a, **k)
    )
    pipeline = type(client.pipeline())
    run = pipeline.execute
    monkeypatch.setattr(
        pipeline, "execute", lambda self, *a, **k: trips.append("pipeline") or run(self, *a, **k)
    )
    with CaptureQueriesContext(
        connection,
    ) as queries:
        answer = offered.get()
    assert answer.status_code == 200
    assert "deploymentBase" in answer.json()["_links"]
    assert len(queries) == 0, [query["sql"] for query in queries]
    assert len([trip for trip in trips if trip in ("GET", "pipeline")]) == 2


def test_what_is_kept_is_forgotten_when_something_is_offered(
    updater, now, django_capture_on_commit_callbacks
):
    assert "deploymentBase" not in updater.links()
    with django_capture_on_commit_callbacks(execute=True):
        offer(updater, now=now)
    assert "deploymentBase" in updater.links()


# 6, 7: how it went ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("execution", "finished", "state"),
    [
        ("closed", "success", "verifying"),
        ("closed", "none", "verifying"),
        ("closed", "failure", "failed"),
        ("proceeding", "none", "downloading"),
        ("proceeding", "failure", "downloading"),
        ("scheduled", "none", "offered"),
        ("resumed", "none", "offered"),
        ("download", "none", "downloading"),
        ("downloaded", "success", "installing"),
        ("rejected", "none", "offered"),
        ("canceled", "none", "offered"),
    ],
)
def test_what_each_report_means(offered, execution, finished, state):
    number = number_of(offered)
    answer = offered.says(number, execution, finished, "Line")
    assert (answer.status_code, answer.content) == (200, b"")
    assert state_of(offered, number) == state


def test_reports_are_read_leniently_and_refused_where_they_say_nothing(offered):
    number = number_of(offered)
    lenient = {
        "status": {
            "execution": "proceeding",
            "result": {"finished": "none", "progress": {}},
            "details": "one",
        }
    }
    assert offered.send("post", f"/deploymentBase/{number}/feedback", lenient).status_code == 200
    for wrong in ({}, {"status": {"execution": "x", "result": {"finished": "none"}}}, {"status": {}}, []):
        assert offered.send("post", f"/deploymentBase/{number}/feedback", wrong).status_code == 400
    broken = offered.client.post(
        f"{offered.base}/deploymentBase/{number}/feedback",
        data="{",
        content_type="application/json;charset=UTF-8",
        headers=offered.headers,
    )
    assert broken.status_code == 400
    assert offered.says(number + 1, "closed", "success").status_code == 404


def test_a_report_after_the_end_is_gone_unless_it_repeats_the_last(offered):
    number = number_of(offered)
    for _ in range(2):
        assert offered.says(number, "closed", "failure").status_code == 200
    assert offered.says(number, "proceeding").status_code == 410
    assert offered.says(number, "closed", "success").status_code == 410
    assert offered.get(f"/deploymentBase/{number}").status_code == 200, "a finished action still answers"


def test_what_the_device_said_is_told_again_when_asked_for(offered):
    number = number_of(offered)
    offered.says(number, "proceeding", "none", "one", "two")
    plain = offered.get(f"/deploymentBase/{number}").json()
    assert "actionHistory" not in plain
    told = offered.get(f"/deploymentBase/{number}?actionHistory=-1").json()["actionHistory"]
    assert told == {"status": "RUNNING", "messages": ["two", "one"]}
    assert offered.get(f"/deploymentBase/{number}?actionHistory=x").status_code == 400


# 8: stopping ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def cancelling(offered: Updater) -> tuple[Updater, int]:
    number = number_of(offered)
    set_state(offered, number, AttemptState.CANCELLING)
    return offered, number


def test_being_asked_to_stop_comes_before_everything_else(cancelling):
    updater, number = cancelling
    links = updater.links()
    assert links["cancelAction"].endswith(f"/cancelAction/{number}")
    assert "deploymentBase" not in links
    assert updater.get(links["cancelAction"]).json() == {
        "id": str(number),
        "cancelAction": {"stopId": str(number)},
    }
    assert updater.get(f"/deploymentBase/{number}").status_code == 404


@pytest.mark.parametrize(
    ("execution", "finished", "state"),
    [
        ("closed", "success", "cancelled"),
        ("closed", "none", "cancelled"),
        ("canceled", "none", "cancelled"),
        ("closed", "failure", "installing"),
        ("rejected", "success", "installing"),
        ("proceeding", "none", "cancelling"),
    ],
)
def test_what_answers_to_being_asked_to_stop_mean(cancelling, execution, finished, state):
    updater, number = cancelling
    assert updater.says(number, execution, finished, on="cancelAction").status_code == 200
    assert state_of(updater, number) == state
    assert ("cancelAction" in updater.links()) == (state == "cancelling")
    assert ("deploymentBase" in updater.links()) == (state == "installing")


def test_nobody_is_stopped_who_was_not_asked(offered):
    number = number_of(offered)
    assert offered.says(number, "closed", "success", on="cancelAction").status_code == 405
    assert offered.get(f"/cancelAction/{number}").status_code == 404


def test_a_newer_release_has_the_older_one_stopped_first(offered, now, django_capture_on_commit_callbacks):
    first = number_of(offered)
    offered.get(f"/deploymentBase/{first}")
    with django_capture_on_commit_callbacks(execute=True), tenant(offered.owner.id):
        newer = make_release("5.5", critical=True, at=now)
        row = proposals.propose(newer.id, at=now)
        rollout_actions.approve(row.id, at=now)
        rollout_actions.start(row.id, at=now)
    assert offered.links()["cancelAction"].endswith(f"/{first}")


# 9: hours ------------------------------------------------------------------------------------------------------------


def test_nothing_is_shown_once_the_hours_are_over(offered, customer, now):
    assert "deploymentBase" in offered.links()
    with tenant(customer.id):
        Attempt.objects.for_tenant(customer).update(due_at=now - MINUTE)
        polls._forget([str(offered.device.id)])
    assert "deploymentBase" not in offered.links()


# 10: files -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def file(offered: Updater) -> tuple[Updater, str, bytes]:
    """The updater, the path of the file, its content."""
    with tenant(offered.owner.id):
        attempt = attempts.current(offered.owner.id, offered.device.id)
        kept = releases.artifact_of(attempt.release)
        with artifacts.open_content(offered.owner.id, kept.sha256) as source:
            content = source.read()
    return offered, f"/softwaremodules/{attempt.number}/artifacts/{kept.name}", content


@pytest.mark.parametrize(
    ("wanted", "status", "part"),
    [
        ("", 200, slice(None)),
        ("bytes=0-3", 206, slice(0, 4)),
        ("bytes=100-", 206, slice(100, None)),
        ("bytes=-7", 206, slice(-7, None)),
    ],
)
def test_a_file_or_a_part_of_it(file, wanted, status, part):
    updater, path, content = file
    answer = updater.get(path, **({"Range": wanted} if wanted else {}))
    assert (answer.status_code, answer.body) == (status, content[part])
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Accept-Ranges"] == "bytes"
    assert answer["ETag"] == f'"{hashlib.sha1(content).hexdigest()}"'
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Last-Modified"]
    assert int(answer["Content-Length"]) == len(content[part])


def test_conditions_on_a_file(file):
    updater, path, content = file
    tag = f'"{hashlib.sha1(content).hexdigest()}"'
    past = updater.get(path, Range=f"bytes={len(content)}-")
    assert (past.status_code, past["Content-Range"]) == (416, f"bytes */{len(content)}")
    assert updater.get(path, Range="bytes=0-3", If_Range='"other"').status_code == 200
    assert updater.get(path, Range="bytes=0-3", If_Range=tag).status_code == 206
    assert updater.get(path, If_Match='"other"').status_code == 412
    assert updater.get(path, If_Match=tag).status_code == 200
    assert updater.get(path, Accept="text/plain").status_code == 200
    head = updater.client.head(updater.base + path, headers=updater.headers)
    assert (head.status_code, head["Content-Length"], head.content) == (200, str(len(content)), b"")
    checksum = updater.get(f"{path}.MD5SUM")
    assert checksum.content.decode() == f"{hashlib.md5(content).hexdigest()}  app-5.4.218.swu"


def test_whole_files_leave_a_trace_and_parts_none(file, customer):
    updater, path, _ = file
    for _ in range(3):
        updater.get(path, Range="bytes=0-3")
    with tenant(customer.id):
        assert not AttemptReport.objects.for_tenant(customer).filter(execution="download")
    updater.get(path)
    with tenant(customer.id):
        assert AttemptReport.objects.for_tenant(customer).filter(execution="download").count() == 1


def test_a_signed_link_needs_no_token_and_holds_for_its_file(file):
    updater, path, content = file
    document = updater.get(f"/deploymentBase/{number_of(updater)}").json()
    [artifact] = document["deployment"]["chunks"][0]["artifacts"]
    link = artifact["_links"]["download-http"]["href"].replace("http://testserver", "")
    assert opened(Client().get(link)).body == content
    assert Client().get(link.replace("signature=", "signature=0")).status_code == 403
    assert Client().get(link.split("?")[0]).status_code == 401
    assert Client().get(link.partition("&customer")[0]).status_code == 403
    other = f"&customer={updater.owner.number + 1}"
    assert Client().get(link.partition("&customer")[0] + other).status_code == 403
    assert len(link) <= 199, "more some clients cannot keep"
    assert updater.get(path.replace("app-", "other-")).status_code == 404
    again = updater.get(f"/deploymentBase/{number_of(updater)}").json()
    assert again == document, "the signature does not change the document"
    by_number = Updater(updater.owner, updater.device, updater.headers["Authorization"])
    by_number.base = by_number.base.replace("DEFAULT", str(updater.owner.number))
    document = by_number.get(f"/deploymentBase/{number_of(updater)}").json()
    [artifact] = document["deployment"]["chunks"][0]["artifacts"]
    link = artifact["_links"]["download"]["href"].replace("http://testserver", "")
    assert link.startswith(f"/{updater.owner.number}/")
    assert opened(Client().get(link)).body == content


def test_files_are_fetched_while_they_are_offered_and_no_longer(file, now):
    updater, path, _ = file
    number = number_of(updater)
    assert updater.get(f"/softwaremodules/{number}/artifacts").json()[0]["filename"] == "app-5.4.218.swu"
    assert updater.get(f"/softwaremodules/{number + 1}/artifacts").status_code == 404
    set_state(updater, number, AttemptState.CANCELLING)
    assert updater.get(path).status_code == 404
    set_state(updater, number, AttemptState.DOWNLOADING)
    assert updater.get(path).status_code == 200
    with tenant(updater.owner.id):
        attempt = attempts.of_number(updater.owner.id, updater.device.id, number)
        rollout_actions.deprecate_release(attempt.release_id, reason="Bricks", withdraw=True, at=now)
    assert updater.get(path).status_code == 404


# E8 ------------------------------------------------------------------------------------------------------------------


def test_a_device_says_what_it_runs_however_it_came_by_it(updater, now):
    with tenant(updater.owner.id):
        make_release("2.0", at=now)
    told = {"name": "Room app", "version": "2.0"}
    assert updater.send("put", "/installedBase", told).status_code == 201
    assert updater.send("put", "/installedBase", told).status_code == 200
    assert updater.send("put", "/installedBase", {**told, "version": "3"}).status_code == 404
    assert updater.send("put", "/installedBase", {"name": "Room app"}).status_code == 400


# 11: consent ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def asked(offered: Updater) -> tuple[Updater, int]:
    number = number_of(offered)
    with tenant(offered.owner.id):
        attempt = attempts.of_number(offered.owner.id, offered.device.id, number)
        type(attempt.rollout).objects.for_tenant(offered.owner).update(needs_consent=True)
    set_state(offered, number, AttemptState.CONFIRMING)
    return offered, number


def test_consent_is_asked_for_before_anything_is_shown(asked):
    updater, number = asked
    links = updater.links()
    assert f"/confirmationBase/{number}?c=" in links["confirmationBase"]
    assert "deploymentBase" not in links
    assert updater.get(links["confirmationBase"]).json()["confirmation"]["chunks"]
    assert updater.get(f"/deploymentBase/{number}").status_code == 404
    assert updater.says(number, "closed", "success").status_code == 404
    feedback = f"/confirmationBase/{number}/feedback"
    assert updater.send("post", feedback, {"confirmation": "denied", "details": ["busy"]}).status_code == 200
    assert "confirmationBase" in updater.links()
    assert updater.send("post", feedback, {"confirmation": "maybe"}).status_code == 400
    assert updater.send("post", feedback, {"confirmation": "confirmed", "code": 1}).status_code == 200
    assert "deploymentBase" in updater.links()
    assert updater.send("post", feedback, {"confirmation": "denied"}).status_code == 200
    assert "confirmationBase" in updater.links(), "taken back before it began"
    assert updater.send("post", feedback, {"confirmation": "confirmed"}).status_code == 200
    updater.get(f"/deploymentBase/{number}")
    assert updater.send("post", feedback, {"confirmation": "denied"}).status_code == 404
    updater.says(number, "closed", "failure")
    assert updater.send("post", feedback, {"confirmation": "denied"}).status_code == 410


def test_standing_consent_covers_what_waits_and_what_comes(asked, customer):
    updater, number = asked
    before = updater.get("/confirmationBase").json()
    assert before["autoConfirm"] == {"active": False}
    assert set(before["_links"]) == {"activateAutoConfirm", "confirmationBase"}
    given = {"initiator": "Ingrid", "remark": "Always"}
    assert updater.send("post", "/confirmationBase/activateAutoConfirm", given).status_code == 200
    assert updater.send("post", "/confirmationBase/activateAutoConfirm", given).status_code == 409
    assert state_of(updater, number) == "offered"
    after = updater.get("/confirmationBase").json()
    assert after["autoConfirm"]["active"] is True
    assert after["autoConfirm"]["initiator"] == "Ingrid"
    assert set(after["_links"]) == {"deactivateAutoConfirm"}
    assert updater.send("post", "/confirmationBase/deactivateAutoConfirm", {}).status_code == 200


def test_devices_whose_client_is_known_are_asked_where_the_rollout_says_so(updater, customer, now):
    updater.get()
    with tenant(customer.id):
        release = make_release(at=now)
        row = proposals.propose(release.id, needs_consent=True, at=now)
        rollout_actions.approve(row.id, at=now)
        rollout_actions.start(row.id, at=now)
        target = RolloutTarget.objects.for_tenant(customer).get(device=updater.device)
        if target.state == TargetState.SCHEDULED:
            rollout_actions.force(row.id, target.id, when="now", reason="Test", at=now)
            rollout_progress.advance(row.id, customer.id, at=now)
    assert state_of(updater, number_of(updater)) == "confirming"


# 12: quotas ----------------------------------------------------------------------------------------------------------


def test_a_device_that_talks_too_much_is_told_so_and_may_still_end(offered, customer, monkeypatch):
    monkeypatch.setattr(attempts, "MOST_REPORTS", 3)
    number = number_of(offered)
    for _ in range(3):
        assert offered.says(number, "proceeding").status_code == 200
    assert offered.says(number, "proceeding").status_code == 429
    assert offered.says(number, "closed", "failure").status_code == 200
    many = {f"key{i}": "x" for i in range(101)}
    assert offered.send("put", "/configData", {"data": many}).status_code == 429


# Addresses -----------------------------------------------------------------------------------------------------------


def test_nothing_here_redirects_or_shows_a_page(updater):
    for path, status in (
        ("/", 404),
        ("/nothing", 404),
        ("/deploymentBase/0", 404),
        ("/deploymentBase/2147483648", 404),
        (f"/deploymentBase/{new_id()}", 404),
    ):
        answer = updater.get(path)
        assert answer.status_code == status, path
        assert "html" not in answer["Content-Type"]
    assert updater.send("post", "", {}).status_code == 405
    assert updater.get("/deploymentBase/2147483647").status_code == 404


def test_garbage_is_refused_and_never_an_error_of_ours(offered):
    number = number_of(offered)

    def raw(method: str, path: str, body: bytes) -> int:
        address = offered.base + path
        send = getattr(offered.client, method)
        return send(address, data=body, content_type="application/json", headers=offered.headers).status_code

    feedback = f'{{"id": {number}, "status": {{"execution": "proceeding", "result": %s}}}}'
    for method, path, body in (
        ("put", "/configData", rb'{"data": {"a": "\ud800"}}'),
        ("put", "/configData", rb'{"data": {"a": "\u0000"}}'),
        ("put", "/installedBase", rb'{"name": "a\u0000", "version": "1"}'),
        ("put", "/installedBase", rb'{"name": "\ud800", "version": "1"}'),
        ("post", "/confirmationBase/activateAutoConfirm", rb'{"initiator": "\ud800"}'),
        ("put", "/configData", b"[" * 30_000),
        ("put", "/configData", b"\xff"),
        (
            "post",
            f"/deploymentBase/{number}/feedback",
            (feedback % '{"finished": "none", "progress": {"cnt": 1e999, "of": 1e999}}').encode(),
        ),
        ("post", f"/deploymentBase/{number}/feedback", (feedback % "null").encode()),
    ):
        assert 400 <= raw(method, path, body) < 500, (method, path, body)
    for name in ("%00", "a" * 400, "%1b", "%ff" * 300):
        answer = offered.client.get(f"/DEFAULT/controller/v1/{name}", headers=offered.headers)
        assert 400 <= answer.status_code < 500, name
    for customer in ("9" * 400, "%00", "%ff"):
        answer = offered.client.get(f"/{customer}/controller/v1/x", headers=offered.headers)
        assert 400 <= answer.status_code < 500, customer
