"""Accepting heartbeats: CPU of the ingest process per request, against granian's own empty answer and our Django view.

Many devices, each with a connection that stays open and a token of its own. Every device posts once in a lap, as it
does once a minute; laps follow one another without the wait. What the process keeps of a token it keeps as long as
the token lives, so a minute's wait would change no hit into a miss: all but the first post of a device are hits, as
in a fleet. The load comes from another process; CPU is user and system time of the server and its children.

    python -m bench.heartbeats_accept [--rounds 3] [--json]
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench.rows import Row

ROOT = Path(__file__).resolve().parent.parent
DEVICES = 2_000
AT_ONCE = 64  # requests under way
ROUNDS = 3
BATCH = 100
SEED = 11
PATH = "/device/v1/heartbeats"


def measure() -> list[Row]:
    """In a process with services of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.heartbeats_accept", "--json"],
        check=True,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    return [Row(**row) for row in json.loads(done.stdout)]


@dataclass
class Contestant:
    """A server and what is posted to it. `per_request`: heartbeats in one."""

    name: str
    command: list[str]
    requests: list[bytes]
    laps: int
    per_request: int = 1
    cpu_us: list[float] = field(default_factory=list)

    @property
    def best(self) -> float:
        """CPU per heartbeat, µs, of the best round."""
        return min(self.cpu_us) / self.per_request


def contestants(tokens: list[str]) -> dict[str, Contestant]:
    from portal.supervisor import programs

    def ours(target: str = "") -> list[str]:
        command = programs.ingest(bind="127.0.0.1", port=0)
        return [*command[:-1], target] if target else command

    singles, hundreds = bodies()
    one = [request(token, body) for token, body in zip(tokens, singles, strict=False)]
    packed = [
        request(token, gzip.compress(body, compresslevel=6, mtime=0), packed=True)
        for token, body in zip(tokens[: len(hundreds)], hundreds, strict=True)
    ]
    plain = [request(token, body) for token, body in zip(tokens[: len(hundreds)], hundreds, strict=True)]
    return {
        "empty": Contestant("granian, 202 at once", ours("bench.empty_answers:at_once"), one, 5),
        "received": Contestant(
            "granian, 202 after the body", ours("bench.empty_answers:after_the_body"), one, 5
        ),
        "accept": Contestant("ingest process", ours(), one, 5),
        "batch": Contestant(f"ingest process, {BATCH} at once, gzip", ours(), packed, 6, BATCH),
        "plain": Contestant(f"ingest process, {BATCH} at once", ours(), plain, 6, BATCH),
        "view": Contestant(
            "Django view", programs.web(bind="127.0.0.1", port=0), one[:100], 10
        ),  # web holds 128 connections,
    }


def bodies() -> tuple[list[bytes], list[bytes]]:
    """One heartbeat of each device, and of some devices what they spooled during an outage, as the agent writes them."""
    from portal.simulation.room import SimulatedRoom

    began = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
    rooms = [SimulatedRoom(SEED, number) for number in range(DEVICES)]
    singles = [_written([_item(room, began, 1)]) for room in rooms]
    hundreds = [_written([_item(room, began, 1 + place) for place in range(BATCH)]) for room in rooms[:100]]
    return singles, hundreds


def _item(room: Any, began: datetime, seq: int) -> dict[str, Any]:
    room.advance()
    at = began + timedelta(minutes=seq)
    stamps = {"seq": seq, "t_wall": at.strftime("%Y-%m-%dT%H:%M:%SZ"), "t_mono": 1000.0 + 60 * seq}
    return {**stamps, **room.reading(local_hour=11), "inventory_digest": "sha256:" + "5e" * 32}


def _written(items: list[dict[str, Any]]) -> bytes:
    envelope = {"epoch": f"{random.Random(SEED).getrandbits(64):016x}", "from": 1, "sent_mono": 9000.5}
    return json.dumps({**envelope, "items": items}, ensure_ascii=False, separators=(",", ":")).encode()


