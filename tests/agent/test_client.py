import socket
from email.utils import formatdate

import pytest

from agent.client import Service, api_address, heartbeat_address
from agent.delivery import Batch
from agent.errors import AgentError, NoAnswer, Refused, Revoked, ServiceError, Unauthorized
from tests.agent import standin

BODY = b'{"epoch": "e", "from": 1, "sent_mono": 1, "items": [{"seq": 1, "signals": {}}]}'
BATCH = Batch("e", 1, 1, BODY, compressed=False)


def post(service: standin.Service, fault: standin.Fault | None = None, token: str | None = None):
    if fault:
        service.faults.append(fault)
    token = token or service.new_token()
    return Service(service.url + "/device/v1").post_heartbeats(
        f"{service.url}/device/v1/heartbeats", token, BATCH
    )


def test_an_answer_is_understood(service):
    service.extra = {
        "rotate": "n",
        "inventory_wanted": True,
        "expected": {"camera_room": 2, "x": -1, "y": "2"},
    }
    reply = post(service)
    assert (reply.committed, reply.next_in_s, reply.rotate) == (None, 60.0, "n")
    assert reply.inventory_wanted is True
    assert reply.expected == {"camera_room": 2}
    assert reply.server_time.tzinfo is not None
    service.extra = {"expected": {}}
    again = post(service)
    assert (again.committed, again.expected) == (1, {})
    service.extra = {}
    assert post(service).expected is None


@pytest.mark.parametrize(
    "extra",
    [{"epoch": "other"}, {"committed": "1"}, {"committed": True}, {"committed": -1}, {"committed": 1.5}],
)
def test_an_answer_that_could_delete_the_wrong_thing_is_no_answer(service, extra):
    service.extra = extra
    with pytest.raises(ServiceError):
        post(service)


@pytest.mark.parametrize(
    "extra", [{"server_time": "soon"}, {"next_in": -5}, {"next_in": "x"}, {"rotate": 1}, {"expected": []}]
)
def test_odd_side_matters_are_ignored(service, extra):
    service.extra = extra
    reply = post(service)
    name, value = next(iter(extra.items()))
    assert getattr(reply, {"next_in": "next_in_s"}.get(name, name)) != value


@pytest.mark.parametrize("fault", [standin.garbage, standin.portal_page, standin.reply_lost])
def test_what_is_not_the_service_s_answer_is_an_error(service, fault):
    with pytest.raises(ServiceError):
        post(service, fault)


def test_an_endless_answer_is_not_read(service):
    def endless(handler, _):
        handler.answer(202, b"[" + b" " * 3_000_000 + b"]")
        return True

    with pytest.raises(ServiceError):
        post(service, endless)


@pytest.mark.parametrize(("said", "low", "high"), [("17", 17, 17), ("now", 0, 1), ("soon", None, None)])
def test_retry_after_is_seconds_or_a_date(service, said, low, high):
    with pytest.raises(ServiceError) as caught:
        post(service, standin.overloaded(formatdate(usegmt=True) if said == "now" else said))
    wait = caught.value.retry_after_s
    assert wait is None if low is None else low <= wait <= high


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_refusal_carries_its_reason_on_one_line(service, status):
    with pytest.raises(Refused, match=r"^bad: signals are missing$"):
        post(service, standin.refused(status, "bad:\n signals   are missing"))


def test_revoked_is_told_from_not_accepted(service):
    with pytest.raises(Unauthorized) as caught:
        post(service, token="grdt_nobody")
    assert not isinstance(caught.value, Revoked)
    service.revoked = True
    with pytest.raises(Revoked):
        post(service)


def test_the_token_is_not_taken_to_another_address(service):
    def elsewhere(handler, _):
        handler.answer(307, b"", Location="http://127.0.0.1:1/")
        return True

    with pytest.raises(ServiceError, match=r"redirects to http://127\.0\.0\.1:1/"):
        post(service, elsewhere)


def test_a_netrc_does_not_replace_the_token(service, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    assert post(service).next_in_s == 60


def test_nobody_there_is_one_clear_line():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(
        NoAnswer,
        match=r"^no answer from http://127.0.0.1:\d+/device/v1/enroll/challenge: Connection refused$",
    ):
        Service(f"http://127.0.0.1:{port}/device/v1").challenge()


def test_a_name_that_does_not_exist_is_one_clear_line():
    with pytest.raises(NoAnswer) as caught:
        Service("http://greenroom.invalid/device/v1").challenge()
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 150


@pytest.mark.parametrize(
    ("typed", "api"),
    [
        ("http://h:8000", "http://h:8000/device/v1"),
        ("https://h/", "https://h/device/v1"),
        ("https://h/green/", "https://h/green/device/v1"),
        ("https://h/device/v1/", "https://h/device/v1"),
        ("http://[::1]:8000", "http://[::1]:8000/device/v1"),
    ],
)
def test_an_address_may_be_typed_in_many_ways(typed, api):
    assert api_address(typed) == api


@pytest.mark.parametrize(
    "typed", ["", "h:8000", "ftp://h", "https://", "http://h:port", "https://me:pw@h", "http://["]
)
def test_what_is_no_address_is_refused(typed):
    with pytest.raises(AgentError, match="is not an address"):
        api_address(typed)


@pytest.mark.parametrize(
    ("told", "address"),
    [
        (None, "http://h:8000/device/v1/heartbeats"),
        ("", "http://h:8000/device/v1/heartbeats"),
        ("http://h:8001/device/v1/heartbeats", "http://h:8001/device/v1/heartbeats"),
        ("http://h:8001/device/v1", "http://h:8001/device/v1/heartbeats"),
        ("http://h:8001", "http://h:8001/device/v1/heartbeats"),
    ],
)
def test_heartbeats_go_where_enrollment_says(told, address):
    assert heartbeat_address("http://h:8000/device/v1", told) == address


def test_a_service_enrolled_over_tls_cannot_have_heartbeats_sent_without():
    with pytest.raises(AgentError, match="unencrypted"):
        heartbeat_address("https://h/device/v1", "http://h:8001/device/v1/heartbeats")
