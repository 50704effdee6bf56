"""What five update clients send, played against the portal; every answer is read by the rules of the client that gets it.

`ddi_traffic/` holds the traffic, written from how the clients' programs behave: order, headers, odd bodies. Names that
begin with `$` stand for what the client took from earlier answers.
"""

from __future__ import annotations

import hashlib
import json
import re
import string
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from enrollment import credentials
from foundation import clock
from foundation.context import tenant
from tests.factories.updates import make_fleet
from tests.portal.ddi_device import Updater, number_of, offer, opened, set_state, state_of
from updates import attempts, polls, releases
from updates.models import AttemptReport
from updates.states import AttemptState

TRAFFIC = Path(__file__).parent / "ddi_traffic"
HOST = "http://testserver"
ACTIONS = {"deploymentBase", "cancelAction", "confirmationBase"}
LARGEST_INT = 2**31 - 1


class Rules:
    """What every client needs. `seen`: what it took from answers so far; each may be used in later requests."""

    json_types: tuple[str, ...] = ("application/json",)
    fine: tuple[int, ...] = (200,)
    digest = "sha1"

    def __init__(self, content: dict[str, bytes]) -> None:
        self.seen: dict[str, str] = {}
        self.content = content  # by action

    def json_of(self, answer: Any) -> Any:
        assert answer.status_code in self.fine, answer.content
        assert answer["Content-Type"].partition(";")[0] in self.json_types
        return json.loads(answer.content)

    def poll(self, answer: Any) -> set[str]:
        document = self.json_of(answer)
        time.strptime(document["config"]["polling"]["sleep"], "%H:%M:%S")
        links = {name: link["href"] for name, link in document.get("_links", {}).items()}
        assert all(href.startswith(f"{HOST}/") for href in links.values())
        self.seen["poll_etag"] = answer["ETag"]
        if "deploymentBase" in links:
            self.deployment_link(links["deploymentBase"])
        if "cancelAction" in links:
            self.cancel_link(links["cancelAction"])
        return set(links)

    def deployment_link(self, href: str) -> None:
        parts = urlsplit(href)
        self.seen["deploymentBase"] = href
        self.seen["action"] = parts.path.rpartition("/")[2]
        self.seen["c"] = parse_qs(parts.query)["c"][0]

    def cancel_link(self, href: str) -> None:
        self.seen["cancelAction"] = href

    def deployment(self, answer: Any, *, update: tuple[str, ...] = ("attempt", "forced")) -> None:
        document = self.json_of(answer)
        assert isinstance(document["id"], str)
        assert 0 < int(document["id"]) <= LARGEST_INT
        self.seen |= {"deployment_etag": answer["ETag"], "action": document["id"]}
        assert document["deployment"]["update"] in update
        self.chunks(document["deployment"]["chunks"])

    def chunks(self, chunks: Any) -> None:
        [chunk] = chunks
        [file] = chunk["artifacts"]
        self.file_told(chunk, file)
        self.seen |= {
            "download": file["_links"]["download"]["href"],
            "size": str(file["size"]),
            "digest": file["hashes"][self.digest],
        }

    def file_told(self, chunk: Any, file: Any) -> None:
        """What of it the client needs."""

    def download_only(self, answer: Any) -> None:
        self.deployment(answer, update=("skip",))

    def file(self, answer: Any) -> None:
        assert answer.status_code in self.fine
        assert hashlib.new(self.digest, answer.body).hexdigest() == self.seen["digest"]
        assert int(answer["Content-Length"]) == len(answer.body) == int(self.seen["size"])

    def rest(self, answer: Any) -> None:
        """A part; where it begins and ends stands in the request."""
        assert answer.status_code == 206
        first, last = self.seen["range"].removeprefix("bytes=").split("-")
        content = self.content[self.seen["action"]]
        end = int(last) + 1 if last else len(content)
        assert answer.body == content[int(first) : end]
        told = f"bytes {first}-{min(end, len(content)) - 1}/{len(content)}"
        assert answer["Content-Range"] == told

    def past_the_end(self, answer: Any) -> None:
        assert answer.status_code == 416

    def done(self, answer: Any) -> None:
        assert (answer.status_code, answer.content) == (200, b"")

    def cancellation(self, answer: Any) -> None:
        document = self.json_of(answer)
        assert document["id"] == document["cancelAction"]["stopId"]
        self.seen["stop"] = document["cancelAction"]["stopId"]

    def unchanged(self, answer: Any) -> None:
        assert (answer.status_code, answer.content) == (304, b"")