def request(token: str, body: bytes, *, packed: bool = False) -> bytes:
    """The bytes requests sends for the agent, but for its own name."""
    lines = [
        f"POST {PATH} HTTP/1.1",
        "Host: 127.0.0.1",
        "User-Agent: greenroom-agent",
        "Accept-Encoding: gzip, deflate",
        "Accept: application/json",
        "Connection: keep-alive",
        "Content-Type: application/json",
        *(["Content-Encoding: gzip"] if packed else []),
        f"Authorization: Device {token}",
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


# Servers -------------------------------------------------------------------------------------------------------


@contextmanager
def served(command: list[str], folder: Path) -> Iterator[tuple[int, int]]:
    """The port and the process id of a server that is ready."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    command = [*command]
    command[command.index("--port") + 1] = str(port)
    with (folder / "servers.log").open("ab") as log:
        server = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + 60
        while not _ready(port):
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((folder / "servers.log").read_text()[-2000:])
            time.sleep(0.1)
        yield port, server.pid
    finally:
        server.terminate()
        server.wait()


def _ready(port: int) -> bool:
    """It answers, and not with 503."""
    post = urllib.request.Request(f"http://127.0.0.1:{port}{PATH}", data=b"{}", method="POST")
    try:
        with urllib.request.urlopen(post, timeout=5) as answer:
            return bool(answer.status == 202)
    except urllib.error.HTTPError as error:
        return error.code == 401
    except OSError:
        return False


def loaded(contestant: Contestant, port: int, pid: int, folder: Path) -> None:
    order = folder / "order.json"
    what = {
        "port": port,
        "pid": pid,
        "at_once": min(AT_ONCE, 8) if contestant.name == "Django view" else AT_ONCE,
        "warm_laps": 1,
        "laps": contestant.laps,
        "requests": [each.decode("latin-1") for each in contestant.requests],
    }
    order.write_text(json.dumps(what))
    run = subprocess.run(
        [sys.executable, "-m", "bench.heartbeat_load", str(order)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
    )
    done = json.loads(run.stdout)
    if set(done["statuses"]) != {"202"}:
        raise RuntimeError(f"{contestant.name} answered {done['statuses']}")
    contestant.cpu_us.append(done["cpu_s"] / done["requests"] * 1e6)


# The table -----------------------------------------------------------------------------------------------------


def rows(found: dict[str, Contestant]) -> list[Row]:
    accept, view = found["accept"].best, found["view"].best
    batch, plain = found["batch"].best, found["plain"].best
    over_empty, over_received = accept / found["empty"].best, accept / found["received"].best
    fewer = view / accept
    return [
        Row(
            "accept, against the server's own empty answer",
            _us(accept), _us(found["empty"].best), round(over_empty, 2), "≤ 1.5 ×", over_empty <= 1.5,
        ),
        Row(
            "accept, against the server's empty answer after it received the body",
            _us(accept), _us(found["received"].best), round(over_received, 2), "",
        ),
        Row("accept, against our Django view", _us(accept), _us(view), round(fewer, 1), "≥ 40 × less", fewer >= 40),
        Row(f"batch of {BATCH}, gzip, CPU a heartbeat", _us(batch), "", None, "≤ 15 µs", batch <= 15),
        Row(f"batch of {BATCH}, not compressed, CPU a heartbeat", _us(plain), "", None, "≤ 15 µs", plain <= 15),
    ]  # fmt: skip


def _us(value: float) -> str:
    return f"{value:.1f} µs"


def run(rounds: int) -> list[Row]:
    folder = _prepare()
    found = contestants(tokens())
    for number in range(rounds):
        for contestant in found.values():
            with served(contestant.command, folder) as (port, pid):
                loaded(contestant, port, pid, folder)
            _empty_streams()
            print(
                f"round {number + 1}: {contestant.name} {contestant.cpu_us[-1]:.1f} µs a request",
                file=sys.stderr,
            )
    return rows(found)


def _empty_streams() -> None:
    from fleet import stream

    client = stream.connect()
    client.delete(*(stream.stream_key(shard) for shard in stream.shards()))
    client.close()


def tokens() -> list[str]:
    """Devices of ten customers and their tokens, each used once before."""
    from django.db import transaction

    from enrollment.models import DeviceCredential
    from fleet.models import Device
    from foundation import clock
    from foundation import tokens as forms
    from foundation.context import tenant
    from tests.factories.tenancy import make_customer

    at = clock.now()
    found = []
    for number in range(10):
        with transaction.atomic():
            customer = make_customer(at=at)
            with tenant(customer.id):
                devices = [
                    Device(
                        tenant_id=customer.id, status="enrolled", status_since=at, created_at=at, name=f"Device {each}",
                        kind="room_system", platform="windows", make="Nordlys", model="Room Base 3",
                        serial_number=f"A{number}-{each}",
                    )
                    for each in range(DEVICES // 10)
                ]  # fmt: skip
                Device.objects.for_tenant(customer).bulk_create(devices)
                issued = [forms.issue("grdt", customer.number) for _ in devices]
                DeviceCredential.objects.for_tenant(customer).bulk_create(
                    DeviceCredential(
                        tenant_id=customer.id, device=device, public_id=token.public_id, digest=token.digest,
                        created_at=at, confirmed_at=at, changed_at=at, expires_at=at + timedelta(days=30),
                    )
                    for device, token in zip(devices, issued, strict=True)
                )  # fmt: skip
                found += [token.text for token in issued]
    return found


def _prepare() -> Path:
    """Services of its own, migrated; Django set up."""
    from foundation.embedded import services

    folder = Path(tempfile.mkdtemp(prefix="bench"))
    os.environ.update(services(folder).environment())
    os.environ.update(
        GREENROOM_HOME=str(folder), DJANGO_SETTINGS_MODULE="portal.settings", PYTHONWARNINGS="ignore"
    )
    command = [sys.executable, "-m", "django", "migrate", "--database", "owner", "--verbosity", "0"]
    subprocess.run(command, check=True, cwd=ROOT)
    import django

    django.setup()
    return folder


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--json", action="store_true", help="the rows alone, for the runner")
    given = parser.parse_args()
    table = run(given.rounds)
    if given.json:
        print(json.dumps([asdict(row) for row in table]))
    else:
        for row in table:
            print(row)
