from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
import time
from contextlib import suppress

import pytest

from foundation import http
from tests.standins.tls import make_certificates

TRICKS = [
    "http://example.com/",
    "ftp://example.com/",
    "file:///etc/passwd",
    "https://",
    "https://127.0.0.1/",
    "https://127.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0177.0.0.1/",
    "https://localhost/",
    "https://localhost./",
    "https://[::1]/",
    "https://[::]/",
    "https://0.0.0.0/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:10.0.0.1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[2002:7f00:1::]/",
    "https://[2001:0:7f00:1::]/",
    "https://[fe80::1]/",
    "https://[fc00::1]/",
    "https://[ff02::1]/",
    "https://10.0.0.1/",
    "https://172.16.0.1/",
    "https://192.168.1.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://100.64.0.1/",
    "https://224.0.0.1/",
    "https://255.255.255.255/",
    "https://192.0.2.1/",
    "https://198.18.0.1/",
    "https://240.0.0.1/",
    "https://user:password@93.184.216.34/",
    "https://93.184.216.34:8443/",
    "https://93.184.216.34:22/",
    "https://93.184.216.34:99999/",
    "https://127.0.0.1:443@127.0.0.1/",
    "https://[::ffff:7f00:1]/",
    "https://[0:0:0:0:0:ffff:127.0.0.1]/",
    "https://127.0.0.1%2f@127.0.0.1/",
    "https://127.0.0.1./",
    "https://127。0。0。1/",  # ideographic full stops
    "https://①②⑦.⓪.⓪.①/",  # digits that fold to 127.0.0.1
    "https://0177.0.0.01/",
    "https://0x7f.0x0.0x0.0x1/",
    "https://017700000001/",
    "https://0/",
    "https://[::127.0.0.1]/",
    "https://[::10.0.0.1]/",
    "https://[::ffff:0:127.0.0.1]/",
    "https://[fec0::1]/",
    "https://[5f00::1]/",
    "https://[4000::1]/",
    "https://[3fff::1]/",
    "https://[2001:db8::1]/",
    "https://[fe80::1%25lo]/",
    "https://[64:ff9b:1::7f00:1]/",
    "https://192.88.99.1/",
    "https://192.0.0.8/",
    "https://203.0.113.9/",
    "https://93.184.216.34:0/",
    "https://LOCALHOST/",
    "https://localhost.localdomain/",
    "https://foo.localhost/",
    "https://ip6-localhost/",
    "gopher://127.0.0.1:6379/_FLUSHALL",
    "HTTPS://127.0.0.1/",
    "https:///127.0.0.1/",
    "https:127.0.0.1/",
    "https://127.0.0.1\\@example.com/",
    "https://\t127.0.0.1/",
]


@pytest.fixture
def no_connection(monkeypatch):
    """Fails the test if a socket is ever connected."""

    def refuse(*args, **kwargs):
        raise AssertionError(f"connected to {args}")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.mark.parametrize("url", TRICKS)
def test_addresses_that_lead_inside_are_refused_before_anything_is_sent(url, no_connection):
    with pytest.raises(http.Blocked):
        http.request("GET", url)


def test_there_are_enough_tricks():
    assert len(set(TRICKS)) >= 60


def test_proxies_of_the_environment_and_redirects_lead_nowhere(monkeypatch, no_connection):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:3128")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:3128")
    with pytest.raises(http.Blocked):
        http.request("GET", "https://10.0.0.1/")


def test_one_private_address_among_public_ones_is_enough_to_refuse(monkeypatch, no_connection):
    answers = [(2, 1, 6, "", ("93.184.216.34", 443)), (2, 1, 6, "", ("10.0.0.5", 443))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers)
    with pytest.raises(http.Blocked):
        http.request("GET", "https://example.com/")


def test_the_address_checked_is_the_address_called(monkeypatch):
    """A name that changes its address between check and call cannot lead inside: it is resolved once."""
    resolved, called = [], []

    def resolve(host, port, *_, **__):
        resolved.append(host)
        return [(2, 1, 6, "", ("93.184.216.34" if len(resolved) == 1 else "127.0.0.1", 443))]

    def connect(address, timeout, **_):
        called.append(address)
        raise OSError("stopped here")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(http, "create_connection", connect)
    with pytest.raises(Exception, match="stopped here"):
        http.request("GET", "https://rebind.example/")
    assert called == [("93.184.216.34", 443)]
    assert resolved == ["rebind.example"]


def test_a_name_server_that_never_answers_does_not_hold_the_call(monkeypatch, no_connection):
    over = threading.Event()
    monkeypatch.setattr(http, "CONNECT_S", 0.05)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: over.wait(30))
    with pytest.raises(http.Blocked, match="not found within"):
        http.request("GET", "https://slow.example/")
    over.set()


def test_other_ports_are_for_the_networks_allowed_alone(monkeypatch, settings):
    called = []

    def connect(address, timeout):
        called.append(address)
        raise OSError("stopped here")

    monkeypatch.setattr(http, "create_connection", connect)
    settings.GUARDED_CLIENT_ALLOWS = ["10.0.0.0/8"]
    with pytest.raises(http.Blocked, match="443"):
        http.request("GET", "https://93.184.216.34:8443/")
    with pytest.raises(Exception, match="stopped here"):
        http.request("GET", "https://10.0.0.5:8443/")
    assert called == [("10.0.0.5", 8443)]


@pytest.mark.parametrize("drips", ["HTTP/1.1 200 OK\r\nX-Long: ", "HTTP/1.1 200 OK\r\n\r\n"])
def test_an_answer_that_drips_ends_in_time(monkeypatch, settings, tmp_path, drips):
    """Each piece comes well within the time of one read, in the headers or in the body."""
    monkeypatch.setattr(http, "WHOLE_S", 0.4)
    authority, served = make_certificates(tmp_path)
    settings.GUARDED_CLIENT_ALLOWS, settings.GUARDED_CLIENT_CA = ["127.0.0.0/8"], str(authority)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(served)
    gone = threading.Event()

    def drip(server):
        peer, _ = server.accept()
        with suppress(OSError), context.wrap_socket(peer, server_side=True) as line:
            line.sendall(drips.encode())
            while not gone.wait(0.05):
                line.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as server:
        other_side = threading.Thread(target=drip, args=(server,))
        other_side.start()
        began = time.monotonic()
        with pytest.raises(http.TooSlow):
            http.request("GET", f"https://127.0.0.1:{server.getsockname()[1]}/")
        took = time.monotonic() - began
        gone.set()
        other_side.join()
    assert took < 5


@pytest.mark.parametrize("text", ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "8.8.8.8"])
def test_public_addresses_pass(text):
    assert http.is_public(ipaddress.ip_address(text))


def test_the_name_in_the_certificate_still_counts(settings):
    """A listener without TLS on an allowed network gets a handshake, not our request."""
    settings.GUARDED_CLIENT_ALLOWS = ["127.0.0.0/8"]
    received = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            peer, _ = server.accept()
            with peer:
                received.append(peer.recv(100))

        listener = threading.Thread(target=answer)
        listener.start()
        with pytest.raises(http.requests.exceptions.ConnectionError):
            http.request("GET", f"https://127.0.0.1:{server.getsockname()[1]}/")
        listener.join()
    assert received[0][:1] == b"\x16"  # a TLS record