class SWUpdate(Rules):
    """Asserts types, takes images by their ending, and would report `skip` as installed."""

    def file_told(self, chunk: Any, file: Any) -> None:
        for text in (chunk["part"], chunk["version"], chunk["name"], file["filename"]):
            assert isinstance(text, str)
            assert text
        assert type(file["size"]) is int
        assert file["filename"].endswith(".swu")
        assert re.fullmatch("[0-9a-f]{40}", file["hashes"]["sha1"])
        assert file["_links"]["download-http"]["href"], "builds without TLS take this one alone"


class RaucHawkbitUpdater(Rules):
    """Exactly 200; one chunk with one file."""

    def file_told(self, chunk: Any, file: Any) -> None:
        assert chunk["version"]
        assert chunk["name"]
        assert type(file["size"]) is int


class RaucStreaming(RaucHawkbitUpdater):
    """Everything but 206 is an error; the first four bytes tell the size of the whole."""

    def first_bytes(self, answer: Any) -> None:
        self.rest(answer)
        total = re.fullmatch(r"bytes 0-3/(\d+)", answer["Content-Range"])
        assert total is not None
        assert total[1] == self.seen["size"]
        assert answer["ETag"]
        assert answer["Last-Modified"]


class PythonRaucHawkbit(Rules):
    """Takes addresses apart by expressions of its own."""

    digest = "md5"

    def deployment_link(self, href: str) -> None:
        found = re.search(r"/deploymentBase/(.+)\?c=(.+)$", href)
        assert found is not None
        self.seen |= {"action": found[1], "c": found[2]}

    def cancel_link(self, href: str) -> None:
        found = re.search(r"/cancelAction/(.+)$", href)
        assert found is not None
        assert found[1] == self.seen["action"]

    def file_told(self, chunk: Any, file: Any) -> None:
        href = file["_links"]["download-http"]["href"]
        found = re.search(r"/softwaremodules/(.+)/artifacts/(.+)$", href)
        assert found is not None
        self.seen |= {"module": found[1], "file": found[2]}


class Zephyr(Rules):
    """Small buffers: lengths are announced, ends of addresses short."""

    digest = "sha256"

    def json_of(self, answer: Any) -> Any:
        assert int(answer["Content-Length"]) == len(answer.content)
        assert "Transfer-Encoding" not in answer.headers
        return super().json_of(answer)

    def poll(self, answer: Any) -> set[str]:
        links = super().poll(answer)
        assert len(json.loads(answer.content)["config"]["polling"]["sleep"]) == 8
        return links

    def deployment_link(self, href: str) -> None:
        tail = href[href.index("deploymentBase/") :]
        assert len(tail) <= 49
        self.seen["deployment_tail"] = tail

    def cancel_link(self, href: str) -> None:
        tail = href[href.index("cancelAction/") :]
        assert len(tail) <= 49
        assert 0 < int(tail.removeprefix("cancelAction/")) <= LARGEST_INT
        self.seen["cancel_tail"] = tail

    def file_told(self, chunk: Any, file: Any) -> None:
        assert chunk["part"] == "bApp"
        href = file["_links"]["download-http"]["href"]
        tail = href[href.index("/DEFAULT/controller/v1") :]
        assert len(tail) <= 199
        self.seen["http_tail"] = tail

    def done(self, answer: Any) -> None:
        super().done(answer)
        assert answer["Content-Length"] == "0"


class Hara(Rules):
    """HAL, tags, and any success."""

    json_types = ("application/hal+json",)
    fine = (200, 201, 204)
    digest = "md5"

    def deployment_link(self, href: str) -> None:
        found = re.match(r".*deploymentBase/([a-zA-Z0-9_]+)", href)
        assert found is not None
        self.seen["action"] = found[1]

    def json_of(self, answer: Any) -> Any:
        assert answer["ETag"]
        return super().json_of(answer)


