"""Heartbeats over HTTP: the ingest process as it runs, and Django's view held to the same answers."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.test import Client
from django.utils.dateparse import parse_datetime

from enrollment import credentials, nonces
from enrollment.models import DeviceCredential
from fleet import stream
from fleet.models import Device, IngestLiveness, MonitoringSettings
from foundation import clock
from foundation.context import tenant
from portal.api import heartbeat_limits, heartbeat_view
from tenancy.models import Tenant
from tests.factories.enrollment import KeyPair, make_device, make_token
from tests.factories.tenancy import make_customer
from tests.portal.server_process import PATH, Answer, ServerProcess, ingest_process, wait_until

ITEM: dict[str, Any] = {"seq": 1, "signals": {"camera_room": "healthy"}}
BODY: dict[str, Any] = {"epoch": "b7c1", "items": [ITEM]}


@pytest.fixture(scope="module")
def ingest(django_db_setup: None, django_db_blocker: Any, tmp_path_factory: Any) -> Iterator[ServerProcess]:
    with django_db_blocker.unblock(), ingest_process(tmp_path_factory.mktemp("ingest")) as running:
        yield running


@pytest.fixture
def client() -> Iterator[redis.Redis]:
    connected = stream.connect()
    for shard in stream.shards():
        connected.delete(stream.stream_key(shard), stream.replies_key(shard))
    yield connected
    connected.close()


@pytest.fixture(scope="module")
def owner(ingest: ServerProcess) -> Tenant:
    return make_customer(at=clock.now())


@pytest.fixture
def device(owner: Tenant, committed_db: None) -> Device:
    return make_device(owner, at=clock.now())


@pytest.fixture
def token(device: Device) -> str:
    return make_token(device, KeyPair.fresh(), at=clock.now())


def waiting(client: redis.Redis, device: Device) -> list[stream.Entry]:
    """What is in the stream of this device."""
    found = stream.read(client, stream.shard_of(device.tenant.placement)).entries
    return [entry for entry in found if entry.device_id == device.id]


def post_until(ingest: ServerProcess, token: str, wanted: Callable[[Answer], bool]) -> Answer:
    """Post more slowly than a device is slowed, until the answer is as wanted."""
    answers: list[Answer] = []

    def comes() -> bool:
        answers.append(ingest.post(token, BODY))
        assert answers[-1].status != 429
        time.sleep(0.0 if wanted(answers[-1]) else 1.0)
        return wanted(answers[-1])

    wait_until(comes, ingest)
    return answers[-1]


# Accepting -----------------------------------------------------------------------------------------------------


def test_a_heartbeat_is_accepted_and_waits_in_the_stream_as_it_came(ingest, client, device, token):
    item = {
        **ITEM,
        "t_mono": 7.5,
        "vendor": {"rack": 3},
        "signals": {"disk_space": {"state": "unknown", "detail": "é"}},
    }
    answer = ingest.post(token, {"epoch": "b7c1", "from": 1, "sent_mono": 8.25, "items": [item], "vendor": 1})
    assert answer.status == 202
    assert answer.json.keys() == {"epoch", "committed", "server_time", "next_in", "operations"}
    assert (answer.json["epoch"], answer.json["committed"], answer.json["operations"]) == ("b7c1", None, 0)
    (entry,) = waiting(client, device)
    assert (entry.tenant_id, entry.device_key) == (device.tenant_id, device.key)
    assert (entry.epoch, entry.from_seq, entry.sent_mono) == ("b7c1", 1, 8.25)
    assert [json.loads(bytes(each)) for each in entry.items] == [item]
    assert abs(entry.received_at - clock.now()) < timedelta(minutes=1)
    assert abs(parse_datetime(answer.json["server_time"]) - clock.now()) < timedelta(minutes=1)


def test_gzip_and_chunks_are_accepted(ingest, client, device, token):
    packed = gzip.compress(json.dumps(BODY).encode())
    assert ingest.post(token, packed, Content_Encoding="gzip").status == 202
    pieces = iter([json.dumps(BODY).encode()[:10], json.dumps(BODY).encode()[10:]])
    answer = ingest.ask("POST", PATH, pieces, Authorization=f"Device {token}")
    assert answer.status == 202
    assert [entry.epoch for entry in waiting(client, device)] == ["b7c1", "b7c1"]


def test_the_reply_says_what_was_published_for_the_device(ingest, client, device, token):
    shard = stream.shard_of(device.tenant.placement)
    reply = stream.Reply("b7c1", 41, operations=2, inventory_wanted=True, expected={"camera_room": 1})
    stream.publish(client, shard, {device.key: reply})
    said = ingest.post(token, BODY).json
    assert (said["committed"], said["operations"]) == (41, 2)
    assert (said["inventory_wanted"], said["expected"]) == (True, {"camera_room": 1})
    of_another_epoch = ingest.post(token, BODY | {"epoch": "c0de"}).json
    assert (of_another_epoch["committed"], of_another_epoch["operations"]) == (None, 2)


def test_an_epoch_is_echoed_whatever_stands_in_it(ingest, client, device, token):
    epoch = 'a "b"\\\n,}é😀'
    stream.publish(client, stream.shard_of(device.tenant.placement), {device.key: stream.Reply(epoch, 7)})
    said = ingest.post(token, BODY | {"epoch": epoch}).json
    assert (said["epoch"], said["committed"]) == (epoch, 7)


def test_the_next_heartbeat_is_wanted_after_the_interval_give_or_take_a_fifth(
    ingest, client, owner, device, token
):
    def set_interval(seconds: int) -> None:
        with tenant(owner.id):
            MonitoringSettings.objects.for_tenant(owner).update_or_create(
                defaults={"heartbeat_interval_s": seconds}
            )

    set_interval(300)
    waits = [post_until(ingest, token, lambda answer: answer.json["next_in"] > 200).json["next_in"]]
    waits += [ingest.post(token, BODY).json["next_in"] for _ in range(4)]
    assert all(240 <= wait <= 360 for wait in waits)
    assert len(set(waits)) > 1
    set_interval(60)
    assert 48 <= post_until(ingest, token, lambda answer: answer.json["next_in"] < 200).json["next_in"] <= 72


def test_many_devices_at_once_are_all_accepted_each_with_its_own_reply(ingest, client, owner):
    devices = [make_device(owner, at=clock.now()) for _ in range(12)]
    tokens = [make_token(each, None, at=clock.now()) for each in devices]
    shard = stream.shard_of(owner.placement)
    stream.publish(client, shard, {each.key: stream.Reply("b7c1", each.key) for each in devices})
    with ThreadPoolExecutor(12) as threads:
        for _ in range(3):
            answers = list(threads.map(lambda token: ingest.post(token, BODY), tokens))
            assert [answer.json["committed"] for answer in answers] == [each.key for each in devices]
    found = [entry.device_id for entry in stream.read(client, shard).entries]
    assert sorted(found) == sorted([each.id for each in devices] * 3)


# Letting in ----------------------------------------------------------------------------------------------------


def test_the_first_use_of_a_token_confirms_it_and_ends_its_predecessor(ingest, client, device):
    key = KeyPair.fresh()
    old = make_token(device, key, at=clock.now())
    assert ingest.post(old, BODY).status == 202
    with tenant(device.tenant_id):
        credentials.replace_all(device, at=clock.now())
    new = make_token(device, key, at=clock.now())
    assert ingest.post(old, BODY).status == 202
    assert ingest.post(new, BODY).status == 202
    with tenant(device.tenant_id):
        rows = DeviceCredential.objects.for_tenant(device.tenant_id).filter(device=device).order_by("id")
        assert [(row.confirmed_at is not None, row.superseded_at is not None) for row in rows] == [
            (True, True),
            (True, False),
        ]


def test_a_revoked_token_is_refused_within_seconds_and_says_so(ingest, client, device, token):
    assert ingest.post(token, BODY).status == 202
    with tenant(device.tenant_id):
        credentials.revoke(device, at=clock.now())
    revoked_at = time.monotonic()
    answer = post_until(ingest, token, lambda answer: answer.status == 401)
    assert time.monotonic() - revoked_at < 5
    assert answer.json["code"] == "revoked"


def test_a_revocation_is_learnt_without_hints_too(ingest, client, device, token):
    assert ingest.post(token, BODY).status == 202
    with tenant(device.tenant_id):  # as if Redis had lost the hint
        DeviceCredential.objects.for_tenant(device.tenant_id).update(
            revoked_at=clock.now(), changed_at=clock.now()
        )
    revoked_at = time.monotonic()
    post_until(ingest, token, lambda answer: answer.status == 401)
    assert time.monotonic() - revoked_at < 5


def test_a_token_past_its_end_is_refused_though_it_is_kept(ingest, client, device, token):
    ends_soon = clock.now() + timedelta(seconds=3)
    with tenant(device.tenant_id):
        DeviceCredential.objects.for_tenant(device.tenant_id).filter(device=device).update(
            expires_at=ends_soon
        )
    assert ingest.post(token, BODY).status == 202
    assert post_until(ingest, token, lambda answer: answer.status == 401).json["code"] == "expired"
    assert clock.now() >= ends_soon - timedelta(seconds=1)


def test_from_half_of_its_life_on_replies_carry_a_nonce_to_renew_the_token(ingest, client, device, token):
    assert "rotate" not in ingest.post(token, BODY).json
    now = clock.now()
    with tenant(device.tenant_id):
        row = DeviceCredential.objects.for_tenant(device.tenant_id).get(device=device)
        row.created_at, row.expires_at = now - timedelta(days=16), now + timedelta(days=14)
        row.changed_at = now
        row.save(update_fields=["created_at", "expires_at", "changed_at"])
    nonce = post_until(ingest, token, lambda answer: "rotate" in answer.json).json["rotate"]
    assert nonces.check("rotate", nonce, row.public_id, at=clock.now())


# Refusing: both faces give the same answers --------------------------------------------------------------------


def bodies() -> dict[str, tuple[bytes, dict[str, str]]]:
    """What a device may send: bytes and headers beside its token."""
    good = json.dumps(BODY).encode()
    packed = {"Content-Encoding": "gzip"}
    deep = json.dumps(BODY | {"x": 0}).encode()

    def item(**members: Any) -> bytes:
        return json.dumps({"epoch": "e", "items": [{"seq": 1, "signals": {}, **members}]}).encode()

    return {
        "good": (good, {}),
        "good, packed": (gzip.compress(good), packed),
        "good, said to be a form": (good, {"Content-Type": "application/x-www-form-urlencoded"}),
        "good, identity": (good, {"Content-Encoding": "identity"}),
        "good, with members we do not know": (item(vendor=[{}]), {}),
        "empty": (b"", {}),
        "no JSON": (b"hello", {}),
        "cut off": (good[:-1], {}),
        "two documents": (good + good, {}),
        "a list": (b"[]", {}),
        "not UTF-8": (good.replace(b"b7c1", b"\xff"), {}),
        "UTF-16": (good.decode().encode("utf-16"), {}),
        "NUL": (good.replace(b"b7c1", b"\\u0000"), {}),
        "raw NUL": (good.replace(b"b7c1", b"\0"), {}),
        "half a surrogate pair": (good.replace(b"b7c1", b"\\ud800"), {}),
        "NaN": (item(t_mono=float("nan")), {}),
        "infinity": (item(metrics={"cpu_pct": float("inf")}), {}),
        "a number no double holds": (item(t_mono=0).replace(b": 0", b": 1e999"), {}),
        "a huge integer": (item(usage={"people": 10**400}), {}),
        "an integer of a megabyte": (b'{"epoch":' + b"1" * 400_000 + b"}", {}),
        "a sequence beyond 63 bits": (item(seq=2**63), {}),
        "a sequence of 0": (item(seq=0), {}),
        "a sequence as text": (item(seq="1"), {}),
        "no epoch": (b'{"items":[{"seq":1,"signals":{}}]}', {}),
        "no items": (b'{"epoch":"e","items":[]}', {}),
        "501 items": (json.dumps({"epoch": "e", "items": [ITEM] * 501}).encode(), {}),
        "a state nobody knows": (item(signals={"camera_room": "fine"}), {}),
        "a long detail": (item(signals={"a": {"state": "healthy", "detail": "d" * 301}}), {}),
        "a name twice": (good.replace(b'"epoch"', b'"epoch":"x","epoch"'), {}),
        "a name twice in an item": (good.replace(b'"seq"', b'"seq":2,"seq"'), {}),
        "17 levels": (deep.replace(b'"x": 0', b'"x": ' + b"[" * 16 + b"]" * 16), {}),
        "a tower of brackets": (b"[" * 500_000, {}),
        "a tower of objects": (b'{"a":' * 100_000, {}),
        "a list of a quarter million": (b"[" + b"[]," * 170_000 + b"[]]", {}),
        "a hundred thousand names": (b"{" + b",".join(b'"%d":1' % n for n in range(40_000)) + b"}", {}),
        "too large": (b" " * 512_001, {}),
        "too large, packed": (b" " * 64_001, packed),
        "a gzip bomb": (gzip.compress(b" " * 40_000_000), packed),
        "a gzip bomb in a gzip bomb": (gzip.compress(gzip.compress(b"[" * 50_000_000)), packed),
        "packed, and not gzip": (good, packed),
        "packed, cut off": (gzip.compress(good)[:-4], packed),
        "packed twice": (gzip.compress(good) * 2, packed),
        "packed, with a tail": (gzip.compress(good) + b"x", packed),
        "deflate": (good, {"Content-Encoding": "deflate"}),
        "br": (good, {"Content-Encoding": "br"}),
        "gzip, gzip": (good, {"Content-Encoding": "gzip, gzip"}),
    }


VOLATILE = ("server_time", "next_in")


def seen(status: int, headers: dict[str, str], body: bytes) -> dict[str, Any]:
    """What a device can see, but for what differs from one time to the next."""
    told = {
        name: headers.get(name)
        for name in ("content-type", "cache-control", "www-authenticate", "accept-encoding")
    }
    said = {name: value for name, value in json.loads(body).items() if name not in VOLATILE}
    return {"status": status, **told, "retry-after": "retry-after" in headers, **said}


def from_ingest(
    ingest: ServerProcess, authorization: str, body: bytes, headers: dict[str, str]
) -> dict[str, Any]:
    named = {name.replace("-", "_"): value for name, value in headers.items()}
    answer = ingest.ask("POST", PATH, body, Authorization=authorization, **named)
    return seen(answer.status, dict(answer.headers), answer.body)


def from_django(authorization: str, body: bytes, headers: dict[str, str]) -> dict[str, Any]:
    given = {"Authorization": authorization, "Content-Type": "application/json", **headers}
    kind = given.pop("Content-Type")
    answer = Client().post(PATH, body, content_type=kind, headers=given)
    return seen(answer.status_code, {k.lower(): v for k, v in answer.headers.items()}, answer.content)


@pytest.mark.parametrize("name", bodies())
def test_both_faces_answer_alike(ingest, client, device, token, name):
    body, headers = bodies()[name]
    django_says = from_django(f"Device {token}", body, headers)
    started = time.monotonic()
    ingest_says = from_ingest(ingest, f"Device {token}", body, headers)
    assert time.monotonic() - started < 10
    assert ingest_says == django_says
    taken = name.startswith("good")
    assert ingest_says["status"] == 202 if taken else 400 <= ingest_says["status"] < 500
    assert len(waiting(client, device)) == (2 if taken else 0)


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Device",
        "Device ",
        "Device nonsense",
        "Bearer {token}",
        "{token}",
        "Device {token}x",
        "Device {other}",
        "Device {damaged}",
        "Device grdt_" + "é" * 40,
        "Device " + "a" * 8000,
        "device   {token}",
        "Device {expired}",
        "Device {revoked}",
    ],
)
def test_both_faces_let_the_same_in(ingest, client, owner, device, token, authorization):
    others = [make_device(owner, at=clock.now()) for _ in range(2)]
    expired, revoked = (make_token(each, None, at=clock.now()) for each in others)
    with tenant(owner.id):
        rows = DeviceCredential.objects.for_tenant(owner)
        rows.filter(device=others[0]).update(expires_at=clock.now())
        rows.filter(device=others[1]).update(revoked_at=clock.now())
    other = f"grdt_{token[5:17]}_{expired[18:61]}_{expired[62:]}"
    damaged = token[:40] + ("a" if token[40] != "a" else "b") + token[41:]
    names = {"token": token, "other": other, "damaged": damaged, "expired": expired, "revoked": revoked}
    header = authorization.format(**names)
    body = json.dumps(BODY).encode()
    if header.isascii():
        ingest_says = from_ingest(ingest, header, body, {})
    else:
        raw = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: {header}\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}"
        assert b"401" in ingest.raw(raw.encode()).split(b"\r\n")[0]
        return
    assert ingest_says == from_django(header, body, {})
    assert ingest_says["status"] == (
        202 if header.endswith(f" {token}") and header[:6].lower() == "device" else 401
    )


def test_both_faces_slow_a_device_that_posts_too_often(ingest, client, device, token):
    started = time.monotonic()
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: ingest.post(token, BODY), range(heartbeat_limits.BURST + 10)))
    most = heartbeat_limits.BURST + (time.monotonic() - started) / heartbeat_limits.EVERY_S + 1
    assert heartbeat_limits.BURST <= sum(answer.status == 202 for answer in answers) <= most
    ingest_says = next(answer for answer in answers if answer.status == 429)
    assert 1 <= int(ingest_says.headers["retry-after"]) <= 2
    spent = heartbeat_view._allowances[device.key] = heartbeat_limits.Allowance()
    while not spent.take(time.monotonic() + 600):
        pass
    django_says = from_django(f"Device {token}", json.dumps(BODY).encode(), {})
    assert django_says == seen(429, dict(ingest_says.headers), ingest_says.body)


def test_an_allowance_is_paid_back_with_time():
    allowance = heartbeat_limits.Allowance()
    assert [allowance.take(1000.0) for _ in range(31)] == [0] * 30 + [2]
    assert allowance.take(1001.0) == 1
    assert allowance.take(1002.0) == 0
    assert allowance.take(1002.0) == 2
    assert [allowance.take(2000.0) for _ in range(31)] == [0] * 30 + [2]


# The process itself --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/healthz", 200),
        ("POST", "/healthz", 405),
        ("GET", PATH, 405),
        ("PUT", PATH, 405),
        ("DELETE", PATH, 405),
        ("POST", PATH + "/", 404),
        ("POST", "/device/v1/heartbeats/x", 404),
        ("POST", "//device/v1/heartbeats", 404),
        ("GET", "/", 404),
        ("GET", "/static/../portal/settings.py", 404),
    ],
)
def test_other_addresses_and_methods_are_refused_without_a_redirect(ingest, method, path, status):
    answer = ingest.ask(method, path)
    assert answer.status == status
    assert "location" not in answer.headers
    if status != 200:
        assert answer.headers["content-type"] == "application/problem+json"
    if status == 405:
        assert answer.headers["allow"]


@pytest.mark.parametrize(
    "data",
    [
        b"\0\0\0\0",
        b"POST",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /device/v1/heartbeats HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /device/v1/heartbeats HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /device/v1/heartbeats HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF\r\n",
        b"POST /device/v1/heartbeats HTTP/1.1\r\nHost: x\r\nAuthorization: \xff\xfe\r\n\r\n",
        b"POST /device/v1/heartbeats HTTP/1.1\r\n" + b"X: y\r\n" * 5000 + b"\r\n",
    ],
)
def test_what_is_hardly_http_harms_nobody(ingest, client, token, data):
    assert b" 500 " not in ingest.raw(data + b"\r\n")[:20]
    assert ingest.post(token, BODY).status == 202


def test_a_body_announced_longer_than_it_is_stores_nothing(ingest, client, device, token):
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Device {token}\r\nContent-Length: 500\r\n\r\n"
    ingest.raw(head.encode() + json.dumps(BODY).encode())
    assert waiting(client, device) == []
    assert ingest.post(token, BODY).status == 202


def test_an_endless_chunked_body_is_refused_in_time(ingest, client, device, token):
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Device {token}\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    assert b"HTTP/1.1 413" in ingest.raw(head.encode() + chunk * 9)
    assert waiting(client, device) == []


def test_the_process_tells_that_it_is_alive(ingest, committed_db):
    wait_until(
        lambda: IngestLiveness.objects.filter(alive_at__gt=clock.now() - timedelta(seconds=15)).exists(),
        ingest,
    )


def test_a_full_stream_makes_devices_wait(ingest, client, device, token, tmp_path):
    shard = stream.shard_of(device.tenant.placement)
    stream.add(client, shard, [b"x"] * 1001)
    with ingest_process(tmp_path, GREENROOM_STREAM_LIMIT="1000") as limited:
        wait_until(lambda: limited.post(token, BODY).status == 503, limited)
        assert 15 <= int(limited.post(token, BODY).headers["retry-after"]) <= 120
        client.delete(stream.stream_key(shard))
        wait_until(lambda: limited.post(token, BODY).status == 202, limited)


def test_no_secret_reaches_the_log(ingest, token):
    assert token not in ingest.log_text()
    assert token[18:61] not in ingest.log_text()
    assert "Traceback" not in ingest.log_text()
