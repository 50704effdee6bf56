"""From an enrollment key to a device of the service."""

import hashlib
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

from agent import __version__
from agent.canonical import canonical_json
from agent.client import Service, api_address, heartbeat_address, seconds
from agent.errors import AgentError, Refused, Unauthorized
from agent.home import make_home
from agent.identity import Identity, load_or_make_identity
from agent.readers.facts import Devices, Hardware
from agent.signals import counts
from agent.spool import Spool
from agent.state import State, clean_counts

# Lengths are fixed: the secret may itself contain the separator.
_KEY = re.compile(r"grek_([A-Za-z2-7]{12})_[A-Za-z0-9_-]{43}_[A-Za-z0-9_-]{6}")


def key_id(key: str) -> str:
    """The public part of an enrollment key. Raises AgentError if it cannot be one (cut off when copied)."""
    found = _KEY.fullmatch(key)
    if found is None:
        raise AgentError("this is not an enrollment key; it looks like grek_… and has 68 characters")
    return found[1]


def enrollment(
    identity: Identity,
    nonce: str,
    key: str,
    *,
    platform: str,
    hardware: Hardware,
    room: dict[str, str],
) -> dict[str, Any]:
    """The signed body of an enrollment."""
    body: dict[str, Any] = {
        "nonce": nonce,
        "public_key": identity.public_key,
        "agent": {"name": "greenroom-agent", "version": __version__},
        "platform": platform,
        "kind": "room_system",
        "hardware": asdict(hardware),
        "room": room,
    }
    digest = hashlib.sha256(canonical_json(body)).hexdigest()
    return {**body, "signature": identity.sign("greenroom-enroll-v1", nonce, key_id(key), digest)}


def enroll(
    home: Path,
    *,
    url: str,
    key: str,
    room: dict[str, str],
    platform: str,
    hardware: Hardware,
    devices: Devices,
    app_process: str,
) -> tuple[State, str]:
    """Register this machine and keep what the service answers; returns that and the device's status.

    Safe to repeat: the same home is the same device, and what waits in its spool is kept.
    """
    key_id(key)
    service = Service(api_address(url))
    make_home(home)
    try:
        identity = load_or_make_identity(home / "device-key.pem")
        body = enrollment(identity, service.challenge(), key, platform=platform, hardware=hardware, room=room)
        answer = service.enroll(key, body)
        state = _state(answer, service.url, devices, app_process)
        state.save(home)
    except Unauthorized:
        raise AgentError(
            "the service does not accept this enrollment key: wrong, used up, expired or revoked"
        ) from None
    except Refused as refusal:
        raise AgentError(f"the service refused this device: {refusal}") from None
    except OSError as error:
        raise AgentError(f"cannot write to {home}: {error}") from None
    spool = Spool(home / "spool.db")
    spool.belong_to(state.device_id)
    spool.close()
    return state, str(answer.get("status", ""))


def _state(answer: dict[str, Any], api: str, devices: Devices, app_process: str) -> State:
    token, device_id = answer.get("token"), answer.get("device_id")
    if not (
        isinstance(token, str) and token.isprintable() and token and isinstance(device_id, str) and device_id
    ):
        raise AgentError("the service answered the enrollment without a device or token")
    return State(
        url=api,
        heartbeat_url=heartbeat_address(api, answer.get("heartbeat_url")),
        device_id=device_id,
        token=token,
        expires_at=str(answer.get("expires_at", "")),
        interval_s=seconds(answer.get("heartbeat_interval_s")) or 60.0,
        app_process=app_process,
        expected_by_room=clean_counts(answer.get("expected")),
        found_at_enrollment={signal: found for signal, found in counts(devices).items() if found},
    )