CLIENTS: dict[str, type[Rules]] = {
    "swupdate": SWUpdate,
    "rauc_hawkbit_updater": RaucHawkbitUpdater,
    "rauc_streaming": RaucStreaming,
    "python_rauc_hawkbit": PythonRaucHawkbit,
    "zephyr": Zephyr,
    "hara": Hara,
}


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
def updater(customer: Any, db: None) -> Updater:
    at = clock.now()
    with tenant(customer.id):
        [device] = make_fleet(rings_of={"Staging": 1}, at=at)["Staging"]
        token = credentials.issue(device, public_key=None, at=at)
    return Updater(customer, device, f"TargetToken {token.text}")


class Replay:
    def __init__(self, updater: Updater, rules: Rules, traffic: Any) -> None:
        self.updater, self.rules, self.traffic = updater, rules, traffic
        rules.seen["base"] = f"/DEFAULT/controller/v1/{traffic['controller']}"
        self.versions = (f"5.4.{patch}" for patch in range(218, 300))

    def run(self) -> Iterator[str]:
        """Turn by turn; yields the answers' kinds."""
        for turn in self.traffic["turns"]:
            if "portal" in turn:
                self.portal(turn["portal"])
                continue
            answer = self.send(turn)
            yield turn["answer"]
            links = getattr(self.rules, turn["answer"].replace(" ", "_"))(answer)
            if "links" in turn:
                wanted = set(turn["links"])
                assert links & ACTIONS == wanted & ACTIONS, turn
                assert wanted <= links, turn
            if "state" in turn:
                action = int(self.rules.seen["action"])
                assert state_of(self.updater, action) == turn["state"], turn

    def portal(self, what: str) -> None:
        """What happens on the other side meanwhile."""
        if what == "cancel":
            set_state(self.updater, number_of(self.updater), AttemptState.CANCELLING)
            return
        at = clock.now()
        with tenant(self.updater.owner.id):
            open_one = attempts.current(self.updater.owner.id, self.updater.device.id)
            if open_one is not None:  # its proof comes by heartbeats, which are no part of this
                attempts._end(attempts._held(open_one), AttemptState.SUCCEEDED, "", at=at)
        plan = {"download_only": True} if what == "offer to download only" else {}
        number = offer(self.updater, version=next(self.versions), plan=plan, now=at)
        with tenant(self.updater.owner.id):
            attempt = attempts.current(self.updater.owner.id, self.updater.device.id)
            file = releases.artifact_of(attempt.release)
            with releases.artifacts.open_content(self.updater.owner.id, file.sha256) as source:
                self.rules.content[str(number)] = source.read()

    def send(self, turn: Any) -> Any:
        headers = {**self.traffic["headers"], **turn.get("headers", {})}
        headers = {name: self.filled(value) for name, value in headers.items()}
        self.rules.seen["range"] = headers.get("Range", "")
        kind = headers.pop("Content-Type", "application/json")
        body = {"data": self.filled(turn["body"]), "content_type": kind} if "body" in turn else {}
        return opened(
            self.updater.client.generic(
                turn["send"],
                self.filled(turn["to"]).removeprefix(HOST),
                headers={**self.updater.headers, **headers},
                **body,
            )
        )

    def filled(self, text: str) -> str:
        return string.Template(text).substitute(self.rules.seen)


@pytest.mark.parametrize("name", CLIENTS)
def test_what_a_client_sends_is_answered_as_it_needs(updater: Updater, name: str) -> None:
    traffic = json.loads((TRAFFIC / f"{name}.json").read_text())
    replay = Replay(updater, CLIENTS[name]({}), traffic)
    answered = list(replay.run())
    assert len(answered) == sum("send" in turn for turn in traffic["turns"])
    if name == "rauc_streaming":
        with tenant(updater.owner.id):
            noted = AttemptReport.objects.for_tenant(updater.owner).filter(execution="download")
            assert not noted, "thousands of ranges leave no trace"


def test_all_traffic_is_replayed() -> None:
    assert {path.stem for path in TRAFFIC.glob("*.json")} == set(CLIENTS)
