"""A device that speaks Direct Device Integration, played over HTTP, and the portal's side of it."""

from __future__ import annotations

import json
from typing import Any

from django.test import Client

from fleet.models import Device
from foundation.context import tenant
from tests.factories.updates import make_release
from updates import attempts, polls, proposals, rollout_actions, rollout_progress
from updates.models import Attempt, Release, RolloutTarget
from updates.states import AttemptState, TargetState


def opened(answer: Any) -> Any:
    """Files are read and closed, or nobody does."""
    if answer.streaming:
        answer.body = b"".join(answer.streaming_content)
        for close in answer._resource_closers:
            close()
    else:
        answer.body = answer.content
    return answer


class Updater:
    """A device that speaks the protocol."""

    def __init__(self, owner: Any, device: Device, authorization: str) -> None:
        self.owner, self.device = owner, device
        self.base = f"/DEFAULT/controller/v1/{device.id}"
        self.headers = {"Authorization": authorization}
        self.client = Client()

    def get(self, path: str = "", **headers: str) -> Any:
        address = path if path.startswith("http") else self.base + path
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return opened(
            self.client.get(address.replace("http://testserver", ""), headers={**self.headers, **named})
        )

    def send(self, method: str, path: str, body: Any) -> Any:
        return getattr(self.client, method)(
            self.base + path, data=json.dumps(body), content_type="application/json", headers=self.headers
        )

    def says(
        self, number: int, execution: str, finished: str = "none", *details: str, on: str = "deploymentBase"
    ) -> Any:
        status: dict[str, Any] = {"execution": execution, "result": {"finished": finished}}
        if details:
            status["details"] = list(details)
        return self.send(
            "post", f"/{on}/{number}/feedback", {"id": number, "time": "20261122T090000", "status": status}
        )

    def links(self) -> dict[str, str]:
        answer = self.get()
        assert answer.status_code == 200, answer.content
        return {name: link["href"] for name, link in answer.json().get("_links", {}).items()}


def offer(
    updater: Updater, *, version: str = "5.4.218", now: Any, plan: dict[str, Any] | None = None, **given: Any
) -> int:
    """`plan`: how it is rolled out; `given`: what of the release is special."""
    with tenant(updater.owner.id):
        make_release(version, at=now, **given)
        release = Release.objects.for_tenant(updater.owner).get(version=version)
        row = proposals.propose(release.id, **(plan or {}), at=now)
        rollout_actions.approve(row.id, at=now)
        rollout_actions.start(row.id, at=now)
        target = RolloutTarget.objects.for_tenant(updater.owner).get(rollout=row, device=updater.device)
        if target.state == TargetState.SCHEDULED:  # it may be night there
            rollout_actions.force(row.id, target.id, when="now", reason="Test", at=now)
            rollout_progress.advance(row.id, updater.owner.id, at=now)
        return number_of(updater)


def number_of(updater: Updater) -> int:
    with tenant(updater.owner.id):
        return attempts.current(updater.owner.id, updater.device.id).number


def state_of(updater: Updater, number: int) -> str:
    with tenant(updater.owner.id):
        return str(attempts.of_number(updater.owner.id, updater.device.id, number).state)


def set_state(updater: Updater, number: int, state: AttemptState) -> None:
    with tenant(updater.owner.id):
        Attempt.objects.for_tenant(updater.owner).filter(number=number).update(state=state)
        polls._forget([str(updater.device.id)])
