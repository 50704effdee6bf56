from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from foundation.errors import NotValid
from updates import ddi
from updates.ddi import Report

BASE = "https://rooms.example/acme/controller/v1/room-12"
FILE = ddi.OfferedFile("os 2.1.swu", 10_485_760, "a" * 64, "b" * 40, "c" * 32)
OFFER = ddi.Offer(4711, "os", "2.1.0", "console-os", FILE)


def body(execution: str, finished: str, **status: Any) -> dict[str, Any]:
    return {"id": 4711, "status": {"execution": execution, "result": {"finished": finished}, **status}}


def test_a_poll_without_anything_to_do_has_no_links():
    document = ddi.poll(BASE, sleep_s=300, offer=None, wants_attributes=False)
    assert document == {"config": {"polling": {"sleep": "00:05:00"}}}


def test_a_cancellation_hides_the_deployment_and_attributes_are_asked_beside_either():
    links = ddi.poll(BASE, sleep_s=300, offer=OFFER, wants_attributes=True)["_links"]
    assert set(links) == {"deploymentBase", "configData"}
    assert re.fullmatch(rf"{BASE}/deploymentBase/4711\?c=-?\d+", links["deploymentBase"]["href"])

    stopping = replace(OFFER, cancelling=True)
    links = ddi.poll(BASE, sleep_s=300, offer=stopping, wants_attributes=False)["_links"]
    assert links == {"cancelAction": {"href": f"{BASE}/cancelAction/4711"}}
    assert ddi.cancellation(stopping) == {"id": "4711", "cancelAction": {"stopId": "4711"}}


def test_addresses_fit_the_smallest_clients():
    links = ddi.poll(BASE, sleep_s=300, offer=replace(OFFER, number=2**31 - 1), wants_attributes=False)
    assert len(links["_links"]["deploymentBase"]["href"].removeprefix(f"{BASE}/")) <= 49


@pytest.mark.parametrize(("forced", "way"), [(False, "attempt"), (True, "forced")])
def test_a_deployment_names_its_file_with_every_digest_and_both_pairs_of_links(forced, way):
    document = ddi.deployment(BASE, replace(OFFER, forced=forced))
    assert document["id"] == "4711"
    assert (document["deployment"]["download"], document["deployment"]["update"]) == (way, way)
    (chunk,) = document["deployment"]["chunks"]
    assert (chunk["part"], chunk["version"], chunk["name"]) == ("os", "2.1.0", "console-os")
    (artifact,) = chunk["artifacts"]
    assert (artifact["filename"], artifact["size"]) == ("os 2.1.swu", 10_485_760)
    assert artifact["hashes"] == {"sha1": "b" * 40, "md5": "c" * 32, "sha256": "a" * 64}
    address = f"{BASE}/softwaremodules/4711/artifacts/os%202.1.swu"
    assert {name: link["href"] for name, link in artifact["_links"].items()} == {
        "download": address,
        "download-http": address,
        "md5sum": f"{address}.MD5SUM",
        "md5sum-http": f"{address}.MD5SUM",
    }
    assert ddi.md5sum_line(FILE) == f"{'c' * 32}  os 2.1.swu"


def test_what_is_only_downloaded_is_fetched_and_not_installed():
    document = ddi.deployment(BASE, replace(OFFER, download_only=True))
    assert (document["deployment"]["download"], document["deployment"]["update"]) == ("forced", "skip")
    for finished in ("success", "none"):
        said = ddi.feedback(body("downloaded", finished))
        assert said.of_deployment(download_only=True) is Report.SUCCEEDED
        assert said.of_deployment() is Report.UNDER_WAY
    assert ddi.feedback(body("downloaded", "failure")).of_deployment(download_only=True) is Report.UNDER_WAY
    assert ddi.feedback(body("closed", "failure")).of_deployment(download_only=True) is Report.FAILED


def test_the_revision_changes_exactly_when_the_document_does():
    assert ddi.revision(OFFER) == ddi.revision(replace(OFFER))
    assert ddi.revision(OFFER) != ddi.revision(replace(OFFER, forced=True))
    assert all(-(2**31) <= ddi.revision(replace(OFFER, number=number)) < 2**31 for number in range(1, 200))


@pytest.mark.parametrize(
    ("sleep_s", "text"), [(0, "00:00:30"), (3_661, "01:01:01"), (86_400, "23:59:59"), (10**9, "23:59:59")]
)
def test_the_pause_between_polls_is_one_that_clients_can_read(sleep_s, text):
    assert ddi.sleep_text(sleep_s) == text


def test_only_closed_ends_a_deployment():
    for execution in ddi.EXECUTIONS:
        for finished in ddi.FINISHED:
            meant = ddi.feedback(body(execution, finished)).of_deployment()
            if execution != "closed":
                assert meant is Report.UNDER_WAY
            else:
                assert meant is (Report.FAILED if finished == "failure" else Report.SUCCEEDED)


@pytest.mark.parametrize(
    ("execution", "finished", "meant"),
    [
        ("closed", "success", Report.STOPPED),
        ("closed", "none", Report.STOPPED),
        ("closed", "failure", Report.GOES_ON),
        ("rejected", "success", Report.GOES_ON),
        ("canceled", "none", Report.STOPPED),
        ("proceeding", "none", Report.UNDER_WAY),
    ],
)
def test_what_an_answer_to_a_cancellation_means(execution, finished, meant):
    assert ddi.feedback(body(execution, finished)).of_cancellation() is meant


def test_what_real_clients_add_is_passed_over():
    told = ddi.feedback(
        body("proceeding", "none", details="one line\x00", code=3) | {"time": "20260101T000000"}
    )
    assert told.details == ("one line",)
    assert len(ddi.feedback(body("closed", "failure", details=["x" * 5_000] * 90)).details) == 50
    assert ddi.feedback(body("closed", "failure", details=["\ud800"])).details == ("?",)


@pytest.mark.parametrize(
    "sent",
    [
        None,
        [],
        "x",
        {},
        {"status": 1},
        {"status": {"execution": "closed"}},
        {"status": {"execution": "closed", "result": "success"}},
        body("exploded", "none"),
        body("closed", "maybe"),
        body("closed", ["success"]),  # type: ignore[arg-type]
        body({}, "none"),  # type: ignore[arg-type]
        body("closed", "none", details=[1]),
        body("closed", "none", details={"a": 1}),
    ],
)
def test_a_report_in_another_form_is_refused(sent):
    with pytest.raises(NotValid):
        ddi.feedback(sent)
