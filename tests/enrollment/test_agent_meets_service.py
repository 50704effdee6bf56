"""The agent of this repository against the real service: both ends read the contract the same way."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent.client import Service, api_address
from agent.errors import Refused, Revoked, Unauthorized
from agent.identity import load_identity
from agent.state import load_state
from enrollment import credentials, nonces, registration
from fleet.models import Device, Peripheral
from foundation import clock
from foundation.context import tenant
from tests.factories.enrollment import make_key
from tests.factories.fleet import make_room
from tests.factories.tenancy import make_customer

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def owner(committed_db):
    return make_customer(at=clock.now())


@pytest.fixture
def key(owner):
    return make_key(owner, at=clock.now())[1]


@pytest.fixture
def home(tmp_path):
    return tmp_path / "agent"


def agent(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "agent", *arguments, "--home", str(home)],
        cwd=ROOT,
        env={**os.environ, "no_proxy": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_agent_enrolls_reports_its_inventory_renews_and_recovers(web, owner, key, home):
    for _ in range(2):  # the same home is the same device
        done = agent(home, "enroll", "--url", web, "--key", key, "--room", "Aurora")
        assert done.returncode == 0, done.stderr
    with tenant(owner.id):
        device = Device.objects.for_tenant(owner).get()
    assert (device.status, device.wanted_room, device.agent_name) == (
        "onboarding",
        "Aurora",
        "greenroom-agent",
    )

    state, identity = load_state(home), load_identity(home / "device-key.pem")
    assert state.device_id == str(device.id)
    service = Service(api_address(web))
    service.put_inventory(
        state.token, {"peripherals": [{"kind": "camera", "model": "Räll", "connected": True}]}
    )
    with tenant(owner.id):
        assert Peripheral.objects.for_tenant(owner).get().model == "Räll"
        registration.accept(device, room=make_room("Aurora", at=clock.now()), at=clock.now())

    holder = credentials.find(state.token, at=clock.now())
    nonce = nonces.make("rotate", holder.public_id, at=clock.now())
    renewed = service.rotate(state.token, nonce, identity.sign("greenroom-rotate-v1", nonce, state.device_id))
    service.put_inventory(renewed.token, {"peripherals": []})

    challenge = service.challenge()
    signature = identity.sign("greenroom-recover-v1", challenge, state.device_id)
    recovered = service.recover(state.device_id, challenge, signature)
    service.put_inventory(recovered.token, {"peripherals": []})

    with tenant(owner.id):
        registration.unenroll(device, at=clock.now())
    with pytest.raises(Revoked):
        service.put_inventory(recovered.token, {})
    challenge = service.challenge()
    with pytest.raises(Revoked):
        service.recover(
            state.device_id, challenge, identity.sign("greenroom-recover-v1", challenge, state.device_id)
        )


def test_the_agent_says_why_it_is_not_let_in(web, owner, key, home):
    done = agent(home, "enroll", "--url", web, "--key", key[:-1] + ("A" if key[-1] != "A" else "B"))
    assert done.returncode == 1
    assert "does not accept this enrollment key" in done.stderr
    _, narrow = make_key(owner, at=clock.now(), kinds=["panel"])
    done = agent(home, "enroll", "--url", web, "--key", narrow)
    assert done.returncode == 1
    assert "panel" in done.stderr
    service = Service(api_address(web))
    with pytest.raises(Unauthorized):
        service.put_inventory("x", {})
    _, text = make_key(owner, at=clock.now(), approval="auto", simple_clients=True)
    nonce = service.challenge()
    answer = service.enroll(
        text, {"nonce": nonce, "platform": "linux", "kind": "panel", "hardware": {"make": "A", "model": "B"}}
    )
    with pytest.raises(Refused, match="true or false"):
        service.put_inventory(answer["token"], {"peripherals": [{"kind": "x", "connected": 1}]})
